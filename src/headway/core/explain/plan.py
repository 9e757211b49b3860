"""What the plan in force says of a task: its rank, planned start and node, why not earlier, and what the plan is worth."""

from __future__ import annotations

from typing import Any

from headway.core.admission.planned import delayed, keeps_of
from headway.core.placement.space import Space
from headway.core.state import Entry
from headway.core.world import World
from headway.domain.units import SECOND, show_time

#: What a cost is counted in, by objective: (divisor, unit).
_UNITS = {
    "weighted_completion": (1000 * SECOND, "weighted s"),
    "makespan": (SECOND, "s"),
    "utilisation": (1_000_000 * SECOND, "idle shares * s"),
}


def planned(world: World, entry: Entry, now: int) -> dict[str, Any] | None:
    """The plan's word on a task that it ranks; None without a plan, or for a task that it leaves out."""
    plan = world.plan
    found = plan.rows.get(entry.task.id) if plan is not None else None
    if plan is None or found is None:
        return None
    rank, row = found
    record = plan.record
    return {
        **summary(world, now),
        "rank": rank + 1,
        "of": len(record.rows),
        "node": row.node,
        "starts_in": row.start - now,
        "because": {"code": row.reason.code, **dict(row.reason.facts)},
    }


def summary(world: World, now: int) -> dict[str, Any]:
    """What the plan in force is worth, as plain JSON."""
    assert world.plan is not None
    record = world.plan.record
    return {
        "id": record.id,
        "made_ago": now - record.made,
        "ends_in": max(record.until - now, 0),
        "objective": record.objective,
        "cost": record.cost,
        "bound": record.bound,
        "gap": record.gap,
        "solver": record.solver,
        "steps": record.steps,
        "detail": record.detail,
        "floor": None
        if record.floor is None
        else dict(zip(("asked", "reached", "limit"), record.floor, strict=True)),
        "left_out": record.left_out,
        "changes": [change._asdict() for change in record.changes],
    }


def view(world: World, now: int) -> dict[str, Any] | None:
    """The plan in force with what is left of it, for a listing; None without one."""
    if world.plan is None:
        return None
    found = summary(world, now)
    rows = [
        {
            "rank": rank + 1,
            "task": task,
            "state": str(world.tasks[task].state),
            "node": row.node,
            "start": row.start,
        }
        for task, (rank, row) in world.plan.rows.items()
    ]
    return {**found, "text": worth(found), "rows": rows}


def kept_for(world: World, entry: Entry, spaces: list[Space], now: int) -> dict[int, str]:
    """Nodes on which the task has room that the plan keeps: number of the node -> for whom. From the very function that
    placing asks."""
    plan = world.plan
    if plan is None or not plan.kept_on:
        return {}
    keeps = keeps_of(world, plan)
    found = {
        space.index: delayed(world, keeps, entry, space, now) for space in spaces if space.fits(entry.shape)
    }
    return {index: task for index, task in found.items() if task}


def plan_lines(plan: dict[str, Any]) -> list[str]:
    """For a reader."""
    when = (
        f"in {show_time(plan['starts_in'])}"
        if plan["starts_in"] > 0
        else f"{show_time(-plan['starts_in'])} ago"
    )
    first = f"number {plan['rank']} of {plan['of']} in plan {plan['id']}: planned on {plan['node']} {when}"
    return [f"{first}, {_because(plan['because'])}", worth(plan)]


def placed_text(placed: dict[str, Any]) -> str:
    """Why a planned task was placed, from the reason of its start."""
    late = placed["late"]
    when = (
        f"{show_time(abs(late))} {'later' if late > 0 else 'earlier'} than planned" if late else "as planned"
    )
    there = "" if placed["node"] == placed["planned_node"] else f" (planned for {placed['planned_node']})"
    objective = placed["objective"]
    value = f"{objective} {amount(objective, placed['cost'])}, gap {placed['gap'] / 10_000:.1f} %"
    return f"number {placed['rank']} of {placed['of']} in plan {placed['plan']}{there}, {when}; {value}"


def worth(plan: dict[str, Any]) -> str:
    """The plan's objective, bound and gap in one line, with the verdict on the floor."""
    text = (
        f"plan {plan['id']} ({plan['solver']}, {plan['steps']} steps, made {show_time(plan['made_ago'])} ago): "
        f"{plan['objective']} {amount(plan['objective'], plan['cost'])}, no plan is below "
        f"{amount(plan['objective'], plan['bound'])}, gap {plan['gap'] / 10_000:.1f} %"
    )
    return text + (f"; {floor_text(plan['floor'])}" if plan["floor"] else "")


def amount(objective: str, cost: int) -> str:
    """A cost in the objective's unit."""
    divisor, unit = _UNITS.get(objective, (1, ""))
    return f"{cost / divisor:.3f} {unit}".rstrip()


def floor_text(floor: dict[str, int]) -> str:
    """What became of the utilisation floor."""
    asked, reached, limit = (f"{floor[name] // 100 / 100:.2f} %" for name in ("asked", "reached", "limit"))
    text = f"mean utilisation {reached}, at least {asked} asked"
    if floor["reached"] >= floor["asked"]:
        return text
    if floor["limit"] < floor["asked"]:
        return f"{text}: no plan can, the highest possible is at most {limit}"
    return f"{text}: none found that does, and none exceeds {limit}"


def _because(reason: dict[str, Any]) -> str:
    match reason["code"]:
        case "plan_now":
            return "at once"
        case "plan_release":
            return "as soon as it may start"
        case "plan_opens":
            return f"as soon as {reason['place']} is there"
        case "plan_waits_for":
            return f"when {reason['job']} has finished"
        case "plan_capacity" if reason["holders"]:
            return f"when {reason['holders']} ahead of it in the plan leave {reason['resource']}"
        case "plan_capacity":
            return f"when what runs there leaves {reason['resource']}"
        case _:
            return "where the plan has it"
