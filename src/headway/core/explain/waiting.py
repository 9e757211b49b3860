"""What keeps a queued task waiting: its place in line, what blocks it on each node, who holds the closest one."""

from __future__ import annotations

from typing import Any

from headway.core.admission import limits, windows
from headway.core.explain.plan import kept_for
from headway.core.placement.space import Space
from headway.core.queue import Shape
from headway.core.state import Entry
from headway.core.world import World

#: How many of the tasks ahead, of the nodes and of the holders are listed one by one.
LISTED = 5


def key_of(world: World, entry: Entry) -> dict[str, int]:
    """Where the task stands by each component of the policy."""
    return dict(world.policy.parts_of(entry, world))


def queued(world: World, entry: Entry, now: int) -> dict[str, Any]:
    """Everything that keeps it waiting, as facts of an `Explanation`."""
    assert entry.item is not None
    before = world.queue.ahead(entry)
    spaces = [space for space in world.nodes.all if not space.gone]
    kept = world.reservation
    planned = kept_for(world, entry, spaces, now)
    band = world.gangs.of(entry) if entry.shape.wide else None
    asked_for = entry.shape if band is None or band.own is None else band.own
    gate = _gate(world, entry, now) if entry.shape.gated else None
    blocked: dict[str, int] = {}
    nodes = []
    for space in spaces:
        shape = _form(space, asked_for)
        label, asked, free = space.blocker(shape) or ("fits", 0, 0)
        window = windows.blocking(world, entry, space, now) if space.closing and label == "fits" else None
        if window is not None:
            label = f"{window.kind} {window.id}"
        elif label == "fits" and kept is not None and kept.holds(space):
            label = "reserved"
        elif label == "fits" and entry.shape.wide:
            label = "room for one, not for the gang"
        if label == "fits" and space.index in planned:
            label = f"the plan, which keeps it for {planned[space.index]}"
        if label == "fits" and gate is not None:
            label = "limit"
        lacks = space.node.lacks(shape.demand)
        could = lacks is None and space.admits(shape)
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
        "key": key_of(world, entry),
        "place": len(before) + 1,
        "queued": world.queue.size,
        "ahead": [{"task": item[2].task.id, "key": key_of(world, item[2])} for item in before[:LISTED]],
        "nodes": len(spaces),
        "blocked": blocked,
        "closest": close,
        "held_by": _holders(nodes[0][3], now) if nodes and not nodes[0][0] else [],
    }
    if world.windows.active:
        facts["windows"] = [
            {
                "id": window.id,
                "kind": window.kind,
                "nodes": len(window.nodes),
                "in": max(window.start - now, 0),
                "ends_in": window.end - now,
                "expected": windows.length(world, entry, window),
                "owned": window.owns(entry.task.tenant, entry.task.run),
                "reason": window.reason,
            }
            for window in world.windows.active.values()
        ][:LISTED]
    if gate is not None:
        facts["limit"] = gate
    if kept is not None:
        facts["reservation"] = {"task": kept.task, "node": kept.space.name, "in": max(kept.at - now, 0)}
    if world.policy.strict and (before or world.head) and world.head != entry.task.id:
        facts["head_of_line"] = world.head or before[0][2].task.id
    return facts


def _form(space: Space, shape: Shape) -> Shape:
    """Of a task that has not settled on a variant: the first that the node could hold."""
    return next((f for f in shape.forms if space.admits(f) and not space.node.lacks(f.demand)), None) or (
        shape.forms[0] if shape.forms else shape
    )


def _gate(world: World, entry: Entry, now: int) -> dict[str, Any] | None:
    """Which quota or rate keeps a task from starting, wherever it fits: asked of what placing asks."""
    gates, shape = world.gates, entry.shape
    found = gates.refusal(world.queue, shape, now, world.policy.strict) or shape.shut
    return None if found is None else {"kind": found.kind, **limits.told(gates, shape, found, now)}


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
