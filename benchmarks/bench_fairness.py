"""Does fair share give what dominant resource fairness says it should?

    python -m benchmarks.bench_fairness

Tenants with unlike demands and weights, each with more work than the cluster can do, on the production engine under the
simulator's clock. What each held on average while all had work waiting is compared with the DRF allocation of the pooled
capacity (progressive filling in exact fractions, `core.ordering.drf`); for `fair_history`, whose shares are of what was given
over time, with the same allocation: demands do not change, so both should agree. It is run with backfilling: where what does
not fit is skipped, small tasks take what comes free before a large one of a tenant that is behind has room.

The tree is compared with what hierarchical DRF gives: departments by weight, then their members. Deterministic: seeds are
fixed, no time is measured.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence

from benchmarks.harness import Figure, report
from headway.core.ordering import drf
from headway.domain.resources import Demand, Node
from headway.domain.task import Task
from headway.domain.units import MILLI, SECOND
from headway.sim.cluster import Cluster
from headway.sim.records import Result
from headway.sim.simulate import simulate
from headway.sim.trace import Job, Trace

LIMIT = "<= 0.02"
GIB = 2**30
NODES = 20
NODE = Node("node", 64 * MILLI, 512 * GIB, 8)
#: By tenant: weight, cores, GiB, milli-GPUs of a task.
TENANTS: dict[str, tuple[int, int, int, int]] = {
    "ingest": (1, 2, 4, 0),
    "embed": (1, 1, 8, 500),
    "train": (2, 4, 16, 1000),
    "finetune": (3, 2, 8, 1000),
    "render": (1, 1, 2, 250),
    "index": (2, 1, 16, 0),
    "crawl": (4, 1, 2, 0),
    "reduce": (1, 4, 4, 0),
}
#: Department of each, and the departments' weights.
PARENTS = dict.fromkeys(("ingest", "index", "crawl", "reduce"), "data") | dict.fromkeys(
    ("embed", "train", "finetune", "render"), "models"
)
DEPARTMENTS = {"data": 1, "models": 2}
#: Seconds: mean of a task's exponential length; from when to when shares are taken.
MEAN, FROM, UNTIL = 600, 3_600, 14_400


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all cases.

    Returns:
        The exit status: 1 if a limit is missed.
    """
    flat = expected()
    figures = [
        _figure(f"{order}_shares_off", held(trial(order, {})), flat, f"{len(TENANTS)} tenants, {NODES} nodes")
        for order in ("fair > fcfs", "fair > srpt", "fair_history > fcfs, backfill")
    ]
    tree = {name: {"parent": parent} for name, parent in PARENTS.items()}
    tree |= {name: {"weight": weight} for name, weight in DEPARTMENTS.items()}
    found = held(trial("fair > fcfs", tree))
    figures.append(_figure("tree_shares_off", found, expected_tree(), "2 departments of 4"))
    return report("fairness", figures)


def _figure(name: str, found: Mapping[str, float], due: Mapping[str, float], note: str) -> Figure:
    off = {tenant: abs(found[tenant] / share - 1) for tenant, share in due.items()}
    worst = max(off, key=lambda tenant: off[tenant])
    name = name.replace(" > ", "_").replace(", ", "_")
    return Figure(
        name, off[worst], "of the share", LIMIT, "DRF of the pooled capacity", f"{note}; worst: {worst}"
    )


def trial(order: str, tree: Mapping[str, Mapping[str, object]]) -> Result:
    """All tenants have work for longer than is looked at."""
    chance, jobs = random.Random(7), []
    flat, deep = expected(), expected_tree()
    for tenant, (_, cores, memory, gpu) in TENANTS.items():
        demand = Demand(cores * MILLI, memory * GIB, gpu)
        each = float(drf.dominant_share(_demand(tenant), _capacity())[0])
        most = max(flat[tenant], deep[tenant]) / each * UNTIL / MEAN
        for number in range(int(1.5 * most)):
            takes = max(round(chance.expovariate(1 / MEAN) * SECOND), SECOND)
            jobs.append(Job(Task(f"{tenant}/{number}", tenant, demand, tenant, estimate=takes), takes))
    chance.shuffle(jobs)
    rows: dict[str, dict[str, object]] = {name: {"weight": row[0]} for name, row in TENANTS.items()}
    for name, row in tree.items():
        rows[name] = {**rows.get(name, {}), **row}
    nodes = tuple(Node(f"n{i}", NODE.cpu, NODE.memory, NODE.gpus) for i in range(NODES))
    return simulate(
        Trace.of("backlog", jobs), Cluster("fair", nodes, tables={"tenants": rows}), f"{order}, train_span=0"
    )


def held(result: Result) -> dict[str, float]:
    """Each tenant's dominant share, on average from FROM to UNTIL (all must have had work waiting until then)."""
    given = dict.fromkeys(TENANTS, 0)
    last = dict.fromkeys(TENANTS, 0)
    for span in result.spans:
        tenant = result.trace.jobs[span.job].task.tenant
        last[tenant] = max(last[tenant], span.start)
        given[tenant] += max(0, min(span.end, UNTIL * SECOND) - max(span.start, FROM * SECOND))
    short = [tenant for tenant, start in last.items() if start < UNTIL * SECOND]
    if short:
        raise SystemExit(f"{short[0]} ran out of work after {last[short[0]] // SECOND} s: give it more")
    whole = (UNTIL - FROM) * SECOND
    return {
        tenant: float(drf.dominant_share(_demand(tenant), _capacity())[0]) * time / whole
        for tenant, time in given.items()
    }


def expected() -> dict[str, float]:
    """The DRF allocation."""
    people = [drf.Tenant(name, _demand(name), row[0]) for name, row in TENANTS.items()]
    return {name: float(share) for name, share in drf.water_fill(_capacity(), people).shares.items()}


def expected_tree() -> dict[str, float]:
    """The hierarchical DRF allocation, of whole tasks (there are thousands)."""
    weights: dict[str, dict[str, int]] = {"root": dict(DEPARTMENTS)}
    weights |= {f"root/{name}": {} for name in DEPARTMENTS}
    people = [
        (f"root/{PARENTS[name]}", drf.Tenant(name, _demand(name), row[0])) for name, row in TENANTS.items()
    ]
    tasks = drf.fill_tree(_capacity(), weights, people).tasks
    return {
        name: float(drf.dominant_share(_demand(name), _capacity())[0] * count)
        for name, count in tasks.items()
    }


def _demand(tenant: str) -> dict[str, int]:
    _, cores, memory, gpu = TENANTS[tenant]
    return {"cpu": cores * MILLI, "memory": memory * GIB, "gpu": gpu}


def _capacity() -> dict[str, int]:
    return {"cpu": NODES * NODE.cpu, "memory": NODES * NODE.memory, "gpu": NODES * NODE.gpus * MILLI}


if __name__ == "__main__":
    sys.exit(main())
