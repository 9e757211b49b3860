"""What a pause that stops ends: attempts that run are asked to checkpoint and end, as by a preemption, but for nobody."""

from __future__ import annotations

from headway.core.admission import gangs
from headway.core.decisions import Reason
from headway.core.overrides import concerns
from headway.core.preemption.search import evict
from headway.core.state import Member
from headway.core.world import World
from headway.domain.override import Override


def stop_running(world: World, override: Override, now: int) -> None:
    """Ask what the override concerns and runs to checkpoint and end; what may not run twice goes on."""
    for entry in world.tasks.values():
        if entry.member is not None and entry.member.started >= 0 and concerns(override, entry.task.id):
            _stop(world, entry.member, override, now)


def stop_late(world: World, member: Member, now: int) -> None:
    """Of an attempt that started after all, as its call-back came too late: the same."""
    for override in world.overrides.active.values():
        if override.stop and concerns(override, member.entry.task.id):
            _stop(world, member, override, now)


def _stop(world: World, member: Member, override: Override, now: int) -> None:
    entry, lease = member.entry, member.lease
    if entry.task.at_most_once or entry.withdrawn:
        return
    said = (("paused", override.target), ("who", override.by), ("reason", override.reason))
    reason = Reason("preempted", said)
    if entry.task.gang is not None:
        gangs.break_up(world, entry, reason, now)
        return
    lease.leaving = True  # whatever becomes of a claim to the place
    evict(world, lease, reason, now)
