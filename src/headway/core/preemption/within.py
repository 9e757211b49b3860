"""Preemption within a class, off unless it is asked for: by what is left (`longer`) or by what was given (`attained`).

A task that fits nowhere takes the place of attempts of its own class that stand behind it by the rule; a worse class is
`victims`' to take. Bounds on victims (`min_run`, `max_preemptions`, boosts, budgets) are the same, and so are a claim's
rights to the place that is cleared.

No two tasks preempt each other in turn: by either rule the running one only moves towards where it may not be preempted
by the one it displaced (what it has left falls, while the other's stands still; or it climbs a finite number of queues).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from headway.core.admission.line import admits, head_of_line
from headway.core.preemption.attained import ByService
from headway.core.preemption.choose import Burden
from headway.core.preemption.longer import ByLeft
from headway.core.preemption.search import (
    PAUSE,
    SEARCHES,
    Choose,
    Rate,
    carry_out,
    earlier,
    old_enough,
    search,
)
from headway.core.queue import Shape
from headway.core.state import Entry, Lease
from headway.core.world import World


class Rule(Protocol):
    """Who stands behind whom."""

    @property
    def choose(self) -> Choose:
        """Whom to take on one node."""
        ...

    def rate(self, world: World, entry: Entry, lease: Lease, now: int) -> tuple[Burden | None, int | None]:
        """The burden of taking the lease for the task if it stands behind; else when it will, if by itself."""
        ...

    def facts(self, world: World, entry: Entry) -> dict[str, int]:
        """For the reason."""
        ...


def rule_of(world: World) -> Rule | None:
    """The rule that settings and policy together make, or None."""
    if world.settings.preempt_longer and world.policy.by_remaining is not None:
        return ByLeft(world.policy.by_remaining)
    if world.settings.preempt_attained and world.policy.by_service is not None:
        return ByService(world.policy.by_service)
    return None


def make_room(world: World, now: int) -> int | None:
    """Preempts for parked heads, best first: at most `SEARCHES` searches a decision.

    Returns:
        When a search could succeed without any event, or None.
    """
    rule = rule_of(world)
    if rule is None or not world.leases:
        return None
    wake: int | None = None
    searches = 0
    for shape in list(_waiting(world)):
        while not shape.wide:  # gangs preempt worse classes only
            slot = world.queue.slot(shape)
            entry = head_of_line(world, slot) if world.policy.strict else world.queue.head(shape)
            if entry is None or entry.item is None or (shape.gated and not admits(world, shape, now)):
                break
            key = entry.item[0]
            until = shape.longer.wait(world.stamp, now)
            if until != 0 and key >= shape.longer.key:
                wake = earlier(wake, until)
                break
            if searches == SEARCHES:
                return earlier(wake, now + PAUSE)
            searches += 1
            found = search(world, entry, _rate(world, rule, entry, now), rule.choose, now)
            if found.plan is None:
                shape.longer.failed(now + PAUSE, key, world.stamp, found.ripe)
                wake = earlier(wake, shape.longer.wait(world.stamp, now))
                break
            carry_out(world, entry, found, now, **rule.facts(world, entry))
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
        if not slot[2].forms:
            yield slot[2]


def _rate(world: World, rule: Rule, entry: Entry, now: int) -> Rate:
    rank = world.rank(entry)

    def rate(lease: Lease) -> tuple[Burden | None, int | None]:
        if any(member.rank != rank for member in lease.members):
            return None, None
        ready = old_enough(world, lease)
        if ready is None:
            return None, None
        burden, later = rule.rate(world, entry, lease, now)
        if burden is None:
            return None, None if later is None else max(later, ready)
        return (burden, None) if ready <= now else (None, ready)

    return rate
