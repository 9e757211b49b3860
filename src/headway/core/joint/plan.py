"""A plan as data, what it is worth, and the check that it keeps every constraint."""

from __future__ import annotations

from dataclasses import dataclass

from headway.core.joint.problem import PPM, Objective, Problem, share


@dataclass(frozen=True, slots=True)
class Plan:
    """When each job starts, in microseconds, and the index of its place; in the order of the problem's jobs."""

    starts: tuple[int, ...]
    places: tuple[int, ...]


def completions(problem: Problem, plan: Plan) -> tuple[int, ...]:
    """When each job completes, in microseconds."""
    return tuple(
        start + (job.durations[place] or 0)
        for start, place, job in zip(plan.starts, plan.places, problem.jobs, strict=True)
    )


def cost(problem: Problem, plan: Plan) -> int:
    """The objective of a plan, with the price of the places it uses; smaller is better."""
    ends = completions(problem, plan)
    price = sum(problem.places[index].price for index in set(plan.places))
    if problem.objective is Objective.MAKESPAN:
        return price + max(ends, default=0)
    if problem.objective is Objective.WEIGHTED_COMPLETION:
        return price + sum(job.weight * end for job, end in zip(problem.jobs, ends, strict=True))
    return price + problem.counted * PPM * problem.horizon - used(problem, plan, problem.horizon)


def used(problem: Problem, plan: Plan, horizon: int) -> int:
    """Share (millionths, summed over resources) times microseconds in use before the horizon, with what is
    held already."""
    ends, totals = completions(problem, plan), problem.totals
    total = sum(
        share(job.demand, totals) * (min(end, horizon) - min(start, horizon))
        for job, start, end in zip(problem.jobs, plan.starts, ends, strict=True)
    )
    for place in problem.places:
        total += sum(
            share(held.demand, totals) * (min(held.end, horizon) - min(held.start, horizon))
            for held in place.held
        )
    return total


def span(problem: Problem, plan: Plan) -> int:
    """Over how long utilisation is measured: the horizon, or until the last job completes."""
    return problem.horizon or max(completions(problem, plan), default=0)


def utilisation(problem: Problem, plan: Plan) -> int:
    """Mean over resources of the mean over time, in millionths, rounded down; of nothing over no time: all of
    it."""
    whole = span(problem, plan) * problem.counted
    return used(problem, plan, span(problem, plan)) // whole if whole else PPM


def shortfall(problem: Problem, plan: Plan) -> int:
    """How much use is missing to the floor, in share times microseconds; 0 when the floor is kept."""
    if not problem.floor:
        return 0
    length = span(problem, plan)
    return max(0, problem.floor * problem.counted * length - used(problem, plan, length))


def faults(problem: Problem, plan: Plan) -> list[str]:
    """Every constraint the plan breaks, in words; empty for a sound plan. Written apart from what builds
    plans, on purpose."""
    found = []
    ends = completions(problem, plan)
    for job, start, place in zip(problem.jobs, plan.starts, plan.places, strict=True):
        where = problem.places[place]
        if job.durations[place] is None:
            found.append(f"{job.name} may not run at {where.name}")
        if start < max(job.release, where.opens):
            found.append(
                f"{job.name} starts at {start}, before its release {job.release} or before {where.name} opens"
            )
    for edge in problem.edges:
        lag = problem.lag[plan.places[edge.before]][plan.places[edge.after]] if problem.lag else 0
        if plan.starts[edge.after] < ends[edge.before] + edge.size * lag:
            found.append(
                f"{problem.jobs[edge.after].name} starts before it has all of {problem.jobs[edge.before].name}"
            )
    return found + _overloads(problem, plan, ends)


def _overloads(problem: Problem, plan: Plan, ends: tuple[int, ...]) -> list[str]:
    found = []
    for index, place in enumerate(problem.places):
        taken = [(held.start, held.end, held.demand) for held in place.held]
        for job, start, end, at in zip(problem.jobs, plan.starts, ends, plan.places, strict=True):
            if at == index and end > start:
                taken.append((start, end, job.demand))
        for moment in sorted({start for start, _, _ in taken}):
            for resource, name in enumerate(problem.resources):
                amount = sum(demand[resource] for start, end, demand in taken if start <= moment < end)
                planned = any(start <= moment < end for start, end, _ in taken[len(place.held) :])
                if planned and amount > place.capacity[resource]:
                    found.append(
                        f"{place.name} holds {amount} {name} at {moment}, of {place.capacity[resource]}"
                    )
    return found
