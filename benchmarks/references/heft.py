"""The example of the HEFT paper (Topcuoglu, Hariri and Wu 2002).

Files: `exact/<name>_task_exe_time.csv`, `_task_connectivity.csv` and `_resource_BW.csv`. For the paper's own
example (`topcuoglu`) the makespan is 80; for another of the same form the plan is checked and shown.
"""

from __future__ import annotations

import csv
from fractions import Fraction
from math import lcm
from pathlib import Path

from benchmarks.references import Absent, Case, Outcome, all_met
from headway.core.joint.plan import faults
from headway.core.joint.problem import Edge, Job, Objective, Place, Problem
from headway.core.placement.heft import heft

#: Makespans the papers print.
PUBLISHED = {"topcuoglu": 80}
_TIMES = "_task_exe_time.csv"


def run(case: Case) -> Outcome | Absent:
    """HEFT on every example."""
    found = case.sample(case.files(f"exact/*{_TIMES}"))
    if not found:
        return Absent(f"no exact/*{_TIMES}")
    detail, wrong = {}, []
    for file in found:
        name = file.name.removesuffix(_TIMES)
        problem, scale = read(file)
        placed = heft(problem)
        broken, makespan = faults(problem, placed.plan), float(Fraction(placed.makespan, scale))
        detail[name] = {"makespan": makespan, "published": PUBLISHED.get(name), "places": placed.plan.places}
        if broken or makespan != PUBLISHED.get(name, makespan):
            wrong.append(f"{name}: {broken[0] if broken else makespan}")
    met = len(found) - len(wrong)
    return Outcome(len(found), met, wrong[0] if wrong else None, detail, (all_met("heft", len(found), met),))


def read(times: Path) -> tuple[Problem, int]:
    """One example, and how many of our time units one of its units is."""
    prefix = times.name.removesuffix(_TIMES)
    nodes, durations = _table(times)
    _, sizes = _table(times.with_name(f"{prefix}_task_connectivity.csv"))
    _, rates = _table(times.with_name(f"{prefix}_resource_BW.csv"))
    slow = [[1 / rate if rate else Fraction(0) for rate in row] for row in rates]
    coarse = lcm(*(rate.denominator for row in slow for rate in row))
    fine = lcm(*(number.denominator for row in durations + sizes for number in row))
    problem = Problem(
        resources=("slot",),
        places=tuple(Place(name, (1,)) for name in nodes),
        jobs=tuple(
            Job(f"t{index}", tuple(int(time * coarse * fine) for time in row), (1,))
            for index, row in enumerate(durations)
        ),
        edges=tuple(
            Edge(before, after, int(size * fine))
            for before, row in enumerate(sizes)
            for after, size in enumerate(row)
            if size
        ),
        lag=tuple(
            tuple(int(rate * coarse) if a != b else 0 for b, rate in enumerate(row))
            for a, row in enumerate(slow)
        ),
        objective=Objective.MAKESPAN,
    )
    return problem, coarse * fine


def _table(file: Path) -> tuple[list[str], list[list[Fraction]]]:
    """Column names without the first, and the numbers without the first column."""
    with file.open(newline="") as lines:
        head, *rows = [row for row in csv.reader(lines) if row]
    return head[1:], [[Fraction(cell) for cell in row[1:]] for row in rows]
