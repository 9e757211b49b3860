"""The best node for one task, where tasks of a shape differ: by how long it takes there, or where its inputs lie.

Every look measures the nodes that have room, one NumPy pass. Of nodes that are equally good the best fit is taken.
Whether there is any node at all is a question of the shape, and may be asked without a task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from headway.core.placement import Scored, Size, Stateless
from headway.core.placement.best_fit import free, taken
from headway.core.placement.fleet import Ints

if TYPE_CHECKING:
    from headway.core.placement.nodes import Nodes
    from headway.core.placement.space import Space
    from headway.core.queue import Shape
    from headway.core.state import Entry

#: Of a task and these nodes: how good each is, smaller is better.
Measure = Callable[["Nodes", "Entry", Ints], Ints]


class ByTask(Scored):
    """A placement that looks at the task.

    Args:
        measure: How good nodes are for a task.
    """

    def __init__(self, name: str, measure: Measure, show: Callable[[int], str]) -> None:
        super().__init__(name, lambda nodes: Looks(nodes, measure), show)

    def level(self, space: Space) -> int:
        """For ties: what is free."""
        return free(space)

    def part(self, shape: Shape, size: Size) -> int:
        """For ties: what the shape takes of it."""
        return taken(shape, size)


class Looks(Stateless):
    """Looks for nodes; the same face as `sights.Sights`."""

    def __init__(self, nodes: Nodes, measure: Measure) -> None:
        self._nodes = nodes
        self._measure = measure

    @property
    def scorer(self) -> Stateless:
        """It remembers nothing."""
        return self

    def best(self, shape: Shape, entry: Entry | None) -> Space | None:
        """The best node with room, or None."""
        return self.best_but(shape, None, entry)

    def best_but(self, shape: Shape, best: Space | None, entry: Entry | None) -> Space | None:
        """The best of all other nodes."""
        room, left = self._nodes.room(shape)
        if best is not None:
            others = room != best.index
            room, left = room[others], left[others]
        if not len(room):
            return None
        if entry is not None:
            score = self._measure(self._nodes, entry, room)
            equal = score == score.min()
            room, left = room[equal], left[equal]
        return self._nodes.all[int(room[left.argmin()])]

    def score(self, shape: Shape, space: Space, entry: Entry | None) -> int:
        """How good the node is for the task; 0 for none."""
        return self.scores(shape, [space], entry)[0]

    def scores(self, shape: Shape, spaces: Sequence[Space], entry: Entry | None) -> list[int]:
        """How good these nodes are."""
        if entry is None:
            return [0] * len(spaces)
        at = np.array([space.index for space in spaces], np.int64)
        return [int(one) for one in self._measure(self._nodes, entry, at)]

    def devices(self, shape: Shape, space: Space) -> tuple[int, ...] | None:
        """Left to `pick_devices`."""
        return None
