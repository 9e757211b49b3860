"""What a task's gang does to it: who is missing, who stands in line for all, how many of them would find room now."""

from __future__ import annotations

from typing import Any

from headway.core.admission import gangs
from headway.core.placement.space import Imagined
from headway.core.placement.together import most
from headway.core.state import Entry, State
from headway.core.world import World

#: How many of the missing members are listed one by one.
LISTED = 5


def gang_facts(world: World, entry: Entry) -> dict[str, Any]:
    """Facts of an `Explanation`, for a member that holds nothing."""
    band = world.gangs.of(entry)
    if band is None:
        return {}
    facts: dict[str, Any] = {"id": band.id, "size": band.size, "ready": len(band.ready)}
    done = max(band.said, len(band.done))
    if done:
        facts["finished"] = done
    if band.leader is None:
        here = [e for index, e in sorted(band.members.items()) if index not in band.ready]
        facts["missing"] = max(band.missing, 0)
        facts["waits_for"] = [{"task": e.task.id, "state": str(e.state)} for e in here[:LISTED]]
        return {"gang": facts}
    facts["leader"] = band.leader.task.id
    if band.leader.state is State.QUEUED:
        facts["within"] = list(band.within)
        facts["room_for"] = room_for(world, band.leader)
    return {"gang": facts}


def room_for(world: World, leader: Entry) -> int:
    """How many members would find room one by one, wherever that is."""
    wide = leader.shape.ask.wide
    assert wide is not None
    return sum(
        min(count, sum(most(Imagined(space), part) for space in world.nodes.all if space.fits(part)))
        for part, count in gangs.parts_of(world, wide)
    )


def gang_lines(gang: dict[str, Any]) -> list[str]:
    """The facts for a reader."""
    whole = f"gang {gang['id']} of {gang['size']}"
    done = f", {gang['finished']} finished" if "finished" in gang else ""
    if "leader" not in gang:
        lines = [
            f"member of {whole}, which starts together: {gang['ready']} ready, {gang['missing']} missing{done}"
        ]
        return lines + [
            f"its gang waits for {other['task']}, which is {other['state']}" for other in gang["waits_for"]
        ]
    lines = [f"member of {whole}, which starts together{done}; {gang['leader']} stands in line for all"]
    if "room_for" in gang:
        where = f", all within one {' or one '.join(gang['within'])}" if gang["within"] else ""
        lines.append(f"of the {gang['ready']} members {gang['room_for']} would find room now{where}")
    return lines
