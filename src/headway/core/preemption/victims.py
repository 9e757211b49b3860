"""Victims: for a task that fits nowhere, the fewest and cheapest attempts of a worse class whose places
together hold it.

Cost is the work that would be lost: time since the last checkpoint. A victim has run for `min_run`, has been
preempted less than `max_preemptions` times, and is not boosted. Within a node victims are taken in order of
class (worst first), work lost and age, until the task fits; then those that turn out not to be needed are let
off again, costliest first. Between nodes the fewest victims win, then the least work lost, then the lowest
node. (The greedy choice and the second pass are Kubernetes' and Kueue's.)
"""

from __future__ import annotations

from typing import NamedTuple

from headway.core.admission.line import head_of_line
from headway.core.decisions import Preempt, Reason
from headway.core.placement.space import Imagined, Space, pick_devices
from headway.core.queue import Shape
from headway.core.state import Entry, Lease
from headway.core.world import World, facts

#: Heads that are searched victims for in one decision, and microseconds between failed searches for one
#: shape.
SEARCHES = 4
PAUSE = 100_000


class Plan(NamedTuple):
    """How a place would be made."""

    space: Space
    victims: list[Lease]
    devices: tuple[int, ...]
    lost: int


def make_room(world: World, now: int) -> int | None:
    """Preempts for parked heads, best first.

    Returns:
        When a search that failed now could succeed without any event (a victim has run long enough), or None.
    """
    if not world.settings.preempt or not world.policy.classes or not world.ranks:
        return None
    wake: int | None = None
    worst = max(world.ranks)
    searches, strict = 0, world.policy.strict
    for shape in _waiting(world, worst):
        while True:
            entry = head_of_line(world, world.queue.slot(shape)) if strict else world.queue.head(shape)
            if entry is None or entry.item is None or world.policy.rank(entry.item[0], entry.boost) >= worst:
                break
            if shape.search_at > now:
                wake = earlier(wake, shape.search_at)
                break
            if searches == SEARCHES:
                return now  # there is more to do, and the rest of the decision should not wait for it
            searches += 1
            plan, ripe = _search(world, entry, world.policy.rank(entry.item[0], entry.boost), now)
            if plan is None:
                shape.search_at = now + PAUSE
                wake = earlier(wake, max(ripe, shape.search_at) if ripe is not None else None)
                break
            _carry_out(world, entry, plan, now)
    return wake


def _waiting(world: World, worst: int) -> list[Shape]:
    """Shapes whose heads found no place and outrank somebody, best head first; under strict the head of the
    line."""
    queue = world.queue
    if world.policy.strict:
        head = head_of_line(world, queue.first_open())
        return [head.shape] if head is not None else []
    found = []
    for slot in queue.parked_heads():
        head = queue.head(slot[2])
        assert head is not None
        if world.policy.rank(slot[0], head.boost) < worst:
            found.append(slot[2])
        elif not head.boost:
            break  # heads stand in the order of their classes, but for those that are boosted
    return found


def earlier(a: int | None, b: int | None) -> int | None:
    """The first of two times, either of which there may not be."""
    return b if a is None else a if b is None else min(a, b)


def _search(world: World, entry: Entry, rank: int, now: int) -> tuple[Plan | None, int | None]:
    """The cheapest plan over all nodes, or None and when a victim too young now will be old enough."""
    best: Plan | None = None
    ripe: int | None = None
    for space in world.nodes.all:
        if not space.open or not space.leases or not space.admits(entry.shape):
            continue
        if space.node.lacks(entry.task.demand):
            continue
        able, ripe_here = _victims(world, space, rank, now)
        ripe = earlier(ripe, ripe_here)
        plan = _plan(entry, space, able, now) if able else None
        if plan is not None and (best is None or _cost(plan) < _cost(best)):
            best = plan
    return best, ripe


def _cost(plan: Plan) -> tuple[int, int, int]:
    return (len(plan.victims), plan.lost, plan.space.index)


def _victims(world: World, space: Space, rank: int, now: int) -> tuple[list[Lease], int | None]:
    """Leases on the node that may be preempted for the rank, and when the next too young one may be."""
    able, ripe = [], None
    for lease in space.leases.values():
        if lease.evicting or lease.recalls or any(m.rank <= rank or m.entry.boost for m in lease.members):
            continue
        running = lease.members[0]
        if running.started < 0:
            able.append(lease)  # nothing lost: it is called back
        elif running.entry.preemptions < world.settings.max_preemptions:
            old_enough = running.started + world.settings.min_run
            if old_enough <= now:
                able.append(lease)
            else:
                ripe = earlier(ripe, old_enough)
    return able, ripe


def work_lost(lease: Lease, now: int) -> int:
    """Microseconds of processing since the running member's last checkpoint."""
    running = lease.members[0]
    return max(now - running.saved_at, 0) if running.started >= 0 else 0


def _plan(entry: Entry, space: Space, able: list[Lease], now: int) -> Plan | None:
    order = sorted(able, key=lambda lease: (-lease.members[0].rank, work_lost(lease, now), -lease.id))
    room = Imagined(space)
    victims: list[Lease] = []
    for lease in order:
        if room.fits(entry.shape):
            break
        room.without(lease)
        victims.append(lease)
    if not victims or not room.fits(entry.shape):
        return None
    for lease in sorted(victims, key=lambda lease: (-work_lost(lease, now), lease.id)):
        room.without(lease, -1)
        if room.fits(entry.shape):
            victims.remove(lease)
        else:
            room.without(lease)
    lost = sum(work_lost(lease, now) for lease in victims)
    return Plan(space, victims, pick_devices(room.devices, entry.shape), lost)


def _carry_out(world: World, entry: Entry, plan: Plan, now: int) -> None:
    victims = tuple(lease.id for lease in plan.victims)
    world.make_claim(entry, plan.space, plan.devices, victims, now)
    reason = Reason("preempted", facts(by=entry.task.id, lost=plan.lost, victims=len(victims)))
    for lease in plan.victims:
        evict(world, lease, reason)


def evict(world: World, lease: Lease, reason: Reason) -> None:
    """Asks the running member to checkpoint and end, and calls the others back."""
    lease.evicting = True
    running = lease.members[0]
    world.recall(lease, lease.idle_members(), reason)
    if running.started >= 0:
        entry = running.entry
        world.out.append(
            Preempt(entry.task.id, running.attempt, lease.space.name, world.settings.grace, reason)
        )
