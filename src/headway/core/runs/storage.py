"""A run as plain JSON and back: columns, not objects, so that a million tasks are read in about a second."""

from __future__ import annotations

from array import array
from typing import Any

from headway.core.runs import growing
from headway.core.runs.run import Run
from headway.domain.codec import ref_from_json, ref_to_json, workflow_from_json, workflow_to_json
from headway.domain.growth import growth_from_json, growth_to_json
from headway.domain.results import Ref

_COLUMNS = ("started", "ended_at", "took", "attempt", "fence", "node")
_SPARSE = ("errors", "tries", "earlier", "progress", "asked", "answers")


def save(run: Run) -> dict[str, Any]:
    """Everything about a run, also what the next drain would take. States and flags are one digit a row."""
    tree: dict[str, Any] = {
        "id": run.id,
        "workflow": workflow_to_json(run.workflow),
        "values": {key: ref_to_json(ref) for key, ref in growing.submitted_values(run).items()},
        "bundle": run.bundle,
        "submitted": run.submitted,
        "ended": run.ended,
        "cancelled": run.cancelled,
        "error": run.error,
        "spent": run.spent,
        "cached": [[row, *origin] for row, origin in run.cached.items()],
        "steps": [[step.base, step.rows, step.items] for step in run.steps],
        "state": _digits(run.state),
        "flags": _digits(run.flags),
        "hosts": run.hosts,
        "groups": [[group.step, row, growth_to_json(group.growth)] for row, group in run.groups.items()],
        "result": [_result_row(value) for value in run.result],
        "offers": [[*key, not_before] for key, not_before in run.offers.items()],
        "withdrawn": run.withdrawn.copy(),
        "paused": {name: dict(pause) for name, pause in run.paused.items()},
        "edits": {name: dict(edit) for name, edit in run.edits.items()},
        "signals": {name: dict(given) for name, given in run.signals.items()},
        "notices": [list(notice) for notice in run.notices],
    }
    for name in _COLUMNS:
        tree[name] = getattr(run, name).tolist()
    for name in _SPARSE:
        tree[name] = [[row, value] for row, value in getattr(run, name).items()]
    return tree


def load(tree: dict[str, Any]) -> Run:
    """The run that `save` was given."""
    workflow = workflow_from_json(tree["workflow"])
    values = {key: ref_from_json(ref) for key, ref in tree["values"].items()}
    run = Run(tree["id"], workflow, values, tree["bundle"], tree["submitted"])
    run.ended, run.cancelled, run.error = tree["ended"], tree["cancelled"], tree["error"]
    run.cached = {row: (task, made) for row, task, made in tree.get("cached", ())}
    run.spent = tree.get("spent", 0)  # not in what was saved before there were prices
    for step_index, row, growth in tree.get("groups", ()):  # not in snapshots of before there were any
        # The name of the item that grew is asked for: its step must know where its rows lie.
        owner = run.steps[step_index]
        owner.base, owner.rows, owner.items = tree["steps"][step_index]
        growing.attach(run, owner, row, growth_from_json(growth))
    for step, (base, rows, items) in zip(run.steps, tree["steps"], strict=True):
        step.base, step.rows, step.items = base, rows, items
    run.state = bytearray(tree["state"].encode().translate(_FROM_DIGIT))
    run.flags = bytearray(tree["flags"].encode().translate(_FROM_DIGIT))
    run.hosts = list(tree["hosts"])
    run.result = [None if row is None else (_NONE if row == 0 else row) for row in tree["result"]]
    for name in _COLUMNS:
        setattr(run, name, array("q", tree[name]))
    run.waits = array("q", bytes(8 * len(run.state)))
    for name in _SPARSE:
        getattr(run, name).update(
            (row, value) for row, value in tree.get(name, ())
        )  # what is newer than the snapshot is empty
    run.earlier = {row: [(a, o, t) for a, o, t in history] for row, history in run.earlier.items()}
    run.offers = {(step, row): not_before for step, row, not_before in tree["offers"]}
    run.withdrawn = dict(tree["withdrawn"])
    run.paused, run.edits = dict(tree.get("paused", {})), dict(tree.get("edits", {}))
    run.signals = dict(tree.get("signals", {}))
    run.notices = list(tree.get("notices", ()))
    run.recount()
    return run


#: What most tasks return that return nothing: one digit instead of a row.
_NONE = Ref("json", None, 4, None, "None")
_TO_DIGIT = bytes((48 + code) % 256 for code in range(256))
_FROM_DIGIT = bytes((code - 48) % 256 for code in range(256))


def _digits(column: bytearray) -> str:
    return column.translate(_TO_DIGIT).decode("ascii")


def _result_row(value: Any) -> Any:
    if isinstance(value, Ref):
        return 0 if value == _NONE else [value.kind, value.data, value.size, value.items, value.text]
    return value
