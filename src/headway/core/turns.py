"""The line when it is somebody's turn: a queue for policies whose keys change while tasks wait.

With `priority > fair > srpt` every placement changes where all tasks of a tenant stand. Their keys do not
change against one another, though; so tasks are kept in **groups** (all that rank the same before the turn and
are of one account), each with a heap per shape, and one sorted list says in which order the groups come. A
change moves the groups of one account in that list and touches no task.

The best head among some shapes is found by walking the list until a group has one of them: mostly the first. Sets
of shapes are integers with a bit a shape, so that a group without any of them is passed in one step.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from heapq import heapify, heappop, heappush, merge
from itertools import islice

from headway.core.admission.gates import Shut
from headway.core.branches import STANDING
from headway.core.fitting import members
from headway.core.ledger import Account, Ledger
from headway.core.placement.space import Imagined, Space
from headway.core.queue import Item, Queue, Shape, Slot, lazily
from headway.core.state import Entry

#: With so few shapes to choose from, it is worth counting whether looking through their groups is quicker than
#: walking.
_FEW = 4


class Lane:
    """The tasks of one group that ask for the same: a heap with dead elements."""

    __slots__ = ("count", "heap")

    def __init__(self) -> None:
        self.heap: list[Item] = []
        self.count = 0

    def first(self) -> Item:
        """The first in line; there is one."""
        heap = self.heap
        while heap[0][2].item is not heap[0]:
            heappop(heap)
        return heap[0]


class Group:
    """What waits of one account and ranks the same before the turn.

    Attributes:
        prefix: The key before the turn.
        lanes: By shape. `bits`: which shapes have one.
        place: Its element in the sorted list.
    """

    __slots__ = ("account", "bits", "lanes", "place", "prefix")

    def __init__(self, prefix: int, account: Account) -> None:
        self.prefix = prefix
        self.account = account
        self.lanes: dict[int, Lane] = {}
        self.bits = 0
        self.place = (prefix, account.standing, self)

    def __lt__(self, other: Group) -> bool:
        raise AssertionError(f"{self.account.name} stands twice at {self.prefix}")


class TurnQueue(Queue):
    """All shapes, and whose turn it is.

    Args:
        ledger: Of the accounts.
        shift: Bits behind the turn in a key.
    """

    def __init__(self, ledger: Ledger, shift: int) -> None:
        super().__init__()
        self.ledger = ledger
        self._shift = shift
        self._below = shift + STANDING * ledger.depth
        self._order: list[tuple[int, int, Group]] = []
        #: Shapes with a queue: not parked, and parked; which these are, a bit a shape. By shape, the groups that
        #: have some.
        self.open: dict[int, Shape] = {}
        self.closed: dict[int, Shape] = {}
        self.open_bits = self.closed_bits = 0
        self._of: dict[int, dict[Group, None]] = {}
        ledger.moved = self._moved
        for account in ledger.accounts.values():
            account.groups = {}  # of a former queue

    # ── who comes and goes ──────────────────────────────────────────────────────────────────────────────────

    def push(self, entry: Entry, key: int) -> None:
        """Puts a task in line."""
        item = (key, entry.seq, entry)
        entry.item = item
        account, prefix = self.ledger.account(entry), key >> self._below
        group = account.groups.get(prefix)
        if group is None:
            first = not account.groups
            group = account.groups[prefix] = Group(prefix, account)
            insort(self._order, group.place)
            if first:
                self.ledger.stirred(account)
        shape = entry.shape
        lane = group.lanes.get(shape.id)
        if lane is None:
            lane = group.lanes[shape.id] = Lane()
            group.bits |= 1 << shape.id
            self._of.setdefault(shape.id, {})[group] = None
        heappush(lane.heap, item)
        lane.count += 1
        shape.count += 1
        self.size += 1
        if lane.heap[0] is item:
            self.arrived[shape.id] = shape
            shape.shut = None  # it may be the head now
        if shape.in_line and shape.id not in self.open:
            self._open(shape)

    def remove(self, entry: Entry) -> None:
        """Takes a task out of the line."""
        item, shape = entry.item, entry.shape
        assert item is not None
        group = self.ledger.account(entry).groups[item[0] >> self._below]
        lane = group.lanes[shape.id]
        entry.item = None
        lane.count -= 1
        shape.count -= 1
        self.size -= 1
        if not lane.count:
            self._end_lane(group, shape)
        elif len(lane.heap) > 2 * lane.count + 64:
            lane.heap = [item for item in lane.heap if item[2].item is item]
            heapify(lane.heap)
        if not shape.count:
            if shape.parked:
                self._unclose(shape)
            elif shape.shut is None:
                self._unopen(shape)
            shape.parked, shape.shut = False, None

    def _end_lane(self, group: Group, shape: Shape) -> None:
        del group.lanes[shape.id]
        group.bits ^= 1 << shape.id
        groups = self._of[shape.id]
        del groups[group]
        if not groups:
            del self._of[shape.id]
        if not group.lanes:
            del self._order[bisect_left(self._order, group.place)]
            del group.account.groups[group.prefix]
            if not group.account.groups:
                self.ledger.stirred(group.account)

    def _moved(self, account: Account) -> None:
        order = self._order
        for group in account.groups.values():
            del order[bisect_left(order, group.place)]
            group.place = (group.prefix, account.standing, group)
            insort(order, group.place)

    def reload(self, queued: list[Entry]) -> None:
        """From a snapshot: the tasks have their keys, the shapes know whether they are parked."""
        parked = [shape for shape in self.shapes if shape.parked]
        shut = [(shape, shape.shut) for shape in self.shapes if shape.shut is not None]
        for shape in parked:
            shape.parked = False
        for shape in self.shapes:
            shape.count, shape.heap = 0, []
        self.size = 0
        for entry in queued:
            assert entry.item is not None
            self.push(entry, entry.item[0])
        for shape in parked:
            self.park(shape)
        for shape, why in shut:
            self.close(shape, why)

    # ── parking ─────────────────────────────────────────────────────────────────────────────────────────────

    def park(self, shape: Shape) -> None:
        """The shape fits nowhere."""
        if shape.parked:
            return
        if shape.count:
            self._unopen(shape)
        shape.parked = True
        self.closed[shape.id] = shape
        self.closed_bits |= 1 << shape.id

    def unpark(self, shape: Shape) -> None:
        """The shape may fit anywhere again."""
        if shape.parked:
            self._unclose(shape)
            shape.parked = False
            self._open(shape)

    def _open(self, shape: Shape) -> None:
        self.open[shape.id] = shape
        self.open_bits |= 1 << shape.id

    def _unopen(self, shape: Shape) -> None:
        del self.open[shape.id]
        self.open_bits ^= 1 << shape.id

    def _unclose(self, shape: Shape) -> None:
        del self.closed[shape.id]
        self.closed_bits ^= 1 << shape.id

    def close(self, shape: Shape, why: Shut) -> None:
        """The shape's head may not start, wherever it fits."""
        if shape.parked:
            self._unclose(shape)
            shape.parked = False
        elif shape.shut is None:
            self._unopen(shape)
        shape.shut = why

    def reopen(self, shape: Shape) -> None:
        """It may again."""
        if shape.shut is not None:
            shape.shut = None
            self._open(shape)

    def fitting(self, space: Space) -> list[Shape]:
        """The parked shapes that fit this node."""
        return [self.shapes[ident] for ident in members(self.fitting_bits(space))]

    def fitting_bits(self, space: Space) -> int:
        """The same, a bit a shape."""
        if not self.closed_bits or not space.open:
            return 0
        found = self.needs.within(space.cpu, space.memory, space.reach, self.closed_bits)
        for ident in members(found & self.special):
            if not space.fits(self.shapes[ident]):
                found ^= 1 << ident
        return found

    # ── who is next ─────────────────────────────────────────────────────────────────────────────────────────

    def full(self, entry: Entry, key: int) -> int:
        """The key with the standing of the task's account as it is now."""
        return key + (self.ledger.account(entry).standing << self._shift)

    def best_of(self, bits: int) -> Slot | None:
        """The first in line among the tasks of these shapes, a bit a shape."""
        found = self.next_of(bits)
        return found[0] if found is not None else None

    def next_of(self, bits: int) -> tuple[Slot, Entry] | None:
        """The same, with the task."""
        group = self._first_group(bits)
        if group is None:
            return None
        lanes, best, which = group.lanes, None, 0
        for ident in members(group.bits & bits):
            item = lanes[ident].first()
            if best is None or item[0] < best[0] or (item[0] == best[0] and item[1] < best[1]):
                best, which = item, ident
        assert best is not None
        key = best[0] + (group.account.standing << self._shift)
        return (key, best[1], self.shapes[which]), best[2]

    def _first_group(self, bits: int) -> Group | None:
        """The first group in line that has any of these shapes."""
        if bits.bit_count() <= _FEW:
            having = [groups for ident in members(bits) if (groups := self._of.get(ident))]
            if not having:
                return None
            if sum(map(len, having)) ** 2 < len(self._order):
                return min((group for groups in having for group in groups), key=_place)
        for _, _, group in self._order:
            if group.bits & bits:
                return group
        return None

    def first_open(self) -> Slot | None:
        """The best head of a shape that is not parked, or None."""
        return self.best_of(self.open_bits) if self.open_bits else None

    def slot(self, shape: Shape) -> Slot | None:
        """The shape's head with its present key, or None."""
        return self.best_of(1 << shape.id) if shape.count else None

    def head(self, shape: Shape) -> Entry | None:
        """The shape's first in line, or None."""
        if not shape.count:
            return None
        group = self._first_group(1 << shape.id)
        assert group is not None, f"shape {shape.demand}: {shape.count} queued, and no group has one"
        return group.lanes[shape.id].first()[2]

    def parked_heads(self) -> Iterator[Slot]:
        """The parked shapes' heads in line, each shape once."""
        seen: dict[int, None] = {}
        for _, standing, group in self._order:
            found = []
            for ident, lane in group.lanes.items():
                if ident in self.closed and ident not in seen:
                    item = lane.first()
                    found.append((item[0] + (standing << self._shift), item[1], self.closed[ident]))
            for slot in sorted(found):
                seen[slot[2].id] = None
                yield slot

    def line(self, shapes: list[Shape], limit: int) -> list[Entry]:
        """The first tasks of these shapes, in line as it is now."""
        found: list[Entry] = []
        wanted = {shape.id for shape in shapes}
        for _, _, group in self._order:
            heaps = (lazily(lane.heap) for ident, lane in group.lanes.items() if ident in wanted)
            found += [item[2] for item in islice(merge(*heaps), limit - len(found))]
            if len(found) == limit:
                break
        return found

    def rival(self, space: Space, imagined: Imagined, shape: Shape, strict: bool) -> Slot | None:
        """The best head of any other shape that would fit this node as imagined; under strict the best head
        at all."""
        if strict:
            return self.best_of(self.open_bits & ~(1 << shape.id))
        fitting = 0
        for other in self.closed.values():
            if other is not shape and (not other.picky or space.admits(other)) and imagined.fits(other):
                fitting |= 1 << other.id
        return self.best_of(fitting) if fitting else None

    def in_order(self, shape: Shape) -> list[Item]:
        """Everything queued of a shape, first in line first."""
        return sorted(
            (item[0] + (group.account.standing << self._shift), item[1], item[2])
            for group in self._of.get(shape.id, ())
            for item in group.lanes[shape.id].heap
            if item[2].item is item
        )

    def groups(self) -> list[Group]:
        """All of them, in line."""
        return [group for _, _, group in self._order]


def _place(group: Group) -> tuple[int, int, Group]:
    return group.place
