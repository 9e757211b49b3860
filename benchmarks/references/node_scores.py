"""Kubernetes' LeastAllocated and MostAllocated: the cases of its own unit tests (facts), by `core.placement.scores`."""

from __future__ import annotations

import json

from benchmarks.references import Absent, Case, Outcome, all_met, first
from headway.core.placement.scores import least_allocated, most_allocated

FILE = "cases/node_scores.json"
STRATEGIES = {"LeastAllocated": least_allocated, "MostAllocated": most_allocated}


def run(case: Case) -> Outcome | Absent:
    """Every node of every case scores as published."""
    if not (case.data / FILE).exists():
        return Absent(f"no {FILE}")
    rows = case.sample(json.loads((case.data / FILE).read_text())["cases"])
    wrong = []
    for place, row in enumerate(rows):
        score = STRATEGIES[row["strategy"]]
        found = [
            score(capacity, used, row["pod"], row.get("weights", ()))
            for capacity, used in zip(row["nodes"], row["used"], strict=True)
        ]
        if found != row["expect"]:
            wrong.append(
                {"case": place, "strategy": row["strategy"], "expected": row["expect"], "found": found}
            )
    met = len(rows) - len(wrong)
    return Outcome(
        len(rows),
        met,
        wrong[0] if wrong else None,
        {"wrong": first(wrong, 10)},
        (all_met("node_scores", len(rows), met),),
    )
