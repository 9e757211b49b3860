"""The joint problem as data: which jobs, where they may run, in what order, and what is wanted.

One form covers the field's classics. Resource-constrained projects (RCPSP) and rigid parallel tasks are one
place with several resources; unrelated machines with transfer (HEFT) are several places that hold one job
each; a pool is one place a node. Every objective here is *regular*: finishing a job earlier never makes it
worse, so some schedule built from a list is optimal (Sprecher, Kolisch, Drexl 1995) and list scheduling and
search need to look at nothing else.

The capacity of a place is one number a resource: fractions of different devices of one node are added up.
Placement still keeps each device to its own; a plan says where and in which order, the engine says on which
device.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from headway.errors import Invalid

#: Shares are integers in millionths.
PPM = 1_000_000


class Objective(StrEnum):
    """What is made small. Each cost is an integer, never negative, and the price of the places used is added
    to it."""

    #: Sum over jobs of weight times completion time.
    WEIGHTED_COMPLETION = "weighted_completion"
    #: When the last job completes.
    MAKESPAN = "makespan"
    #: Idle share times time, summed over resources up to the horizon: least when the sum of utilisations is
    #: greatest.
    UTILISATION = "utilisation"


@dataclass(frozen=True, slots=True)
class Held:
    """What is taken already from `start` to `end`: a running task, a reservation. It counts as used."""

    start: int
    end: int
    demand: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where jobs run: a node, or a whole pool taken as one.

    Attributes:
        capacity: One amount a resource, in the resource's integer unit.
        opens: Nothing starts here before; a node that is still to be added opens when it is ready.
        held: What is taken already.
        price: Added to the cost, in its unit, if any job is put here. So one plan weighs tasks and pool
            changes together.
    """

    name: str
    capacity: tuple[int, ...]
    opens: int = 0
    held: tuple[Held, ...] = ()
    price: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One task, not preempted once started.

    Attributes:
        durations: Processing time at each place, in microseconds; None where it may not run.
        demand: What it holds while it runs, one amount a resource.
        release: Not to start before, in microseconds from the plan's zero.
        weight: What a microsecond of its completion time costs, in milli.
    """

    name: str
    durations: tuple[int | None, ...]
    demand: tuple[int, ...]
    release: int = 0
    weight: int = 1000


@dataclass(frozen=True, slots=True)
class Edge:
    """`after` (an index into the jobs) starts when `before` is complete and `size` data are with it."""

    before: int
    after: int
    size: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be planned. Time starts at 0, which is now.

    Attributes:
        resources: Their names; capacities and demands are in this order.
        lag: Microseconds per unit of data from place to place, `lag[from][to]`; empty when transfer is free.
        horizon: Utilisation is measured over [0, horizon) microseconds, against the capacity of all places; 0
            means until the last job completes (not with `Objective.UTILISATION`, which needs one).
        floor: Least mean utilisation over the resources, in millionths; 0 for none.

    Raises:
        Invalid: What does not fit together, by name.
    """

    resources: tuple[str, ...]
    places: tuple[Place, ...]
    jobs: tuple[Job, ...]
    edges: tuple[Edge, ...] = ()
    lag: tuple[tuple[int, ...], ...] = ()
    objective: Objective = Objective.WEIGHTED_COMPLETION
    horizon: int = 0
    floor: int = 0

    def __post_init__(self) -> None:
        _check_places(self)
        _check_jobs(self)
        _check_edges(self)
        if self.objective is Objective.UTILISATION and self.horizon <= 0:
            raise Invalid(
                "the utilisation objective needs a horizon",
                hint="give horizon=… in microseconds: utilisation is measured up to it",
            )
        if self.floor and not self.horizon and any(place.held for place in self.places):
            # Up to the last completion, what is held could count for more in a longer plan: a floor for
            # dawdling.
            raise Invalid(
                "a utilisation floor beside what is held needs a horizon",
                hint="give horizon=… in microseconds: utilisation is measured up to it",
            )
        if not 0 <= self.floor <= PPM or self.horizon < 0:
            raise Invalid(
                f"floor={self.floor} and horizon={self.horizon} are not 0 to {PPM} millionths and 0 or more µs",
                hint="a floor of 80 % is floor=800_000",
            )

    @property
    def totals(self) -> tuple[int, ...]:
        """The capacity of all places together, one amount a resource."""
        return tuple(sum(amounts) for amounts in zip(*(place.capacity for place in self.places), strict=True))

    @property
    def counted(self) -> int:
        """How many resources utilisation is a mean of: those there are any of."""
        return sum(total > 0 for total in self.totals)


def share(demand: tuple[int, ...], totals: tuple[int, ...]) -> int:
    """What a demand uses of everything: its share of each resource in millionths (rounded down), summed."""
    return sum(amount * PPM // total for amount, total in zip(demand, totals, strict=True) if total)


def order_of(problem: Problem) -> list[int]:
    """The jobs so that each comes after all before it; by index where the graph leaves it open.

    Raises:
        Invalid: A cycle, with the jobs on it or behind it.
    """
    waits = [0] * len(problem.jobs)
    after: list[list[int]] = [[] for _ in problem.jobs]
    for edge in problem.edges:
        waits[edge.after] += 1
        after[edge.before].append(edge.after)
    order = [index for index, count in enumerate(waits) if not count]
    for index in order:
        for later in after[index]:
            waits[later] -= 1
            if not waits[later]:
                order.append(later)
    if len(order) < len(waits):
        stuck = [problem.jobs[index].name for index, count in enumerate(waits) if count]
        raise Invalid(
            f"the jobs wait for one another in a circle: {', '.join(stuck[:8])}",
            hint="remove one edge of the circle",
        )
    return order


def _check_places(problem: Problem) -> None:
    width = len(problem.resources)
    if not problem.places:
        raise Invalid("a plan needs at least one place", hint="add a Place with the capacity of the pool")
    for place in problem.places:
        for what, amounts in (
            ("capacity", place.capacity),
            *(("held demand", held.demand) for held in place.held),
        ):
            if len(amounts) != width or min(amounts, default=0) < 0:
                raise Invalid(
                    f"{what} {amounts} of place {place.name!r} is not one amount ≥ 0 a resource",
                    hint=f"the resources are, in order: {', '.join(problem.resources)}",
                )
        if (
            place.opens < 0
            or place.price < 0
            or any(held.start < 0 or held.end < held.start for held in place.held)
        ):
            raise Invalid(
                f"place {place.name!r} has a time or price below zero, or holds what ends before it starts"
            )
    count = len(problem.places)
    if problem.lag and (
        len(problem.lag) != count or any(len(row) != count or min(row) < 0 for row in problem.lag)
    ):
        raise Invalid(f"lag must be {count} rows of {count} times ≥ 0, from each place to each")


def _check_jobs(problem: Problem) -> None:
    for job in problem.jobs:
        if len(job.durations) != len(problem.places) or len(job.demand) != len(problem.resources):
            raise Invalid(
                f"job {job.name!r} has {len(job.durations)} durations and {len(job.demand)} amounts",
                hint=f"one duration for each of {len(problem.places)} places, and amounts of {', '.join(problem.resources)}",
            )
        if min(0, job.release, job.weight, *job.demand, *(d for d in job.durations if d is not None)) < 0:
            raise Invalid(f"job {job.name!r} has a negative time, weight or demand")
        if not choices(problem, job):
            raise Invalid(
                f"job {job.name!r} fits no place it may run at, not even an empty one: it asks for "
                + ", ".join(
                    f"{name} {amount}" for name, amount in zip(problem.resources, job.demand, strict=True)
                ),
                hint="ask for less, or add a place that is large enough",
                job=job.name,
            )


def _check_edges(problem: Problem) -> None:
    count = len(problem.jobs)
    for edge in problem.edges:
        if not (0 <= edge.before < count and 0 <= edge.after < count) or edge.size < 0:
            raise Invalid(f"{edge} does not join two of the {count} jobs with data of size ≥ 0")
    order_of(problem)


def choices(problem: Problem, job: Job) -> tuple[int, ...]:
    """The places at which the job may run and which, empty, could hold it."""
    return tuple(
        index
        for index, place in enumerate(problem.places)
        if job.durations[index] is not None
        and all(asked <= has for asked, has in zip(job.demand, place.capacity, strict=True))
    )
