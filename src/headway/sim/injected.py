"""What a simulation adds to its trace: wrong estimates, other arrivals, nodes that fail. Seeded.

Each kind of chance draws from a stream of its own, and no draw depends on what a policy does: so all policies see
the same errors and the same failures, and switching one kind on does not change the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from headway.domain.units import SECOND
from headway.errors import Invalid
from headway.sim.trace import Job, Trace

_ESTIMATES, _ARRIVALS, _OUTAGES = 1, 2, 3
#: Nothing runs so long that it would be simulated beyond this: 300 years.
_EVER = 10**16


@dataclass(frozen=True, slots=True)
class Injected:
    """What to add; by default nothing.

    Attributes:
        seed: The same seed gives the same simulation to the byte.
        estimate_error: Each estimate is multiplied by a lognormal factor of median 1 whose logarithm has this
            standard deviation: 0.5 means that two thirds lie within a factor of 1.65.
        no_estimates: The engine is told none, and learns them.
        load: Arrivals come so many times as fast.
        arrivals_per_hour: Arrivals become a Poisson process of this rate, in the order of the trace.
        mtbf: Mean time between failures of one node in microseconds, exponential; 0 for none.
        mttr: Mean time to its repair.
    """

    seed: int = 0
    estimate_error: float = 0.0
    no_estimates: bool = False
    load: float = 1.0
    arrivals_per_hour: float = 0.0
    mtbf: int = 0
    mttr: int = 600 * SECOND

    def __post_init__(self) -> None:
        if self.load <= 0 or min(self.estimate_error, self.arrivals_per_hour, self.mtbf, self.seed) < 0:
            raise Invalid(f"a negative amount in {self}", hint="load is above zero, the others are not below")
        if self.mtbf and self.mttr < 1:
            raise Invalid("nodes fail but their repair takes no time", hint="give a mean time to repair")

    def on(self, trace: Trace) -> Trace:
        """The trace with its arrivals and estimates changed."""
        jobs = trace.jobs
        if self.load != 1 or self.arrivals_per_hour:
            jobs = tuple(self._arriving(jobs))
        if self.no_estimates:
            jobs = tuple(_believed(job, lambda takes, said: None) for job in jobs)
        elif self.estimate_error:
            jobs = tuple(self._mistaken(jobs))
        return trace if jobs is trace.jobs else Trace(trace.name, jobs, trace.left_out)

    def _arriving(self, jobs: tuple[Job, ...]) -> Iterator[Job]:
        start = jobs[0].task.release
        if self.arrivals_per_hour:
            gaps = self._draw(_ARRIVALS).exponential(3600 * SECOND / self.arrivals_per_hour, len(jobs))
            times = (start + np.cumsum(gaps) - gaps[0]).tolist()
        else:
            times = [start + (job.task.release - start) / self.load for job in jobs]
        for job, time in zip(jobs, times, strict=True):
            moved = round(time) - job.task.release
            due = None if job.task.deadline is None else max(job.task.deadline + moved, 0)
            yield replace(job, task=replace(job.task, release=round(time), deadline=due))

    def _mistaken(self, jobs: tuple[Job, ...]) -> Iterator[Job]:
        factors = self._draw(_ESTIMATES).lognormal(0.0, self.estimate_error, len(jobs)).tolist()
        for job, factor in zip(jobs, factors, strict=True):

            def mistaken(takes: int, said: int | None, factor: float = factor) -> int:
                return max(round((takes if said is None else said) * factor), 1)

            yield _believed(job, mistaken)

    def outages(self, node: int, start: int) -> Iterator[tuple[int, int]]:
        """When a node goes and when it is back, for ever; nothing if nodes do not fail."""
        if not self.mtbf:
            return
        draw, now = self._draw(_OUTAGES, node), start
        while now < _EVER:
            down = now + 1 + round(float(draw.exponential(self.mtbf)))
            now = down + 1 + round(float(draw.exponential(self.mttr)))
            yield down, now

    def _draw(self, *stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence((self.seed, *stream))))


def _believed(job: Job, belief: Callable[[int, int | None], int | None]) -> Job:
    """The job with another estimate, made of how long it takes and of what was said; of each variant."""
    task = job.task
    variants = tuple(
        replace(variant, estimate=belief(takes, variant.estimate))
        for variant, takes in zip(task.variants, job.durations, strict=True)
    )
    return replace(job, task=replace(task, estimate=belief(job.duration, task.estimate), variants=variants))
