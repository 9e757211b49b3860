"""SRPT proper: within a class, a task that fits nowhere preempts what has more left to do than it has.

What a running attempt has left is what it was reckoned to take less what it ran, or what its progress says. One that
outlasts its estimate is reckoned to be nearly done: a wrong estimate costs what no preemption would cost, and not more.
As a waiting task's remaining time stands still and a running one's falls, no two preempt each other in turn.

A preemption must gain more than `preempt_cost`. Bounds on victims (`min_run`, `max_preemptions`, boosts) are those of
`victims`; so are a claim's rights to the place that is cleared. Within a node those with most left are taken first, until
the task fits, then those not needed are let off, least left first. Between nodes the fewest victims win, then the most
left, then the lowest node.
"""

from __future__ import annotations

from collections.abc import Iterator

from headway.core.admission.line import head_of_line
from headway.core.decisions import Reason
from headway.core.ordering import ByRemaining
from headway.core.placement.space import Imagined, Space, pick_devices
from headway.core.preemption.victims import PAUSE, SEARCHES, Plan, earlier, evict, work_lost
from headway.core.queue import Shape
from headway.core.state import Entry, Lease
from headway.core.world import World, facts
from headway.domain.units import MILLI


def make_room(world: World, now: int) -> int | None:
    """Preempts for parked heads, best first: at most `SEARCHES` searches a decision.

    Returns:
        When a search could succeed without any event, or None.
    """
    order = world.policy.by_remaining
    if order is None or not world.leases:
        return None
    wake: int | None = None
    searches = 0
    for shape in list(_waiting(world)):
        while True:
            slot = world.queue.slot(shape)
            entry = head_of_line(world, slot) if world.policy.strict else world.queue.head(shape)
            if entry is None or entry.item is None:
                break
            key = entry.item[0]
            if shape.longer_at > now and key >= shape.longer_key:
                break
            if searches == SEARCHES:
                return earlier(wake, now + PAUSE)
            searches += 1
            plan, ripe = _search(world, order, entry, now)
            if plan is None:
                shape.longer_at, shape.longer_key = now + PAUSE, key
                wake = earlier(wake, max(ripe, shape.longer_at) if ripe is not None else None)
                break
            _carry_out(world, entry, plan, now)
    return wake


def _waiting(world: World) -> Iterator[Shape]:
    """Shapes whose heads found no place, best head first; under strict the head of the line alone."""
    queue = world.queue
    if world.policy.strict:
        head = head_of_line(world, queue.first_open())
        if head is not None:
            yield head.shape
        return
    for slot in queue.parked_heads():
        yield slot[2]


def left(world: World, lease: Lease, now: int) -> int:
    """Microseconds that the lease's running member has to go, by all that is known."""
    member = lease.members[0]
    entry = member.entry
    if member.done > entry.done:
        return world.total(entry) * (MILLI - member.done) // MILLI
    return max(member.expected - (now - member.started if member.started >= 0 else 0), 0)


def _search(world: World, order: ByRemaining, entry: Entry, now: int) -> tuple[Plan | None, int | None]:
    """The best plan over all nodes, or None and when a victim too young now will be old enough."""
    best: Plan | None = None
    best_cost: tuple[int, int, int] | None = None
    ripe: int | None = None
    limit = order.key_of(entry, world.remaining(entry) + world.settings.preempt_cost)
    rank = world.rank(entry)
    for space in world.nodes.all:
        if not space.open or not space.leases or (entry.shape.pin and entry.shape.pin != space.name):
            continue
        if space.node.lacks(entry.task.demand):
            continue
        able: list[tuple[int, int, Lease]] = []
        for lease in space.leases.values():
            ready = _ready(world, lease, rank)
            if ready is None:
                continue
            to_go = left(world, lease, now)
            if order.key_of(lease.members[0].entry, to_go) <= limit:
                continue
            if ready <= now:
                able.append((-to_go, -lease.id, lease))
            else:
                ripe = earlier(ripe, ready)
        plan = _plan(entry, space, sorted(able), now) if able else None
        if plan is not None:
            cost = (len(plan.victims), -sum(left(world, lease, now) for lease in plan.victims), space.index)
            if best_cost is None or cost < best_cost:
                best, best_cost = plan, cost
    return best, ripe


def _ready(world: World, lease: Lease, rank: int) -> int | None:
    """From when on the lease may be preempted by a task of its own class (a worse one is `victims`' to take, if
    classes preempt), or None."""
    if lease.evicting or lease.recalls or any(m.rank != rank or m.entry.boost for m in lease.members):
        return None
    running = lease.members[0]
    if running.started < 0:
        return 0
    if running.entry.preemptions >= world.settings.max_preemptions:
        return None
    return running.started + world.settings.min_run


def _plan(entry: Entry, space: Space, able: list[tuple[int, int, Lease]], now: int) -> Plan | None:
    room = Imagined(space)
    victims: list[Lease] = []
    for _, _, lease in able:
        if room.fits(entry.shape):
            break
        room.without(lease)
        victims.append(lease)
    if not victims or not room.fits(entry.shape):
        return None
    for lease in reversed(list(victims)):
        room.without(lease, -1)
        if room.fits(entry.shape):
            victims.remove(lease)
        else:
            room.without(lease)
    lost = sum(work_lost(lease, now) for lease in victims)
    return Plan(space, victims, pick_devices(room.devices, entry.shape), lost)


def _carry_out(world: World, entry: Entry, plan: Plan, now: int) -> None:
    needs, spared = world.remaining(entry), [left(world, lease, now) for lease in plan.victims]
    world.make_claim(entry, plan.space, plan.devices, tuple(lease.id for lease in plan.victims), now)
    for lease, to_go in zip(plan.victims, spared, strict=True):
        said = facts(by=entry.task.id, left=to_go, lost=plan.lost, needs=needs, victims=len(spared))
        evict(world, lease, Reason("preempted", said))
