"""Queues whose mean response is known: by `core.capacity.queueing`, and by the simulator.

Analytic part: our closed forms and staffing answers give the printed values. Simulated part, by the rule of the folder's
README: the closed form lies inside the run's own 99 % interval (batch means over 10 seeded replications), which is at most
5 % wide up to rho 0.8 for exponential service and as wide as it is elsewhere. One row in a hundred may lie outside by chance.
With a limit, so many rows are simulated, shortly, and no width is asked.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.references import Absent, Case, Outcome, all_met, first
from benchmarks.references.replications import PILOT, POLICIES, REPLICATIONS, Queue, length, measure
from headway.core.capacity.queueing import (
    Class,
    Phases,
    Service,
    Sizes,
    fcfs,
    mmc,
    priority_waits,
    servers_for,
    sjf,
    srpt,
)

FILE = "cases/queueing_closed_form.csv"
#: Half of the last of five printed decimals, or so much of the value: some rows of the file carry a
#: quadrature error of 5e-6 (ours does not change with sixteen times the points).
PRINTED, RELATIVE = 5e-6, 1e-5
#: What the interval may be wide, as a share of the mean, where it may not be as wide as it is.
WIDTH = 0.05
ONE_SERVER = {"fcfs": fcfs, "sjf_nonpreemptive": sjf, "srpt": srpt}
VALUE = "mean_response_in_units_of_mean_service"
STAFFING = re.compile(r"min servers with P\(wait\)<=([\d.]+) at offered load ([\d.]+)")


def run(case: Case) -> Outcome | Absent:
    """Every row we have a policy for, analytically."""
    if not (case.data / FILE).exists():
        return Absent(f"no {FILE}")
    with (case.data / FILE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    left_out = [row["model"] + " " + row["policy"] for row in rows if row["policy"] == "ps"]
    checks = list(closed_forms(rows))
    wrong = [
        {"case": name, "expected": wanted, "found": found}
        for name, wanted, found in checks
        if abs(found - wanted) > PRINTED + RELATIVE * wanted
    ]
    wrong.sort(key=lambda row: -abs(row["found"] - row["expected"]))
    runs = simulated(case, rows)
    outside = [run for run in runs if not run["met"]]
    cases, met = len(checks) + len(runs), len(checks) - len(wrong) + len(runs) - len(outside)
    detail = {
        "wrong": first(wrong, 10),
        "left_out": {"processor sharing, which no policy of ours does": len(left_out)},
        "simulated": runs,
    }
    return Outcome(cases, met, (wrong or outside or [None])[0], detail, (all_met("queueing", cases, met),))


def simulated(case: Case, rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Each row that a policy of ours can serve, with the interval that the simulator found."""
    able = [row for row in rows if row["policy"] in POLICIES]
    found = []
    for row in case.sample(able):
        queue = Queue.of(row)
        case.progress(f"queueing: {queue}")
        jobs = PILOT if case.limit is not None else length(queue)
        interval = measure(queue, jobs)
        known = float(row[VALUE])
        asked = queue.narrow and case.limit is None
        found.append(
            {
                "case": f"{queue.model} c={queue.servers} rho={queue.rho:g} {queue.policy}",
                "closed_form": known,
                "mean": round(interval.mean, 5),
                "interval": [
                    round(interval.mean - interval.half, 5),
                    round(interval.mean + interval.half, 5),
                ],
                "width": round(interval.width, 4),
                "width_limit": WIDTH if asked else None,
                "jobs": jobs * REPLICATIONS,
                "met": interval.holds(known) and (not asked or interval.width <= WIDTH),
            }
        )
    return found


def closed_forms(rows: list[dict[str, str]]) -> Iterator[tuple[str, float, float]]:
    """Name, published value and ours of each row; processor sharing is left out."""
    for row in rows:
        if row["policy"] != "ps":
            yield (
                f"{row['model']} c={row['servers']} rho={row['rho']} {row['policy']}",
                float(row[VALUE]),
                answer(row),
            )


def answer(row: Mapping[str, str]) -> float:
    """Mean response time in mean service times, or the servers of a staffing row."""
    model, policy, rho, servers = row["model"], row["policy"], float(row["rho"]), int(row["servers"])
    if staffing := STAFFING.fullmatch(policy):
        return servers_for(float(staffing[2]), float(staffing[1]))
    if model == "M/M/c":
        return mmc(servers, servers * rho)
    if "2-class" in model:
        half = Class(rho / 2, Phases.exponential())
        high, low = priority_waits([half, half])
        return 1 + (high if policy.endswith("HIGH") else low)
    return ONE_SERVER[policy](rho, service(model))


def service(model: str) -> Service:
    """`M/G/1 exp`, `M/G/1 h2_c2_10` (two balanced phases of squared variation 10) or `M/G/1 det`, each of mean 1."""
    name = model.split()[-1]
    if name in ("exp", "M/M/1"):
        return Phases.exponential()
    if name in ("det", "M/D/1"):
        return Sizes.constant(1.0)
    return Phases.fitted(1.0, float(name.removeprefix("h2_c2_")))
