"""02 Resources: say what a task needs, and the scheduler finds place and time. Next: 03_map_over_files.py.

A demand that no node could ever hold is refused before anything runs: try cpu=1000.
"""

import zlib

from headway import task, workflow


@task(cpu=0.5, memory="100MB", estimate="10ms")
def make(megabytes: int) -> bytes:
    return bytes(range(256)) * 4096 * megabytes


@task(cpu=1, memory="200MB", priority=10, retries=2, timeout="1min")
def squeeze(data: bytes) -> dict:
    return {"before": len(data), "after": len(zlib.compress(data))}


@workflow(tenant="research", weight=2)
def resources(megabytes: int = 4) -> dict:
    return squeeze(make(megabytes))  # 4 MB travel by reference: in no message and in no journal row


if __name__ == "__main__":
    print(resources())
