"""A problem refuses what does not fit together, and says what and where."""

from __future__ import annotations

import pytest

from headway.core.joint.plan import Plan, cost, faults, shortfall, utilisation
from headway.core.joint.problem import Edge, Held, Job, Objective, Place, Problem
from headway.errors import Invalid
from tests.core.joint.problems import job, problem


def test_a_job_that_fits_nowhere_is_named_with_what_it_asks() -> None:
    with pytest.raises(Invalid, match=r"job 'train' fits no place.*gpu 3"):
        problem(job("train", demand=3), capacity=2)


def test_a_circle_is_named() -> None:
    with pytest.raises(Invalid, match="circle: a, b"):
        problem(job("a"), job("b"), edges=(Edge(0, 1), Edge(1, 0)))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Problem(("gpu",), (), ()), "at least one place"),
        (lambda: Problem(("gpu",), (Place("a", (1, 2)),), ()), "one amount ≥ 0 a resource"),
        (lambda: Problem(("gpu",), (Place("a", (1,), opens=-1),), ()), "below zero"),
        (lambda: Problem(("gpu",), (Place("a", (1,)),), (), lag=((0, 1),)), "lag must be 1 rows of 1"),
        (lambda: problem(Job("a", (1, 2), (1,))), "2 durations and 1 amounts"),
        (lambda: problem(job(duration=-1)), "negative"),
        (lambda: problem(job(), edges=(Edge(0, 1),)), "does not join two of the 1 jobs"),
        (lambda: problem(job(), objective=Objective.UTILISATION), "needs a horizon"),
        (lambda: problem(job(), floor=2_000_000), "millionths"),
        (lambda: problem(job(), floor=1, held=(Held(0, 5, (1,)),)), "needs a horizon"),
    ],
)
def test_what_does_not_fit_together_is_refused(made: object, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        made()  # type: ignore[operator]


def test_costs_are_the_textbook_ones() -> None:
    jobs = (job("a", 4, weight=2), job("b", 6, weight=3))
    one_after_the_other = Plan((0, 4), (0, 0))
    assert cost(problem(*jobs), one_after_the_other) == 2 * 4 + 3 * 10
    assert cost(problem(*jobs, objective=Objective.MAKESPAN), one_after_the_other) == 10
    # Of 2 GPUs one is busy for 8 µs: half is idle.
    idle = problem(*jobs, capacity=2, objective=Objective.UTILISATION, horizon=8)
    assert cost(idle, one_after_the_other) == 8 * 500_000
    assert utilisation(idle, one_after_the_other) == 500_000


def test_what_is_held_counts_as_used_but_not_as_free() -> None:
    made = problem(job(duration=4), capacity=2, horizon=8, floor=750_000, held=(Held(0, 8, (1,)),))
    assert utilisation(made, Plan((0,), (0,))) == 750_000
    assert shortfall(made, Plan((0,), (0,))) == 0
    assert shortfall(made, Plan((6,), (0,))) == 2 * 500_000
    assert faults(problem(job(demand=2), capacity=2, horizon=8, held=made.places[0].held), Plan((7,), (0,)))


def test_every_broken_constraint_is_named() -> None:
    made = problem(job("a", release=5), job("b"), edges=(Edge(0, 1),))
    assert faults(made, Plan((5, 15), (0, 0))) == []
    found = " / ".join(faults(made, Plan((4, 6), (0, 0))))
    assert "a starts at 4, before its release 5" in found
    assert "b starts before it has all of a" in found
    assert "pool holds 2 gpu at 6, of 1" in found
