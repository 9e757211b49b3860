"""The windows that are set: who has which nodes when. What follows from them is `admission.windows`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from headway.core.placement.space import Space
from headway.domain.resources import Demand
from headway.domain.task import Task
from headway.domain.window import Window


class Windows:
    """Those that are not over.

    Attributes:
        active: By id, in the order they were set.
        begun: Those whose start has passed.
        longest: The longest that anybody said of a task since there are windows, in microseconds.
        looked: What there was when the last decision found nothing to place on closing nodes, or None.
    """

    def __init__(self) -> None:
        self.active: dict[str, Window] = {}
        self.begun: dict[str, None] = {}
        self.longest = 0
        self.looked: tuple[int, ...] | None = None

    def heard(self, task: Task) -> None:
        """A task was offered: what its author says of it counts."""
        if task.estimate is not None and task.estimate > self.longest:
            self.longest = task.estimate
        self.looked = None

    def on(self, space: Space) -> list[Window]:
        """Those on a node, the first to begin first."""
        return sorted(
            (window for window in self.active.values() if space.name in window.nodes),
            key=lambda w: (w.start, w.id),
        )

    def next_edge(self) -> int | None:
        """When the next one begins or ends."""
        return min((w.end if w.id in self.begun else w.start for w in self.active.values()), default=None)

    def tree(self) -> list[Any]:
        """As plain JSON."""
        rows = [
            [_plain(getattr(window, field.name)) for field in fields(Window)]
            for window in self.active.values()
        ]
        return [rows, list(self.begun), self.longest, list(self.looked) if self.looked is not None else None]

    def fill(self, tree: list[Any]) -> None:
        """The reverse of `tree`."""
        rows, begun, self.longest, looked = tree
        for row in rows:
            named = dict(zip((field.name for field in fields(Window)), row, strict=True))
            named["nodes"] = tuple(named["nodes"])
            if named["demand"] is not None:
                cpu, memory, gpu, other = named["demand"]
                named["demand"] = Demand(cpu, memory, gpu, tuple((name, amount) for name, amount in other))
            self.active[named["id"]] = Window(**named)
        self.begun = dict.fromkeys(begun)
        self.looked = tuple(looked) if looked is not None else None


def _plain(value: Any) -> Any:
    if isinstance(value, Demand):
        return [value.cpu, value.memory, value.gpu, [list(pair) for pair in value.other]]
    return list(value) if isinstance(value, tuple) else value
