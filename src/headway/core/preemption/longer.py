"""SRPT proper: within a class, a task that fits nowhere preempts what has more left to do than it has.

What each of the two would still take on that node is compared. What a running attempt has left is what it was reckoned to
take less what it ran, or what its progress says. One that outlasts its estimate is reckoned to be nearly done: a wrong
estimate costs what no preemption would cost, and not more.

It must gain more than `preempt_cost` and the victim's restart, and be better by `preempt_margin` thousandths of what the
victim has left. The margin lasts: what the preemptor has left falls from then on, and what its victim has left stands still, so
no two preempt each other in turn unless progress or a better estimate says something new.

Within a node those with most left are taken first, until the task fits, then those not needed are let off, least left
first: so the ones that run on are those that SRPT would run. Between nodes the fewest victims win, then the most left, then the
lowest node.
"""

from __future__ import annotations

from headway.core.ordering import ByRemaining
from headway.core.preemption.choose import Burden, greedy
from headway.core.preemption.costs import price
from headway.core.preemption.search import left
from headway.core.state import Entry, Lease
from headway.core.world import World
from headway.domain.units import MILLI


class ByLeft:
    """The rule behind `longer`."""

    #: Those with most left first, whatever their number.
    choose = staticmethod(greedy)

    def __init__(self, order: ByRemaining) -> None:
        self.order = order

    def rate(self, world: World, entry: Entry, lease: Lease, now: int) -> tuple[Burden | None, int | None]:
        """Behind is what has so much more left that it gains. Time alone brings nobody there."""
        running = lease.members[0]
        victim, settings = running.entry, world.settings
        to_go = left(world, lease, now)
        kept = to_go - to_go * settings.preempt_margin // MILLI
        cost = settings.preempt_cost + (world.restart(victim) if running.started >= 0 else 0)
        if self.order.key_of(victim, kept) <= self.order.key_of(
            entry, world.lasts(entry, lease.space) + cost
        ):
            return None, None
        return (-to_go, price(world, lease, now).total), None

    def facts(self, world: World, entry: Entry) -> dict[str, int]:
        """What the preemptor has left, at speed 1."""
        return {"needs": world.remaining(entry)}
