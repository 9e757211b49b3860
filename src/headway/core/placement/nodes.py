"""All nodes, and for each shape the best of them.

Each shape keeps a heap of (score, node, version) that is brought up to date only when the shape looks: a log
of changed nodes says what to score again, and an element whose version is not the node's is dead. So a change
costs nothing to shapes that do not look, and a node is always met under its present score: best fit is exact.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from headway.core.placement.best_fit import score
from headway.core.placement.space import Space
from headway.core.queue import Shape
from headway.domain.resources import Node


class Nodes:
    """Every node ever seen, by index and by name."""

    def __init__(self) -> None:
        self.all: list[Space] = []
        self.by_name: dict[str, Space] = {}
        self._log: list[int] = []
        self._base = 0
        #: Nodes on which something came free since the parked shapes were last tried against them.
        self.freed: dict[int, Space] = {}

    def join(self, node: Node, incarnation: str) -> Space:
        """The space of a node that is new here."""
        space = Space(len(self.all), node, incarnation)
        self.all.append(space)
        self.by_name[node.name] = space
        self.changed(space, freed=True)
        return space

    def changed(self, space: Space, freed: bool) -> None:
        """To be told after every change of a node."""
        self._log.append(space.index)
        if freed:
            self.freed[space.index] = space
        if len(self._log) > 4 * len(self.all) + 1024:
            # A shape that last looked before what is dropped here scores all nodes anew: fewer than it
            # missed.
            half = len(self._log) // 2
            self._base += half
            del self._log[:half]

    def best(self, shape: Shape) -> Space | None:
        """The node with the best score on which the shape fits, or None."""
        self._refresh(shape)
        heap, spaces = shape.fits, self.all
        while heap:
            _, index, version = heap[0]
            if spaces[index].version == version:
                return spaces[index]
            heappop(heap)
        return None

    def runner_up(self, shape: Shape) -> tuple[str, int] | None:
        """When the best node has been chosen and is about to change: the next best node and its score."""
        heap, spaces = shape.fits, self.all
        heappop(heap)  # the best one: its element dies with the placement anyway
        while heap:
            left, index, version = heap[0]
            if spaces[index].version == version:
                return spaces[index].name, left
            heappop(heap)
        return None

    def _refresh(self, shape: Shape) -> None:
        end = self._base + len(self._log)
        if shape.seen == end:
            return
        missed = self._log[shape.seen - self._base :] if shape.seen >= self._base else []
        if not missed or len(missed) > len(self.all) or len(shape.fits) > 4 * len(self.all) + 64:
            shape.fits = [(score(shape, s), s.index, s.version) for s in self.all if s.fits(shape)]
            heapify(shape.fits)
        else:
            heap = shape.fits
            for index in dict.fromkeys(missed):
                space = self.all[index]
                if space.fits(shape):
                    heappush(heap, (score(shape, space), index, space.version))
        shape.seen = end
