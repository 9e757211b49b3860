"""Reclaim: a tenant that is within its quota gets its own back from those of its cohort who borrowed it.

Asked for when the tenant's head is shut, because what it may take is lent out, or finds no node. Victims are attempts of
tenants that hold more than their nominal quota of something the head asks for, and only while they do: nobody is brought below
its own. With `reclaim = "lower_priority"` they must also be of a worse class. The other bounds are those of `victims` (`min_run`,
`max_preemptions`, boosts, budgets), and so are a claim's rights to the place.

If a node has room already, only quota is missing, and victims may run anywhere; else those on one node must leave room there,
and more are taken elsewhere if quota is still missing. A gang goes as a whole, or not at all, and does not itself reclaim: what
it waits for is not borrowed again (`Gates.should_end`). Greedy, then a second pass that lets off whoever is not needed; fewest
victims first, then least work lost (Kueue's `minimalPreemptions`). As who reclaims is within its quota afterwards and who is
preempted was beyond it, no two tenants preempt each other in turn.
"""

from __future__ import annotations

from typing import NamedTuple

from headway.core import claims
from headway.core.admission.quota import Account, room
from headway.core.decisions import Reason
from headway.core.placement.space import Imagined, Space
from headway.core.preemption.costs import price
from headway.core.preemption.search import PAUSE, SEARCHES, earlier, evict, old_enough
from headway.core.queue import Shape
from headway.core.state import Entry, Lease
from headway.core.world import World, facts

#: What goes together: a lease, or all of a gang.
Unit = list[Lease]


class Plan(NamedTuple):
    """How quota and place would be had; `cost` as `costs` has it, in microseconds."""

    space: Space
    victims: list[Unit]
    devices: tuple[int, ...]
    cost: int


def make_room(world: World, now: int) -> int | None:
    """Preempts borrowers for tenants that want their own back, first in line first.

    Returns:
        When a search that failed now could succeed without any event, or None.
    """
    wake: int | None = None
    searches = 0
    for shape in _waiting(world):
        account = world.gates.accounts[shape.tenant]
        while (entry := world.queue.head(shape)) is not None and account.within(shape):
            if not _lacks(world, shape, now):
                break
            if shape.reclaim_at > now:
                wake = earlier(wake, shape.reclaim_at)
                break
            if searches == SEARCHES:
                return now  # there is more to do, and the rest of the decision should not wait for it
            searches += 1
            plan, ripe = _search(world, account, entry, now)
            if plan is None:
                shape.reclaim_at = now + PAUSE
                wake = earlier(wake, max(ripe, shape.reclaim_at) if ripe is not None else None)
                break
            _carry_out(world, account, entry, plan, now)
    return wake


def _lacks(world: World, shape: Shape, now: int) -> bool:
    """Whether the shape's head lacks quota, or a node, and nothing else."""
    if shape.shut is not None and shape.shut.kind != "quota":
        return False
    return not shape.rates or world.gates.out_of_rate(world.queue, shape, now) is None


def _waiting(world: World) -> list[Shape]:
    """Shapes of tenants that may reclaim, whose heads are short of quota or found no node; first in line first."""
    found = []
    head = world.tasks.get(world.head) if world.head is not None else None
    for pool in world.gates.pools.values():
        if not any(member.over(name) for member in pool.members for name in pool.size):
            continue
        for member in pool.members:
            if member.quota.reclaim == "never":
                continue
            for shape in member.shapes.values():
                if not shape.count or shape.wide or not member.within(shape):
                    continue
                if shape.parked or shape.shut is not None or (head is not None and head.shape is shape):
                    slot = world.queue.slot(shape)
                    assert slot is not None
                    found.append(slot)
    return [shape for _, _, shape in sorted(found)]


class _Trial:
    """What would be used if some leases were gone; those that are asked to leave already count as gone."""

    def __init__(self, world: World, account: Account, shape: Shape) -> None:
        pool = account.pool
        self.account = account
        self.asked = {name: amount for name, amount in shape.amounts if name in pool.size}
        self.used = {m.name: {name: m.used.get(name, 0) for name in self.asked} for m in pool.members}
        self.taken = {name: pool.taken.get(name, 0) for name in self.asked}
        self.members = {m.name: m for m in pool.members}
        for lease in world.leases.values():
            if lease.evicting and lease.owner in self.members:
                self.without(lease)

    def copy(self) -> _Trial:
        """Another that starts from here."""
        made = _Trial.__new__(_Trial)
        made.account, made.asked, made.members = self.account, self.asked, self.members
        made.used = {name: dict(used) for name, used in self.used.items()}
        made.taken = dict(self.taken)
        return made

    def over(self, lease: Lease) -> bool:
        """Whether the lease's tenant holds more than its own of something that is asked, and the lease has some of it."""
        owner, used = self.members[lease.owner], self.used[lease.owner]
        return any(
            used[name] > owner.nominal.get(name, 0) for name, _ in lease.shape.amounts if name in self.asked
        )

    def without(self, lease: Lease, sign: int = 1) -> None:
        """The lease is gone (or is there again, with `sign` -1)."""
        owner, used = self.members[lease.owner], self.used[lease.owner]
        for name, amount in lease.shape.amounts:
            if name in self.asked:
                sure, before = owner.guaranteed(name), used[name]
                used[name] = before - sign * amount
                self.taken[name] += max(used[name] - sure, 0) - max(before - sure, 0)

    def enough(self) -> bool:
        """Whether the tenant may take what it asks for."""
        mine = self.used[self.account.name]
        return all(
            amount <= room(self.account, name, mine, self.taken[name]) for name, amount in self.asked.items()
        )


def _search(world: World, account: Account, entry: Entry, now: int) -> tuple[Plan | None, int | None]:
    """The cheapest plan, or None and when a victim too young now will be old enough."""
    trial = _Trial(world, account, entry.shape)
    able, ripe = _borrowers(world, trial, entry, now)
    if not able:
        return None, ripe
    best = world.nodes.best(entry.shape, entry)
    if best is not None:
        return _plan(world, trial, entry, best, able, now), ripe
    found: Plan | None = None
    for space in {lease.space.index: lease.space for unit in able for lease in unit}.values():
        if not space.open or space.node.lacks(entry.task.demand) or not space.admits(entry.shape):
            continue
        plan = _plan(world, trial, entry, space, able, now)
        if plan is not None and (found is None or _cost(plan) < _cost(found)):
            found = plan
    return found, ripe


def _cost(plan: Plan) -> tuple[int, int, int]:
    return (len(plan.victims), plan.cost, plan.space.index)


def _borrowers(world: World, trial: _Trial, entry: Entry, now: int) -> tuple[list[Unit], int | None]:
    """What was given of the tenant's own, cheapest first, and when what is too young now may be taken."""
    units: dict[str, Unit] = {}
    for lease in world.leases.values():
        if lease.owner in trial.members and lease.owner != trial.account.name and trial.over(lease):
            gang = lease.members[0].entry.task.gang
            units.setdefault(f"gang {gang.id}" if gang is not None else str(lease.id), []).append(lease)
    lower, rank = trial.account.quota.reclaim == "lower_priority", world.rank(entry)
    able: list[tuple[int, int, int, Unit]] = []
    ripe: int | None = None
    for unit in units.values():
        if lower and any(member.rank <= rank for lease in unit for member in lease.members):
            continue
        ready = [old_enough(world, lease) for lease in unit]
        if any(when is None for when in ready):
            continue
        latest = max(when for when in ready if when is not None)
        if latest > now:
            ripe = earlier(ripe, latest)
        else:
            cost = sum(price(world, lease, now).total for lease in unit)
            able.append((-unit[0].members[0].rank, cost, -unit[0].id, unit))
    return [unit for *_, unit in sorted(able, key=lambda row: row[:3])], ripe


def _plan(world: World, base: _Trial, entry: Entry, space: Space, able: list[Unit], now: int) -> Plan | None:
    trial, place = base.copy(), Imagined(space)
    victims: list[Unit] = []
    allowance = world.disruptions.allowance(world, now)[0] if world.disruptions.rules else {}

    def fits() -> bool:
        return place.fits(entry.shape) and trial.enough()

    def go(unit: Unit, sign: int) -> None:
        for lease in unit:
            trial.without(lease, sign)
            if lease.space is space:
                place.without(lease, sign)
            for account in _accounts(world, lease):
                if account in allowance:
                    allowance[account] -= sign

    for unit in sorted(able, key=lambda unit: unit[0].space is not space):  # stable: those here first
        if fits():
            break
        if trial.over(unit[0]) and (place.fits(entry.shape) or any(lease.space is space for lease in unit)):
            go(unit, 1)
            if any(left < 0 for left in allowance.values()):
                go(unit, -1)
            else:
                victims.append(unit)
    if not victims or not fits():
        return None
    for unit in reversed(list(victims)):
        go(unit, -1)
        if fits():
            victims.remove(unit)
        else:
            go(unit, 1)
    cost = sum(price(world, lease, now).total for unit in victims for lease in unit)
    return Plan(space, victims, place.pick(entry.shape), cost) if victims else None


def _accounts(world: World, lease: Lease) -> tuple[tuple[int, str], ...]:
    running = lease.members[0]
    return (
        world.disruptions.accounts(running.entry) if world.disruptions.rules and running.started >= 0 else ()
    )


def _carry_out(world: World, account: Account, entry: Entry, plan: Plan, now: int) -> None:
    leases = [lease for unit in plan.victims for lease in unit]
    victims = tuple(lease.id for lease in leases)
    claims.make(world, entry, plan.space, plan.devices, victims, now).reclaims = True
    for lease in leases:
        one = price(world, lease, now)
        said = facts(
            by=entry.task.id, lost=one.lost, restart=one.restart, path=one.path, cost=plan.cost, others=[],
            tenant=account.name, victims=len(victims),
        )  # fmt: skip
        evict(world, lease, Reason("reclaimed", said), now)
