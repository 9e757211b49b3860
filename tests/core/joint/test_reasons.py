"""A plan can say why each job starts when it does, and the reason is the constraint that would break a moment
earlier."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from headway.core.joint.listing import best_list
from headway.core.joint.plan import Plan, faults
from headway.core.joint.problem import Edge, Job, Place, Problem
from headway.core.joint.reasons import reason
from headway.core.joint.serial import Builder
from tests.core.joint.problems import job, problem, small


def test_each_constraint_has_its_reason() -> None:
    made = problem(
        job("first"), job("late", 5, release=30), job("next"), job("queued"), capacity=1, edges=(Edge(0, 2),)
    )
    plan = Plan((0, 30, 10, 20), (0, 0, 0, 0))
    codes = [reason(made, plan, index).code for index in range(4)]
    assert codes == ["plan_now", "plan_release", "plan_waits_for", "plan_capacity"]
    assert reason(made, plan, 2)["job"] == "first"
    queued = reason(made, plan, 3)
    assert (queued["resource"], queued["asked"], queued["free"], queued["holders"]) == ("gpu", 1, 0, "next")


def test_a_node_that_is_still_to_come_is_a_reason() -> None:
    made = Problem(("gpu",), (Place("new", (1,), opens=7),), (Job("a", (5,), (1,)),))
    assert reason(made, Plan((7,), (0,)), 0).code == "plan_opens"


@given(small(jobs=6))
def test_the_reason_is_what_breaks_a_moment_earlier(made: Problem) -> None:
    builder = Builder(made)
    best = best_list(builder)
    plan = builder.plan(best.starts, best.at)
    for index, start in enumerate(plan.starts):
        assert reason(made, plan, index).code != "plan_free"
        if start:
            earlier = (*plan.starts[:index], start - 1, *plan.starts[index + 1 :])
            assert faults(made, replace(plan, starts=earlier))
