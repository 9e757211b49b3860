"""All nodes, and for each shape the best of them.

Each shape keeps a short heap of (score, node, version): its best `NEAREST` nodes when it last looked at all
of them (one NumPy pass), and every node that changed since (a log says which). An element whose version is
not the node's is dead. When the living ones run out, or are worse than the best that was left out, all nodes
are looked at again. So a change costs nothing to shapes that do not look, a look costs little, and best fit
is exact.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np
import numpy.typing as npt

from headway.core.placement import Placement, Size
from headway.core.placement.space import Space
from headway.core.queue import Shape
from headway.domain.resources import Node
from headway.domain.where import Where

#: How many nodes a shape keeps in sight.
NEAREST = 32


class Nodes:
    """Every node ever seen, by index and by name.

    Args:
        placement: Says which of them is best for a shape.
    """

    def __init__(self, placement: Placement) -> None:
        self.placement = placement
        self.all: list[Space] = []
        self.by_name: dict[str, Space] = {}
        self._log: list[int] = []
        self._base = 0
        #: Nodes on which something came free since the parked shapes were last tried against them.
        self.freed: dict[int, Space] = {}
        #: Nodes on which anything changed that says when they have room; for `backfill`, which clears it.
        self.stirred: dict[int, Space] = {}
        # Columns by node: cpu, memory, reach (-1 where nothing may be placed), level, number of its size.
        # Nodes in `_behind` changed since they were written.
        self._columns: npt.NDArray[np.int64] = np.zeros((5, 16), np.int64)
        self._behind: dict[int, None] = {}
        self._sizes: dict[Size, int] = {}
        # By condition on labels: which nodes meet it, of the first so many.
        self._meet: dict[Where, npt.NDArray[np.bool_]] = {}

    def join(self, node: Node, incarnation: str) -> Space:
        """The space of a node that is new here."""
        space = Space(len(self.all), node, incarnation, self.placement)
        self.all.append(space)
        self.by_name[node.name] = space
        if space.index >= self._columns.shape[1]:
            self._columns = np.concatenate([self._columns, np.zeros_like(self._columns)], axis=1)
        self.changed(space, freed=True)
        return space

    def relabelled(self, space: Space) -> None:
        """To be told when a node that was there has got other labels."""
        for where, meet in self._meet.items():
            if space.index < len(meet):
                meet[space.index] = space.unmet(where) is None

    def _met(self, where: Where) -> npt.NDArray[np.bool_]:
        """For each node, whether its labels meet the condition."""
        meet = self._meet.get(where)
        known = 0 if meet is None else len(meet)
        if meet is None or known < len(self.all):
            more = np.array([space.unmet(where) is None for space in self.all[known:]], np.bool_)
            meet = self._meet[where] = more if meet is None else np.concatenate([meet, more])
        return meet

    def measure_by(self, placement: Placement, shapes: list[Shape]) -> None:
        """Another placement: every node and every shape is measured anew."""
        self.placement = placement
        for space in self.all:
            space.placement = placement
            space.changed()
            self._behind[space.index] = None
        for shape in shapes:
            shape.parts, shape.fits, shape.beyond, shape.seen = {}, [], None, -1

    def part(self, shape: Shape, size: Size) -> int:
        """The shape's side of its score on nodes of that size."""
        found = shape.parts.get(size)
        if found is None:
            found = shape.parts[size] = self.placement.part(shape, size)
        return found

    def score(self, shape: Shape, space: Space) -> int:
        """How good the node is for the shape; smaller is better."""
        return space.level - self.part(shape, space.size)

    def changed(self, space: Space, freed: bool) -> None:
        """To be told after every change of a node."""
        self._log.append(space.index)
        self._behind[space.index] = None
        self.stirred[space.index] = space
        if freed:
            self.freed[space.index] = space
        if len(self._log) > 4 * len(self.all) + 1024:
            # A shape that last looked before what is dropped here looks at all nodes anew: fewer than it
            # missed.
            half = len(self._log) // 2
            self._base += half
            del self._log[:half]

    def best(self, shape: Shape) -> Space | None:
        """The node with the best score on which the shape fits, or None."""
        if shape.pin:
            only = self.by_name.get(shape.pin)
            return only if only is not None and only.fits(shape) else None
        self._catch_up(shape)
        return self._first(shape)

    def _first(self, shape: Shape, without: int = -1) -> Space | None:
        spaces = self.all
        while True:
            heap = shape.fits
            while heap:
                left, index, version = heap[0]
                if spaces[index].version == version:
                    if shape.beyond is not None and (left, index) >= shape.beyond:
                        break  # what was left out may be better
                    return spaces[index]
                heappop(heap)
            if shape.beyond is None:
                return None
            self._look_at_all(shape, without)

    def runner_up(self, shape: Shape) -> tuple[str, int] | None:
        """When the best node has been chosen and is about to change: the next best node and its score."""
        if shape.pin:
            return None
        _, best, _ = heappop(shape.fits)  # dies with the placement anyway
        space = self._first(shape, without=best)
        return (space.name, shape.fits[0][0]) if space is not None else None

    def best_but_one(self, shape: Shape) -> Space | None:
        """After `best`: the best of all other nodes."""
        if shape.pin:
            return None
        top = heappop(shape.fits)
        space = self._first(shape, without=top[1])
        heappush(shape.fits, top)
        return space

    def _catch_up(self, shape: Shape) -> None:
        """Scores what changed since the shape last looked."""
        end = self._base + len(self._log)
        if shape.seen == end:
            return
        missed = self._log[shape.seen - self._base :] if shape.seen >= self._base else []
        if (
            not missed
            or len(missed) > len(self.all) + NEAREST
            or len(shape.fits) > 4 * NEAREST + len(self.all)
        ):
            self._look_at_all(shape)
            return
        heap = shape.fits
        for index in dict.fromkeys(missed):
            space = self.all[index]
            if space.fits(shape):
                heappush(heap, (self.score(shape, space), index, space.version))
        shape.seen = end

    def _look_at_all(self, shape: Shape, without: int = -1) -> None:
        """The shape's heap anew, from the columns; without a node that is about to change."""
        shape.seen = self._base + len(self._log)
        self._write_columns()
        cpu, memory, reach, level, size = self._columns[:, : len(self.all)]
        left = level - np.array([self.part(shape, one) for one in self._sizes], np.int64)[size]
        fitting = np.flatnonzero((cpu >= shape.cpu) & (memory >= shape.memory) & (reach >= shape.gpu))
        fitting = fitting[fitting != without]
        if shape.where:
            fitting = fitting[self._met(shape.where)[fitting]]
        if shape.other:
            fitting = fitting[[self.all[index].fits(shape) for index in fitting.tolist()]]
        # The score and the index in one number, so that ties are told apart as everywhere: the first node
        # wins.
        count = len(self.all)
        order = left[fitting] * count + fitting
        shape.beyond = None
        if len(order) > NEAREST:
            order = np.partition(order, NEAREST)
            shape.beyond = divmod(int(order[NEAREST]), count)
            order = order[:NEAREST]
        found = (divmod(one, count) for one in order.tolist())
        shape.fits = [(one, index, self.all[index].version) for one, index in found]
        heapify(shape.fits)

    def _write_columns(self) -> None:
        columns = self._columns
        for index in self._behind:
            space = self.all[index]
            number = self._sizes.setdefault(space.size, len(self._sizes))
            reach = space.reach if space.open else -1
            columns[:, index] = (space.cpu, space.memory, reach, space.level, number)
        self._behind.clear()
