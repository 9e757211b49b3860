"""The work that the benchmarks hand to Headway. A task's result is the moment of its first instruction.

`time.monotonic()` is one clock for all processes of a machine: a task's moment compares with the submitter's.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from headway import shell, task, workflow


@task(cpu=1)
def stamp(*_: Any, **__: Any) -> float:
    """Does nothing; when."""
    return time.monotonic()


@task(cpu=0.5)
def stamp_half(*_: Any) -> float:
    """The same with another demand, so that it cannot ride on the same lease."""
    return time.monotonic()


@workflow
def one() -> float:
    """A single task."""
    return stamp()


@workflow
def many(n: int) -> list:
    """`n` independent tasks."""
    return stamp.map(list(range(n)))


@workflow
def chain(n: int, alternate: bool = False) -> list:
    """`n` tasks, each waiting for the one before."""
    last = stamp()
    moments = [last]
    for position in range(1, n):
        last = stamp_half(last) if alternate and position % 2 else stamp(last)
        moments.append(last)
    return moments


@workflow
def fan(n: int) -> float:
    """One task, `n` that wait for it, one that waits for all."""
    root = stamp()
    return stamp(stamp.map(list(range(n)), after=root))


@workflow
def commands(n: int) -> list:
    """`n` processes that run `true`."""
    return [shell("true") for _ in range(n)]


@task(cpu=1)
def mixed(seconds: float) -> tuple:
    """Sleeps; when it began and ended."""
    began = time.monotonic()
    time.sleep(seconds)
    return began, time.monotonic()


#: The same function, never on a train: an `at_most_once` task has a lease of its own.
mixed_alone = task(cpu=1, at_most_once=True)(mixed.function)


@workflow
def mixture(lengths: list, trains: bool) -> list:
    """Tasks of one shape and very different length, which nobody announced."""
    return (mixed if trains else mixed_alone).map(lengths)


@task(cpu=1)
def hold(gate: str, limit: float = 300.0) -> None:
    """Occupies its slot until the file exists."""
    deadline = time.monotonic() + limit
    while not Path(gate).exists() and time.monotonic() < deadline:
        time.sleep(0.02)


@workflow
def holders(slots: int, gate: str) -> list:
    """As many as there are slots, so that what comes later queues."""
    return hold.map([gate] * slots)
