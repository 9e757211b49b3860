"""One plan for tasks and pool changes together: which nodes to add, which to close, and what each is worth.

A node that might be added is a place that opens when it would be ready, at its price; one that might be closed is a place
with a price on keeping it. The solver weighs both with the tasks. What a change is worth is found by asking again without
it, all else as it was.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from headway.core.joint.horizon import Aim, Offer, look, record
from headway.core.joint.port import Solver
from headway.core.joint.problem import Problem
from headway.core.joint.record import Change, PlanRecord
from headway.core.world import World
from headway.errors import Invalid


class Weighed(NamedTuple):
    """What came of weighing tasks and nodes together.

    Attributes:
        plan: With the changes in it; its cost has the prices of the nodes it uses.
        unchanged: The cost of the best plan found that adds nothing and pays for everything that is there; None if some task
            fits only on a node to be added.
    """

    plan: PlanRecord
    unchanged: int | None


def weigh(
    world: World, now: int, aim: Aim, offers: Sequence[Offer], solver: Solver, ident: str = "what-if"
) -> Weighed | None:
    """The best plan found of tasks and pool changes; None if nothing waits. Changes nothing by itself.

    Args:
        offers: Nodes that may be added, and those (`present`) that may be closed. What is present and holds something
            stays, unpriced.
    """
    busy = {space.name for space in world.nodes.all if space.leases or space.claims}
    offers = [offer for offer in offers if not (offer.present and offer.node.name in busy)]
    seen = look(world, now, aim, offers)
    if seen is None:
        return None
    problem = seen.problem
    answer = solver.solve(problem, aim.budget)
    numbers = {place.name: index for index, place in enumerate(problem.places)}
    used, changes = set(answer.plan.places), []
    new = {numbers[offer.node.name] for offer in offers if not offer.present and offer.node.name in numbers}
    for offer in offers:
        place = numbers.get(offer.node.name)
        if place is None or (place in used) == offer.present:
            continue
        price = problem.places[place].price
        if offer.present:
            changes.append(Change("close", offer.node.name, price, price))
        else:
            # Nor may another new node of the same kind stand in for it: all else is as it was.
            other = _cost(_without(problem, {place} | (new - used)), aim, solver)
            worth = None if other is None else other - answer.cost
            changes.append(Change("add", offer.node.name, worth, price))
    stays = [replace(place, price=0) for place in problem.places]
    free = _without(replace(problem, places=tuple(stays)), new)
    unchanged = _cost(free, aim, solver)
    if unchanged is not None:
        unchanged += sum(place.price for index, place in enumerate(problem.places) if index not in new)
    return Weighed(record(seen, answer, aim, ident, tuple(changes)), unchanged)


def _without(problem: Problem, places: Collection[int]) -> Problem | None:
    """The same with nothing put at these places; None if a job would have no place at all."""
    jobs = tuple(
        replace(job, durations=tuple(None if i in places else d for i, d in enumerate(job.durations)))
        for job in problem.jobs
    )
    try:
        return replace(problem, jobs=jobs)
    except Invalid:
        return None


def _cost(problem: Problem | None, aim: Aim, solver: Solver) -> int | None:
    return None if problem is None else solver.solve(problem, aim.budget).cost
