"""Gangs of GPUs: the 60-job trace of Tiresias (NSDI'19), on 16 GPUs that are counted and not placed.

Through the simulator: `fifo` is FCFS under `strict`, `fjf` under `skip`, `shortest` is SRPT that preempts at no cost.
Exact to the printed digits; makespans and preemptions are compared too.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.references import Absent, Case, Outcome, all_met
from headway.domain.resources import Demand
from headway.domain.task import Task
from headway.domain.units import MILLI, SECOND
from headway.sim.cluster import uniform
from headway.sim.records import Result, Rules
from headway.sim.simulate import simulate
from headway.sim.trace import Job, Trace

#: The jobs lie beside their table (`gang_60_jobs.csv`, `gang_60_jobs_expected.csv`), and one cluster for all.
EXPECTED, CLUSTER = "batch_queue/gang_*_jobs_expected.csv", "batch_queue/gang_cluster_*.csv"
#: Tiresias' name -> ours.
POLICIES = {
    "fifo": "fcfs, strict, train_span=0",
    "fjf": "fcfs, skip, train_span=0",
    "shortest": "remaining, skip, preempt=longer, min_run=0, max_preemptions=1000, train_span=0",
}


def run(case: Case) -> Outcome | Absent:
    """Every policy of each table that is ours."""
    tables, clusters = case.files(EXPECTED), case.files(CLUSTER)
    tables = [table for table in tables if jobs_of(table).exists()]
    if not tables or not clusters:
        return Absent(f"no {EXPECTED} with its jobs, or no {CLUSTER}")
    gpus = read_gpus(clusters[0])
    rows: list[dict[str, Any]] = []
    left: set[str] = set()
    for table in tables:
        with table.open(newline="") as file:
            expected = {row["policy"]: row for row in csv.DictReader(file)}
        trace = read_jobs(jobs_of(table))
        for name in POLICIES.keys() & expected.keys():
            rows += compare(name, expected[name], simulate_gang(trace, gpus, POLICIES[name]))
        left |= expected.keys() - POLICIES.keys()
    rows.sort(key=lambda row: row["case"])
    wrong = [row for row in rows if row["found"] != row["expected"]]
    cases, met = len(rows), len(rows) - len(wrong)
    detail = {"table": rows, "left_out": {"policies of Tiresias that are not ours": sorted(left)}}
    return Outcome(cases, met, wrong[0] if wrong else None, detail, (all_met("gang", cases, met),))


def jobs_of(table: Path) -> Path:
    """The jobs that a table is of."""
    return table.with_name(table.name.replace("_expected", ""))


def read_jobs(path: Path) -> Trace:
    """Jobs of whole GPUs; the estimate is the duration."""
    with path.open(newline="") as file:
        return Trace.of(path.stem, [_job(row) for row in csv.DictReader(file)])


def _job(row: Mapping[str, str]) -> Job:
    took = int(row["duration"]) * SECOND
    task = Task(
        row["job_id"],
        f"job-{row['job_id']}",
        Demand(0, 0, int(row["num_gpu"]) * MILLI),
        estimate=took,
        release=int(row["submit_time"]) * SECOND,
    )
    return Job(task, took)


def read_gpus(path: Path) -> int:
    """How many GPUs the cluster counts."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return sum(int(r["num_switch"]) * int(r["num_node_p_switch"]) * int(r["num_gpu_p_node"]) for r in rows)


def simulate_gang(trace: Trace, gpus: int, policy: str) -> Result:
    """All GPUs on one node, since they are counted and not placed."""
    return simulate(trace, uniform(1, gpus=gpus), policy, rules=Rules(checkpoint=0))


def compare(name: str, wanted: Mapping[str, str], result: Result) -> list[dict[str, Any]]:
    """Mean completion time, makespan and preemptions beside those printed."""
    records = result.records
    found = {
        "avg_jct": round(sum(r.ended - r.job.task.release for r in records) / len(records) / SECOND, 3),
        "makespan": round((result.end - result.start) / SECOND, 3),
        "preemptions": sum(r.preemptions for r in records),
    }
    return [
        {"case": f"{name} {figure}", "expected": float(wanted[figure]), "found": value}
        for figure, value in found.items()
    ]
