"""What a task asks of others, and where these are, in an explanation."""

from __future__ import annotations

from typing import Any

from headway.core.state import Entry
from headway.core.world import World

#: How many places are listed one by one.
LISTED = 5


def beside_facts(world: World, entry: Entry) -> dict[str, Any]:
    """Its group and rules, each with how many of the group are in which place, most first."""
    bond, company = entry.shape.bond, world.company
    assert bond is not None
    rules = []
    for rule, group in bond.rules:
        counts = company.counted(group, rule.level)
        most = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        row: dict[str, Any] = {"rule": rule.told, "there": dict(most[:LISTED]), "places": len(most)}
        if rule.kind == "spread":
            row["least"] = company.least(entry.shape, group, rule.level)
        rules.append(row)
    beside = entry.task.beside
    return {"group": beside.group if beside is not None else "", "rules": rules}


def beside_lines(facts: dict[str, Any]) -> list[str]:
    """`must be near cache within rack: 2 on r1`."""
    found = []
    for row in facts["rules"]:
        there = ", ".join(f"{count} on {place}" for place, count in row["there"].items())
        more = f" and {row['places'] - len(row['there'])} more" if row["places"] > len(row["there"]) else ""
        least = f", the fewest anywhere {row['least']}" if "least" in row else ""
        kind = "must be " if not row["rule"].startswith("spread") else "must be spread over "
        found.append(f"{kind}{row['rule'].removeprefix('spread ')}: {there or 'none runs'}{more}{least}")
    return found
