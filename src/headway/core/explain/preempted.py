"""Who took a task's place, what that cost, and whose place could have been taken instead."""

from __future__ import annotations

from typing import Any

from headway.core.state import Entry
from headway.domain.units import show_time


def preempted(entry: Entry, now: int) -> dict[str, Any]:
    """The facts that the last decision to preempt the task was made by; empty if there was none."""
    if entry.ousted is None:
        return {}
    at, node, reason = entry.ousted
    return {"preempted": {"times": entry.preemptions, "ago": now - at, "node": node, **dict(reason.facts)}}


def preempted_lines(said: dict[str, Any]) -> list[str]:
    """For a reader."""
    if "by" not in said and "late" in said:
        ago = show_time(said["ago"])
        return [f"it was asked to end on {said['node']} {ago} ago: it started when it was to go already"]
    if "window" in said:
        why = f": {said['reason']}" if said["reason"] else ""
        return [
            f"it was asked to end on {said['node']} {show_time(said['ago'])} ago, for window {said['window']}{why}"
        ]
    if "paused" in said:
        why = f": {said['reason']}" if said["reason"] else ""
        ago = show_time(said["ago"])
        return [
            f"it was asked to end on {said['node']} {ago} ago, as {said['who']} paused {said['paused']}{why}"
        ]
    if "outcome" in said:
        ago = show_time(said["ago"])
        return [
            f"it had to end on {said['node']} {ago} ago, as {said['by']} of its gang ended: {said['outcome']}"
        ]
    first = f"{said['by']} took its place on {said['node']} {show_time(said['ago'])} ago"
    if said["times"] > 1:
        first += f" (preempted {said['times']} times)"
    if "needs" in said:
        first += f": that has {show_time(said['needs'])} left, this had {show_time(said['left'])}"
    if "tenant" in said:
        first += f": it held what is {said['tenant']}'s by its quota"
    if "queue" in said:
        first += f": that stands in queue {said['queue']} of attained service"
    if said.get("late"):
        return [f"{first}; it started while its place was being cleared"]
    lines = [first]
    parts = [f"{show_time(said['lost'])} since its last checkpoint"]
    if said["restart"]:
        parts.append(f"a restart of {show_time(said['restart'])}")
    if said["path"]:
        parts.append(f"with {show_time(said['path'])} of work waiting behind it")
    lines.append(f"it costs at most {', '.join(parts)}")
    chosen = "1 victim" if said["victims"] == 1 else f"{said['victims']} victims"
    for other in said["others"]:
        names = ", ".join(other["victims"])
        lines.append(
            f"on {other['node']} it would have been {names}, at {show_time(other['cost'])} "
            f"({chosen} at {show_time(said['cost'])} here)"
        )
    if not said["others"] and "tenant" not in said:
        lines.append("nobody's place on another node could have been taken for it")
    return lines
