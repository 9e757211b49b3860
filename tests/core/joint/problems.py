"""Problems for tests: builders with defaults, small random ones, and the optimum of a small one by trying
everything."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from hypothesis import strategies as st

from headway.core.joint.plan import Plan, faults
from headway.core.joint.port import rank
from headway.core.joint.problem import PPM, Edge, Held, Job, Objective, Place, Problem, choices


def job(name: str = "job", duration: int = 10, demand: int = 1, release: int = 0, weight: int = 1) -> Job:
    """A job of one place and one resource."""
    return Job(name, (duration,), (demand,), release, weight)


def problem(
    *jobs: Job,
    capacity: int = 1,
    edges: tuple[Edge, ...] = (),
    objective: Objective = Objective.WEIGHTED_COMPLETION,
    horizon: int = 0,
    floor: int = 0,
    held: tuple[Held, ...] = (),
) -> Problem:
    """One place with one resource."""
    place = Place("pool", (capacity,), held=held)
    return Problem(("gpu",), (place,), jobs, edges, objective=objective, horizon=horizon, floor=floor)


@st.composite
def small(draw: st.DrawFn, jobs: int = 3) -> Problem:
    """Up to three jobs on up to two places: few enough to try everything."""
    count, places = draw(st.integers(1, jobs)), draw(st.integers(1, 2))
    width = draw(st.integers(1, 2))
    amounts = st.tuples(*[st.integers(0, 3)] * width)
    objective = draw(st.sampled_from(Objective))
    horizon = draw(st.integers(1, 8)) if objective is Objective.UTILISATION or draw(st.booleans()) else 0
    held = st.lists(st.builds(Held, st.integers(0, 1), st.integers(1, 2), amounts), max_size=1).map(tuple)
    return Problem(
        resources=("gpu", "cpu")[:width],
        places=tuple(
            Place(
                f"place {index}",
                (3,) * width,
                opens=draw(st.integers(0, 2)),
                held=draw(held) if horizon else (),
                price=draw(st.sampled_from([0, 0, 3])),
            )
            for index in range(places)
        ),
        jobs=tuple(
            Job(
                f"job {index}",
                tuple(draw(st.integers(0, 3)) for _ in range(places)),
                draw(amounts),
                release=draw(st.integers(0, 2)),
                weight=draw(st.integers(0, 4)),
            )
            for index in range(count)
        ),
        edges=tuple(
            Edge(before, after, draw(st.integers(0, 2)))
            for before in range(count)
            for after in range(before + 1, count)
            if draw(st.integers(0, 2)) == 0
        ),
        lag=((0, 1), (1, 0)) if places == 2 and draw(st.booleans()) else (),
        objective=objective,
        horizon=horizon,
        floor=draw(st.sampled_from([0, 0, 300_000, 700_000, PPM])),
    )


def everything(made: Problem) -> Iterator[Plan]:
    """Every sound plan whose starts lie within the time that all jobs take one after the other."""
    latest = max((job.release for job in made.jobs), default=0)
    latest += sum(max(duration or 0 for duration in job.durations) for job in made.jobs)
    latest += max(
        (max(place.opens, *(held.end for held in place.held), 0) for place in made.places), default=0
    )
    latest += sum(edge.size for edge in made.edges) if made.lag else 0
    options = [
        [(start, place) for place in choices(made, job) for start in range(job.release, latest + 1)]
        for job in made.jobs
    ]
    for picked in product(*options):
        plan = Plan(tuple(start for start, _ in picked), tuple(place for _, place in picked))
        if not faults(made, plan):
            yield plan


def optimum(made: Problem) -> tuple[int, int]:
    """The least (use missing to the floor, cost) there is."""
    return min(rank(made, plan) for plan in everything(made))
