"""Which nodes to add for a demand: the cases of Ray's autoscaler (facts), by `core.capacity.packing`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from benchmarks.references import Absent, Case, Outcome, all_met, first
from headway.core.capacity.packing import Kind, Want, nodes_to_add
from headway.domain.units import MILLI

FILE = "cases/node_packing.json"


def run(case: Case) -> Outcome | Absent:
    """Every case adds the nodes that its test states, or those that a newer Ray was measured to add."""
    if not (case.data / FILE).exists():
        return Absent(f"no {FILE}")
    document = json.loads((case.data / FILE).read_text())
    rows = case.sample(document["cases"])
    wrong = []
    for place, row in enumerate(rows):
        found = answer(row, document["node_types"][row["types"]])
        if found not in (row["expected_nodes"], row.get("measured_ray", row["expected_nodes"])):
            wrong.append(
                {"case": place, "demands": row["demands"], "expected": row["expected_nodes"], "found": found}
            )
    met = len(rows) - len(wrong)
    return Outcome(
        len(rows),
        met,
        wrong[0] if wrong else None,
        {"wrong": first(wrong, 10)},
        (all_met("node_packing", len(rows), met),),
    )


def answer(row: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, int]:
    """How many nodes of each kind we would add."""
    kinds = [Kind(name, _milli(kind["resources"]), kind["max_workers"]) for name, kind in types.items()]
    wants = [Want(_milli(demand), count) for demand, count in row["demands"]]
    return dict(nodes_to_add(wants, kinds, row["existing"], limit=row["max_to_add"]).add)


def _milli(amounts: Mapping[str, float]) -> dict[str, int]:
    return {name.lower(): round(amount * MILLI) for name, amount in amounts.items()}
