"""Kubernetes' replica calculation: the cases of its own unit tests (facts), by `core.capacity.replicas`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from benchmarks.references import Absent, Case, Outcome, all_met, first
from headway.core.capacity.replicas import (
    NoMetrics,
    Phase,
    Reading,
    Replica,
    by_total,
    by_total_each,
    by_utilisation,
    by_value,
)
from headway.domain.units import SECOND

FILE = "cases/hpa_replicas.json"
#: The clocks of those tests: the times at which a hot (just started) and a cool replica began, against a
#: warm-up of two minutes.
NOW = 10_000 * SECOND
WARM_UP = 120 * SECOND
FIRST_READY = 10 * SECOND
HOT, COOL = NOW, NOW - 3 * 60 * SECOND


def run(case: Case) -> Outcome | Absent:
    """Every case of the file: the replicas expected, or an error where one is expected."""
    if not (case.data / FILE).exists():
        return Absent(f"no {FILE}")
    document = json.loads((case.data / FILE).read_text())
    wrong = []
    rows = case.sample(document["cases"])
    for row in rows:
        found = answer(row, document.get("tolerance", 0.1))
        if found != row["expectedReplicas"]:
            wrong.append({"case": row["test"], "expected": row["expectedReplicas"], "found": found})
    met = len(rows) - len(wrong)
    return Outcome(
        len(rows),
        met,
        wrong[0] if wrong else None,
        {"wrong": first(wrong, 10)},
        (all_met("hpa", len(rows), met),),
    )


def answer(row: Mapping[str, Any], tolerance: float) -> int | None:
    """Our count for one case, or None where we say that nothing usable was measured."""
    metric, current = row["metric"], row["currentReplicas"]
    kind = metric["kind"] or "objectMetric"
    try:
        if kind == "resource":
            return _resource(row, tolerance)
        replicas = _replicas(row, [0] * current)
        if kind == "podMetric":
            readings = {f"pod-{i}": Reading(value, NOW) for i, value in enumerate(metric["levels"])}
            return by_value(current, metric["targetUtilization"], replicas, readings, tolerance).replicas
        if "PerPod" in kind:
            return by_total_each(
                current, metric["perPodTargetUtilization"], sum(metric["levels"]), tolerance
            ).replicas
        return by_total(
            current, metric["targetUtilization"], sum(metric["levels"]), replicas, tolerance
        ).replicas
    except NoMetrics:
        return None


def _resource(row: Mapping[str, Any], tolerance: float) -> int:
    metric = row["metric"]
    containers = metric["containersPerPod"]
    chosen = row.get("container")
    requests = [int(Decimal(text) * 1000) * (1 if chosen else containers) for text in metric["requests"]]
    # The facts do not carry the names of the readings; this case's point is that they are another service's.
    prefix = "stranger" if "Disjoint" in row["test"] else "pod"
    readings = {
        f"{prefix}-{i}": Reading(_level(level, containers, chosen), NOW)
        for i, level in enumerate(metric["podLevelsMilliPerContainer"])
    }
    return by_utilisation(
        row["currentReplicas"], metric["targetUtilizationPct"], _replicas(row, requests), readings, NOW, tolerance,
        WARM_UP, FIRST_READY,
    ).replicas  # fmt: skip


def _level(level: int | list[int], containers: int, chosen: str | None) -> int:
    """What a replica used: of one container where it is named (`container2`), else of all of them."""
    each = level if isinstance(level, list) else [level] * containers
    return each[int(chosen.removeprefix("container")) - 1] if chosen else sum(each)


def _replicas(row: Mapping[str, Any], requests: list[int]) -> list[Replica]:
    """The replicas of a case, padded as those tests do: running, ready and cool unless said otherwise."""
    states = {
        name: row.get(name) or []
        for name in ("podReadiness", "podPhase", "podStartTime", "podDeletionTimestamp")
    }
    count = max(len(requests), *(len(values) for values in states.values()))
    requests = requests + requests[-1:] * (count - len(requests))

    def at(name: str, index: int, default: str) -> str:
        values = states[name]
        return values[index] if index < len(values) else default

    found = []
    for i in range(count):
        began = HOT if at("podStartTime", i, "cool").startswith("hot") else COOL
        found.append(
            Replica(
                f"pod-{i}",
                requests[i],
                Phase(at("podPhase", i, "PodRunning").removeprefix("Pod").lower()),
                at("podReadiness", i, "ConditionTrue") == "ConditionTrue",
                began,
                began,
                at("podDeletionTimestamp", i, "false") == "true",
            )
        )
    return found
