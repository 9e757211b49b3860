"""Simulated queues and the confidence interval of their mean response: ten seeded replications, batch means over them.

Service takes a second in the mean, arrivals are Poisson. Each replication starts empty and its first tenth is not
counted. The interval is Student's with nine degrees of freedom.
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

from headway.core.capacity.queueing import Phases
from headway.domain.resources import Demand
from headway.domain.task import Task
from headway.domain.units import MILLI, SECOND
from headway.sim.cluster import uniform
from headway.sim.records import Rules
from headway.sim.simulate import simulate
from headway.sim.trace import Job, Trace

REPLICATIONS = 10
#: The 99.5 % quantile of Student's distribution with nine degrees of freedom.
STUDENT = 3.2498
#: Jobs of a replication: of the pilot, at least (and where the interval may be wide), at most. Share of the mean aimed at.
PILOT, WIDE, MOST, AIM = 4_000, 40_000, 150_000, 0.035
_FREE = "preempt=longer, min_run=0, max_preemptions=1000000"
#: Policy of the file -> ours.
POLICIES = {
    "fcfs": "fcfs, strict",
    "sjf_nonpreemptive": "sjf",
    "srpt": f"remaining, {_FREE}",
    "nonpreemptive priority HIGH": "priority > fcfs, preempt=no",
    "nonpreemptive priority LOW": "priority > fcfs, preempt=no",
}


@dataclass(frozen=True)
class Queue:
    """A queue to simulate.

    Attributes:
        model: As in the file: `M/G/1 h2_c2_10`, `M/M/c`, `M/M/1 2-class 50/50`.
    """

    model: str
    servers: int
    rho: float
    policy: str

    @classmethod
    def of(cls, row: Mapping[str, str]) -> Queue:
        """From a row of the file."""
        return cls(row["model"], int(row["servers"]), float(row["rho"]), row["policy"])

    @property
    def wanted(self) -> int | None:
        """Which of two classes is asked for: 1 high, 0 low; None for all jobs."""
        return {"HIGH": 1, "LOW": 0}.get(self.policy.rsplit(" ", 1)[-1])

    @property
    def narrow(self) -> bool:
        """Whether an interval of at most 5 % of the mean is asked."""
        return self.rho <= 0.8 and "h2" not in self.model


@dataclass(frozen=True)
class Interval:
    """A mean with its 99 % confidence interval, in mean service times."""

    mean: float
    half: float

    def holds(self, value: float) -> bool:
        """Whether the value lies inside."""
        return abs(value - self.mean) <= self.half

    @property
    def width(self) -> float:
        """Of the whole interval, as a share of the mean."""
        return 2 * self.half / self.mean


def measure(queue: Queue, jobs: int, first: int = 0) -> Interval:
    """The mean response over ten replications of so many jobs; `first` numbers their seeds."""
    with ProcessPoolExecutor(min(REPLICATIONS, os.cpu_count() or 1)) as pool:
        work = [(queue, jobs, first + number) for number in range(REPLICATIONS)]
        means = list(pool.map(_replicate, work))
    half = STUDENT * statistics.stdev(means) / math.sqrt(REPLICATIONS)
    return Interval(statistics.fmean(means), half)


def length(queue: Queue) -> int:
    """Jobs a replication needs for the width that is asked, as a short run with other seeds tells; so the length does
    not depend on what it will find."""
    if not queue.narrow:
        return WIDE
    pilot = measure(queue, PILOT, first=1_000)
    return min(max(round(PILOT * (pilot.width / AIM) ** 2), WIDE), MOST)


def _replicate(work: tuple[Queue, int, int]) -> float:
    return replicate(*work)


def replicate(queue: Queue, jobs: int, number: int) -> float:
    """Mean response of one replication, without the first tenth of its jobs."""
    # One stream for all policies of a queue: they are compared on the same arrivals.
    name = f"{queue.model} {queue.servers} {queue.rho}"
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence((crc32(name.encode()), number))))
    gaps = draw.exponential(1 / (queue.servers * queue.rho), jobs)
    sizes = services(queue.model, jobs, draw)
    classes = draw.integers(0, 2, jobs) if "2-class" in queue.model else np.zeros(jobs, np.int64)
    arrivals = np.cumsum(gaps)
    trace = Trace.of(
        name,
        (
            Job(_task(i, int(at * SECOND), int(size * SECOND), int(rank)), int(size * SECOND))
            for i, (at, size, rank) in enumerate(zip(arrivals, sizes, classes, strict=True))
        ),
    )
    policy = f"{POLICIES[queue.policy]}, train_span=0"
    result = simulate(trace, uniform(1, cpu=queue.servers), policy, rules=Rules(checkpoint=0))
    counted = [
        record.ended - record.job.task.release
        for record in result.records[jobs // 10 :]
        if queue.wanted is None or record.job.task.priority == queue.wanted
    ]
    return statistics.fmean(counted) / SECOND


def _task(number: int, at: int, size: int, rank: int) -> Task:
    return Task(str(number), "job", Demand(MILLI), priority=rank, estimate=size, release=at)


def services(model: str, jobs: int, draw: np.random.Generator) -> npt.NDArray[np.float64]:
    """Processing times of mean 1: exponential, constant, or hyperexponential with two balanced phases."""
    name = model.split()[-1]
    if name in ("det", "M/D/1"):
        return np.ones(jobs)
    if not name.startswith("h2_c2_"):
        return draw.exponential(1.0, jobs)
    phases = Phases.fitted(1.0, float(name.removeprefix("h2_c2_")))
    chosen = draw.choice(len(phases.means), jobs, p=phases.probabilities)
    return draw.exponential(1.0, jobs) * np.array(phases.means)[chosen]
