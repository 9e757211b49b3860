"""Ray on 2 CPUs: `ray_peer.py '{"throughput": 1000, "latency": 50, "chain": 100}'` prints one JSON object.

No dashboard, usage reports off, everything on loopback, the worker pool warmed before anything is timed. Ray
keeps nothing: its tasks are lost with the process that submitted them.
"""

import json
import os
import statistics
import sys
import time

os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_DEDUP_LOGS="0", RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0")
import ray


@ray.remote(num_cpus=1)
def noop(*_):
    return time.monotonic()


def throughput(n):
    """No-op tasks per second, first submit to last result."""
    started = time.perf_counter()
    ray.get([noop.remote() for _ in range(n)])
    return {"tasks_per_s": n / (time.perf_counter() - started)}


def latency(n):
    """Submit to first instruction on an idle system, ms."""
    waits = []
    for _ in range(n):
        time.sleep(0.02)
        submitted = time.monotonic()
        waits.append(1000 * (ray.get(noop.remote()) - submitted))
    waits.sort()
    return {
        "submit_to_start_ms": statistics.median(waits),
        "submit_to_start_p95_ms": waits[round(0.95 * (n - 1))],
    }


def chain(n):
    """Start to next start in a chain, ms: all of one demand, then with demands that alternate."""
    other = noop.options(num_cpus=0.5)
    return {
        "hop_ms": _hops([noop] * n),
        "cross_hop_ms": _hops([noop if i % 2 else other for i in range(n)]),
    }


def _hops(tasks):
    ref, refs = None, []
    for each in tasks:
        ref = each.remote(ref)
        refs.append(ref)
    starts = ray.get(refs)
    return 1000 * (starts[-1] - starts[0]) / (len(starts) - 1)


def fan(n):
    """One task, n that wait for it, one that waits for all, s."""
    started = time.perf_counter()
    root = noop.remote()
    ray.get(noop.remote(*[noop.remote(root) for _ in range(n)]))
    return {"fan_s": time.perf_counter() - started}


if __name__ == "__main__":
    ray.init("local", num_cpus=2, _node_ip_address="127.0.0.1", include_dashboard=False, log_to_driver=False,
             logging_level="ERROR")  # fmt: skip
    try:
        ray.get([noop.remote() for _ in range(200)])
        time.sleep(1)
        figures = {}
        for workload, n in json.loads(sys.argv[1]).items():
            figures |= globals()[workload](n)
        print(json.dumps(figures))
    finally:
        ray.shutdown()
