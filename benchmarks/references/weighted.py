"""Sum of weighted completion times with release dates: one machine, parallel machines, rigid demands on
several resources.

Files: `exact/weighted*.json`. CP-SAT must reach every proven optimum, our search must come within 1 % of
every value, proven or best known.
"""

from __future__ import annotations

import json
from statistics import fmean
from typing import Any

from benchmarks.references import Absent, Case, Figure, Outcome
from benchmarks.references.rcpsp import cpsat_or_not
from headway.core.joint.port import Budget
from headway.core.joint.problem import Job, Objective, Place, Problem
from headway.core.joint.search import Lists, Search

SEARCH = Budget(steps=20_000)
CPSAT = Budget(steps=8_000)


def run(case: Case) -> Outcome | Absent:
    """Solve every instance three ways."""
    found = [
        one
        for file in case.files("exact/weighted*.json")
        for one in json.loads(file.read_text())["instances"]
    ]
    if not found:
        return Absent("no exact/weighted*.json")
    instances = case.sample(found)
    cpsat, why_not = cpsat_or_not()
    lists, search, reached, proven, met = [], [], 0, 0, 0
    for instance in instances:
        problem, best = problem_of(instance), instance["opt"]["value"]
        lists.append(Lists().solve(problem, SEARCH).cost / best - 1)
        search.append(Search().solve(problem, SEARCH).cost / best - 1)
        optimal = True
        if instance["opt"]["status"] == "OPTIMAL":
            proven += 1
            optimal = cpsat is not None and cpsat.solve(problem, CPSAT).cost == best
            reached += optimal
        met += optimal and search[-1] <= 0.01
    worst = max(range(len(instances)), key=lambda index: search[index])
    return Outcome(
        cases=len(instances),
        met=met,
        worst=f"{instances[worst]['id']}: search {100 * search[worst]:.2f} % above",
        detail={
            "mean_gap_percent": {
                "lists": round(100 * fmean(lists), 4),
                "search": round(100 * fmean(search), 4),
            },
            "search_gap_percent": {
                instance["id"]: round(100 * gap, 4) for instance, gap in zip(instances, search, strict=True)
            },
            "proven": proven,
            "cpsat_optimal": reached if cpsat else None,
        },
        figures=(
            Figure(
                "weighted_cpsat_optimal",
                float(reached) if cpsat else None,
                "cases",
                f">= {proven}",
                "optima",
                why_not,
            ),
            Figure(
                "weighted_search_worst_gap", 100 * max(search), "%", "<= 1", "optima and best known values"
            ),
        ),
    )


def problem_of(instance: dict[str, Any]) -> Problem:
    """One instance of the file."""
    names = tuple(instance["capacity"])
    jobs = tuple(
        Job(
            str(job["id"]),
            (job["p"],),
            tuple(job["demand"].get(name, 0) for name in names),
            job["release"],
            job["w"],
        )
        for job in instance["jobs"]
    )
    place = Place("all", tuple(instance["capacity"].values()))
    return Problem(names, (place,), jobs, objective=Objective.WEIGHTED_COMPLETION)
