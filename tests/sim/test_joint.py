"""`joint` in a simulation: better than the greedy orders, and the same bytes each time."""

from __future__ import annotations

import random

import pytest

from headway.core.joint.record import PlanRecord
from headway.errors import Invalid
from headway.sim.choice import Choice
from headway.sim.cluster import uniform
from headway.sim.records import Result
from headway.sim.report import compare
from headway.sim.simulate import simulate
from headway.sim.trace import Trace

from .builders import job, trace


def mixed(count: int = 60, seed: int = 3) -> Trace:
    """Short and long, narrow and wide, light and heavy, half of them at once."""
    draw = random.Random(seed)
    jobs = [
        job(
            f"t{i}", 0 if i < count // 2 else 2 * i, draw.choice([2, 5, 20, 60]), cpu=draw.choice([1, 2, 4, 8]),
            weight=draw.choice([1, 1, 2, 10]) * 1000,
        )
        for i in range(count)
    ]  # fmt: skip
    return trace(*jobs)


def weighted(result: Result) -> int:
    """Sum of weight times completion time."""
    return sum(record.job.task.weight * record.ended for record in result.records)


def test_joint_has_less_weighted_completion_time_than_the_greedy_orders() -> None:
    nodes = uniform(2, cpu=8)
    found = {
        policy: weighted(simulate(mixed(), nodes, policy))
        for policy in ("fcfs", "srpt", "wspt", "joint, steps=150")
    }
    assert min(found, key=lambda policy: found[policy]) == "joint, steps=150", found


def test_the_same_plans_to_the_byte_and_every_task_is_done() -> None:
    first, second = (simulate(mixed(40), uniform(2, cpu=8), "joint, steps=50") for _ in range(2))
    assert [plan.tree() for plan in first.plans] == [plan.tree() for plan in second.plans]
    assert first.spans == second.spans
    assert len(first.plans) > 1
    assert all(record.ended >= 0 for record in first.records)


def test_makespan_and_utilisation_are_objectives_too() -> None:
    tasks = trace(*(job(f"t{i}", 0, takes, cpu=4) for i, takes in enumerate([3, 3, 2, 2, 2])))
    found = simulate(tasks, uniform(1, cpu=8), "joint, objective=makespan, steps=100")
    assert found.plans[0].objective == "makespan"
    assert simulate(tasks, uniform(1, cpu=8), "joint, objective=utilisation, horizon=5s").plans[0].cost >= 0


def test_failing_nodes_and_wrong_estimates_are_lived_through() -> None:
    from headway.domain.units import SECOND
    from headway.sim.injected import Injected

    injected = Injected(seed=1, estimate_error=1.0, mtbf=100 * SECOND, mttr=20 * SECOND)
    found = simulate(mixed(40), uniform(3, cpu=8), "joint, steps=30", injected=injected)
    assert found.outages
    assert all(record.ended >= 0 or record.failed for record in found.records)


def test_the_report_says_what_was_proved_and_what_no_plan_can_reach() -> None:
    page = compare(mixed(30), uniform(1, cpu=8), ["joint, u_min=0.95, horizon=1h, steps=20"]).table()
    assert "plans of at most" in page
    assert "at least 95.00 % asked: no plan can, the highest possible is at most" in page


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("joint, objective=speed", "no objective 'speed'"), ("srpt, steps=5", "only 'joint' makes plans"),
        ("joint, solver=magic", "no solver 'magic'"), ("joint, u_min=1.5", "no aim of a plan"),
        ("joint, jobs=9999", "a plan of 9999 tasks"), ("joint, steps=many", "not a count"), ("joint, steps=0", "steps=0"),
    ],
)  # fmt: skip
def test_a_wrong_aim_is_refused(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        Choice.parse(text)


def test_a_solver_that_was_not_handed_in_is_refused_before_anything_runs() -> None:
    with pytest.raises(Invalid, match="no solver 'cpsat' here"):
        simulate(mixed(5), uniform(1, cpu=8), "joint, solver=cpsat")


def test_a_plan_is_a_record_of_its_own() -> None:
    found = simulate(mixed(20), uniform(1, cpu=8), "joint, steps=20").plans[0]
    assert PlanRecord.from_tree(found.tree()) == found
