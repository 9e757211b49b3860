"""How many short tasks a second, with nothing lost? Beside Ray, which keeps nothing, and Celery.

python -m benchmarks.bench_throughput [--rounds 3] [--n 10000] [--commands 400] [--mixed 100]
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from benchmarks import jobs, peer
from benchmarks.harness import Figure, Measured, Service, alternate, percentile, report, service

TIMEOUT = 300.0
LONG, SHARE, SEED = 1.0, 0.2, 11  # the unannounced long tasks: seconds, share, and which ones
#: Bound of the slowdown (Feitelson 2001), seconds: shorter tasks count as this long, or no-ops decide alone.
SHORTEST = 0.01


def ours(n: int, commands: int, mixed: int) -> Measured:
    """All of it on a fresh service, warmed as the peers are."""
    with service(cpus=2) as running:
        client = running.client
        client.submit(jobs.many, n=200).result(TIMEOUT)
        figures = {}
        started = time.perf_counter()
        moments = client.submit(jobs.many, n=n).result(TIMEOUT)
        figures["tasks_per_s"] = len(moments) / (time.perf_counter() - started)
        client.submit(jobs.commands, n=20).result(TIMEOUT)
        started = time.perf_counter()
        client.submit(jobs.commands, n=commands).result(TIMEOUT)
        figures["commands_per_s"] = commands / (time.perf_counter() - started)
        figures["p95_slowdown"] = slowdown(running, mixed, trains=True)
        figures["p95_slowdown_without_trains"] = slowdown(running, mixed, trains=False)
    return figures


def slowdown(running: Service, n: int, trains: bool) -> float:
    """P95 of response time over processing time, when some of a shape are long and nobody said which."""
    chosen = random.Random(SEED).sample(range(n), round(SHARE * n))
    lengths = [LONG if position in chosen else 0.0 for position in range(n)]
    submitted = time.monotonic()
    spans = running.client.submit(jobs.mixture, lengths=lengths, trains=trains).result(TIMEOUT)
    return percentile([(end - submitted) / max(end - began, SHORTEST) for began, end in spans], 0.95)


def main() -> int:
    """Measure, print, and the exit status."""
    options = _options()
    sizes = {"n": options.n, "commands": options.commands, "mixed": options.mixed}
    rounds = alternate(
        {
            "headway": lambda: ours(**sizes),
            "ray": lambda: peer.run("ray", throughput=options.n),
            "celery": lambda: peer.run("celery", throughput=options.n),
            "floor": lambda: peer.run("floor", commands=options.commands),
        },
        options.rounds,
    )
    ours_is, many = ("headway", "tasks_per_s"), f"{options.n} no-op tasks, 2 workers"
    return report(
        "throughput",
        [
            rounds.ratio("ratio_to_ray", ">= 1.5", ours_is, ("ray", "tasks_per_s"), many),
            rounds.ratio("ratio_to_celery_durable", ">= 6", ours_is, ("celery", "tasks_per_s"), many),
            Figure("durable_tasks_per_s", rounds.median(*ours_is), "tasks/s", None, None, "aims at 10,000"),
            rounds.ratio(
                "ratio_to_subprocess_floor",
                ">= 0.5",
                ("headway", "commands_per_s"),
                ("floor", "commands_per_s"),
                "tasks that run `true`, against two threads that only do that",
            ),
            rounds.ratio(
                "train_p95_ratio",
                "<= 1.2",
                ("headway", "p95_slowdown"),
                ("headway", "p95_slowdown_without_trains"),
                f"{SHARE:.0%} of {options.mixed} tasks of one shape take {LONG:g} s, unannounced",
            ),
        ],
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--n", type=int, default=10_000, help="no-op tasks a round")
    parser.add_argument("--commands", type=int, default=400, help="processes a round")
    parser.add_argument("--mixed", type=int, default=100, help="tasks of unequal length a round")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
