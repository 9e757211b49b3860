"""No plan beats a bound: tried against all plans of small problems, and against textbook values where the
bound is tight."""

from __future__ import annotations

from hypothesis import given, settings

from headway.core.joint import bounds
from headway.core.joint.plan import cost, utilisation
from headway.core.joint.problem import Edge, Objective, Problem
from headway.core.joint.serial import Builder
from tests.core.joint.problems import everything, job, problem, small


@settings(max_examples=60, deadline=None)
@given(small(jobs=2))
def test_no_plan_beats_the_bounds(made: Problem) -> None:
    builder = Builder(made)
    least, most = bounds.lower(builder), bounds.highest_utilisation(builder)
    for plan in everything(made):
        assert cost(made, plan) >= least
        assert utilisation(made, plan) <= most


def test_one_machine_without_releases_is_smiths_rule() -> None:
    jobs = [
        job(str(index), duration, weight=weight)
        for index, (duration, weight) in enumerate([(3, 1), (1, 5), (4, 4)])
    ]
    # WSPT order: the second, the third, the first.
    assert bounds.lower(Builder(problem(*jobs))) == 5 * 1 + 4 * 5 + 1 * 8


def test_makespan_counts_the_work_between_the_first_start_and_the_last_tail() -> None:
    jobs = (job("head", 4), job("a", 10), job("b", 10), job("tail", 5))
    edges = (Edge(0, 1), Edge(0, 2), Edge(1, 3), Edge(2, 3))
    made = problem(*jobs, edges=edges, objective=Objective.MAKESPAN)
    assert bounds.lower(Builder(made)) == 4 + 20 + 5


def test_utilisation_is_bounded_by_what_can_run_before_the_horizon() -> None:
    made = problem(job(duration=10, release=6), capacity=2, horizon=10, floor=500_000)
    # One of two GPUs for 4 of 10 µs.
    assert bounds.highest_utilisation(Builder(made)) == 200_000
