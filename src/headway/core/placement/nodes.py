"""All nodes, and for each shape the best of them.

Each shape keeps a short heap of (score, node, version): its best `NEAREST` nodes when it last looked at all
of them (one NumPy pass), and every node that changed since (a log says which). An element whose version is
not the node's is dead. When the living ones run out, or are worse than the best that was left out, all nodes
are looked at again. So a change costs nothing to shapes that do not look, a look costs little, and best fit
is exact. Where a score does not fall apart into node and shape, `sights` takes the place of heap and columns.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np
import numpy.typing as npt

from headway.core.placement import Book, Finder, Placement, Scored, Size
from headway.core.placement.expected import Expected
from headway.core.placement.paces import Paces
from headway.core.placement.space import Space, pick_devices
from headway.core.queue import Shape
from headway.core.state import Entry
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
        #: Nodes on which anything changed that says when they have room; for `backfill`, which clears it, and only kept
        #: under it (`stirring`).
        self.stirred: dict[int, Space] = {}
        self.stirring = False
        # Columns by node: cpu, memory, reach (-1 where nothing may be placed), level, number of its size.
        self._columns: npt.NDArray[np.int64] = np.zeros((5, 16), np.int64)
        # How far in the log they are written.
        self._written = -1
        # Capacities of nodes, and the number of each.
        self._sizes: list[Size] = []
        self._alike: dict[Size, int] = {}
        # By condition on labels: which nodes meet it, of the first so many.
        self._meet: dict[Where, npt.NDArray[np.bool_]] = {}
        #: Under a `Scored` placement: what finds the best node.
        self.sights: Finder | None = None
        #: How fast nodes are and how far; what else is known of a task (set by the `World`).
        self.paces = Paces(self)
        self.book: Book
        #: Under one that looks at the tasks to be expected: which these are.
        self.expected = Expected()
        #: Counts joins and changes of capacity.
        self.reshaped = 0
        self._begin(placement)

    def _begin(self, placement: Placement) -> None:
        self.placement = placement
        self.sights = placement.finder(self) if isinstance(placement, Scored) else None

    def join(self, node: Node, incarnation: str) -> Space:
        """The space of a node that is new here."""
        space = Space(len(self.all), node, incarnation, self.placement)
        self.all.append(space)
        self._number(space)
        self.reshaped += 1
        self.by_name[node.name] = space
        if space.index >= self._columns.shape[1]:
            self._columns = np.concatenate([self._columns, np.zeros_like(self._columns)], axis=1)
        self.changed(space, freed=True)
        return space

    def resize(self, space: Space, node: Node) -> None:
        """A node that was there has another capacity or other labels."""
        relabelled = space.node.labels != node.labels
        if space.node is not node:
            self.reshaped += 1
        space.resize(node)
        self._number(space)
        if relabelled:
            self._relabelled(space)

    def _relabelled(self, space: Space) -> None:
        for where, meet in self._meet.items():
            if space.index < len(meet):
                meet[space.index] = space.unmet(where) is None

    def forget(self, shape: Shape) -> None:
        """Where the shape may be has changed although no node has: it looks at all of them anew."""
        shape.fits, shape.beyond, shape.seen, shape.sight = [], None, -1, None

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
        self._begin(placement)
        for space in self.all:
            space.placement = placement
            space.changed()
        self._written = -1
        for shape in shapes:
            shape.parts, shape.fits, shape.beyond, shape.seen, shape.sight = {}, [], None, -1, None

    def part(self, shape: Shape, alike: int) -> int:
        """The shape's side of its score on nodes of the size of that number."""
        found = shape.parts.get(alike)
        if found is None:
            found = shape.parts[alike] = self.placement.part(shape, self._sizes[alike])
        return found

    def _number(self, space: Space) -> None:
        number = self._alike.get(space.size)
        if number is None:
            number = self._alike[space.size] = len(self._sizes)
            self._sizes.append(space.size)
        space.alike = number

    def score(self, shape: Shape, space: Space, entry: Entry | None = None) -> int:
        """How good the node, on which it fits, is for the shape; smaller is better."""
        if self.sights is not None:
            return self.sights.score(shape, space, entry)
        part = shape.parts.get(space.alike)
        return space.level - (self.part(shape, space.alike) if part is None else part)

    def scores(self, shape: Shape, spaces: list[Space], entry: Entry | None = None) -> list[int]:
        """How good each of these nodes, on which it fits, is for the shape; smaller is better."""
        if self.sights is not None:
            return self.sights.scores(shape, spaces, entry)
        return [space.level - self.part(shape, space.alike) for space in spaces]

    def changed(self, space: Space, freed: bool) -> None:
        """To be told after every change of a node."""
        index, log = space.index, self._log
        log.append(index)
        if freed:
            self.freed[index] = space
        if self.stirring:
            self.stirred[index] = space
        if len(log) > 4 * len(self.all) + 1024:
            # A shape that last looked before what is dropped here looks at all nodes anew: fewer than it
            # missed.
            half = len(self._log) // 2
            self._base += half
            del self._log[:half]

    @property
    def changes(self) -> int:
        """How often any node has changed."""
        return self._base + len(self._log)

    def roomy(self, shape: Shape) -> list[Space]:
        """Every node that has room for the shape, if nothing but cores, memory and GPUs were asked."""
        self._write_columns()
        cpu, memory, reach = self._columns[:3, : len(self.all)]
        fitting = np.flatnonzero((cpu >= shape.cpu) & (memory >= shape.memory) & (reach >= shape.gpu))
        return [self.all[index] for index in fitting.tolist()]

    def best(self, shape: Shape, entry: Entry | None = None) -> Space | None:
        """The node with the best score on which the shape fits, or None.

        Args:
            entry: For whom; without a task there is only the question whether there is a node.
        """
        if shape.picky:
            if shape.forms or shape.wide:
                return None  # until it settles on one of them; a gang asks all nodes together
            if shape.pin:
                only = self.by_name.get(shape.pin)
                return only if only is not None and only.fits(shape) else None
        if self.sights is not None:
            return self.sights.best(shape, entry)
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

    def runner_up(self, shape: Shape, chosen: Space, entry: Entry | None = None) -> tuple[str, int] | None:
        """When the best node has been chosen and is about to change: the next best node and its score."""
        if shape.pin:
            return None
        if self.sights is not None:
            other = self.sights.best_but(shape, chosen, entry)
            return (other.name, self.sights.score(shape, other, entry)) if other is not None else None
        _, best, _ = heappop(shape.fits)  # dies with the placement anyway
        space = self._first(shape, without=best)
        return (space.name, shape.fits[0][0]) if space is not None else None

    def best_but_one(self, shape: Shape, best: Space, entry: Entry | None = None) -> Space | None:
        """After `best`: the best of all other nodes."""
        if shape.pin:
            return None
        if self.sights is not None:
            return self.sights.best_but(shape, best, entry)
        top = heappop(shape.fits)
        space = self._first(shape, without=top[1])
        heappush(shape.fits, top)
        return space

    def devices(self, shape: Shape, space: Space) -> tuple[int, ...]:
        """The devices that the shape takes on a node on which it fits."""
        if self.sights is not None and not shape.vram and (chosen := self.sights.devices(shape, space)) is not None:
            return chosen
        return pick_devices(space.devices, shape, space.per_device(shape))

    def end(self) -> int:
        """The end of the log of changes."""
        return self._base + len(self._log)

    def since(self, seen: int) -> list[Space]:
        """What changed since the log ended there, each once; every node if that is too long ago to know."""
        if seen < self._base:
            return self.all
        if seen == self.end():
            return []
        return [self.all[index] for index in dict.fromkeys(self._log[seen - self._base :])]

    def ranked(self, shape: Shape) -> list[Space]:
        """Every node on which the shape fits, best first; looks at all of them."""
        fitting = [space for space in self.all if space.fits(shape)]
        scores = self.scores(shape, fitting)
        return [
            self.all[index] for _, index in sorted(zip(scores, (one.index for one in fitting), strict=True))
        ]

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
        spaces, cpu, memory, gpu = self.all, shape.cpu, shape.memory, shape.gpu
        for index in dict.fromkeys(missed):
            space = spaces[index]
            if cpu <= space.cpu and gpu <= space.reach and memory <= space.memory and space.fits(shape):
                heappush(heap, (self.score(shape, space), index, space.version))
        shape.seen = end

    def _look_at_all(self, shape: Shape, without: int = -1) -> None:
        """The shape's heap anew, from the columns; without a node that is about to change."""
        shape.seen = self._base + len(self._log)
        fitting, left = self.room(shape)
        if without >= 0:
            others = fitting != without
            fitting, left = fitting[others], left[others]
        # The score and the index in one number, so that ties are told apart as everywhere: the first node
        # wins.
        count = len(self.all)
        order = left * count + fitting
        shape.beyond = None
        if len(order) > NEAREST:
            order = np.partition(order, NEAREST)
            shape.beyond = divmod(int(order[NEAREST]), count)
            order = order[:NEAREST]
        found = (divmod(one, count) for one in order.tolist())
        shape.fits = [(one, index, self.all[index].version) for one, index in found]
        heapify(shape.fits)

    def room(self, shape: Shape) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The nodes on which the shape fits, and the score of each, as far as level and part say."""
        self._write_columns()
        cpu, memory, reach, level, size = self._columns[:, : len(self.all)]
        left = level - np.array([self.part(shape, one) for one in range(len(self._sizes))], np.int64)[size]
        fitting = np.flatnonzero((cpu >= shape.cpu) & (memory >= shape.memory) & (reach >= shape.gpu))
        if shape.where:
            fitting = fitting[self._met(shape.where)[fitting]]
        if shape.other or shape.vram or shape.bond is not None:
            fitting = fitting[[self.all[index].fits(shape) for index in fitting.tolist()]]
        return fitting, left[fitting]

    def _write_columns(self) -> None:
        columns = self._columns
        for space in self.since(self._written):
            reach = space.reach if space.open else -1
            columns[:, space.index] = (space.cpu, space.memory, reach, space.level, space.alike)
        self._written = self.end()
