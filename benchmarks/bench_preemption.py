"""What does preempting cost, where it is not free, and what of SRPT's gain is left?

    python -m benchmarks.bench_preemption --data ../shared/bench -o json

SRPT is optimal where preemption is free. Here a preempted task writes a checkpoint on its resources (10 s) and its next
attempt loads it (20 s) before it goes on; the policy reckons with it: `preempt_cost` says how much more a victim must have left. Each
trace is run three times through the production engine under the simulator's clock: free (no cost, no bounds), costly, and without
any preemption, to show what is at stake.

`work_lost` is stricter than its name: not only work that was done and not kept (none, where a checkpoint is written when asked) but all
time spent on checkpoints and restarts too, weighted by what the task holds, over the work there is. Traces: ten
sequences of Lublin-1 (256 processors), Tiresias' 60 gangs (16 GPUs), and a seeded heavy tail, which needs no data. The limits hold for the
worst of them. `unannounced` shows without a limit what the same policy does where tasks are stopped at once and go on from their last
periodic checkpoint (every 10 min). Deterministic: no time is measured.

The result hangs on how long tasks are beside the 30 s: with tasks a third as long (`SHORTEST` 300, a mean near 1,500 s) the heavy tail
loses 0.0098 of its work, twice the limit, at 1.013 of the response. So the tail is given Lublin-1's mean, and no more is claimed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure, report
from benchmarks.reference import data_folder
from benchmarks.references import gang, lublin
from headway.domain.resources import Demand
from headway.domain.task import Task
from headway.domain.units import MILLI, SECOND
from headway.sim.cluster import Cluster, uniform
from headway.sim.records import Result, Rules
from headway.sim.simulate import simulate
from headway.sim.trace import Job, Trace
from headway.sim.traces import read_trace

WRITE, LOAD = 10 * SECOND, 20 * SECOND
#: A preemption takes 30 s from all who wait, not only from its victim: so it must gain some thirty times that.
COSTLY = "remaining, preempt=longer, preempt_cost=900s, min_run=0, max_preemptions=1000000, train_span=0"
FREE = "remaining, preempt=longer, min_run=0, max_preemptions=1000000, train_span=0"
NEVER = "remaining, preempt=no, train_span=0"
EVERY = 600 * SECOND
#: Of the heavy tail: jobs, processors, load, shape of the Pareto distribution, shortest and longest in seconds.
JOBS, PROCESSORS, LOAD_FACTOR, SHAPE, SHORTEST, LONGEST = 2_000, 128, 0.85, 1.1, 1_000, 200_000
WORK_LOST, RESPONSE = "<= 0.005", "<= 1.02"


@dataclass(frozen=True)
class Outcome:
    """What one case came to: sums over its traces."""

    case: str
    jobs: int
    preemptions: int
    work_lost: float
    of_it_redone: float
    mean_response_over_free_srpt: float
    without_preemption_over_free_srpt: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all cases there is data for.

    Returns:
        The exit status: 1 if a limit is missed.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_preemption")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the reference data")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    options = parser.parse_args(arguments)
    outcomes = []
    with ProcessPoolExecutor() as pool:
        for name, traces, cluster in cases(options.data):
            found = measure(pool, name, traces, cluster)
            outcomes.append(found)
            print(json.dumps(asdict(found)), flush=True)
        tail = "heavy_tail", [heavy_tail(seed) for seed in range(5)], uniform(1, cpu=PROCESSORS)
        told = measure(pool, *tail)
        outcomes.append(told)
        print(json.dumps(asdict(told)), flush=True)
        unannounced = measure(pool, "unannounced", *tail[1:], grace=0)
        print(json.dumps(asdict(unannounced)), flush=True)
    shown = figures(outcomes, unannounced)
    if options.output == "table":
        return report("preemption", shown)
    rows = [asdict(figure) | {"ok": figure.ok} for figure in shown]
    print(json.dumps({"bench": "preemption", "figures": rows}))
    return 1 if any(figure.ok is False for figure in shown) else 0


def cases(data: Path) -> Iterator[tuple[str, list[Trace], Cluster]]:
    """The traces of the folder."""
    logs = sorted(data.glob(lublin.FILES))
    if logs:
        log = read_trace(logs[0], "swf")
        traces = list(lublin.sequences(log, lublin.STARTS))
        yield "lublin", traces, uniform(1, cpu=lublin.PROCESSORS)
    else:
        print(f"lublin: skipped: no {lublin.FILES} in {data}", file=sys.stderr)
    jobs = [table for table in map(gang.jobs_of, sorted(data.glob(gang.EXPECTED))) if table.exists()]
    clusters = sorted(data.glob(gang.CLUSTER))
    if jobs and clusters:
        yield "gang", [gang.read_jobs(jobs[0])], uniform(1, gpus=gang.read_gpus(clusters[0]))
    else:
        print(
            f"gang: skipped: no {gang.EXPECTED} with its jobs and {gang.CLUSTER} in {data}", file=sys.stderr
        )


def heavy_tail(seed: int) -> Trace:
    """Poisson arrivals of jobs whose length is bounded Pareto and whose width a power of two, at a load of 0.85, with the mean of
    Lublin-1 (4,500 s): what a preemption costs is a matter of how long tasks are."""
    draw = random.Random(seed)
    widths = [1 << draw.randrange(6) for _ in range(JOBS)]
    ratio = (SHORTEST / LONGEST) ** SHAPE
    lengths = [SHORTEST / (1 - draw.random() * (1 - ratio)) ** (1 / SHAPE) for _ in range(JOBS)]
    mean = sum(width * length for width, length in zip(widths, lengths, strict=True)) / JOBS
    at, jobs = 0.0, []
    for number, (width, length) in enumerate(zip(widths, lengths, strict=True)):
        at += draw.expovariate(LOAD_FACTOR * PROCESSORS / mean)
        took = round(length * SECOND)
        task = Task(
            f"j{number}", f"j{number}", Demand(width * MILLI), estimate=took, release=round(at * SECOND)
        )
        jobs.append(Job(task, took))
    return Trace.of(f"heavy tail {seed}", jobs)


def measure(
    pool: ProcessPoolExecutor, name: str, traces: list[Trace], cluster: Cluster, grace: int | None = None
) -> Outcome:
    """A case: its traces free, costly and without preemption. With `grace` 0 tasks keep their periodic checkpoints only."""
    rules = Rules(checkpoint=WRITE, restart=LOAD, every=0 if grace is None else EVERY)
    costly = COSTLY if grace is None else f"{COSTLY}, grace={grace}s"
    free = list(
        pool.map(
            _run, traces, [cluster] * len(traces), [FREE] * len(traces), [Rules(checkpoint=0)] * len(traces)
        )
    )
    paid = list(
        pool.map(_run, traces, [cluster] * len(traces), [costly] * len(traces), [rules] * len(traces))
    )
    never = list(
        pool.map(_run, traces, [cluster] * len(traces), [NEVER] * len(traces), [Rules()] * len(traces))
    )
    work = sum(row["work"] for row in paid)
    best = sum(row["response"] for row in free)
    return Outcome(
        name,
        sum(len(trace.jobs) for trace in traces),
        sum(row["preemptions"] for row in paid),
        sum(row["redone"] + row["overhead"] for row in paid) / work,
        sum(row["redone"] for row in paid) / work,
        sum(row["response"] for row in paid) / best,
        sum(row["response"] for row in never) / best,
    )


def _run(trace: Trace, cluster: Cluster, policy: str, rules: Rules) -> dict[str, Any]:
    return summed(simulate(trace, cluster, policy, rules=rules))


def summed(result: Result) -> dict[str, Any]:
    """Times of all tasks, microseconds; what they did by what they held (milli-cores, or milli-GPUs)."""
    rows = [(record, record.job.task.demand) for record in result.records]
    width = [demand.gpu or demand.cpu for _, demand in rows]
    weighed = list(zip((record for record, _ in rows), width, strict=True))
    return {
        "work": sum(record.job.duration * width for record, width in weighed),
        "redone": sum(record.lost * width for record, width in weighed),
        "overhead": sum(record.overhead * width for record, width in weighed),
        "response": sum(record.ended - record.job.task.release for record, _ in rows),
        "preemptions": sum(record.preemptions for record, _ in rows),
    }


def figures(outcomes: Sequence[Outcome], unannounced: Outcome) -> list[Figure]:
    """The worst of the cases, and what is only shown."""
    lost = max(outcomes, key=lambda one: one.work_lost)
    slow = max(outcomes, key=lambda one: one.mean_response_over_free_srpt)
    at_stake = max(outcomes, key=lambda one: one.without_preemption_over_free_srpt)
    cost = f"{WRITE // SECOND} s to write, {LOAD // SECOND} s to load"
    return [
        Figure("work_lost", lost.work_lost, "of the work", WORK_LOST, note=f"worst: {lost.case}; {cost}"),
        Figure(
            "mean_response_over_free_srpt", slow.mean_response_over_free_srpt, "x", RESPONSE,
            "SRPT that preempts for nothing", f"worst: {slow.case}",
        ),
        Figure(
            "without_preemption_over_free_srpt", at_stake.without_preemption_over_free_srpt, "x",
            note=f"what is at stake: {at_stake.case}",
        ),
        Figure(
            "unannounced_work_lost", unannounced.work_lost, "of the work",
            note=f"stopped at once, checkpoints every {EVERY // 60 // SECOND} min: the cost of those is in it",
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
