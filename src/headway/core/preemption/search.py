"""Looking for victims on every node, and carrying out the plan that was found; whose terms they are is the caller's."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from headway.core import claims
from headway.core.admission import gangs
from headway.core.decisions import Reason
from headway.core.placement.space import Imagined, Space
from headway.core.preemption.choose import Allowance, Burden, Candidate, Steps, burden_of
from headway.core.preemption.costs import price
from headway.core.queue import Shape
from headway.core.state import Entry, Lease
from headway.core.world import World, facts
from headway.domain.units import MILLI

#: Heads that are searched victims for in one decision, and microseconds between failed searches for one shape.
SEARCHES = 4
PAUSE = 100_000
#: Other nodes whose victims are named in a reason.
NAMED = 3
#: Preemptions after which the time a victim is left alone grows no more.
DOUBLINGS = 10

#: May the lease be taken, and at what burden? Else from when on, if by itself.
Rate = Callable[[Lease], tuple[Burden | None, int | None]]
#: Chooses among what may be taken on one node.
Choose = Callable[[Space, Shape, list[Candidate], Allowance, Steps, int | None], list[Candidate] | None]


class Plan(NamedTuple):
    """How a place would be made."""

    space: Space
    chosen: list[Candidate]
    burden: Burden

    @property
    def key(self) -> tuple[int, Burden, int]:
        """The smallest is best: the fewest victims, then the least burden, then the lowest node."""
        return (len(self.chosen), self.burden, self.space.index)


class Found(NamedTuple):
    """What a search came to.

    Attributes:
        ripe: When it could find more without any event, or None.
        others: The best plans on other nodes.
    """

    plan: Plan | None
    ripe: int | None
    others: list[Plan]


def earlier(a: int | None, b: int | None) -> int | None:
    """The first of two times, either of which there may not be."""
    return b if a is None else a if b is None else min(a, b)


def old_enough(world: World, lease: Lease) -> int | None:
    """From when on the lease may be preempted at all: at once before it starts; never if it is boosted, on its way out, or
    was preempted too often.

    A victim that came back is left alone for twice as long with each preemption, so that it gets something done.
    """
    if lease.evicting or lease.recalls or any(member.entry.boost for member in lease.members):
        return None
    running = lease.members[0]
    if running.started < 0:
        return 0
    times = running.entry.preemptions
    if times >= world.settings.max_preemptions:
        return None
    return running.started + (world.settings.min_run << min(times, DOUBLINGS))


def search(world: World, entry: Entry, rate: Rate, choose: Choose, now: int) -> Found:
    """The best plan over all nodes."""
    plans: list[Plan] = []
    ripe: int | None = None
    allowance: dict[tuple[int, str], int] = {}
    if world.disruptions.rules:
        allowance, ripe = world.disruptions.allowance(world, now)
    steps, most = Steps(), None
    spared = world.gates.spared(entry.shape) if entry.shape.gated else frozenset()
    for space in world.nodes.all:
        if not space.open or not space.leases or not space.admits(entry.shape):
            continue
        if space.node.lacks(entry.task.demand):
            continue
        able, ripe_here = _able(world, space, rate, spared)
        ripe = earlier(ripe, ripe_here)
        chosen = choose(space, entry.shape, able, allowance, steps, most) if able else None
        if chosen:
            plans = _best([*plans, Plan(space, chosen, burden_of(chosen))])
            most = len(plans[-1].chosen) if len(plans) > NAMED else None
    return Found(plans[0] if plans else None, ripe, plans[1:])


def _best(plans: list[Plan]) -> list[Plan]:
    return sorted(plans, key=lambda plan: plan.key)[: NAMED + 1]


def _able(
    world: World, space: Space, rate: Rate, spared: frozenset[str]
) -> tuple[list[Candidate], int | None]:
    """Leases on the node that may be preempted, and when the next one may be."""
    able, ripe = [], None
    rules = world.disruptions.rules
    for lease in space.leases.values():
        if spared and lease.owner in spared:
            continue
        burden, when = rate(lease)
        if burden is not None:
            running = lease.members[0]
            accounts = world.disruptions.accounts(running.entry) if rules and running.started >= 0 else ()
            able.append(Candidate(burden, lease, accounts))
        elif when is not None:
            ripe = earlier(ripe, when)
    return able, ripe


def carry_out(world: World, entry: Entry, found: Found, now: int, **why: int) -> None:
    """Claims the place and asks those who hold it to leave, each with its own reason."""
    plan = found.plan
    assert plan is not None
    leases = [one.lease for one in plan.chosen]
    room = Imagined(plan.space, leases)
    devices = room.pick(entry.shape)
    prices = [price(world, lease, now) for lease in leases]
    others = [
        {
            "node": other.space.name,
            "victims": [one.lease.members[0].entry.task.id for one in other.chosen],
            "cost": sum(price(world, one.lease, now).total for one in other.chosen),
        }
        for other in found.others
    ]
    claims.make(world, entry, plan.space, devices, tuple(lease.id for lease in leases), now)
    cost = sum(one.total for one in prices)
    for lease, one in zip(leases, prices, strict=True):
        said = dict(why)
        if "needs" in said:
            said["left"] = left(world, lease, now)
        reason = Reason(
            "preempted",
            facts(
                by=entry.task.id, lost=one.lost, restart=one.restart, path=one.path, cost=cost,
                victims=len(leases), others=others, **said,
            ),
        )  # fmt: skip
        evict(world, lease, reason, now)


def left(world: World, lease: Lease, now: int) -> int:
    """Microseconds that the lease's running member has to go, by all that is known."""
    member = lease.members[0]
    entry = member.entry
    if member.done > entry.done:
        work = world.total(entry) * (MILLI - member.done) // MILLI
        paces = world.nodes.paces
        return work * MILLI // paces.speed(entry.task.kind, lease.space.index) if paces.known else work
    return max(member.expected - (now - member.started if member.started >= 0 else 0), 0)


def evict(world: World, lease: Lease, reason: Reason, now: int) -> None:
    """Asks the running member to checkpoint and end, and calls the others back; the rest of a gang has to go with it."""
    if lease.evicting:
        return  # with another member of its gang
    lease.evicting = True
    running = lease.members[0]
    world.recall(lease, lease.idle_members(), reason)
    if running.started >= 0:
        claims.oust(world, running, reason, now)
    if running.entry.task.gang is not None:
        gangs.break_up(world, running.entry, reason, now)
