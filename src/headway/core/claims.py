"""A place that is cleared for a task: what is free of it is kept, victims are asked to go, and the task starts when they have.

The freed place goes to whom it was cleared for and to nobody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.core import beside
from headway.core.decisions import Preempt, Reason, Spare
from headway.core.placement.space import Space
from headway.core.state import Claim, Entry, Member, Move, Ousted

if TYPE_CHECKING:
    from headway.core.world import World


def make(
    world: World, entry: Entry, space: Space, devices: tuple[int, ...], victims: tuple[int, ...], now: int
) -> Claim:
    """Reserves what is free of the place now and what comes free of it later."""
    if entry.item is not None:
        world.unqueue(entry)
    world.move(entry, Move.CLAIM)
    claim = Claim(entry, space, devices, victims, now)
    world.claims[entry.task.id] = claim
    if entry.shape.bond is not None:
        beside.count(world, space, entry.shape, 1)
    if entry.shape.gated:
        world.gates.claim(entry.shape, 1)
    space.claims.append(claim)
    space.absorb(claim)
    space.changed()
    world.nodes.changed(space, freed=False)
    return claim


def cancel(world: World, claim: Claim) -> None:
    """The place is not needed any more, or went away; the task is the caller's to settle. Nobody leaves in vain."""
    del world.claims[claim.entry.task.id]
    if claim.entry.shape.bond is not None:
        beside.count(world, claim.space, claim.entry.shape, -1)
    if claim.entry.shape.gated:
        world.gates.claim(claim.entry.shape, -1)
    claim.space.disband(claim)
    world.nodes.changed(claim.space, freed=True)
    spare(world, claim)


def fulfil(world: World, claim: Claim, now: int) -> None:
    """The place is clear: the one it was cleared for starts. Whoever was to leave and still runs may stay."""
    entry = claim.entry
    del world.claims[entry.task.id]
    if entry.shape.bond is not None:
        beside.count(world, claim.space, entry.shape, -1)
    if entry.shape.gated:
        world.gates.claim(entry.shape, -1)
    claim.space.claims.remove(claim)
    lease = world.open_lease(claim.space, entry, claim.devices)
    reason = Reason("preempts", (("victims", list(claim.victims)), ("waited", now - claim.made)))
    world.grant(entry, lease, reason, now)
    spare(world, claim)


def oust(world: World, member: Member, reason: Reason, now: int) -> None:
    """Asks a running attempt to checkpoint and end."""
    entry, node = member.entry, member.lease.space.name
    entry.ousted = Ousted(now, node, reason)
    world.away[entry.task.id] = entry
    if world.disruptions.rules:
        world.disruptions.asked(entry, now)
    world.out.append(Preempt(entry.task.id, member.attempt, node, world.settings.grace, reason))


def spare(world: World, claim: Claim) -> None:
    """Lets the victims of a claim off that have not left."""
    for ident in claim.victims:
        lease = world.leases.get(ident)
        if lease is None or not lease.evicting or lease.leaving:
            continue
        lease.evicting = False
        world.touched[lease.id] = lease
        running = lease.members[0]
        entry = running.entry
        if running.started < 0 or entry.ousted is None or entry.task.id not in world.away:
            continue
        del world.away[entry.task.id]
        if world.disruptions.rules:
            world.disruptions.spared(entry, entry.ousted.at)
        entry.ousted = None
        if not lease.space.gone:
            reason = Reason("spared", (("for", claim.entry.task.id),))
            world.out.append(Spare(entry.task.id, running.attempt, lease.space.name, reason))
