"""Least attained service, preemptive: a task in a lower queue takes the place of one that has climbed above it.

With an order of queues (`las`) right behind the classes and `attained` asked for. A running attempt climbs while it runs, so
a search that finds nobody behind says when the next one will be. Queues are only climbed, so between two tasks places change at
most once a queue. This is the discretised two-dimensional LAS of Tiresias (Gu et al., NSDI 2019).
"""

from __future__ import annotations

from headway.core.ordering import ByAttained
from headway.core.preemption.choose import Burden, fewest
from headway.core.preemption.costs import price
from headway.core.state import Entry, Lease
from headway.core.world import World


class ByService:
    """The rule behind `attained`."""

    #: The fewest; of equally few the highest queues, then the cheapest.
    choose = staticmethod(fewest)

    def __init__(self, order: ByAttained) -> None:
        self.order = order

    def rate(self, world: World, entry: Entry, lease: Lease, now: int) -> tuple[Burden | None, int | None]:
        """Behind is who stands in a higher queue by now."""
        running = lease.members[0]
        victim, own = running.entry, self.order.queue_of(entry, entry.attained)
        ran = now - running.started if running.started >= 0 else 0
        queue = self.order.queue_of(victim, victim.attained + ran)
        if queue > own:
            return (-queue, price(world, lease, now).total), None
        climbs = self.order.service_of(victim, own + 1)
        if running.started < 0 or climbs is None:
            return None, None
        return None, running.started + climbs - victim.attained

    def facts(self, world: World, entry: Entry) -> dict[str, int]:
        """The preemptor's queue."""
        return {"queue": self.order.queue_of(entry, entry.attained)}
