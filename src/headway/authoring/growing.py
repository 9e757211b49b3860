"""In a worker: the body of a dynamic task says which tasks it wants, and they travel back as its result.

Names tell where a task comes from: what `train` calls is `train.fit`, what `train[3]` calls `train[3].fit`. A task that calls
itself counts: `train`, `train.2`, `train.3`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headway.authoring import names, steps
from headway.authoring.futures import Future
from headway.authoring.options import TaskOptions
from headway.authoring.tracing import Trace, entered
from headway.authoring.values import Encoded
from headway.domain.growth import GRAPH, SIZE_MOST, Growth, growth_to_json
from headway.domain.results import Ref
from headway.domain.workflow import Value, Workflow
from headway.errors import Invalid

_TURNED = re.compile(r"\.\d+\.until\Z")
_COUNTED = re.compile(r"(.+)\.(\d+)")


class Growing(Trace):
    """The trace of a dynamic task's body.

    Attributes:
        stem: What stands before the names of all its tasks.
        count: How often the task has called itself so far, from 1.
        forced: What the next task or workflow is called, whatever its own name.
    """

    def __init__(self, own: str) -> None:
        super().__init__(own)
        counted = _COUNTED.fullmatch(own)
        self.stem, self.count = (counted[1], int(counted[2])) if counted is not None else (own, 1)
        self.prefix = f"{self.count}." if self.count > 1 else ""
        self.forced: str | None = None
        #: Of a task that turns a loop: the name of the loop.
        self._loop = _TURNED.sub("", own)
        self._me: str | None = self.stem.rpartition(".")[2].partition("[")[0]

    def _unique(self, name: str) -> str:
        forced, self.forced = self.forced, None
        if forced is None and name == self._me:
            self._me, forced = None, str(self.count + 1)
        if forced is None:
            return super()._unique(name)
        before, self.prefix = self.prefix, ""
        try:
            return super()._unique(forced)
        finally:
            self.prefix = before

    def _function(self, function: Callable[..., Any], name: str) -> str:
        """The function's key in the run's bundle. What no import finds was not known when that was made."""
        return names.key_of(function) or steps.CALL

    def _add(self, task: Any, args: Any, kwargs: Any, returns: Any, mapped: int = 0) -> Future:
        if names.key_of(task.function) is None:
            kwargs = (*kwargs, (steps.FUNCTION, self.arg(task.function, f"task {task.name!r}")))
        return super()._add(task, args, kwargs, returns, mapped)

    def turn(
        self,
        turn: Callable[..., Any],
        body: Any,
        value: Any,
        until: Callable[[Any], Any],
        limit: int,
        number: int,
    ) -> Future:
        """Note the next turn of a loop, `train.3`, and `train.3.until`, which asks whether it was the last."""
        self.stem = self._loop
        self.forced, self.prefix = str(number), ""
        result = body(value)
        self.forced = f"{number}.until"
        return self._turn("until", turn, body, result, until, limit, number)

    def growth(self, result: Any) -> Growth:
        """What was noted."""
        arg = self.arg(result, f"the result of task {self.name!r}")
        whole = isinstance(result, Future) and not result.mapped and not result.output.path
        if not whole and not isinstance(arg, Value):
            # Several results are made one in a worker, as nobody else reads values.
            arg = self._spec("result", TaskOptions(), None, function=steps.PICK, args=(arg,)).output
        refs = {key: value.ref for key, value in self.values.items()}
        return Growth(self.stem, Workflow(self.name, tuple(self.tasks), arg), refs)


def grow(
    function: Callable[..., Any],
    own: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    keep: Callable[[Ref, bytes | None], None],
) -> Any:
    """Run the body of a dynamic task.

    Args:
        own: Its name in the run.
        keep: Takes the values of what it calls, before anybody refers to them.

    Returns:
        A value if it called no task; else the growth, encoded.

    Raises:
        Invalid: A call that is wrong, or a graph too large to travel.
    """
    trace = Growing(own)
    with entered(trace):
        result = function(*args, **kwargs)
    if not trace.tasks:
        return result
    tree = growth_to_json(trace.growth(result))
    size = len(json.dumps(tree))
    if size > SIZE_MOST:
        raise Invalid(
            f"task {own!r} called {len(trace.tasks)} tasks, which are {size >> 10} KiB to describe, "
            f"more than {SIZE_MOST >> 10}",
            hint="map one task over a list, or call some that call others",
        )
    for value in trace.values.values():
        keep(value.ref, value.blob)
    return Encoded(Ref(GRAPH, tree, size, None, f"{len(trace.tasks)} tasks"))
