"""What a reader may see of a run: plain JSON trees, in the shapes of the HTTP interface."""

from __future__ import annotations

from typing import Any

from headway.core.runs import gates, steering, waits
from headway.core.runs.graph import Step
from headway.core.runs.run import Run
from headway.core.runs.states import DEAD, FINISHED, LIVE, QUEUED, RUNNING, SKIPPED, STATES
from headway.domain.beside import beside_to_json
from headway.domain.codec import ref_to_json, variant_to_json
from headway.domain.results import Ref
from headway.domain.units import HOUR, MILLI, show_milli, show_money, show_time
from headway.domain.workflow import Arg, DictOf, ListOf, Output, Value

#: How a task is shown that did not run because its result was known, and all states that are shown.
CACHED = "cached"
SHOWN = (*STATES, CACHED)


def run_view(run: Run) -> dict[str, Any]:
    """One run; `result` is a tree of references once it has finished."""
    outcome = run.outcome
    due = steering.run_due(run)
    return {
        "id": run.id,
        "name": run.workflow.name,
        "tenant": run.workflow.tenant,
        "bundle": run.bundle,
        "state": outcome,
        "paused": steering.pause_on(run, ""),
        "submitted": run.submitted,
        "ended": run.ended or None,
        "deadline": due,
        "late": _late(due, run.ended),
        "cost": run.spent * MILLI // HOUR if run.priced else None,
        "counts": _counts(run),
        "result": result_tree(run) if outcome == "finished" else None,
        "error": _run_error(run, outcome),
    }


def state_of(run: Run, row: int) -> str:
    """A task's state as it is shown: what was taken from an earlier run is `cached`, and else like finished."""
    return CACHED if row in run.cached else STATES[run.state[row]]


def _counts(run: Run) -> dict[str, int]:
    counts = dict(zip(STATES, run.counts, strict=True))
    if run.cached:
        counts["finished"] -= len(run.cached)
        counts[CACHED] = len(run.cached)
    return {name: count for name, count in counts.items() if count}


def _late(due: int | None, ended: int) -> int | None:
    """By how many microseconds the deadline was missed, 0 if it was met; None without one, or before the end."""
    return None if due is None or not ended else max(ended - due, 0)


def _run_error(run: Run, outcome: str) -> dict[str, Any] | None:
    if run.error is None and outcome == "cancelled":
        return {"task": None, "type": "Cancelled", "message": run.cancelled or "a task was cancelled"}
    return run.error


def result_tree(run: Run) -> dict[str, Any] | None:
    """What the workflow returns, with references where its tasks' results and its literals stand."""
    return None if run.workflow.result is None else _tree(run, run.workflow.result)


def _tree(run: Run, arg: Arg) -> dict[str, Any]:
    match arg:
        case Value(key):
            return {"ref": ref_to_json(run.values[key])}
        case ListOf(items, as_tuple):
            return {"tuple" if as_tuple else "list": [_tree(run, item) for item in items]}
        case DictOf(pairs):
            return {"dict": {key: _tree(run, item) for key, item in pairs}}
        case Output(task, path):
            return _output(run, run.names[task], path)


def _output(run: Run, step: Step, path: tuple[str | int, ...]) -> dict[str, Any]:
    if not step.plural:
        tree: dict[str, Any] = {"ref": _ref(run, step.base)}
    elif path and isinstance(path[0], int) and -step.rows <= path[0] < step.rows:
        tree, path = {"ref": _ref(run, step.base + path[0] % step.rows)}, path[1:]
    else:
        tree = {"list": [{"ref": _ref(run, row)} for row in run.rows_of(step)]}
    return {**tree, "path": list(path)} if path else tree


def _ref(run: Run, row: int) -> dict[str, Any] | None:
    ref: Ref | None = run.ref(row)
    return None if ref is None else ref_to_json(ref)


def brief(run: Run, step: Step, row: int) -> dict[str, Any]:
    """One task in a listing."""
    state = run.state[row]
    return {
        "id": run.id_of(step, row),
        "run": run.id,
        "name": run.name_of(step, row),
        "state": state_of(run, row),
        "attempt": run.attempt[row],
        "node": run.hosts[run.node[row]] or None,
        "started": run.started[row] or None,
        "ended": run.ended_at[row] or None,
        "took": run.took[row] if state not in LIVE and run.took[row] else None,
        "progress": run.progress.get(row),
        "error": error_of(run, step, row),
    }


def task_view(run: Run, step: Step, row: int) -> dict[str, Any]:
    """One task with its attempts, what it asks for, what it waits for and what it gave."""
    state, spec = run.state[row], step.spec
    attempts = [{"attempt": a, "outcome": o, "took": t} for a, o, t in run.earlier.get(row, ())]
    if state == FINISHED and run.attempt[row]:
        attempts.append({"attempt": run.attempt[row], "outcome": "finished", "took": run.took[row]})
    elif state == RUNNING:
        attempts.append({"attempt": run.attempt[row], "outcome": "running", "took": None})
    due = steering.due(run, step, row)
    unfinished = (run.id_of(*other) for other in run.parents_of(step, row) if run.state[other[1]] in LIVE)
    return {
        **brief(run, step, row),
        "attempts": attempts,
        "tenant": run.workflow.tenant,
        "kind": spec.kind,
        "demand": str(spec.demand),
        "where": list(spec.where),
        **({"beside": beside_to_json(spec.beside)} if spec.beside is not None else {}),
        "variants": [variant_to_json(variant) for variant in spec.variants],
        **_steered(run, step, row),
        "submitted": run.submitted,
        "deadline": due,
        "late": _late(due, run.ended_at[row]),
        "cost": _cost(run, step, row) if spec.cost else None,
        "cached": run.cached[row][0] if row in run.cached else None,
        "notes": notes(run, step, row),
        "wait": waits.view(run, step, row),
        "waits_for": [name for name, _ in zip(unfinished, range(20), strict=False)] if state < QUEUED else [],
        "result": _ref(run, row),
        "error": error_of(run, step, row, full=True),
    }


def _cost(run: Run, step: Step, row: int) -> int:
    """What its attempts cost so far, in millionths: of very many only those in its history."""
    took = sum(took for _, _, took in run.earlier.get(row, ()))
    took += run.took[row] if run.state[row] == FINISHED else 0
    return took * step.spec.cost * MILLI // HOUR


def notes(run: Run, step: Step, row: int) -> list[str]:
    """What the graph adds to an answer to `why`, in sentences: the scheduler does not know of it."""
    found = _called(run, step, row)
    error, due = run.errors.get(row), steering.due(run, step, row)
    if row in run.cached:
        task, made = run.cached[row]
        found.append(f"its result is that of {task}, made {show_time(run.ended_at[row] - made)} before")
    if error is not None and "note" in error:
        found.append(error["note"])
    if (said := waits.line(run, step, row)) is not None:
        found.append(said)
    if due is not None and run.ended_at[row]:
        late = run.ended_at[row] - due
        found.append(f"ended {show_time(abs(late))} {'after' if late > 0 else 'before'} its deadline")
    if step.spec.cost and (cost := _cost(run, step, row)):
        found.append(f"has cost {show_money(cost)}, at {show_milli(step.spec.cost)} an hour")
    return found


def _called(run: Run, step: Step, row: int) -> list[str]:
    """Who called the task, if a dynamic one did, and what a dynamic task called."""
    found: list[str] = []
    if step.owner >= 0:
        caller = run.steps[run.groups[step.owner].step]
        found.append(f"was called by {run.id_of(caller, step.owner)}")
    if (group := run.groups.get(row)) is not None:
        rows = list(run.rows_in(group))
        live = [run.id_of(*other) for other in rows if run.state[other[1]] in LIVE]
        left = (
            f"{len(live)} of them have not ended, the first is {live[0]}"
            if live
            else "all of them have ended"
        )
        found.append(f"its body called {len(rows)} tasks: {left}")
    return found


def _steered(run: Run, step: Step, row: int) -> dict[str, Any]:
    """Priority and milli-weight as they are by now, and what keeps it from starting."""
    spec = step.spec
    edited = steering.edit_of(run, step, row) if run.edits else None
    priority, weight, _ = edited or (None, None, None)
    live = run.state[row] in LIVE
    return {
        "priority": spec.priority if priority is None else priority,
        "weight": run.workflow.weight if weight is None else weight,
        "paused": steering.pause_on(run, run.name_of(step, row)) if run.paused and live else None,
    }


def error_of(run: Run, step: Step, row: int, *, full: bool = False) -> dict[str, Any] | None:
    """What went wrong with a task; of a skipped one, which task is to blame."""
    error = run.errors.get(row)
    if error is not None:
        return error if full else {"type": error["type"], "message": error["message"]}
    if run.state[row] == SKIPPED:
        return {"type": "Skipped", "message": _blame(run, step, row)}
    return None


def _blame(run: Run, step: Step, row: int) -> str:
    """Up the dead parents to the task that did not skip but fail."""
    seen = 0
    own = gates.why_skipped(run, step, row) if run.flags[row] & gates.UNWANTED else None
    if own is not None:
        return own
    while run.state[row] == SKIPPED:
        if (
            seen
            and run.flags[row] & gates.UNWANTED
            and (own := gates.why_skipped(run, step, row)) is not None
        ):
            return f"it needs {run.id_of(step, row)}, which is skipped: {own}"
        found = next((other for other in run.parents_of(step, row) if run.state[other[1]] in DEAD), None)
        if found is None:
            break
        (step, row), seen = found, seen + 1
    return f"it needs {run.id_of(step, row)}, which is {STATES[run.state[row]]}" if seen else "it was skipped"
