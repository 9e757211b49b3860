"""Traces and clusters with defaults, so that what a test sets is what it is about."""

from __future__ import annotations

from typing import Any

from headway.domain.units import SECOND
from headway.sim.cluster import Cluster, uniform
from headway.sim.records import Result
from headway.sim.trace import Job, Trace
from tests import builders


def job(name: str, at: float = 0, takes: float = 10, *, said: float | None = None, **fields: Any) -> Job:
    """A task of one core that comes at `at` and takes `takes` seconds; it is believed to take `said`, or what it takes."""
    ways = tuple(round(way["seconds"] * SECOND) for way in fields.get("variants", ()))
    task = builders.task(name, seconds=takes if said is None else said, release=round(at * SECOND), **fields)
    return Job(task, ways[0] if ways else round(takes * SECOND), ways)


def trace(*jobs: Job) -> Trace:
    """A trace of them."""
    return Trace.of("trace", jobs)


def cores(count: int) -> Cluster:
    """One node."""
    return uniform(1, cpu=count)


def times(result: Result) -> dict[str, tuple[float, float]]:
    """(started, ended) by name, in seconds."""
    return {
        record.job.task.id.partition("/")[2]: (record.started / SECOND, record.ended / SECOND)
        for record in result.records
    }
