"""Making room for a better class: a task that fits nowhere takes the place of the fewest and cheapest attempts of a worse
class whose places together hold it.

A victim has run for `min_run` (twice as long after each preemption), was preempted less than `max_preemptions` times, is
not boosted, and no disruption budget is against it (`budgets`). The fewest victims win; of equally few those of the worst
classes, as a better one would go on to preempt these in its turn; then the cheapest (`costs`); then the lowest node.
`choose` finds them.
"""

from __future__ import annotations

from headway.core.admission.line import admits, head_of_line
from headway.core.preemption.choose import Burden, fewest
from headway.core.preemption.costs import price
from headway.core.preemption.search import PAUSE, SEARCHES, Found, carry_out, earlier, old_enough, search
from headway.core.queue import Shape
from headway.core.state import Entry, Lease
from headway.core.world import World


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
        while not shape.wide:  # `for_gangs` sees to gangs
            entry = head_of_line(world, world.queue.slot(shape)) if strict else world.queue.head(shape)
            if entry is None or entry.item is None or world.policy.rank(entry.item[0], entry.boost) >= worst:
                break
            if shape.gated and not admits(world, shape, now):
                break
            until = shape.search.wait(world.stamp, now)
            if until != 0:
                wake = earlier(wake, until)
                break
            if searches == SEARCHES:
                return now  # there is more to do, and the rest of the decision should not wait for it
            searches += 1
            found = _search(world, entry, world.policy.rank(entry.item[0], entry.boost), now)
            if found.plan is None:
                shape.search.failed(now + PAUSE, entry.item[0], world.stamp, found.ripe)
                wake = earlier(wake, shape.search.wait(world.stamp, now))
                break
            carry_out(world, entry, found, now)
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
        if slot[2].forms:
            continue  # it would have settled on a variant if that helped
        if world.policy.rank(slot[0], head.boost) < worst:
            found.append(slot[2])
        elif not head.boost:
            break  # heads stand in the order of their classes, but for those that are boosted
    return found


def _search(world: World, entry: Entry, rank: int, now: int) -> Found:
    """Among all that are of a worse class than the rank."""
    #: How many classes are worse than each.
    worse = {known: place for place, known in enumerate(sorted(world.ranks, reverse=True))}

    def rate(lease: Lease) -> tuple[Burden | None, int | None]:
        if any(member.rank <= rank for member in lease.members):
            return None, None
        ready = old_enough(world, lease)
        if ready is None or ready > now:
            return None, ready
        return (worse[lease.members[0].rank], price(world, lease, now).total), None

    return search(world, entry, rate, fewest, now)
