"""Resource-constrained projects (PSPLIB) against proven optimal makespans: list mode, our search, and CP-SAT.

Files: `exact/rcpsp_<name>.tar.gz` of `.rcp` (Patterson) instances beside `exact/rcpsp_<name>_optimum.csv`
with the columns `problem,optimum`. A case is met when the best of our solvers is at the optimum.
"""

from __future__ import annotations

import csv
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from benchmarks.references import Absent, Case, Figure, Outcome
from headway.core.joint.port import Budget, Solver
from headway.core.joint.problem import Edge, Job, Objective, Place, Problem
from headway.core.joint.search import Lists, Search
from headway.errors import Unavailable
from headway.solvers.cpsat import CpSat

SEARCH = Budget(steps=5_000)
#: 5 units of deterministic time: about 5 s at most, most instances end far earlier.
CPSAT = Budget(steps=5_000)


@dataclass(frozen=True)
class Project:
    """One instance and its optimum."""

    name: str
    problem: Problem
    optimum: int


def run(case: Case) -> Outcome | Absent:
    """Solve every project three ways."""
    projects = [project for archive in case.files("exact/rcpsp_*.tar.gz") for project in read(archive)]
    if not projects:
        return Absent("no exact/rcpsp_*.tar.gz with its _optimum.csv")
    projects = case.sample(projects)
    gaps: dict[str, list[float]] = {"lists": [], "search": [], "cpsat": []}
    cpsat, why_not = cpsat_or_not()
    for done, project in enumerate(projects):
        if done and done % 40 == 0:
            case.progress(f"rcpsp {done} of {len(projects)}")
        solvers: list[tuple[Solver, Budget]] = [(Lists(), SEARCH), (Search(), SEARCH)]
        solvers += [(cpsat, CPSAT)] if cpsat else []
        for solver, budget in solvers:
            gaps[solver.name].append(solver.solve(project.problem, budget).cost / project.optimum - 1)
    best = gaps["cpsat"] or gaps["search"]
    worst = max(range(len(projects)), key=lambda index: gaps["search"][index])
    optimal = 100 * sum(gap <= 0 for gap in gaps["cpsat"]) / len(projects) if cpsat else None
    against = "proven optimal makespans"
    return Outcome(
        cases=len(projects),
        met=sum(gap <= 0 for gap in best),
        worst=f"{projects[worst].name}: search {100 * gaps['search'][worst]:.2f} % above",
        detail={
            "mean_gap_percent": {name: round(100 * fmean(found), 4) for name, found in gaps.items() if found},
            "optimal": {name: sum(gap <= 0 for gap in found) for name, found in gaps.items() if found},
            "search_steps": SEARCH.steps,
            "cpsat_deterministic_time": CPSAT.steps / 1000,
        },
        figures=(
            Figure("rcpsp_list_mean_gap", 100 * fmean(gaps["lists"]), "%", "<= 4", against),
            Figure("rcpsp_search_mean_gap", 100 * fmean(gaps["search"]), "%", "<= 1", against),
            Figure("rcpsp_cpsat_optimal", optimal, "%", ">= 94", against, why_not),
        ),
    )


def cpsat_or_not() -> tuple[CpSat | None, str]:
    """CP-SAT, or why it is not there."""
    try:
        return CpSat(), ""
    except Unavailable as error:
        return None, str(error)


def read(archive: Path) -> Iterator[Project]:
    """The instances of an archive whose optimum is known, by name."""
    table = archive.with_name(archive.name.removesuffix(".tar.gz") + "_optimum.csv")
    if not table.exists():
        return
    with table.open(newline="") as lines:
        optimum = {_key(row["problem"]): int(row["optimum"]) for row in csv.DictReader(lines)}
    with tarfile.open(archive) as packed:
        members = sorted(
            (m for m in packed.getmembers() if m.name.endswith(".rcp")), key=lambda m: _key(m.name)
        )
        for member in members:
            content = packed.extractfile(member)
            if content is not None and _key(member.name) in optimum:
                name = Path(member.name).stem
                yield Project(name, parse(content.read().decode()), optimum[_key(member.name)])


def _key(name: str) -> tuple[str, int]:
    """`j30_10_1.rcp` and `j3010_1.sm` are the same instance: the set and parameter run together, then the
    number."""
    head, _, number = Path(name).stem.rpartition("_")
    return head.replace("_", ""), int(re.sub(r"\D", "", number) or 0)


def parse(text: str) -> Problem:
    """The Patterson format: counts, capacities; then for each job duration, demands, number of successors,
    successors from 1."""
    numbers = iter(map(int, text.split()))
    count, width = next(numbers), next(numbers)
    capacity = tuple(next(numbers) for _ in range(width))
    jobs, edges = [], []
    for job in range(count):
        duration = next(numbers)
        demand = tuple(next(numbers) for _ in range(width))
        jobs.append(Job(str(job + 1), (duration,), demand))
        edges += [Edge(job, next(numbers) - 1) for _ in range(next(numbers))]
    names = tuple(f"r{index + 1}" for index in range(width))
    return Problem(names, (Place("all", capacity),), tuple(jobs), tuple(edges), objective=Objective.MAKESPAN)
