"""How fast is a simulation on the production engine, beside one in SimPy that does nothing else?

    python -m benchmarks.bench_sim [--rounds 3] [--jobs 100000] [--servers 8] [--utilisation 0.8]

The same M/M/c on both sides, job for job: Poisson arrivals, exponential lengths, first come first served. Ours is
`sim.simulate`, whole: the engine that the service runs decides every start, with its reason, on a cluster of one node a server.
SimPy's is a resource and a process a job, in a process of its own (`peers/simpy_peer.py`). What is drawn is drawn before the
clock starts. Both must give the same mean response, and that must be what queueing theory says (Erlang C).
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time

from benchmarks import peer
from benchmarks.harness import Figure, Measured, alternate, report
from headway.core.capacity.queueing import mmc
from headway.domain.resources import Demand
from headway.domain.task import Task
from headway.domain.units import MILLI, SECOND
from headway.sim.cluster import uniform
from headway.sim.simulate import simulate
from headway.sim.trace import Job, Trace

SEED = 1
#: Of the mean response from theory: what so many jobs of this seed may differ by.
TOLERANCE = "<= 0.03"


def trace(servers: int, utilisation: float, jobs: int) -> Trace:
    """The jobs, drawn as the peer draws them."""
    rng, now, one = random.Random(SEED), 0.0, Demand(MILLI)
    found = []
    for number in range(jobs):
        now += rng.expovariate(servers * utilisation)
        task = Task(f"m/{number}", "job", one, release=round(now * SECOND))
        found.append(Job(task, max(round(rng.expovariate(1.0) * SECOND), 1)))
    return Trace.of("M/M/c", found)


def ours(servers: int, utilisation: float, jobs: int) -> Measured:
    """Jobs per second of our time, and their mean response in seconds of the simulated."""
    work, cluster = trace(servers, utilisation, jobs), uniform(servers, cpu=1)
    gc.collect()
    started = time.perf_counter()
    result = simulate(work, cluster, "fcfs")
    spent = time.perf_counter() - started
    assert result.unfit == 0
    assert all(record.ended >= 0 for record in result.records)
    total = sum(record.ended - record.job.task.release for record in result.records)
    return {"jobs_per_s": jobs / spent, "mean_response": total / jobs / SECOND}


def main() -> int:
    """Measure, print, and the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--servers", type=int, default=8)
    parser.add_argument("--utilisation", type=float, default=0.8)
    args = parser.parse_args()
    size = (args.servers, args.utilisation, args.jobs)
    gc.set_threshold(50_000, 20, 50)  # as `headway.service.main` does
    rounds = alternate(
        {"headway": lambda: ours(*size), "simpy": lambda: peer.run("simpy", mmc=[*size, SEED])}, args.rounds
    )
    theory = mmc(args.servers, args.servers * args.utilisation)
    note = f"{args.jobs} jobs, {args.servers} servers, utilisation {args.utilisation:g}; aims at 1"
    figures = [
        rounds.ratio("ratio_to_simpy", ">= 0.5", ("headway", "jobs_per_s"), ("simpy", "jobs_per_s"), note)
    ]
    mean, other = rounds.median("headway", "mean_response"), rounds.median("simpy", "mean_response")
    assert mean is not None
    apart = None if other is None else abs(mean / other - 1)
    why = rounds.absent.get("simpy", "")
    figures += [
        Figure(
            "mean_response_off_theory",
            abs(mean / theory - 1),
            "",
            TOLERANCE,
            f"Erlang C: {mean:.4f} / {theory:.4f}",
        ),
        Figure("mean_response_off_simpy", apart, "", "<= 1e-9", "simpy mean_response", why),
    ]
    return report("sim", figures)


if __name__ == "__main__":
    sys.exit(main())
