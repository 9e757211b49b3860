"""Why a task is where it is: data from the engine's own state and rules, and a text rendered from that data.

What blocks a task on a node is asked of the very function that placing asks, so an explanation cannot
contradict a decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headway.core.decisions import Reason
from headway.core.ordering import shown
from headway.core.overrides import concerns
from headway.core.placement import placements
from headway.core.placement.space import Space
from headway.core.queue import Shape
from headway.core.state import Entry, Member, Past, State
from headway.core.world import World
from headway.domain.units import show_bytes, show_milli, show_time
from headway.errors import NotFound

#: How the last attempt ended, where that is no state of a task.
_ENDS = {
    "worker_died": "has failed: the worker of its last attempt died",
    "timed_out": "has failed: its last attempt ran longer than its timeout",
}
#: How many of the tasks ahead, of the nodes and of the holders are listed one by one.
LISTED = 5


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
        return "\n".join([f"{self.task} {state}", *(f"  {line}" for line in _lines(self.facts))])


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
    overrides = _overrides(world, entry, now)
    if overrides:
        facts["overrides"] = overrides
    if entry.member is not None:
        facts |= _allocated(world, entry.member, now)
    elif entry.state is State.WAITING:
        facts["waits_for"] = [_standing(world, other) for other in entry.waits]
    elif entry.state is State.DELAYED:
        facts["starts_after"] = entry.not_before - now
    elif entry.state is State.CLAIMING:
        claim = world.claims[task]
        facts["claim"] = {"node": claim.space.name, "since": now - claim.made, "victims": len(claim.victims)}
    elif entry.state is State.QUEUED:
        facts |= _queued(world, entry, now)
    return Explanation(task, str(entry.state), facts)


def _overrides(world: World, entry: Entry, now: int) -> list[dict[str, Any]]:
    return [
        {
            "id": o.id,
            "kind": o.kind,
            "by": o.by,
            "reason": o.reason,
            "ends_in": o.expires - now,
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
        "key": _key(world, member.entry),
        "placement": world.policy.placement.name,
        "could_also_run_on": _alternatives(world, lease.shape, lease.space),
    }
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
    return facts


def _alternatives(world: World, shape: Shape, present: Space) -> list[dict[str, Any]]:
    """Other nodes with room for it now, best first."""
    found = sorted(
        (world.nodes.score(shape, s), s.name) for s in world.nodes.all if s is not present and s.fits(shape)
    )
    return [{"node": name, "score": left} for left, name in found[:LISTED]]


def _key(world: World, entry: Entry) -> dict[str, int]:
    return dict(world.policy.parts_of(entry, world))


def _queued(world: World, entry: Entry, now: int) -> dict[str, Any]:
    assert entry.item is not None
    before = world.queue.ahead(entry)
    spaces = [space for space in world.nodes.all if not space.gone]
    kept = world.reservation
    blocked: dict[str, int] = {}
    nodes = []
    for space in spaces:
        label, asked, free = space.blocker(entry.shape) or ("fits", 0, 0)
        if label == "fits" and kept is not None and kept.space is space:
            label = "reserved"
        lacks = space.node.lacks(entry.task.demand)
        could = lacks is None
        if lacks is not None:
            label, asked, free = f"{lacks[0]} (too small)", lacks[1], lacks[2]
        blocked[label] = blocked.get(label, 0) + 1
        nodes.append((not could, asked - free, space.index, space, label, asked, free))
    nodes.sort(key=lambda row: row[:3])
    close = [
        {"node": row[3].name, "blocked_by": row[4], "asked": row[5], "free": row[6]} for row in nodes[:LISTED]
    ]
    facts: dict[str, Any] = {
        "policy": world.policy.text,
        "discipline": world.policy.discipline,
        "key": _key(world, entry),
        "place": len(before) + 1,
        "queued": world.queue.size,
        "ahead": [{"task": item[2].task.id, "key": _key(world, item[2])} for item in before[:LISTED]],
        "nodes": len(spaces),
        "blocked": blocked,
        "closest": close,
        "held_by": _holders(nodes[0][3], now) if nodes and not nodes[0][0] else [],
    }
    if kept is not None:
        facts["reservation"] = {"task": kept.task, "node": kept.space.name, "in": max(kept.at - now, 0)}
    if world.policy.strict and (before or world.head) and world.head != entry.task.id:
        facts["head_of_line"] = world.head or before[0][2].task.id
    return facts


def _holders(space: Space, now: int) -> list[dict[str, Any]]:
    """Who holds the node that is closest to having room, soonest to end first."""
    holders = []
    for lease in space.leases.values():
        running = lease.members[0]
        ran = now - running.started if running.started >= 0 else 0
        left = max(lease.outstanding - ran, 0)
        holders.append((left, lease.id, running.entry.task.id, str(lease.shape.demand)))
    claims = [
        {"task": claim.entry.task.id, "holds": f"a claim on {claim.entry.shape.demand}", "expected_left": 0}
        for claim in space.claims
    ]
    holders.sort()
    listed = [
        {"task": task, "holds": demand, "expected_left": left} for left, _, task, demand in holders[:LISTED]
    ]
    return [*claims[:LISTED], *listed]


def node_view(space: Space) -> dict[str, Any]:
    """A node for a listing, as plain JSON."""
    node = space.node
    return {
        "node": space.name,
        "cpu": node.cpu,
        "cpu_free": space.cpu,
        "memory": node.memory,
        "memory_free": space.memory,
        "gpus": node.gpus,
        "gpus_free": space.devices[: node.gpus],
        "other": dict(node.other),
        "other_free": {name: space.other[name] for name, _ in node.other},
        "labels": dict(node.labels),
        "cordoned": space.cordoned,
        "incarnation": space.incarnation,
        "leases": len(space.leases),
        "tasks": sum(len(lease.members) for lease in space.leases.values()),
        "claims": [claim.entry.task.id for claim in space.claims],
    }


# ── text ────────────────────────────────────────────────────────────────────────────────────────────────────


def _amount(resource: str, amount: int) -> str:
    return show_bytes(amount) if resource == "memory" else show_milli(amount)


def _named(key: dict[str, int], now: int) -> str:
    return ", ".join(shown(name, value, now) for name, value in key.items())


def _lines(facts: dict[str, Any]) -> list[str]:
    lines = [f"asks for {facts['demand']}"] if "demand" in facts else []
    for o in facts.get("overrides", ()):
        node = f" to {o['node']}" if o["node"] else ""
        ends = show_time(o["ends_in"])
        lines.append(f"override {o['id']}: {o['kind']}{node} by {o['by']}, ends in {ends}: {o['reason']}")
    lines += [f"waits for {o['task']}, which is {o['state']}" for o in facts.get("waits_for", ())]
    if "starts_after" in facts:
        lines.append(f"backs off for another {show_time(facts['starts_after'])}")
    if "claim" in facts:
        claim = facts["claim"]
        since = show_time(claim["since"])
        lines.append(f"room is being made on {claim['node']}: {claim['victims']} preempted {since} ago")
    if "blocked" in facts:
        lines += _queued_lines(facts)
    if "node" in facts:
        lines += _placed_lines(facts)
    return lines


def _queued_lines(facts: dict[str, Any]) -> list[str]:
    rule = f"{facts['policy']} ({facts['discipline']})"
    lines = [f"place {facts['place']} of {facts['queued']} by {rule}: {_named(facts['key'], facts['now'])}"]
    lines += [f"behind {other['task']}: {_named(other['key'], facts['now'])}" for other in facts["ahead"]]
    if facts["place"] - 1 > len(facts["ahead"]):
        lines.append(f"and {facts['place'] - 1 - len(facts['ahead'])} more")
    if "head_of_line" in facts:
        lines.append(f"nothing overtakes the head of the line, {facts['head_of_line']}")
    if "reservation" in facts:
        kept = facts["reservation"]
        soon = f"in {show_time(kept['in'])}" if kept["in"] else "as soon as what is there has ended"
        lines.append(f"{kept['node']} is reserved for {kept['task']}, expected to have room {soon}")
    counts = ", ".join(
        f"{count} by {label}" if label != "fits" else f"{count} have room"
        for label, count in facts["blocked"].items()
    )
    lines.append(f"of {facts['nodes']} nodes: {counts}" if facts["nodes"] else "there is no node")
    for node in facts["closest"]:
        if node["asked"]:
            name, _, small = node["blocked_by"].partition(" ")
            free, asked = _amount(name, node["free"]), _amount(name, node["asked"])
            lines.append(f"{node['node']}: {name} asked {asked}, {'has only' if small else 'free'} {free}")
        else:
            lines.append(
                f"{node['node']}: {'has room' if node['blocked_by'] == 'fits' else node['blocked_by']}"
            )
    for holder in facts["held_by"]:
        left = f", about {show_time(holder['expected_left'])} left" if holder["expected_left"] else ""
        lines.append(f"{holder['task']} holds {holder['holds']}{left}")
    return lines


def _placed_lines(facts: dict[str, Any]) -> list[str]:
    placed = facts["placed"]
    devices = f" (gpu {', '.join(map(str, facts['devices']))})" if facts.get("devices") else ""
    lines = [f"attempt {facts['attempt']} on {facts['node']}{devices}: {_because(placed)}"]
    if "took" in facts:
        lines.append(
            f"took {show_time(facts['took'])}, ended {show_time(facts['granted_ago'])} after it was placed"
        )
    if "running_for" in facts:
        lines.append(
            f"runs for {show_time(facts['running_for'])}, {show_time(facts['expected'])} were expected"
        )
    if "behind" in facts:
        lines.append(
            f"{facts['behind_count']} before it on lease {facts['lease']}: {', '.join(facts['behind'])}"
        )
    if "withdrawn" in facts:
        lines.append("asked to end, and has not ended yet")
    if "recalled" in facts:
        lines.append("called back, not acknowledged yet")
    if "evicted" in facts:
        lines.append("its place is being cleared for a better class")
    others = facts.get("could_also_run_on", ())
    return lines + [
        f"{other['node']} has room too, {_left(facts['placement'], other['score'])}" for other in others
    ]


def _left(placement: str, score: int) -> str:
    return placements()[placement].show(score)


def _because(placed: dict[str, Any]) -> str:
    code = placed["code"]
    if code in placements():
        best = "the best fit" if code == "best_fit" else f"the first by {code}"
        text = f"{best}, {_left(code, placed['score'])}"
        if "alternative" in placed:
            text += f" (next best: {placed['alternative']}, {_left(code, placed['alternative_score'])})"
        elif "freed_nodes" in placed:
            text += f" (of {placed['freed_nodes']} just freed, nothing else had room)"
        return text
    if placed["code"] == "backfill":
        ahead = f" without delaying {placed['for']}" if "for" in placed else ""
        return f"backfilled{ahead}, {_left(placed['placement'], placed['score'])}"
    if placed["code"] == "preempts":
        return f"room was made for it by preempting {len(placed['victims'])} in {show_time(placed['waited'])}"
    if placed["code"] == "successor":
        return f"follows {placed['behind']} on its lease, {show_time(placed['expected'])} expected"
    return f"on the train behind {placed['behind']}, {show_time(placed['expected'])} expected"
