"""Why a plan starts a job when it does: the constraint that keeps it from starting a microsecond earlier."""

from __future__ import annotations

from headway.core.decisions import Reason
from headway.core.joint.plan import Plan, completions
from headway.core.joint.problem import Problem


def reason(problem: Problem, plan: Plan, index: int) -> Reason:
    """What binds the start of a job.

    Returns:
        `plan_now` at time 0; `plan_release`; `plan_opens` (the node is not there before); `plan_waits_for` a
        job, with the transfer of its data; `plan_capacity`, with what ran out and who holds it just before;
        or `plan_free` where nothing binds, which no plan of our solvers has.
    """
    job, start, at = problem.jobs[index], plan.starts[index], plan.places[index]
    place = problem.places[at]
    facts: dict[str, int | str] = {"place": place.name, "start": start}
    if not start:
        return _reason("plan_now", facts)
    if start == job.release:
        return _reason("plan_release", facts)
    if start == place.opens:
        return _reason("plan_opens", facts)
    ends = completions(problem, plan)
    for edge in problem.edges:
        transfer = edge.size * problem.lag[plan.places[edge.before]][at] if problem.lag else 0
        if edge.after == index and ends[edge.before] + transfer == start:
            return _reason(
                "plan_waits_for", facts | {"job": problem.jobs[edge.before].name, "transfer": transfer}
            )
    return _capacity(problem, plan, index, ends, facts)


def _capacity(
    problem: Problem, plan: Plan, index: int, ends: tuple[int, ...], facts: dict[str, int | str]
) -> Reason:
    job, before, at = problem.jobs[index], plan.starts[index] - 1, plan.places[index]
    if plan.starts[index] == ends[index]:
        return _reason("plan_free", facts)
    there = [
        other
        for other, (start, end) in enumerate(zip(plan.starts, ends, strict=True))
        if other != index and plan.places[other] == at and start <= before < end
    ]
    held = [held for held in problem.places[at].held if held.start <= before < held.end]
    for resource, name in enumerate(problem.resources):
        taken = sum(problem.jobs[other].demand[resource] for other in there)
        taken += sum(one.demand[resource] for one in held)
        free = max(0, problem.places[at].capacity[resource] - taken)
        if job.demand[resource] > free:
            holders = [problem.jobs[other].name for other in there if problem.jobs[other].demand[resource]]
            short: dict[str, int | str] = {
                "resource": name,
                "asked": job.demand[resource],
                "free": free,
                "holders": ", ".join(holders),
            }
            return _reason("plan_capacity", facts | short)
    return _reason("plan_free", facts)


def _reason(code: str, facts: dict[str, int | str]) -> Reason:
    return Reason(code, tuple(sorted(facts.items())))
