"""Following a plan: its order, its nodes, the places it keeps, and that it never stands in the way."""

from __future__ import annotations

from typing import Any

import pytest

from headway.core.decisions import Reason
from headway.core.engine import Engine
from headway.core.events import NodeLost, PlanSet, PolicySet
from headway.core.joint.record import PlanRecord, Row
from headway.domain.units import SECOND
from headway.errors import Invalid
from tests.builders import node, placed, started, task


def plan(*rows: tuple[str, str, float], made: int = 0, until: float = 1_000, **fields: Any) -> PlanRecord:
    """A plan of (task without run, node, start in seconds)."""
    found = tuple(Row(f"r/{name}", at, int(start * SECOND), Reason("plan_now")) for name, at, start in rows)
    given = {
        "id": "p1", "objective": "weighted_completion", "cost": 10, "bound": 8, "gap": 200_000, "steps": 5,
        "solver": "search", "seed": 0, "detail": "from wspt",
    } | fields  # fmt: skip
    return PlanRecord(made=made, until=int(until * SECOND), rows=found, **given)


def test_planned_tasks_go_in_the_order_of_the_plan_and_the_rest_behind_them(drive) -> None:
    h = drive(order="joint")
    h.offer(*(task(name, seconds=10, cpu=8) for name in "abcd"))
    h.apply(PlanSet(plan(("c", "n1", 0), ("a", "n1", 10), ("b", "n1", 20))))
    order = placed(h.join(node()))
    for _ in range(3):
        h.started(order[-1])
        order += placed(h.ended(order[-1], took=10))
    assert order == ["c", "a", "b", "d"]


def test_the_planned_node_is_taken_though_another_fits_better(drive) -> None:
    h = drive(order="joint")
    h.offer(task("a", seconds=10))
    h.apply(PlanSet(plan(("a", "large", 0))))
    assert started(h.join(node("small", cpu=1), node("large", cpu=8))) == [("a", "large")]


def test_where_the_planned_node_has_no_room_the_best_other_is_taken(drive) -> None:
    h = drive(order="joint")
    h.join(node("n1", cpu=2))
    h.offer(task("x", cpu=2, seconds=50))
    h.started("x")
    h.join(node("n2", cpu=2))
    h.engine.apply(PlanSet(plan(("a", "n1", 50))), h.now)
    h.offer(task("a", seconds=5))
    h.engine.apply(PlanSet(plan(("b", "n1", 50))), h.now)
    assert started(h.offer(task("b", seconds=5))) == [("b", "n2")]


class TestKeeping:
    """Two nodes' worth of room on one: a large task is planned for when the running one ends."""

    def begin(self, drive) -> Any:
        h = drive(order="joint")
        h.join(node("n1", cpu=8))
        h.offer(task("runs", cpu=4, seconds=10))
        h.started("runs")
        h.offer(task("large", cpu=8, seconds=10))
        h.apply(PlanSet(plan(("large", "n1", 10))))
        return h

    def test_what_would_run_into_the_planned_start_waits(self, drive) -> None:
        h = self.begin(drive)
        assert placed(h.offer(task("long", cpu=2, seconds=60))) == []
        found = h.engine.why("r/long", h.now)
        assert found.facts["blocked"] == {"the plan, which keeps it for r/large": 1}
        assert "keeps it for r/large" in found.text()
        h.ended("runs", took=10)
        assert h.state("large") == "placed"

    def test_what_ends_in_time_goes(self, drive) -> None:
        h = self.begin(drive)
        decisions = h.offer(task("short", cpu=2, seconds=5))
        assert placed(decisions) == ["short"]
        assert decisions[0].reason.code == "beside_plan"
        assert "without delaying the 1 that wait in plan p1" in h.engine.why("r/short", h.now).text()

    def test_what_fits_beside_goes(self, drive) -> None:
        h = drive(order="joint")
        h.join(node("n1", cpu=8))
        h.offer(task("runs", cpu=4, seconds=10))
        h.started("runs")
        h.offer(task("half", cpu=6, seconds=10))
        h.apply(PlanSet(plan(("half", "n1", 10))))
        assert placed(h.offer(task("long", cpu=2, seconds=60), task("more", cpu=1, seconds=60))) == ["long"]

    def test_a_plan_whose_time_is_over_keeps_nothing_and_the_engine_wakes_for_it(self, drive) -> None:
        h = self.begin(drive)
        h.apply(PlanSet(plan(("large", "n1", 10), until=20)))
        h.offer(task("long", cpu=2, seconds=60))
        assert h.engine.wake_at() == 20 * SECOND
        assert placed(h.sleep(20)) == ["long"]
        assert h.engine.wake_at() is None
        assert h.engine.why("r/large", h.now).facts["plan"]["rank"] == 1, "it is still an order"

    def test_a_node_that_went_keeps_nothing(self, drive) -> None:
        h = self.begin(drive)
        h.join(node("n2", cpu=2))
        h.apply(NodeLost("n1"))
        assert started(h.offer(task("long", cpu=2, seconds=60))) == [("long", "n2")]

    def test_a_place_for_what_still_waits_for_another_is_kept_too(self, drive) -> None:
        h = drive(order="joint")
        h.join(node("n1", cpu=8))
        h.offer(task("runs", cpu=4, seconds=10), task("large", cpu=8, seconds=10, after=["runs"]))
        h.started("runs")
        h.apply(PlanSet(plan(("large", "n1", 10))))
        assert placed(h.offer(task("long", cpu=2, seconds=60))) == []


def test_a_plan_is_followed_only_by_a_policy_that_names_it(drive) -> None:
    h = drive(order="srpt")
    h.apply(PlanSet(plan(("a", "n1", 0))))
    assert h.engine.counts()["stale"] == 1
    h.apply(PolicySet("priority > joint"))
    h.apply(PlanSet(plan(("a", "n1", 0))))
    assert h.engine.world.plan is not None
    h.apply(PolicySet("srpt"))
    assert h.engine.world.plan is None


def test_classes_come_before_the_plan(drive) -> None:
    h = drive(order="priority > joint")
    h.offer(
        task("a", cpu=8, seconds=1), task("b", cpu=8, seconds=1), task("urgent", cpu=8, seconds=9, priority=1)
    )
    h.apply(PlanSet(plan(("b", "n1", 0), ("a", "n1", 1))))
    assert placed(h.join(node())) == ["urgent"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"cost": -1}, {"bound": 11}, {"until": -1}, {"gap": 0.5},
    ],
)  # fmt: skip
def test_a_plan_that_makes_no_sense_is_refused_and_changes_nothing(drive, wrong: dict[str, Any]) -> None:
    h = drive(order="joint")
    h.offer(task("a", seconds=1))
    before = h.engine.snapshot()
    with pytest.raises(Invalid):
        h.apply(PlanSet(plan(("a", "n1", 0), **wrong)))
    with pytest.raises(Invalid):
        h.apply(PlanSet(plan(("a", "n1", 0), ("a", "n1", 1))))
    with pytest.raises(Invalid):
        h.apply(PlanSet(plan(("a", "n1", 5), ("b", "n1", 1))))
    assert h.engine.snapshot() == before


def test_why_cites_the_plan(drive) -> None:
    h = drive(order="joint")
    h.offer(task("a", cpu=8, seconds=10), task("b", cpu=8, seconds=10))
    h.apply(PlanSet(plan(("b", "n1", 0), ("a", "n1", 10), floor=(900_000, 500_000, 600_000))))
    h.join(node())
    queued, running = h.engine.why("r/a", h.now).text(), h.engine.why("r/b", h.now).text()
    assert "number 2 of 2 in plan p1: planned on n1 in 10.0 s" in queued
    assert "gap 20.0 %" in queued
    assert "no plan can, the highest possible is at most 60.00 %" in queued
    assert "attempt 1 on n1: number 1 of 2 in plan p1, as planned; weighted_completion" in running


def test_a_plan_survives_a_snapshot(drive) -> None:
    h = drive(order="joint")
    h.join(node("n1", cpu=8))
    h.offer(task("runs", cpu=4, seconds=10))
    h.started("runs")
    h.offer(task("large", cpu=8, seconds=10))
    h.apply(PlanSet(plan(("runs", "n1", 0), ("large", "n1", 10))))
    twin = Engine.restore(h.engine.snapshot())
    assert twin.snapshot() == h.engine.snapshot()
    assert twin.world.plan is not None
    assert list(twin.world.plan.rows) == ["r/large"]


def test_no_place_is_kept_for_what_waits_for_somebody_behind_it(drive) -> None:
    """A plan that is wrong about who waits for whom must not make them wait for each other."""
    h = drive(order="joint")
    h.offer(task("first", cpu=8, seconds=10), task("second", cpu=8, seconds=10, after=["first"]))
    h.apply(PlanSet(plan(("second", "n1", 0))))
    assert placed(h.join(node())) == ["first"]


class TestTrains:
    """Short tasks ride in the order of the plan, and never past somebody for whom it keeps the node."""

    def known(self, drive, cores: int) -> Any:
        h = drive(order="joint")
        h.join(node("n1", cpu=cores))
        for i in range(8):
            h.offer(task(f"teach-{i}"))
            h.started(f"teach-{i}")
            h.ended(f"teach-{i}", took=0.001)
        return h

    def test_planned_ones_ride_by_their_ranks(self, drive) -> None:
        h = self.known(drive, 1)
        h.offer(task("runs", kind="long", seconds=10))
        h.started("runs")
        h.offer(*(task(f"t{i}") for i in range(4)))
        h.apply(PlanSet(plan(*((f"t{i}", "n1", 10) for i in (2, 0, 3, 1)))))
        assert placed(h.ended("runs", took=10)) == ["t2", "t0", "t3", "t1"]
        assert len(h.engine.world.leases) == 1

    def test_nobody_rides_past_whom_the_node_is_kept_for(self, drive) -> None:
        h = self.known(drive, 2)
        h.offer(task("soon", kind="long", seconds=5), task("later", kind="long", seconds=10))
        h.started("soon", "later")
        h.offer(task("wide", kind="long", cpu=2, seconds=1))
        h.apply(PlanSet(plan(("wide", "n1", 10))))
        h.offer(*(task(f"t{i}") for i in range(4)))
        h.now += 5_000_000
        assert placed(h.ended("soon", took=5)) == ["t0"], (
            "it ends long before the planned start, and rides alone"
        )
