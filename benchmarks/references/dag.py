"""Task graphs on machines of different speed, with transfer, against the makespans of published heuristics.

Files: `exact/dag*.json`. List mode must be no worse in the mean than HEFT, search no worse than the best
heuristic on each graph. Times are made integers exactly (fractions, by their least common denominator), so
ties are ties.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from fractions import Fraction
from math import lcm
from statistics import fmean
from typing import Any

from benchmarks.references import Absent, Case, Figure, Outcome
from headway.core.joint.port import Budget
from headway.core.joint.problem import Edge, Job, Objective, Place, Problem
from headway.core.joint.search import Lists, Search

SEARCH = Budget(steps=20_000)
#: The file prints makespans to four decimals.
DIGITS = 4


def run(case: Case) -> Outcome | Absent:
    """List and search every graph."""
    found = [
        one for file in case.files("exact/dag*.json") for one in json.loads(file.read_text())["instances"]
    ]
    if not found:
        return Absent("no exact/dag*.json")
    graphs = case.sample(found)
    against_heft, against_best = [], []
    for graph in graphs:
        problem, unit = problem_of(graph)
        listed = round(float(Lists().solve(problem, SEARCH).cost * unit), DIGITS)
        searched = round(float(Search().solve(problem, SEARCH).cost * unit), DIGITS)
        against_heft.append(listed / _published(graph, "Heft"))
        against_best.append(searched / _published(graph))
    worst = max(range(len(graphs)), key=lambda index: against_best[index])
    met = sum(ratio <= 1 for ratio in against_best)
    return Outcome(
        cases=len(graphs),
        met=met,
        worst=f"{graphs[worst]['id']}: search at {against_best[worst]:.5f} of the best published makespan",
        detail={
            "search_over_best": {
                graph["id"]: round(ratio, 5) for graph, ratio in zip(graphs, against_best, strict=True)
            },
            "list_over_heft": {
                graph["id"]: round(ratio, 5) for graph, ratio in zip(graphs, against_heft, strict=True)
            },
        },
        figures=(
            Figure(
                "dag_list_over_heft", fmean(against_heft), "x", "<= 1", "HEFT's makespan, mean over graphs"
            ),
            Figure(
                "dag_search_no_worse", float(met), "cases", f">= {len(graphs)}", "the best heuristic on each"
            ),
        ),
    )


def _published(graph: dict[str, Any], heuristic: str | None = None) -> float:
    """A heuristic's makespan, or the best of all."""
    makespans: dict[str, float] = graph["makespan"]
    named = {name.lower(): value for name, value in makespans.items()}
    return named[heuristic.lower()] if heuristic else min(named.values())


def problem_of(graph: dict[str, Any]) -> tuple[Problem, Fraction]:
    """One graph of the file, and how many of its time units one of ours is."""
    speeds = {name: _exact(speed) for name, speed in graph["nodes"]}
    rates = {(a, b): 1 / _exact(rate) for a, b, rate in graph["links"] if a != b}
    rates |= {(b, a): rate for (a, b), rate in rates.items()}
    costs = {task: _exact(cost) for task, cost in graph["tasks"]}
    sizes = [(before, after, _exact(size)) for before, after, size in graph["dependencies"]]
    fine = _denominator(
        [cost / speed for cost in costs.values() for speed in speeds.values()] + [s for *_, s in sizes]
    )
    coarse = _denominator(rates.values())
    whole = fine * coarse
    number = {task: index for index, task in enumerate(costs)}
    lag = tuple(tuple(int(rates[a, b] * coarse) if a != b else 0 for b in speeds) for a in speeds)
    problem = Problem(
        resources=("slot",),
        places=tuple(Place(name, (1,)) for name in speeds),
        jobs=tuple(
            Job(task, tuple(int(cost / speed * whole) for speed in speeds.values()), (1,))
            for task, cost in costs.items()
        ),
        edges=tuple(Edge(number[before], number[after], int(size * fine)) for before, after, size in sizes),
        lag=lag,
        objective=Objective.MAKESPAN,
    )
    return problem, Fraction(1, whole)


def _exact(number: float) -> Fraction:
    """The decimal as it was written."""
    return Fraction(str(number))


def _denominator(numbers: Iterable[Fraction]) -> int:
    return lcm(*(number.denominator for number in numbers))
