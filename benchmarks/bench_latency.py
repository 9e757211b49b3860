"""How long does a task wait for nothing? Submit to first instruction, hop to hop in a chain, a fan 1-1000-1.

python -m benchmarks.bench_latency [--rounds 3] [--single 50] [--chain 100] [--fan 1000]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from benchmarks import jobs, peer
from benchmarks.harness import Figure, Measured, alternate, percentile, report, service

PAUSE = 0.02  # seconds between single tasks, so that each meets an idle system
TIMEOUT = 120.0


def ours(single: int, chain: int, fan: int) -> Measured:
    """All of it on a fresh service, warmed as the peers are."""
    with service(cpus=2) as running:
        client = running.client
        client.submit(jobs.many, n=200).result(TIMEOUT)
        waits = []
        for _ in range(single):
            time.sleep(PAUSE)
            submitted = time.monotonic()
            waits.append(1000 * (client.submit(jobs.one).result(TIMEOUT) - submitted))
        figures = {
            "submit_to_start_ms": statistics.median(waits),
            "submit_to_start_p95_ms": percentile(waits, 0.95),
        }
        for name, alternate_demands in (("hop_ms", False), ("cross_hop_ms", True)):
            moments = client.submit(jobs.chain, n=chain, alternate=alternate_demands).result(TIMEOUT)
            figures[name] = 1000 * (moments[-1] - moments[0]) / (chain - 1)
        started = time.perf_counter()
        client.submit(jobs.fan, n=fan).result(TIMEOUT)
        figures["fan_s"] = time.perf_counter() - started
    return figures


def main() -> int:
    """Measure, print, and the exit status."""
    options = _options()
    sizes = {"single": options.single, "chain": options.chain, "fan": options.fan}
    rounds = alternate(
        {
            "headway": lambda: ours(**sizes),
            "ray": lambda: peer.run("ray", latency=options.single, chain=options.chain, fan=options.fan),
        },
        options.rounds,
    )

    def to_ray(name: str, limit: str, figure: str, note: str = "") -> Figure:
        return rounds.ratio(name, limit, ("headway", figure), ("ray", figure), note)

    return report(
        "latency",
        [
            to_ray("submit_to_start_ratio_to_ray", "<= 2", "submit_to_start_ms", "medians on an idle system"),
            to_ray("submit_to_start_p95_ratio_to_ray", "<= 1.5", "submit_to_start_p95_ms"),
            to_ray("hop_ratio_to_ray", "<= 1", "hop_ms", f"chain of {options.chain} on one slot"),
            to_ray("cross_hop_ratio_to_ray", "<= 4", "cross_hop_ms", "demands alternate, cpu 1 and 0.5"),
            to_ray("fan_ratio_to_ray", "<= 1", "fan_s", f"1-{options.fan}-1"),
        ],
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--single", type=int, default=50, help="single tasks a round")
    parser.add_argument("--chain", type=int, default=100, help="length of the chains")
    parser.add_argument("--fan", type=int, default=1000, help="width of the fan")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
