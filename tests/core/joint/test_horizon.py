"""From the engine's state to a problem and back to a plan: bounded, sound, the same bytes each time."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.core.engine import Engine
from headway.core.events import NodeLost, PlanSet
from headway.core.joint.horizon import MOST_PLACES, Aim, Offer, due, look, record
from headway.core.joint.plan import faults
from headway.core.joint.pools import weigh
from headway.core.joint.problem import Objective
from headway.core.joint.record import PlanRecord
from headway.core.joint.search import Search
from headway.domain.units import SECOND
from headway.errors import Invalid
from tests.builders import Harness, node, task

AIM = Aim(steps=60)


def planned(h: Harness, aim: Aim = AIM, ident: str = "p1") -> PlanRecord:
    """The plan of this moment."""
    seen = look(h.engine.world, h.now, aim)
    assert seen is not None
    return record(seen, Search().solve(seen.problem, aim.budget), aim, ident)


def busy(drive: Any, **settings: Any) -> Harness:
    """One core, which runs something for ten seconds."""
    h = drive(order="joint", **settings)
    h.join(node("n1", cpu=1))
    h.offer(task("runs", seconds=10))
    h.started("runs")
    return h


def test_what_runs_is_held_and_what_waits_is_planned_behind_it(drive) -> None:
    h = busy(drive)
    h.offer(task("long", seconds=30), task("short", seconds=1), task("after", seconds=1, after=["long"]))
    h.sleep(4)
    plan = planned(h)
    assert [(row.task, row.start // SECOND) for row in plan.rows] == [
        ("r/short", 10), ("r/long", 11), ("r/after", 41),
    ]  # fmt: skip
    assert (plan.made, plan.bound <= plan.cost) == (4 * SECOND, True)


def test_what_has_outlasted_its_estimate_is_reckoned_to_take_as_much_longer_again(drive) -> None:
    h = busy(drive)
    h.offer(task("a", seconds=1))
    h.sleep(16)
    assert planned(h).rows[0].start == 22 * SECOND


def test_a_plan_is_due_when_there_is_none_when_somebody_comes_and_when_it_drifts(drive) -> None:
    h = busy(drive)
    assert not due(h.engine.world, h.now, AIM)
    h.offer(task("a", seconds=5), task("b", seconds=5), task("c", seconds=5))
    assert due(h.engine.world, h.now, AIM)
    h.apply(PlanSet(planned(h)))
    assert not due(h.engine.world, h.now, AIM)
    h.offer(task("new", seconds=1))
    assert due(h.engine.world, h.now, AIM)
    h.apply(PlanSet(planned(h, ident="p2")))
    assert not due(h.engine.world, h.now, AIM)
    h.sleep(20)
    assert due(h.engine.world, h.now, AIM), "the first should have started ten seconds ago"


def test_a_plan_is_due_when_a_node_of_it_has_gone(drive) -> None:
    h = busy(drive)
    h.join(node("n2", cpu=1))
    h.offer(task("b", seconds=10), task("a", seconds=5), task("c", seconds=5))
    h.apply(PlanSet(planned(h)))
    h.apply(NodeLost("n2"))
    assert due(h.engine.world, h.now, AIM)


def test_a_plan_looks_at_so_many_tasks_and_nodes_however_many_there_are(drive) -> None:
    h = drive(order="joint")
    h.join(*(node(f"n{i}", cpu=1) for i in range(MOST_PLACES + 20)))
    h.offer(*(task(f"t{i}", seconds=5 + i) for i in range(200)))
    seen = look(h.engine.world, h.now, AIM)
    assert seen is not None
    assert (len(seen.problem.places), len(seen.tasks)) == (MOST_PLACES, AIM.jobs)
    assert seen.left_out == 200 - MOST_PLACES - 20 - AIM.jobs


def test_what_no_node_could_hold_is_left_out(drive) -> None:
    h = busy(drive)
    h.offer(task("huge", cpu=64, seconds=1))
    assert look(h.engine.world, h.now, AIM) is None
    assert due(h.engine.world, h.now, AIM), "asked again, it says None again"


def test_a_better_class_and_what_has_waited_long_count_for_more(drive) -> None:
    h = drive(order="priority > joint", preempt=False)
    h.join(node("n1", cpu=1))
    h.offer(task("runs", seconds=900))
    h.started("runs")
    h.offer(task("old", seconds=1), task("urgent", seconds=300, priority=1))
    h.sleep(640)
    h.offer(task("fresh", seconds=1, release=h.now))
    seen = look(h.engine.world, h.now, AIM)
    assert seen is not None
    weights = dict(zip(seen.tasks, (job.weight for job in seen.problem.jobs), strict=True))
    assert weights["r/old"] == 11 * weights["r/fresh"]
    assert weights["r/urgent"] > 10 * weights["r/fresh"]


@pytest.mark.parametrize(
    "wrong", [{"starts": (0, 0)}, {"starts": (0,)}, {"places": (7, 0)}, {"places": (-1, 0)}]
)
def test_an_answer_that_is_no_sound_plan_is_refused(drive, wrong: dict[str, Any]) -> None:
    h = busy(drive)
    h.offer(task("a", seconds=5), task("b", seconds=5))
    seen = look(h.engine.world, h.now, AIM)
    assert seen is not None
    answer = Search().solve(seen.problem, AIM.budget)
    with pytest.raises(Invalid, match="answer"):
        record(seen, replace(answer, plan=replace(answer.plan, **wrong)), AIM, "p")


def test_a_floor_that_cannot_be_met_says_the_highest_that_can(drive) -> None:
    h = busy(drive)
    h.offer(task("a", seconds=20))
    aim = replace(AIM, floor=900_000, horizon=60 * SECOND)
    h.apply(PlanSet(planned(h, aim)))
    assert (
        "at least 90.00 % asked: no plan can, the highest possible is at most 50.00 %"
        in h.engine.why("r/a", h.now).text()
    )
    met = planned(h, replace(aim, horizon=30 * SECOND))
    assert met.floor == (900_000, 1_000_000, 1_000_000)


SHAPES = st.tuples(
    st.integers(1, 4), st.sampled_from([0, 0.5, 1, 2]), st.sampled_from([0, "1GiB", "1500KiB"]),
    st.sampled_from([0.5, 3, 40, None]), st.integers(1, 4), st.booleans(),
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    tasks=st.lists(SHAPES, min_size=1, max_size=14),
    nodes=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 2)), min_size=1, max_size=3),
    objective=st.sampled_from(Objective),
    running=st.integers(0, 4),
)
def test_every_plan_is_sound_survives_json_and_is_followed_within_capacity(
    tasks, nodes, objective, running
) -> None:
    h = Harness(order="joint")
    h.join(*(node(f"n{i}", cpu=cpu, gpus=gpus, memory="2GiB") for i, (cpu, gpus) in enumerate(nodes)))
    for number, (cpu, gpu, memory, seconds, weight, behind) in enumerate(tasks):
        after = [f"t{number - 1}"] if behind and number else []
        h.offer(
            task(
                f"t{number}",
                cpu=cpu,
                gpu=gpu,
                memory=memory,
                seconds=seconds,
                weight=1000 * weight,
                after=after,
            )
        )
        if number < running and h.state(f"t{number}") == "placed":
            h.started(f"t{number}")
    h.sleep(1)
    aim = Aim(objective=objective, steps=20)
    seen = look(h.engine.world, h.now, aim)
    if seen is None:
        return
    answer = Search().solve(seen.problem, aim.budget)
    assert faults(seen.problem, answer.plan) == []
    plan = record(seen, answer, aim, "p1")
    assert PlanRecord.from_tree(json.loads(json.dumps(plan.tree()))) == plan
    twin = Engine.restore(h.engine.snapshot())
    again = look(twin.world, h.now, aim)
    assert again is not None
    assert record(again, Search().solve(again.problem, aim.budget), aim, "p1") == plan, "the same bytes"
    h.apply(PlanSet(plan))  # every decision checks the invariants: nothing is held twice
    for _ in range(40):
        running_now = [name for name, entry in h.engine.world.tasks.items() if entry.member is not None]
        if not running_now:
            break
        name = running_now[0].partition("/")[2]
        if h.state(name) == "placed":
            h.started(name)
        h.now += SECOND
        h.ended(name)
    left = [
        e
        for e in h.engine.world.tasks.values()
        if any(n.node.lacks(e.task.demand) is None for n in h.engine.world.nodes.all)
    ]
    assert all(entry.waits or entry.member for entry in left), "the plan stands in the way"


class TestPools:
    """Tasks and nodes in one plan."""

    def crowd(self, drive: Any) -> Harness:
        h = busy(drive)
        h.offer(*(task(f"t{i}", seconds=60) for i in range(6)))
        return h

    def test_a_node_is_added_where_it_is_worth_its_price_and_not_else(self, drive) -> None:
        h = self.crowd(drive)
        cheap = Offer(node("new", cpu=4), ready=20 * SECOND, rate=60)
        found = weigh(h.engine.world, h.now, AIM, [cheap], Search())
        assert found is not None
        assert found.unchanged is not None
        [change] = found.plan.changes
        assert (change.kind, change.node, change.price) == ("add", "new", 10 * 1000 * SECOND)
        assert change.worth == found.unchanged - found.plan.cost > 0
        assert min(row.start for row in found.plan.rows if row.node == "new") >= 20 * SECOND
        dear = replace(cheap, rate=100_000)
        again = weigh(h.engine.world, h.now, AIM, [dear], Search())
        assert again is not None
        assert again.plan.changes == ()

    def test_a_node_that_no_plan_needs_is_closed(self, drive) -> None:
        h = self.crowd(drive)
        h.engine.apply(PlanSet(None), h.now)
        idle = node("idle", cpu=0)
        h.join(idle)
        found = weigh(h.engine.world, h.now, AIM, [Offer(idle, rate=60, present=True)], Search())
        assert found is not None
        assert [(change.kind, change.node) for change in found.plan.changes] == [("close", "idle")]

    def test_what_fits_only_on_a_new_node_makes_it_needed(self, drive) -> None:
        h = busy(drive)
        h.offer(task("wide", cpu=4, seconds=5))
        found = weigh(h.engine.world, h.now, AIM, [Offer(node("new", cpu=4), rate=60)], Search())
        assert found is not None
        assert (found.unchanged, found.plan.changes[0].worth) == (None, None)


def test_nothing_waits_nothing_is_planned(drive) -> None:
    h = busy(drive)
    assert look(h.engine.world, h.now, AIM) is None
    assert weigh(h.engine.world, h.now, AIM, [], Search()) is None
