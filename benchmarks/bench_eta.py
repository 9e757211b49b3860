"""Do waiting tasks start when they were predicted to? A trace whose estimates are wrong, predicted as it goes.

    python -m benchmarks.bench_eta --data ../shared/bench

runs the jobs of a trace under the production engine. At every twentieth arrival all tasks that wait are predicted from the
engine's own futures (`headway.sim.what_if`), with the online correction (`headway.sim.calibration`). The first prediction
of each task counts. `p90_coverage` is the share of them that started by the P90 told; `p90_over_wait` says how wide that
is: the median of the promised over the real wait, so that a bound that is safe because it is silly shows. Without the data
a seeded synthetic trace of the same kind is used: sizes and processing times spread over decades.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

import numpy as np

from benchmarks.harness import Figure, report
from headway.domain.resources import Demand
from headway.domain.task import Task
from headway.domain.units import MILLI, SECOND
from headway.sim.arrivals import Arrivals
from headway.sim.calibration import Calibration
from headway.sim.choice import Choice
from headway.sim.cluster import Cluster, uniform
from headway.sim.experience import Experience
from headway.sim.injected import Injected
from headway.sim.records import Attempt, Record, Rules
from headway.sim.simulate import Simulation
from headway.sim.trace import Job, Trace
from headway.sim.traces.swf import read
from headway.sim.what_if import Prediction, predict, waiting

CORES = 256
#: Outcomes before the first prediction, and arrivals from one point of prediction to the next.
BEFORE, EVERY = 50, 20


class Predicted(Simulation):
    """A simulation that is predicted from time to time, as a follower does beside a service."""

    def __init__(
        self, trace: Trace, cluster: Cluster, choice: Choice, scenarios: int, corrected: bool
    ) -> None:
        super().__init__(trace, cluster, choice, Rules(), Injected())
        self.experience, self.coming, self.calibration = Experience(), Arrivals(), Calibration()
        self.scenarios, self.corrected = scenarios, corrected
        self.first: dict[str, Prediction] = {}
        self.arrivals = self.points = 0
        self.due = False

    def _arrive(self, record: Record) -> None:
        super()._arrive(record)
        self.coming.heard(self.now, record.job.task)
        self.arrivals += 1
        self.due |= self.arrivals % EVERY == 0 and len(self.experience.overall.line) >= BEFORE

    def _begin(self, attempt: Attempt) -> None:
        super()._begin(attempt)
        self.calibration.started(attempt.record.job.task.id, self.now)

    def _finished(self, record: Record) -> None:
        super()._finished(record)
        self.experience.learn(record.job.task.kind, record.job.task.estimate, record.job.duration)

    def _decide(self, now: int) -> None:
        super()._decide(now)
        if not self.due:
            return
        self.due = False
        self.calibration.passed(now)
        tasks = waiting(self.engine)
        if not tasks:
            return
        self.points += 1
        tree = self.engine.snapshot()
        found = predict(tree, now, self.experience, tasks, arrivals=self.coming, scenarios=self.scenarios)
        for task, prediction in found.items():
            if self.corrected:
                prediction = self.calibration.corrected(prediction)
                self.calibration.promised(prediction)
            self.first.setdefault(task, prediction)


def figures(simulation: Predicted) -> list[Figure]:
    """What the predictions were worth."""
    told = [p for p in simulation.first.values() if p.p90 is not None]
    if not told:
        return [Figure("p90_coverage", None, "share", ">= 0.85", note="nothing waited: raise --load")]
    starts = {p.task: simulation.by_id[p.task].started for p in told}
    in_time = sum(starts[p.task] <= p.p90 for p in told if p.p90 is not None) / len(told)
    half = [p for p in told if p.p50 is not None]
    by_half = sum(starts[p.task] <= p.p50 for p in half if p.p50 is not None) / len(half)
    wide = statistics.median(
        (p.p90 - p.now) / max(starts[p.task] - p.now, SECOND) for p in told if p.p90 is not None
    )
    note = f"{len(told)} tasks at {simulation.points} points; {len(simulation.first) - len(told)} left open"
    return [
        Figure("p90_coverage", in_time, "share", ">= 0.85", note=note),
        Figure("p90_coverage_at_most", in_time, "share", "<= 0.95"),
        Figure("p50_coverage", by_half, "share"),
        Figure("p90_over_wait", wide, "x", against="the real wait, median"),
    ]


def synthetic(jobs: int, seed: int) -> Trace:
    """Arrivals as a Poisson process; processors are powers of two; processing times are lognormal."""
    draw = np.random.Generator(np.random.PCG64(seed))
    at = np.cumsum(draw.exponential(700.0, jobs))
    made = []
    for number in range(jobs):
        cores = 2 ** int(draw.integers(0, 8))
        took = round(min(max(float(draw.lognormal(6.5, 2.0)), 1.0), 86_400.0) * SECOND)
        task = Task(
            str(number),
            "job",
            Demand(cores * MILLI),
            estimate=took,
            release=round(float(at[number]) * SECOND),
        )
        made.append(Job(task, took))
    return Trace.of("synthetic", made)


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with batch_queue/lublin1_256.swf.gz")
    parser.add_argument("--trace", type=Path, help="another log in SWF, on --cores cores")
    parser.add_argument("--cores", type=int, default=CORES)
    parser.add_argument("--policy", default="srpt", help="as `headway simulate` takes it")
    parser.add_argument("--jobs", type=int, default=2_500)
    parser.add_argument("--skip", type=int, default=0, help="jobs left out at the beginning")
    parser.add_argument("--load", type=float, default=0.85, help="arrivals come so many times as fast")
    parser.add_argument("--error", type=float, default=0.8, help="standard deviation of the estimates' log")
    parser.add_argument("--scenarios", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--uncorrected", action="store_true", help="what the simulation alone says")
    given = parser.parse_args()
    lublin = given.data / "batch_queue" / "lublin1_256.swf.gz" if given.data else None
    path = given.trace or (lublin if lublin is not None and lublin.exists() else None)
    trace = read(path) if path is not None else synthetic(given.jobs, given.seed)
    trace = Trace(trace.name, trace.jobs[given.skip : given.skip + given.jobs])
    trace = Injected(seed=given.seed, load=given.load, estimate_error=given.error).on(trace)
    print(
        f"{trace.name}: {len(trace.jobs)} jobs, {given.policy}, estimates wrong by a factor e^{given.error}"
    )
    cluster = uniform(1, cpu=given.cores)
    simulation = Predicted(trace, cluster, Choice.parse(given.policy), given.scenarios, not given.uncorrected)
    simulation.run()
    return report("eta", figures(simulation))


if __name__ == "__main__":
    sys.exit(main())
