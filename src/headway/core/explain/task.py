"""Why one task is where it is, by the state it is in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headway.core.decisions import Reason
from headway.core.explain.beside import beside_facts
from headway.core.explain.gangs import gang_facts
from headway.core.explain.plan import planned
from headway.core.explain.preempted import preempted
from headway.core.explain.reckoned import reckoned
from headway.core.explain.text import lines
from headway.core.explain.waiting import LISTED, key_of, queued
from headway.core.overrides import concerns
from headway.core.placement.space import Space
from headway.core.state import Entry, Member, Past, State
from headway.core.world import World
from headway.errors import NotFound

#: How the last attempt ended, where that is no state of a task.
_ENDS = {
    "worker_died": "has failed: the worker of its last attempt died",
    "timed_out": "has failed: its last attempt ran longer than its timeout",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer to `why`.

    Attributes:
        task: Its id. `state`: where it stands, or how it ended.
        facts: Everything else, as plain JSON; which keys there are depends on the state.
    """

    task: str
    state: str
    facts: dict[str, Any]

    def text(self) -> str:
        """For a reader."""
        state = _ENDS.get(self.state, f"is {self.state}")
        return "\n".join([f"{self.task} {state}", *(f"  {line}" for line in lines(self.facts))])


def why(world: World, task: str, now: int) -> Explanation:
    """The explanation of a task's present state, or of its last end.

    Raises:
        NotFound: The engine does not know the task, or has forgotten it.
    """
    entry = world.tasks.get(task)
    if entry is None:
        past = world.past.get(task)
        if past is None:
            raise NotFound(
                f"the scheduler has no task {task}", hint="see `headway tasks` for those there are", task=task
            )
        return Explanation(task, past.outcome, _ended(past))
    facts: dict[str, Any] = {"now": now, "demand": str(entry.task.demand), "attempt": entry.attempt}
    if entry.task.deadline is not None:
        facts["due_in"] = entry.task.deadline - now
    facts |= reckoned(world, entry)
    if entry.task.where:
        facts["where"] = list(entry.task.where)
    if entry.task.beside is not None:
        facts["beside"] = beside_facts(world, entry)
    if entry.task.variants:
        facts["variants"] = [str(variant.demand) for variant in entry.task.variants]
        facts["variant"] = entry.variant if entry.variant >= 0 else None
    if entry.item is not None and entry.variant >= 0:
        facts["prefers"] = {"expected": list(entry.weighed), "for_another": max(entry.until - now, 0)}
    overrides = _overrides(world, entry, now)
    if overrides:
        facts["overrides"] = overrides
    if (plan := planned(world, entry, now)) is not None:
        facts["plan"] = plan
    facts |= preempted(entry, now)
    if entry.member is not None:
        facts |= _allocated(world, entry.member, now)
    elif entry.state is State.WAITING:
        facts["waits_for"] = [_standing(world, other) for other in entry.waits]
    elif entry.state is State.DELAYED:
        facts["starts_after"] = entry.not_before - now
    elif entry.state is State.CLAIMING:
        claim = world.claims[task]
        facts["claim"] = {"node": claim.space.name, "since": now - claim.made, "victims": len(claim.victims)}
        facts["claim"]["still_there"] = [
            world.leases[ident].members[0].entry.task.id for ident in claim.victims if ident in world.leases
        ]
    elif entry.state is State.QUEUED:
        facts |= queued(world, entry, now)
    if entry.task.gang is not None and entry.member is None:
        facts |= gang_facts(world, entry)
        band = world.gangs.of(entry)
        if band is not None and band.leader is not None and band.leader.item is not None:
            facts |= queued(world, band.leader, now)
    return Explanation(task, str(entry.state), facts)


def _overrides(world: World, entry: Entry, now: int) -> list[dict[str, Any]]:
    return [
        {
            "id": o.id,
            "kind": o.kind,
            "by": o.by,
            "reason": o.reason,
            "ends_in": o.expires - now if o.kind != "pause" else None,
            "node": o.node,
        }
        for o in world.overrides.active.values()
        if concerns(o, entry.task.id)
    ]


def _standing(world: World, task: str) -> dict[str, Any]:
    entry = world.tasks.get(task)
    if entry is not None:
        return {"task": task, "state": str(entry.state)}
    past = world.past.get(task)
    return {"task": task, "state": past.outcome if past is not None else "not offered yet"}


def _ended(past: Past) -> dict[str, Any]:
    return {
        "attempt": past.attempt,
        "node": past.node,
        "took": past.took,
        "granted_ago": past.ended - past.granted,
        "placed": _reason(past.reason),
    }


def _reason(reason: Reason) -> dict[str, Any]:
    return {"code": reason.code, **dict(reason.facts)}


def _allocated(world: World, member: Member, now: int) -> dict[str, Any]:
    lease = member.lease
    ahead = [m.entry.task.id for m in lease.members if m.position < member.position]
    facts: dict[str, Any] = {
        "node": lease.space.name,
        "devices": list(lease.devices),
        "lease": lease.id,
        "position": member.position,
        "placed": _reason(member.reason),
        "granted_ago": now - member.granted,
        "key": key_of(world, member.entry),
        "placement": world.policy.placement.name,
        "could_also_run_on": _alternatives(world, member.entry, lease.space),
    }
    paces = world.nodes.paces
    if paces.learned is not None:
        kind, place = member.entry.task.kind, lease.space.index
        if (samples := paces.samples(kind, place)) is not None:
            facts["speed"] = {"milli": paces.speed(kind, place), "samples": samples}
    if member.started >= 0:
        facts["running_for"] = now - member.started
        facts["expected"] = member.expected
    if ahead:
        facts["behind"] = ahead[:LISTED]
        facts["behind_count"] = len(ahead)
    if member.entry.withdrawn:
        facts["withdrawn"] = True
    if member.recalled:
        facts["recalled"] = True
    if lease.evicting:
        facts["evicted"] = True
        claim = next((one for one in world.claims.values() if lease.id in one.victims), None)
        if claim is not None and claim.reclaims:
            facts["reclaimed_by"] = claim.entry.task.tenant
    return facts


def _alternatives(world: World, entry: Entry, present: Space) -> list[dict[str, Any]]:
    """Other nodes with room for it now, best first."""
    spaces = [space for space in world.nodes.all if space is not present and space.fits(entry.shape)]
    found = sorted(
        zip(world.nodes.scores(entry.shape, spaces, entry), (space.name for space in spaces), strict=True)
    )
    return [{"node": name, "score": left} for left, name in found[:LISTED]]
