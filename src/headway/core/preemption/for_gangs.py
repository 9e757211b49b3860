"""Room for a whole gang: victims on all nodes at once, so that every member has a place, or nobody goes.

Who may be preempted, and what that loses, is as in `victims`. Leases are taken in order of class (worst first), work
lost and age over all nodes, until there are places for all members: how many that is, is found by halving. Then, on
each node, those that turn out not to be needed are let off, costliest first. All members claim their places together
(`admission.gangs.claim`), those that are free already too, so that nobody else takes what the others wait for.
"""

from __future__ import annotations

from bisect import bisect_left

from headway.core.admission import gangs
from headway.core.admission.line import admits, head_of_line
from headway.core.decisions import Reason
from headway.core.placement.space import Imagined, Space
from headway.core.placement.together import Places, hold
from headway.core.preemption.costs import price
from headway.core.preemption.search import PAUSE, SEARCHES, earlier, evict, old_enough
from headway.core.queue import Shape
from headway.core.state import Entry, Lease
from headway.core.world import World, facts


def make_room(world: World, now: int) -> int | None:
    """Preempts for gangs at the heads of their shapes that found no place, best first: `SEARCHES` a decision.

    Returns:
        When a search could succeed without any event (a victim has run long enough), or None.
    """
    if not world.settings.preempt or not world.policy.classes or not world.ranks:
        return None
    wake: int | None = None
    worst = max(world.ranks)
    for searches, (leader, rank) in enumerate(_waiting(world, worst, now)):
        shape = leader.shape
        until = shape.search.wait(world.stamp, now)
        if until != 0:
            wake = earlier(wake, until)
            continue
        if searches >= SEARCHES:
            return now
        ripe = _search(world, leader, rank, now)
        if leader.item is None:
            wake = now  # the next of its shape has not been looked at
        else:
            shape.search.failed(now + PAUSE, leader.item[0], world.stamp, ripe)
            wake = earlier(wake, shape.search.wait(world.stamp, now))
    return wake


def _waiting(world: World, worst: int, now: int) -> list[tuple[Entry, int]]:
    """Leaders at the head of their shapes that found no place and outrank somebody, with their classes."""
    queue = world.queue
    if world.policy.strict:
        head = head_of_line(world, queue.first_open())
        heads = [head] if head is not None and head.shape.wide else []
    else:
        slots = sorted(
            slot for shape in queue.wide if shape.parked and (slot := queue.slot(shape)) is not None
        )
        heads = [head for slot in slots if (head := queue.head(slot[2])) is not None]
    ranked = [(head, world.rank(head)) for head in heads]
    able = [(head, rank) for head, rank in ranked if rank < worst]
    return [pair for pair in able if not pair[0].shape.gated or admits(world, pair[0].shape, now)]


def _search(world: World, leader: Entry, rank: int, now: int) -> int | None:
    """Carries out the cheapest plan there is. Returns when a victim too young now will be old enough."""
    able, ripe = _able(world, rank, now)
    shape = leader.shape
    count = bisect_left(range(len(able) + 1), True, key=lambda n: _with(world, shape, able[:n]) is not None)
    if not 0 < count <= len(able):
        return ripe
    found = _with(world, shape, able[:count])
    assert found is not None
    _carry_out(world, leader, found, able[:count], now)
    return None


def _able(world: World, rank: int, now: int) -> tuple[list[Lease], int | None]:
    """Leases that may be preempted for the rank, worst and cheapest first, as far as budgets reach; and when the next may."""
    able: list[tuple[int, int, int, Lease]] = []
    allowance: dict[tuple[int, str], int] = {}
    ripe: int | None = None
    rules = world.disruptions.rules
    if rules:
        allowance, ripe = world.disruptions.allowance(world, now)
    for lease in world.leases.values():
        if not lease.space.open or any(member.rank <= rank for member in lease.members):
            continue
        ready = old_enough(world, lease)
        if ready is not None and ready > now:
            ripe = earlier(ripe, ready)
        elif ready is not None:
            able.append((-lease.members[0].rank, price(world, lease, now).total, -lease.id, lease))
    chosen = []
    for _, _, _, lease in sorted(able):
        running = lease.members[0]
        accounts = world.disruptions.accounts(running.entry) if rules and running.started >= 0 else ()
        if all(allowance.get(account, 1) > 0 for account in accounts):
            allowance |= {account: allowance[account] - 1 for account in accounts if account in allowance}
            chosen.append(lease)
    return chosen, ripe


def _with(world: World, shape: Shape, gone: list[Lease]) -> Places | None:
    by_node: dict[int, list[Lease]] = {}
    for lease in gone:
        by_node.setdefault(lease.space.index, []).append(lease)
    return gangs.look(
        world, shape, room=lambda space: Imagined(space, by_node.get(space.index, ())), may=gangs.may_ever
    )


def _carry_out(world: World, leader: Entry, found: Places, able: list[Lease], now: int) -> None:
    to: dict[int, list[Shape]] = {}
    spaces: dict[int, Space] = {}
    by_member = gangs.assigned(world, leader, found)
    for shape, space in by_member:
        to.setdefault(space.index, []).append(shape)
        spaces[space.index] = space
    chosen: list[Lease] = []
    devices: dict[int, list[tuple[int, ...]]] = {}
    for index, shapes in to.items():
        space = spaces[index]
        going = _needed(world, space, [lease for lease in able if lease.space is space], shapes, now)
        room = Imagined(space, going)
        devices[index] = [hold(room, shape) for shape in shapes]
        chosen += going
    prices = [price(world, lease, now) for lease in chosen]
    asked = {
        index: tuple(lease.id for lease in chosen if lease.space is space) for index, space in spaces.items()
    }
    # Who leaves a node leaves for the first member there; all start together anyway.
    places = [(space, devices[space.index].pop(0), asked.pop(space.index, ())) for _, space in by_member]
    gangs.claim(world, leader, places, now)
    cost = sum(one.total for one in prices)
    for lease, one in zip(chosen, prices, strict=True):
        said = facts(
            by=leader.task.id,
            lost=one.lost,
            restart=one.restart,
            path=one.path,
            cost=cost,
            victims=len(chosen),
            others=[],
        )
        evict(world, lease, Reason("preempted", said), now)


def _needed(world: World, space: Space, going: list[Lease], shapes: list[Shape], now: int) -> list[Lease]:
    """Of the leases those without whose end the members would not fit there."""
    needed = list(going)
    for lease in sorted(going, key=lambda lease: (-price(world, lease, now).total, lease.id)):
        without = [other for other in needed if other is not lease]
        if _all_fit(Imagined(space, without), shapes):
            needed = without
    return needed


def _all_fit(room: Imagined, shapes: list[Shape]) -> bool:
    for shape in shapes:
        if not room.fits(shape):
            return False
        hold(room, shape)
    return True
