"""The line: one heap per demand shape, a heap of the shapes' heads, and the shapes that are parked.

Tasks that ask for the same can only ever start in their order, so each shape keeps its own heap and only
heads compete. A shape that fits on no node is *parked*: it need not be looked at again until a node comes
free, and then only against that node. Parked heads stand in one sorted list, so the first of them that fits a
freed node is the right one.

Deletion is lazy: an element of a heap that its entry (or shape) no longer points to is dead and dropped when
it surfaces.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from heapq import heapify, heappop, heappush, merge
from itertools import islice

import numpy as np
import numpy.typing as npt

from headway.core.admission.gates import Shut
from headway.core.ask import Ask, Wide
from headway.core.fitting import Fitting
from headway.core.placement.company import Bond
from headway.core.placement.sights import Sight
from headway.core.placement.space import Imagined, Space
from headway.core.state import Entry
from headway.domain.units import GPU_MEMORY, MILLI

#: (key, order of arrival, entry): no two entries have the same order of arrival, so they are never compared.
Item = tuple[int, int, Entry]
#: (key, order of arrival, shape) of a shape's head.
Slot = tuple[int, int, "Shape"]

#: So many parked shapes that fit a freed node are compared one by one; beyond it their heads are compared in one NumPy call.
ONE_BY_ONE = 48
#: Where more than that fit, so many of the first in line are tried before.
FEW = 8
#: More milli-cores than any node has.
NEVER = 1 << 60
#: In the column of heads: none.
NONE = (1 << 63) - 1


class Trial:
    """A search for victims that failed, and when another one is worth while: not before `at`, and then only if something
    happened since, or from `ripe` on.

    Attributes:
        key: Of the head it was for: a better one is searched for at once, where the caller says so.
        stamp: `World.stamp` then. `ripe`: when time alone could change the outcome, or -1.
    """

    __slots__ = ("at", "key", "ripe", "stamp")

    def __init__(self) -> None:
        self.at = self.key = 0
        self.ripe = self.stamp = -1

    def failed(self, at: int, key: int, stamp: int, ripe: int | None) -> None:
        """It did, just now."""
        self.at, self.key, self.stamp, self.ripe = at, key, stamp, -1 if ripe is None else ripe

    def wait(self, stamp: int, now: int) -> int | None:
        """Until when there is no use in another one: 0 if there is now, None if until something happens."""
        if stamp != self.stamp:
            return 0 if self.at <= now else self.at
        if self.ripe < 0:
            return None
        until = max(self.ripe, self.at)
        return 0 if until <= now else until

    def tree(self) -> list[int]:
        """As plain JSON."""
        return [self.at, self.key, self.ripe, self.stamp]

    def fill(self, tree: list[int]) -> None:
        """The reverse of `tree`."""
        self.at, self.key, self.ripe, self.stamp = tree


class Shape:
    """What tasks ask for, interned; their queue.

    Attributes:
        forms: The shapes of its variants, while none has been chosen: this one then fits nowhere and only holds the
            line (`variants`).
        ask: All of it. `demand`, `pin` and `where` are its own, close at hand. `picky`: it is pinned, has conditions or forms.
        share: Milli of one device, `whole`: devices; at most one of them is not 0. `per_device`: milli it
            takes of each.
        vram: Bytes of memory that it takes of each device, or 0.
        heap: Its queue, with dead elements. `count`: the living.
        slot: Its element among the heads while anything is queued.
        parked: Something is queued, and it fits on no node, but perhaps on one freed since.
        fits: Lazy heap of (score, node, node's version) of the best nodes, kept by `Nodes`. `beyond`: the
            best score that is not in it. `seen`: how far it is in the log of changes. `parts`: see
            `Nodes.part`.
        sight: Its score on every node, under a placement whose score does not fall apart; see `sights`.
        needs: What its gates must let pass: `amounts`, or those of a whole gang. `rates`: what it takes of rates, likewise.
        gated: It has gates to pass besides finding a node. `shut`: why its head may not pass them now: then it is neither
            in line nor parked.
        bond: What it asks of other tasks; see `company`.
        live: Leases of this shape.
        wide: It is what a gang asks for: no single node is asked to hold it.
        search: The last search for victims of worse classes that failed. `longer`: the same within a class.
        reclaim_at: No search for what was borrowed before (microseconds).
    """

    __slots__ = (
        "amounts", "ask", "beyond", "bond", "count", "cpu", "demand", "fits", "forms", "gated", "gpu", "heap", "id", "live", "longer",
        "memory", "needs", "other", "parked", "parts", "per_device", "picky", "pin", "rates", "reclaim_at", "search",
        "seen", "share", "shut", "sight", "slot", "tenant", "thirsty", "vram", "where", "whole", "wide",
    )  # fmt: skip

    def __init__(self, ident: int, ask: Ask, forms: tuple[Shape, ...] = ()) -> None:
        demand = ask.demand
        self.forms = forms
        self.id = ident
        self.ask = ask
        self.demand = demand
        self.pin = ask.pin
        self.where = ask.where
        self.tenant = ask.tenant
        self.bond: Bond | None = None
        self.picky = bool(ask.pin or ask.where or forms or ask.bonds)
        self.cpu = NEVER if forms else demand.cpu
        self.memory = demand.memory
        self.gpu = demand.gpu
        self.share = demand.gpu if demand.gpu < MILLI else 0
        self.whole = demand.gpu // MILLI
        self.per_device = self.share or MILLI
        self.vram = dict(demand.other).get(GPU_MEMORY, 0)
        self.other = (
            tuple(pair for pair in demand.other if pair[0] != GPU_MEMORY) if self.vram else demand.other
        )
        self.picky = self.picky or bool(self.vram)
        named = (("cpu", demand.cpu), ("memory", demand.memory), ("gpu", demand.gpu), *demand.named)
        self.amounts = tuple(pair for pair in named if pair[1])
        self.heap: list[Item] = []
        self.count = 0
        self.slot: Slot | None = None
        self.parked = False
        self.gated = False
        self.shut: Shut | None = None
        self.fits: list[tuple[int, int, int]] = []
        self.seen = -1
        self.beyond: tuple[int, int] | None = None
        self.parts: dict[int, int] = {}
        self.sight: Sight | None = None
        self.live = 0
        self.thirsty: dict[int, None] = {}
        self.search, self.longer = Trial(), Trial()
        self.reclaim_at = 0
        self.wide = ask.wide is not None
        if self.wide:
            self.cpu = self.gpu = NEVER
            self.picky = True
        self.needs, self.rates = (self.amounts, demand.rates) if ask.wide is None else _sums(ask.wide)

    def __lt__(self, other: Shape) -> bool:
        # A task that moved to another shape may leave a dead element with the same key and arrival behind.
        return self.id < other.id

    def of_each(self, memory: int) -> int:
        """Milli that it takes of each device, of which each has so many bytes: its share, or as much as its memory is a part of
        that of the device, if that is more."""
        if not self.vram or not self.share or self.vram >= memory:
            return MILLI if self.vram and self.share else self.per_device
        return max(self.share, -(-self.vram * MILLI // memory))

    @property
    def in_line(self) -> bool:
        """Whether its head competes to be tried on any node."""
        return not self.parked and self.shut is None

    def asks(self, name: str) -> int:
        """How much of a named resource it asks."""
        for known, amount in self.other:
            if known == name:
                return amount
        return 0


def _sums(wide: Wide) -> tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]:
    """What the members of a gang hold and take of rates together."""
    held: dict[str, int] = {}
    taken: dict[str, int] = {}
    for part, count in wide.parts:
        one = part.demand
        for name, amount in (("cpu", one.cpu), ("memory", one.memory), ("gpu", one.gpu), *one.named):
            held[name] = held.get(name, 0) + count * amount
        for name, amount in one.rates:
            taken[name] = taken.get(name, 0) + count * amount
    return tuple(pair for pair in held.items() if pair[1]), tuple(sorted(taken.items()))


class Queue:
    """All shapes and who is next.

    Args:
        coarse: Lowest bits of a key that are left out when heads are compared by the column; those that look
            equal then are compared in full.
    """

    def __init__(self, coarse: int = 0) -> None:
        self.shapes: list[Shape] = []
        #: Those of gangs.
        self.wide: list[Shape] = []
        self._ids: dict[Ask, Shape] = {}
        #: Shapes of tasks with variants.
        self.undecided: list[Shape] = []
        self.heads: list[Slot] = []  # of shapes that are not parked; lazy
        self.parked: list[Slot] = []  # sorted, exact; which shapes these are, a bit a shape
        self.parked_bits = 0
        #: Shapes whose head changed since trains last looked.
        self.arrived: dict[int, Shape] = {}
        self.size = 0
        #: Which shapes fit in so much room; those of which that does not say all.
        self.needs = Fitting(self.shapes)
        self.special = 0
        # Of parked shapes: the key of the head, as far as 64 bits hold it, above the first key ever parked.
        self._heads: npt.NDArray[np.int64] = np.full(64, NONE, np.int64)
        self._seqs: npt.NDArray[np.int64] = np.zeros(64, np.int64)  # and its order of arrival
        self._coarse = coarse
        self._base: int | None = None

    def shape(self, ask: Ask) -> Shape:
        """The shape of what is asked, made on first sight."""
        found = self._ids.get(ask)
        if found is None:
            forms = tuple(self.shape(form) for form in ask.forms)
            found = self._ids[ask] = Shape(len(self.shapes), ask, forms)
            self.shapes.append(found)
            self.needs.add(found)
            if found.id >= self._heads.shape[0]:
                self._heads = np.concatenate([self._heads, np.full_like(self._heads, NONE)])
                self._seqs = np.concatenate([self._seqs, np.zeros_like(self._seqs)])
            if found.other or found.picky:
                self.special |= 1 << found.id
            if forms:
                self.undecided.append(found)
            if found.wide:
                self.wide.append(found)
        return found

    def rename(self, shape: Shape, ask: Ask) -> None:
        """A shape that nobody needs any more stands for another ask, which differs by its bonds only."""
        del self._ids[shape.ask]
        self._ids[ask] = shape
        shape.__init__(shape.id, ask)  # type: ignore[misc]

    def known(self, ask: Ask) -> Shape | None:
        """The shape that there is for it, or None."""
        return self._ids.get(ask)

    def push(self, entry: Entry, key: int) -> None:
        """Puts a task in line."""
        shape = entry.shape
        item = (key, entry.seq, entry)
        entry.item = item
        heappush(shape.heap, item)
        shape.count += 1
        self.size += 1
        slot = shape.slot
        if slot is None or key < slot[0] or (key == slot[0] and entry.seq < slot[1]):
            shape.shut = None  # whoever it was that might not start, it is another now
            self.settle(shape)
            self.arrived[shape.id] = shape

    def remove(self, entry: Entry) -> None:
        """Takes a task out of the line."""
        shape = entry.shape
        heap = shape.heap
        if heap[0] is entry.item:
            heappop(heap)
        entry.item = None
        shape.count -= 1
        self.size -= 1
        if len(heap) > 2 * shape.count + 64:
            shape.heap = [item for item in heap if item[2].item is item]
            heapify(shape.heap)
        slot = shape.slot
        if slot is not None and slot[1] == entry.seq:
            self.settle(shape)

    def head(self, shape: Shape) -> Entry | None:
        """The shape's first in line, or None."""
        heap = shape.heap
        while heap:
            item = heap[0]
            if item[2].item is item:
                return item[2]
            heappop(heap)
        return None

    def slot(self, shape: Shape) -> Slot | None:
        """The shape's head with its key, or None."""
        return shape.slot

    def in_order(self, shape: Shape) -> list[Item]:
        """Everything queued of a shape, first in line first."""
        return sorted(item for item in shape.heap if item[2].item is item)

    def full(self, entry: Entry, key: int) -> int:
        """The key as it ranks now."""
        return key

    def settle(self, shape: Shape) -> None:
        """Brings the shape's element among the heads up to date."""
        heap, old, new = shape.heap, shape.slot, None
        while heap:
            item = heap[0]
            if item[2].item is item:
                if old is not None and old[1] == item[1] and old[0] == item[0]:
                    return
                new = (item[0], item[1], shape)
                break
            heappop(heap)
        else:
            shape.shut = None
        if shape.parked:
            if old is not None:
                del self.parked[bisect_left(self.parked, old)]
            if new is not None:
                insort(self.parked, new)
            else:
                # Nobody will try it against freed nodes: it looks for itself when it is queued for.
                shape.parked = False
                self.parked_bits &= ~(1 << shape.id)
            self._write(shape, new)
        shape.slot = new
        if new is not None and not shape.parked and shape.shut is None:
            self._push_head(new)

    def _push_head(self, slot: Slot) -> None:
        heappush(self.heads, slot)
        if len(self.heads) > 2 * len(self.shapes) + 64:
            alive = (slot for slot in self.heads if slot[2].slot is slot and slot[2].in_line)
            self.heads = list({slot[2].id: slot for slot in alive}.values())
            heapify(self.heads)

    def first_open(self) -> Slot | None:
        """The best head of a shape that is not parked, or None."""
        heads = self.heads
        while heads:
            slot = heads[0]
            if slot[2].slot is slot and slot[2].in_line:
                return slot
            heappop(heads)
        return None

    def park(self, shape: Shape) -> None:
        """The shape fits nowhere."""
        if shape.parked:
            return
        shape.parked = True
        if shape.slot is not None:
            insort(self.parked, shape.slot)
            self.parked_bits |= 1 << shape.id
            self._write(shape, shape.slot)

    def unpark(self, shape: Shape) -> None:
        """The shape may fit anywhere again."""
        if not shape.parked:
            return
        shape.parked = False
        self._write(shape, None)
        if shape.slot is not None:
            self.parked_bits ^= 1 << shape.id
            del self.parked[bisect_left(self.parked, shape.slot)]
            self._push_head(shape.slot)

    def _write(self, shape: Shape, slot: Slot | None) -> None:
        if slot is None:
            self._heads[shape.id] = NONE
            return
        if self._base is None:
            self._base = slot[0]
        above = (slot[0] - self._base) >> self._coarse
        self._heads[shape.id] = above if -NONE < above < NONE - 1 else NONE - 1 if above > 0 else -NONE
        self._seqs[shape.id] = slot[1]

    def in_column(self, shape: Shape) -> bool:
        """Whether its head stands in the column that parked heads are found by."""
        return bool(self._heads[shape.id] != NONE)

    def close(self, shape: Shape, why: Shut) -> None:
        """The shape's head may not start, wherever it fits."""
        self.unpark(shape)
        shape.shut = why

    def reopen(self, shape: Shape) -> None:
        """It may again."""
        shape.shut = None
        if shape.slot is not None:
            self._push_head(shape.slot)

    def parked_heads(self) -> Iterator[Slot]:
        """The parked shapes' heads, first in line first."""
        return iter(self.parked)

    def adopt(self, other: Queue) -> None:
        """Another policy: takes over the shapes, without what is queued."""
        self.shapes, self._ids, self.wide = other.shapes, other._ids, other.wide
        self.undecided = other.undecided
        self.needs, self.special = other.needs, other.special
        self._heads, self._seqs = np.full_like(other._heads, NONE), np.zeros_like(other._seqs)
        self.arrived = other.arrived
        for shape in self.shapes:
            shape.heap, shape.count, shape.slot, shape.parked, shape.shut = [], 0, None, False, None

    def reload(self, queued: list[Entry]) -> None:
        """From a snapshot: the tasks have their keys, the shapes know whether they are parked."""
        for entry in queued:
            assert entry.item is not None
            entry.shape.heap.append(entry.item)
            entry.shape.count += 1
        self.size = len(queued)
        self.parked_bits = sum(1 << shape.id for shape in self.shapes if shape.parked)
        for shape in self.shapes:
            heapify(shape.heap)
            self.settle(shape)

    def first_parked(self, space: Space) -> Slot | None:
        """The best parked head that fits this node, or None."""
        if not space.open:
            return None
        found = self.needs.within(space.cpu, space.memory, space.reach, self.parked_bits)
        if not found:
            return None
        best: Slot | None = None
        shapes, special = self.shapes, self.special
        count = found.bit_count()
        if count > FEW:  # one of the first in line is likely to be among them
            for early in self.parked[:FEW]:
                ident = early[2].id
                if found >> ident & 1 and (not special >> ident & 1 or space.fits(early[2])):
                    return early
        if count > ONE_BY_ONE:
            return self._first_by_column(space, found)
        while found:
            low = found & -found
            found ^= low
            slot = shapes[low.bit_length() - 1].slot
            assert slot is not None
            if (best is None or slot < best) and (not special & low or space.fits(slot[2])):
                best = slot
        return best

    def _first_by_column(self, space: Space, found: int) -> Slot | None:
        count = -(-len(self.shapes) // 8)
        bits = np.frombuffer(found.to_bytes(count, "little"), np.uint8)
        idents = np.flatnonzero(np.unpackbits(bits, bitorder="little"))
        heads = self._heads[idents]
        while idents.size:
            at = int(heads.argmin())
            ties = np.flatnonzero(heads == heads[at])
            if len(ties) > 1:
                at = self._first_of(ties, idents, int(heads[at]))
            shape = self.shapes[int(idents[at])]
            if not (shape.other or shape.picky) or space.fits(shape):
                return shape.slot
            idents, heads = np.delete(idents, at), np.delete(heads, at)
        return None

    def _first_of(self, ties: npt.NDArray[np.intp], idents: npt.NDArray[np.intp], key: int) -> int:
        """Of shapes whose heads look equal in the column, the one whose head is first in line."""
        if not self._coarse and abs(key) < NONE - 1:  # they are equal: who came first
            return int(ties[self._seqs[idents[ties]].argmin()])
        slots: list[tuple[Slot, int]] = []
        for ident, at in zip(idents[ties].tolist(), ties.tolist(), strict=True):
            slot = self.shapes[ident].slot
            assert slot is not None
            slots.append((slot, at))
        return min(slots)[1]

    def fitting(self, space: Space) -> list[Shape]:
        """The parked shapes that fit this node."""
        if not space.open:
            return []
        return [slot[2] for slot in self.parked if space.fits(slot[2])]

    def line(self, shapes: list[Shape], limit: int) -> list[Entry]:
        """The first tasks of these shapes, in line."""
        return [item[2] for item in islice(merge(*(lazily(shape.heap) for shape in shapes)), limit)]

    def rival(self, space: Space, imagined: Imagined, shape: Shape, strict: bool) -> Slot | None:
        """The best head of any other shape that would fit this node as imagined; under strict the best head
        at all."""
        if strict:
            slots = [s.slot for s in self.shapes if s is not shape and s.slot is not None and s.shut is None]
            return min(slots, default=None)
        for slot in self.parked:
            other = slot[2]
            if other is not shape and (not other.picky or space.admits(other)) and imagined.fits(other):
                return slot
        return None

    def ahead(self, entry: Entry) -> list[Item]:
        """Everything queued before a task, first in line first."""
        assert entry.item is not None
        mine = (self.full(entry, entry.item[0]), entry.seq)
        return sorted(item for shape in self.shapes for item in self.in_order(shape) if item[:2] < mine)

    def waiting(self) -> Iterator[Item]:
        """Everything queued, in the order of the policy."""
        return iter(sorted(item for shape in self.shapes for item in self.in_order(shape)))


def lazily(heap: list[Item]) -> Iterator[Item]:
    """The living elements of a heap in order, without sorting more than is asked for."""
    frontier = [(heap[0], 0)] if heap else []
    while frontier:
        item, index = heappop(frontier)
        if item[2].item is item:
            yield item
        for child in (2 * index + 1, 2 * index + 2):
            if child < len(heap):
                heappush(frontier, (heap[child], child))
