"""No engine at all: `floor_peer.py '{"commands": 200}'`. two threads run `true`."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor


def commands(n):
    """Processes that run `true`, per second, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        started = time.perf_counter()
        list(pool.map(lambda _: subprocess.run(["true"], check=True), range(n)))
        return {"commands_per_s": n / (time.perf_counter() - started)}


if __name__ == "__main__":
    figures = {}
    for workload, n in json.loads(sys.argv[1]).items():
        figures |= globals()[workload](n)
    print(json.dumps(figures))
