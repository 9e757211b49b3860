"""Results of earlier runs, by the content of what made them: a task with a cache whose key is known does not run.

A key is the SHA-256 of the function's source, the version its author gave it, its environment, and the content of its
arguments: literals as they are, results of other tasks by their references, which are content themselves (a large value is named
by its hash). The planner holds the table, so a replay of its journal finds what was found then, and a restart loses nothing.

Two runs that need the same at the same time both compute it, and the first that ends is kept: to wait for a stranger's run could
take for ever, and computing twice is what would have happened without a cache.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headway.core.runs.graph import Step
from headway.domain.attributes import environment_to_json
from headway.domain.codec import ref_from_json, ref_to_json
from headway.domain.results import Ref
from headway.domain.workflow import Arg, DictOf, ListOf, Output, Value

if TYPE_CHECKING:
    from headway.core.runs.run import Run

#: Results that are kept; the one used longest ago goes first.
MOST = 10_000


class Kept:
    """Results by key: (the result, the task that made it, when)."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: OrderedDict[str, tuple[Ref, str, int]] = OrderedDict()

    def find(self, key: str, life: int | None, now: int) -> tuple[Ref, str, int] | None:
        """What is kept under the key and is no older than `life` microseconds."""
        found = self._found.get(key)
        if found is None or (life is not None and now - found[2] > life):
            return None
        self._found.move_to_end(key)
        return found

    def keep(self, key: str, ref: Ref, task: str, now: int, *, life: int | None, fresh: bool) -> None:
        """Keep a result, unless one that is good is there already and nobody asked for a fresh one."""
        if not fresh and self.find(key, life, now) is not None:
            return
        self._found[key] = (ref, task, now)
        self._found.move_to_end(key)
        while len(self._found) > MOST:
            self._found.popitem(last=False)

    def __len__(self) -> int:
        return len(self._found)

    def snapshot(self) -> list[list[Any]]:
        """Everything as plain JSON, in the order of use."""
        return [[key, ref_to_json(ref), task, at] for key, (ref, task, at) in self._found.items()]

    @classmethod
    def restore(cls, rows: Sequence[Sequence[Any]]) -> Kept:
        kept = cls()
        kept._found.update((key, (ref_from_json(ref), task, at)) for key, ref, task, at in rows)
        return kept


def recall(run: Run, step: Step, row: int, now: int) -> Ref | None:
    """The result that the row need not run for, or None; notes where it comes from."""
    cache = step.spec.cache
    if cache is None or cache.fresh or run.kept is None:
        return None
    found = run.kept.find(key_of(run, step, row), cache.life, now)
    if found is None:
        return None
    ref, task, made = found
    run.cached[row] = (task, made)
    return ref


def remember(run: Run, step: Step, row: int, ref: Ref, now: int) -> None:
    """Keep the result that a row has computed."""
    cache = step.spec.cache
    if cache is not None and run.kept is not None:
        key = key_of(run, step, row)
        run.kept.keep(key, ref, run.id_of(step, row), now, life=cache.life, fresh=cache.fresh)


def key_of(run: Run, step: Step, row: int) -> str:
    """The key of a row all of whose parents have finished."""
    spec, index = step.spec, row - step.base
    assert spec.cache is not None
    args = [
        _item(run, arg, index) if position < spec.mapped else _content(run, arg)
        for position, arg in enumerate(spec.args)
    ]
    kwargs = {name: _content(run, arg) for name, arg in spec.kwargs}
    around = None if spec.environment is None else environment_to_json(spec.environment)
    said = [spec.function, spec.shell, spec.cache.code, spec.cache.version, around, args, kwargs]
    return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()


def _content(run: Run, arg: Arg) -> Any:
    """What an argument is, as JSON; each kind of argument under a mark of its own, so that none looks like another."""
    match arg:
        case Value(key):
            return _of(run.values[key])
        case Output(task, path):
            parent = run.names[task]
            refs = (
                [_of(run.ref(row)) for row in run.rows_of(parent)]
                if parent.plural
                else _of(run.ref(parent.base))
            )
            return ["result", parent.plural, refs, list(path)]
        case ListOf(items, as_tuple):
            return ["tuple" if as_tuple else "list", [_content(run, item) for item in items]]
        case DictOf(pairs):
            return ["dict", [[key, _content(run, item)] for key, item in pairs]]


def _item(run: Run, arg: Arg, index: int) -> Any:
    """The one item of a mapped argument: of a short list the element itself, so that a list that grew finds its old items."""
    if isinstance(arg, ListOf):
        return _content(run, arg.items[index])
    if isinstance(arg, Output):
        parent = run.names[arg.task]
        if parent.plural:
            return _of(run.ref(parent.base + index))
        whole = run.ref(parent.base)
    elif isinstance(arg, Value):
        whole = run.values[arg.key]
    else:
        return [_content(run, arg), index]
    if whole is not None and whole.kind == "json" and isinstance(whole.data, list):
        return ["json", whole.data[index]]
    return ["item", _of(whole), index]


def _of(ref: Ref | None) -> Any:
    return None if ref is None else [ref.kind, ref.data]
