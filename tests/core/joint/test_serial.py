"""Schedules built from lists keep every constraint, whatever the list; justification never makes one longer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headway.core.joint.listing import by_key
from headway.core.joint.plan import Plan, cost, faults, shortfall
from headway.core.joint.problem import Edge, Job, Objective, Place, Problem
from headway.core.joint.serial import ANYWHERE, Builder
from tests.core.joint.problems import job, problem, small


@given(small(jobs=6), st.lists(st.integers(0, 9), min_size=6, max_size=6))
def test_any_list_builds_a_sound_schedule_that_is_measured_as_the_plan_is(
    made: Problem, keys: list[int]
) -> None:
    builder = Builder(made)
    starts, at = builder.forward(by_key(builder, keys[: builder.count]), [ANYWHERE] * builder.count)
    plan = Plan(tuple(starts), tuple(at))
    assert faults(made, plan) == []
    assert builder.measure(starts, at) == (shortfall(made, plan), cost(made, plan))


@given(small(jobs=6), st.lists(st.integers(0, 9), min_size=6, max_size=6))
def test_justification_keeps_soundness_and_never_lengthens(made: Problem, keys: list[int]) -> None:
    builder = Builder(made)
    starts, at = builder.forward(by_key(builder, keys[: builder.count]), [ANYWHERE] * builder.count)
    later, order = builder.justify(starts, at)
    assert faults(made, Plan(tuple(later), tuple(at))) == []
    assert _end(builder, later, at) <= _end(builder, starts, at)
    assert builder.forward(order, at)[0] == later


def test_a_job_fills_the_gap_before_one_that_is_placed_already() -> None:
    made = problem(job("late", 5, release=3), job("short", 3), job("long", 4))
    assert Builder(made).forward([0, 1, 2], [ANYWHERE] * 3)[0] == [3, 0, 8]


def test_fields_of_the_packed_amounts_do_not_borrow_from_each_other() -> None:
    # cpu has plenty left, gpu has none: a compare of the packed numbers as wholes would say that it fits.
    jobs = (Job("a", (5,), (2, 1)), Job("b", (5,), (0, 1)), Job("c", (5,), (1 << 40, 0)))
    made = Problem(("cpu", "gpu"), (Place("node", (1 << 41, 1)),), jobs)
    assert Builder(made).forward([0, 1, 2], [ANYWHERE] * 3)[0] == [0, 5, 0]


def test_transfer_is_paid_between_places_and_not_within_one() -> None:
    places = (Place("a", (1,)), Place("b", (1,)))
    jobs = (Job("first", (2, 9), (1,)), Job("second", (9, 8), (1,)))
    made = Problem(("slot",), places, jobs, (Edge(0, 1, 5),), ((0, 1), (1, 0)), Objective.MAKESPAN)
    assert Builder(made).forward([0, 1], [ANYWHERE, ANYWHERE]) == ([0, 2], [0, 0])
    assert Builder(made).forward([0, 1], [ANYWHERE, 1]) == ([0, 7], [0, 1])


def test_a_closed_place_is_used_only_by_what_fits_nowhere_else() -> None:
    places = (Place("small", (1,)), Place("large", (2,)))
    jobs = (Job("any", (9, 1), (1,)), Job("wide", (1, 1), (2,)))
    made = Problem(("gpu",), places, jobs)
    assert Builder(made).forward([0, 1], [ANYWHERE] * 2, frozenset({1}))[1] == [0, 1]


def _end(builder: Builder, starts: list[int], at: list[int]) -> int:
    return max(start + builder.durations[index][at[index]] for index, start in enumerate(starts))
