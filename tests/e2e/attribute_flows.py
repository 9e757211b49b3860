"""Workflows of `test_attributes`: what a task may say beside what it asks for."""

from __future__ import annotations

import time
from pathlib import Path

from headway import Retry, task, workflow


class Throttled(ConnectionError):
    """Somebody is busy."""


@task(retry=Retry(3, on=Throttled, delay=0.01), cost=3600, deadline="1h")
def throttled(folder: str) -> int:
    """Throttled twice, then fine."""
    count = len(list(Path(folder).iterdir()))
    (Path(folder) / str(count)).touch()
    if count < 2:
        raise Throttled(f"attempt {count + 1}")
    time.sleep(0.02)
    return count


@workflow(deadline="1h")
def patient(folder: str) -> int:
    return throttled(folder)


@task(retry=Retry(5, on=("ConnectionError",), delay=0.01))
def wrong(folder: str) -> None:
    count = len(list(Path(folder).iterdir()))
    (Path(folder) / str(count)).touch()
    raise KeyError("nobody chose me")


@workflow
def impatient(folder: str) -> None:
    return wrong(folder)


@task(cache=True)
def slow_list(folder: str, count: int) -> list[int]:
    (Path(folder) / f"list-{count}-{time.time_ns()}").touch()
    return list(range(count))


@task(cache="1h", version="1")
def squared(x: int, folder: str) -> int:
    (Path(folder) / f"square-{x}-{time.time_ns()}").touch()
    return x * x


@workflow
def remembered(folder: str, count: int) -> list[int]:
    return squared.map(slow_list(folder, count), folder=folder)
