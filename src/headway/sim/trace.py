"""What is simulated: tasks with the time that each really takes, which the engine never sees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from headway.domain.task import Task
from headway.errors import Invalid


@dataclass(frozen=True, slots=True)
class Job:
    """A task of a trace.

    Attributes:
        task: As the engine is told of it; `release` is when it arrives.
        duration: Its processing time in microseconds. `task.estimate` is what was believed of it.
        durations: The same by variant, for a task that has some; `duration` is that of the first.
        cost: Price of an hour that an attempt of it runs, in milli-units.
    """

    task: Task
    duration: int
    durations: tuple[int, ...] = ()
    cost: int = 0

    def as_variant(self, index: int) -> Job:
        """The job as it runs in that way."""
        return replace(self, task=self.task.as_variant(index), duration=self.durations[index])


@dataclass(frozen=True, slots=True)
class Trace:
    """Jobs in order of arrival.

    Attributes:
        name: For reports.
        left_out: What of the source could not be a task, by reason, with how many.
    """

    name: str
    jobs: tuple[Job, ...]
    left_out: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, name: str, jobs: Iterable[Job], left_out: Iterable[tuple[str, int]] = ()) -> Trace:
        """Sorts by arrival; jobs that arrive together keep their order.

        Raises:
            Invalid: An id twice, a time below zero, or a dependency on nothing or in a circle.
        """
        ordered = tuple(sorted(jobs, key=lambda job: job.task.release))
        _check(name, ordered)
        return cls(name, ordered, tuple(left_out))


def merged(traces: list[Trace]) -> Trace:
    """Several traces at once. Where ids clash, or there are several, each id gets its trace's number."""
    if len(traces) == 1:
        return traces[0]
    jobs = []
    for number, trace in enumerate(traces, 1):

        def renamed(task: str, number: int = number) -> str:
            return f"{number}.{task}"

        for job in trace.jobs:
            gang = job.task.gang
            task = replace(
                job.task,
                id=renamed(job.task.id),
                after=tuple(map(renamed, job.task.after)),
                gang=replace(gang, id=renamed(gang.id)) if gang is not None else None,
            )
            jobs.append(replace(job, task=task))
    left: dict[str, int] = {}
    for trace in traces:
        for reason, count in trace.left_out:
            left[reason] = left.get(reason, 0) + count
    return Trace.of(" + ".join(trace.name for trace in traces), jobs, left.items())


def _check(name: str, jobs: tuple[Job, ...]) -> None:
    known: dict[str, Job] = {}
    for job in jobs:
        if job.task.id in known:
            raise Invalid(f"{name} has two tasks {job.task.id!r}", hint="ids are unique in a trace")
        if job.duration < 0 or job.task.release < 0:
            raise Invalid(
                f"{name}: task {job.task.id!r} arrives at {job.task.release} us and takes {job.duration} us",
                hint="times are zero or more",
            )
        known[job.task.id] = job
    gangs = {job.task.id: job.task.gang.id for job in jobs if job.task.gang is not None}
    for job in jobs if gangs else ():
        mate = next((p for p in job.task.after if gangs.get(p) == gangs.get(job.task.id, "")), None)
        if mate is not None:
            raise Invalid(
                f"{name}: task {job.task.id!r} depends on {mate!r} of its own gang, and could not start with it",
                hint="take one of them out of the gang",
            )
    missing = {job.task.id: len(set(job.task.after)) for job in jobs if job.task.after}
    if not missing:
        return
    below: dict[str, list[str]] = {}
    for job in jobs:
        for parent in set(job.task.after):
            if parent not in known:
                raise Invalid(
                    f"{name}: task {job.task.id!r} depends on {parent!r}, which is not in the trace",
                    hint="add it, or take the dependency out",
                )
            below.setdefault(parent, []).append(job.task.id)
    ready = [task for task in known if task not in missing]
    while ready:
        for child in below.get(ready.pop(), ()):
            missing[child] -= 1
            if not missing[child]:
                del missing[child]
                ready.append(child)
    if missing:
        circle = _circle(known, missing)
        raise Invalid(
            f"{name}: tasks wait for each other in a circle: {' -> '.join(circle)}",
            hint="remove one of these dependencies",
        )


def _circle(known: dict[str, Job], stuck: dict[str, int]) -> list[str]:
    path: list[str] = []
    task = next(iter(stuck))
    while task not in path:
        path.append(task)
        task = next(parent for parent in known[task].task.after if parent in stuck)
    return [*path[path.index(task) :], task]
