"""The fewest victims on one node whose places together hold a task, and of equally few the cheapest.

A branch and bound. Victims that free nothing the task lacks are left out. How many it takes at least follows from the
largest amounts of each resource; from there the number grows by one until a set of that size holds the task, so no
smaller one exists. Of each size sets are tried cheapest first, and given up once they cannot become the cheapest. Two
victims that free the same differ in cost only, so the cheaper goes first.

This is exact within `STEPS` sets on a node and `SEARCH` in all (with no devices and no other resources: up to some
twenty attempts that all differ). Beyond that the greedy choice stands: cheapest first until the task fits, then those
let off that are not needed, costliest first (Kubernetes and Kueue choose so throughout).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from headway.core.placement.space import Imagined, Space
from headway.core.queue import Shape
from headway.core.state import Lease
from headway.domain.units import MILLI

#: Sets looked at on one node, and in one search over all nodes.
STEPS = 2_000
SEARCH = 20_000

#: What may yet be taken of each account that has a budget, by the account's key; see `budgets`.
Allowance = Mapping[tuple[int, str], int]
#: Compared from left to right and added up over a set.
Burden = tuple[int, int]


class Candidate(NamedTuple):
    """An attempt that may be preempted.

    Attributes:
        burden: What taking it costs.
        accounts: Whose budgets it would use.
    """

    burden: Burden
    lease: Lease
    accounts: tuple[tuple[int, str], ...] = ()


class Steps:
    """How much of a search's work is left."""

    __slots__ = ("left",)

    def __init__(self, left: int = SEARCH) -> None:
        self.left = left


def burden_of(chosen: list[Candidate]) -> Burden:
    """Of a whole set."""
    return (sum(one.burden[0] for one in chosen), sum(one.burden[1] for one in chosen))


def fewest(
    space: Space,
    shape: Shape,
    able: list[Candidate],
    allowance: Allowance,
    steps: Steps,
    most: int | None = None,
) -> list[Candidate] | None:
    """The set to take on the node.

    Args:
        able: Who may be preempted there.
        allowance: Accounts that are not in it have no budget.
        steps: Used up by this search.
        most: Larger sets are not wanted.

    Returns:
        None if none holds the task.
    """
    room = Imagined(space)
    short = _Short(room, shape)
    useful = sorted((one for one in able if short.helped_by(one.lease)), key=_by_burden)
    least = short.least(useful)
    if least is None or (most is not None and least > most):
        return None
    search = _Search(room, shape, useful, allowance, short)
    found = search.greedy()
    upto = len(found) if found is not None else len(useful)
    for size in range(least, min(upto, most if most is not None else upto) + 1):
        budget = min(STEPS, steps.left)
        better, used, complete = search.cheapest(size, found if size == upto else None, budget)
        steps.left -= used
        if better is not None:
            return better
        if not complete:
            break
    return found if found is not None and (most is None or len(found) <= most) else None


def greedy(
    space: Space,
    shape: Shape,
    able: list[Candidate],
    allowance: Allowance,
    steps: Steps,
    most: int | None = None,
) -> list[Candidate] | None:
    """Those of least burden first until the task fits, then without those it does not need, the last ones first.

    It is asked as `fewest` is; neither `steps` nor `most` bounds it, as the order alone decides.
    """
    room = Imagined(space)
    short = _Short(room, shape)
    useful = sorted((one for one in able if short.helped_by(one.lease)), key=_by_burden)
    return _Search(room, shape, useful, allowance, short).greedy() or None


def _by_burden(one: Candidate) -> tuple[Burden, int]:
    return (one.burden, -one.lease.id)


class _Short:
    """What a node lacks for a shape: amounts by resource, and devices.

    Attributes:
        named: (resource, missing) of what adds up. `whole`: idle devices missing. `share`: a share is missing, which
            adds up on one device only.
    """

    __slots__ = ("named", "share", "whole")

    def __init__(self, room: Imagined, shape: Shape) -> None:
        asked = [("cpu", shape.cpu - room.cpu), ("memory", shape.memory - room.memory)]
        asked += [(name, amount - room.other.get(name, 0)) for name, amount in shape.other]
        self.named = tuple((name, missing) for name, missing in asked if missing > 0)
        self.whole = max(shape.whole - room.devices.count(MILLI), 0)
        self.share = bool(shape.share) and room.per_device(shape) > max(room.devices, default=0)

    def helped_by(self, lease: Lease) -> bool:
        """Whether the lease holds anything that is missing."""
        if lease.devices and (self.whole or self.share):
            return True
        return any(amount_of(lease, name) for name, _ in self.named)

    def least(self, useful: list[Candidate]) -> int | None:
        """A number that no set that suffices is smaller than, or None if not even all suffice."""
        least = 1
        for name, missing in self.named:
            amounts = sorted((amount_of(one.lease, name) for one in useful), reverse=True)
            count = _how_many(amounts, missing)
            if count is None:
                return None
            least = max(least, count)
        if self.whole:
            count = _how_many(sorted((len(one.lease.devices) for one in useful), reverse=True), self.whole)
            if count is None:
                return None
            least = max(least, count)
        return least if useful else None


def _how_many(amounts: list[int], missing: int) -> int | None:
    for count, amount in enumerate(amounts, 1):
        missing -= amount
        if missing <= 0:
            return count
    return None


def amount_of(lease: Lease, name: str) -> int:
    """What a lease holds of a resource that adds up."""
    shape = lease.shape
    return shape.cpu if name == "cpu" else shape.memory if name == "memory" else shape.asks(name)


class _Search:
    """Sets of one node's candidates."""

    def __init__(
        self, room: Imagined, shape: Shape, able: list[Candidate], allowance: Allowance, short: _Short
    ) -> None:
        self.room = room
        self.shape = shape
        self.able = able
        self.allowance = allowance
        self.spent: dict[tuple[int, str], int] = {}
        #: For each resource that is missing: how much, what each frees of it, and the most that any from there on does.
        self.named = [(missing, self._amounts(name)) for name, missing in short.named]
        self.tails = [self._tail(amounts) for _, amounts in self.named]
        self.steps = 0
        self.limit = 0
        self.best: list[int] | None = None
        self.best_burden: Burden | None = None

    def _amounts(self, name: str) -> list[int]:
        return [amount_of(one.lease, name) for one in self.able]

    @staticmethod
    def _tail(amounts: list[int]) -> list[int]:
        tail = [0] * (len(amounts) + 1)
        for index in range(len(amounts) - 1, -1, -1):
            tail[index] = max(amounts[index], tail[index + 1])
        return tail

    # ── budgets ─────────────────────────────────────────────────────────────────────────────────────────────

    def _allowed(self, one: Candidate) -> bool:
        return all(
            self.spent.get(account, 0) < self.allowance[account]
            for account in one.accounts
            if account in self.allowance
        )

    def _spend(self, one: Candidate, sign: int) -> None:
        for account in one.accounts:
            self.spent[account] = self.spent.get(account, 0) + sign

    # ── the quick choice ────────────────────────────────────────────────────────────────────────────────────

    def greedy(self) -> list[Candidate] | None:
        """Cheapest first until it fits, then without those it does not need; leaves the room as it was."""
        chosen: list[Candidate] = []
        for one in self.able:
            if self.room.fits(self.shape):
                break
            if self._allowed(one):
                self._spend(one, 1)
                self.room.without(one.lease)
                chosen.append(one)
        suffices = self.room.fits(self.shape)
        for one in reversed(list(chosen)) if suffices else ():
            self.room.without(one.lease, -1)
            if self.room.fits(self.shape):
                chosen.remove(one)
            else:
                self.room.without(one.lease)
        for one in chosen:
            self.room.without(one.lease, -1)
        self.spent.clear()
        return chosen if suffices else None

    # ── the proof ───────────────────────────────────────────────────────────────────────────────────────────

    def cheapest(
        self, size: int, known: list[Candidate] | None, limit: int
    ) -> tuple[list[Candidate] | None, int, bool]:
        """The cheapest set of that size that suffices, or `known` if none is cheaper.

        Returns:
            The set; the steps it took; whether all were looked at.
        """
        self.steps, self.limit = 0, limit
        self.best, self.best_burden = None, burden_of(known) if known is not None else None
        complete = self._descend(0, size, [], (0, 0))
        found = [self.able[index] for index in self.best] if self.best is not None else known
        return found, self.steps, complete

    def _descend(self, start: int, need: int, chosen: list[int], burden: Burden) -> bool:
        """Tries all sets that begin with `chosen` and go on with `need` of those from `start` on. Returns False when the
        steps are used up."""
        if not need:
            if self.room.fits(self.shape) and (self.best_burden is None or burden < self.best_burden):
                self.best, self.best_burden = list(chosen), burden
            return True
        seen: set[int] = set()
        for index in range(start, len(self.able) - need + 1):
            if self.best_burden is not None and self._at_least(index, need, burden) >= self.best_burden:
                return True  # dearer ones follow
            if not self._can_suffice(index, need, chosen):
                return True
            one = self.able[index]
            if not one.lease.devices and not one.accounts:
                if one.lease.shape.id in seen:
                    continue  # a cheaper one that frees the same was tried in this place
                seen.add(one.lease.shape.id)
            if not self._allowed(one):
                continue
            if self.steps >= self.limit:
                return False
            self.steps += 1
            self._spend(one, 1)
            self.room.without(one.lease)
            chosen.append(index)
            more = (burden[0] + one.burden[0], burden[1] + one.burden[1])
            complete = self._descend(index + 1, need - 1, chosen, more)
            chosen.pop()
            self.room.without(one.lease, -1)
            self._spend(one, -1)
            if not complete:
                return False
        return True

    def _at_least(self, index: int, need: int, burden: Burden) -> Burden:
        """What a set costs at least that goes on with `need` from there on: they stand in order of their burden, of which
        the second part counts only between equal first parts, so it is taken as free."""
        first, second = burden
        following = self.able[index : index + need]
        first += sum(one.burden[0] for one in following)
        if all(one.burden[0] == self.able[index].burden[0] for one in following):
            return (first, second + sum(one.burden[1] for one in following))
        return (first, -(1 << 200))

    def _can_suffice(self, index: int, need: int, chosen: list[int]) -> bool:
        for (missing, amounts), tail in zip(self.named, self.tails, strict=True):
            if sum(amounts[i] for i in chosen) + need * tail[index] < missing:
                return False
        return True
