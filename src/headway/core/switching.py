"""The rules become others while tasks wait and run: another policy, plan, mix of what is expected, or limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.core.ask import Ask
from headway.core.beside import plain
from headway.core.joint.record import PlanRecord, Standing
from headway.core.policy import Policy
from headway.core.state import State
from headway.domain.resources import Demand

if TYPE_CHECKING:
    from headway.core.world import World


def rekey(world: World, policy: Policy) -> None:
    """Another policy: everybody gets a new place in line, and ranks are taken anew."""
    queued = [entry for entry in world.tasks.values() if entry.item is not None]
    world.policy = policy
    if not policy.planned:
        world.plan = None
    elif world.plan is not None:
        world.plan.kept_on = {}
    if policy.placement is not world.nodes.placement:
        world.nodes.measure_by(policy.placement, world.queue.shapes)
        if policy.mixed and not world.nodes.expected.mix:
            world.nodes.expected.saw(plain(world, entry.shape) for entry in world.tasks.values())
    for entry in queued:
        entry.item = None
    world.line_up()
    for entry in queued:
        world.queue.push(entry, policy.key(entry, world))
    world.ranks.clear()
    for member in world.members():
        member.key = world.key(member.entry)
        member.rank = world.policy.rank(member.key, member.entry.boost)
        world.count_rank(member.rank, 1)


def expect(world: World, classes: tuple[tuple[Demand, int], ...]) -> None:
    """The tasks to be expected are known, or (without any) learned anew from those that are here."""
    given = tuple((world.interned(Ask(demand)), count) for demand, count in classes)
    world.nodes.expected = world.nodes.expected.replaced(given)
    if not given:
        world.nodes.expected.saw(plain(world, entry.shape) for entry in world.tasks.values())


def follow(world: World, record: PlanRecord | None) -> None:
    """Another plan, or none: what it or the one before ranks gets a new place in line."""
    touched = dict.fromkeys(world.plan.rows) if world.plan is not None else {}
    rows = {}
    for rank, row in enumerate(record.rows if record is not None else ()):
        entry = world.tasks.get(row.task)
        if entry is not None and entry.member is None:  # else it left or was placed while the plan was made
            rows[row.task] = (rank, row)
            touched[row.task] = None
    world.plan = Standing(record, rows) if record is not None else None
    for task in touched:
        entry = world.tasks[task]
        if entry.item is not None:
            world.unqueue(entry)
            world.queue.push(entry, world.policy.key(entry, world))


def end_plan(world: World) -> None:
    """The plan's time is over: it stays an order and keeps no places."""
    assert world.plan is not None
    world.plan.over, world.plan.kept_on = True, {}


def relimit(world: World, now: int) -> None:
    """Quotas or rates are others: every task gets the shape that it has under them, and all that is used is counted."""
    for entry in list(world.tasks.values()):
        shape, tenant = entry.shape, world.gates.owner(entry.task)
        claims = entry.state is State.CLAIMING and bool(shape.gated or shape.rates or tenant)
        if shape.tenant == tenant and not claims:
            continue
        if entry.member is not None:
            whole = world.shape_of(entry.task, shape.pin)
            entry.shape = whole.forms[entry.variant] if whole.forms and entry.variant >= 0 else whole
        else:
            world.unsettle(entry)
            entry.shape = world.shape_of(entry.task, entry.shape.pin)
            world.settle(entry, now)
    world.gates.recount(world.queue.shapes, list(world.leases.values()), list(world.claims.values()))
    for shapes in world.gates.shut.values():
        for shape in shapes.values():
            if shape.shut is not None:
                world.queue.reopen(shape)
    world.gates.shut.clear()
