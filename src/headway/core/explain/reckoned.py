"""How long a task is reckoned to take, and from how much that is known."""

from __future__ import annotations

from typing import Any

from headway.core.capacity.learning import known
from headway.core.state import Entry
from headway.core.world import World
from headway.domain.task import reads
from headway.domain.units import show_bytes, show_time


def reckoned(world: World, entry: Entry) -> dict[str, Any]:
    """Facts of an `Explanation`: microseconds, where they come from, the number of samples and what nine in ten take at
    most. By the function that the policy's book and the windows ask."""
    found = known(world, entry)
    facts: dict[str, Any] = {"micros": found.micros, "origin": found.origin}
    if found.most is not None:
        facts |= {"samples": found.samples, "most": found.most}
    if found.origin == "size":
        facts["reads"] = reads(entry.task)
    return {"reckoned": facts}


def reckoned_lines(facts: dict[str, Any], queued: bool) -> list[str]:
    """For a reader; nothing where the author said it, and that nothing is known only of a task in line."""
    time = f"reckoned to take {show_time(facts['micros'])}"
    match facts["origin"]:
        case "said":
            return []
        case "nothing":
            return [f"{time}: nothing was said of it, and nothing has finished yet"] if queued else []
        case "all":
            return [f"{time}, the mean of all kinds: none of its kind has finished yet"]
    count = "1 sample" if facts["samples"] == 1 else f"{facts['samples']} samples"
    like = f", by {show_bytes(facts['reads'])} of input" if "reads" in facts else ""
    return [f"{time}{like} (learned from {count}; nine in ten in {show_time(facts['most'])} at most)"]
