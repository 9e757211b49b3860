"""Dominant resource fairness: the paper's example, weighted cases, hierarchical DRF and Kueue's measure, by `core.ordering.drf`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from benchmarks.references import Absent, Case, Outcome, all_met, first
from headway.core.ordering.drf import Tenant, borrowed_share, fill, fill_tree, water_fill

FILE = "cases/drf.json"
#: The file prints shares with nine decimals.
PRINTED = 1e-9


def run(case: Case) -> Outcome | Absent:
    """Every comparison of every case; each must be met."""
    if not (case.data / FILE).exists():
        return Absent(f"no {FILE}")
    document = json.loads((case.data / FILE).read_text())
    checks = [
        check
        for family, compare in FAMILIES.items()
        for row in case.sample(document.get(family, []))
        for check in compare(row)
    ]
    wrong = [
        {"case": name, "expected": wanted, "found": found}
        for name, wanted, found in checks
        if wanted != found
    ]
    cases, met = len(checks), len(checks) - len(wrong)
    return Outcome(
        cases, met, wrong[0] if wrong else None, {"wrong": first(wrong, 10)}, (all_met("drf", cases, met),)
    )


#: The name of a comparison, what was expected, what we found.
Check = tuple[str, Any, Any]


def flat(row: Mapping[str, Any]) -> Iterator[Check]:
    """Whole tasks in progressive filling, their order, and the share at which the first resource runs out."""
    tenants = [
        Tenant(name, user["demand"], user.get("weight", 1), user.get("tasks"))
        for name, user in row["users"].items()
    ]
    filling = fill(row["capacity"], tenants)
    wanted = row.get("expect_tasks") or row["discrete_tasks"]
    yield f"{row['id']}: tasks", wanted, filling.tasks
    if "first_picks" in row:
        yield f"{row['id']}: first picks", row["first_picks"], list(filling.picks[: len(row["first_picks"])])
    if "fractional_share_at_first_saturation" in row:
        wanted = row["fractional_share_at_first_saturation"]
        found = float(water_fill(row["capacity"], tenants).levels[0].share)
        yield f"{row['id']}: share", wanted, wanted if abs(found - wanted) <= PRINTED else found


def tree(row: Mapping[str, Any]) -> Iterator[Check]:
    """What each job of a tree of queues holds in the end."""
    tenants = [
        (job["queue"], Tenant(name, job["demand"], job.get("weight", 1), job["tasks"]))
        for name, job in row["jobs"].items()
    ]
    filling = fill_tree(row["capacity"], row["tree"], tenants)
    found = {
        tenant.name: {
            resource: amount * filling.tasks[tenant.name] for resource, amount in tenant.demand.items()
        }
        for _, tenant in tenants
    }
    yield row["id"], row["expect_allocated"], found


def kueue(row: Mapping[str, Any]) -> Iterator[Check]:
    """Kueue's dominant resource share of a queue that borrows."""
    found = borrowed_share(row["usage"], row["nominal"], row["lendable"], Fraction(str(row["weight"])))
    yield row["id"], row["expect"], {"resource": found.resource, "value": found.shown}


FAMILIES = {"drf": flat, "generated": flat, "hdrf": tree, "kueue_dominant_resource_share": kueue}
