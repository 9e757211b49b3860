"""Boost, hold and pin: in force, over, undone."""

from __future__ import annotations

import pytest

from headway.core.events import OverrideApplied, OverrideReverted
from headway.core.preemption.victims import PAUSE
from headway.domain.units import SECOND
from headway.errors import Invalid
from tests.builders import node, override, placed, preempted, recalled, started, task


@pytest.fixture
def busy(drive):
    """One core, taken; two in line."""
    h = drive(order="priority > fcfs", train_span=0, preempt=False)
    h.join(node(cpu=1))
    h.offer(task("busy", priority=9))
    h.offer(task("a", priority=2), task("b", priority=1), task("c"))
    return h


def test_a_boost_goes_before_every_class_and_a_higher_boost_before_it(busy) -> None:
    busy.overrule("boost", "b", ident="o1")
    busy.overrule("boost", "c", ident="o2", amount=2)
    order = [placed(busy.ended("busy"))[0]]
    while len(order) < 3:
        order += placed(busy.ended(order[-1]))
    assert order == ["c", "b", "a"]


def test_a_boost_does_not_preempt_but_protects(drive) -> None:
    h = drive(train_span=0)
    h.join(node(cpu=1))
    h.offer(task("a", priority=1))
    h.started("a")
    h.offer(task("low"), task("high", priority=1))
    h.sleep(10)
    assert preempted(h.overrule("boost", "low", ident="o1")) == []
    h.apply(OverrideReverted("o1"))
    h.overrule("boost", "a", ident="o2")
    assert preempted(h.offer(task("higher", priority=2))) == []
    h.apply(OverrideReverted("o2"))
    assert h.engine.wake_at() == h.now + PAUSE  # the search that failed just now is not repeated at once
    assert preempted(h.sleep(0.1)) == ["a"]


def test_a_held_task_does_not_start_until_the_hold_ends(busy) -> None:
    busy.overrule("hold", "a", seconds=60)
    assert busy.state("a") == "held"
    assert placed(busy.ended("busy")) == ["b"]
    assert busy.engine.wake_at() == 60 * SECOND
    busy.sleep(60)
    assert busy.state("a") == "queued"
    assert placed(busy.ended("b")) == ["a"]


def test_a_revert_undoes_it_now(busy) -> None:
    before = busy.engine.world.tasks["r/c"].item[:2]
    busy.overrule("boost", "c")
    busy.apply(OverrideReverted("o1"))
    assert busy.engine.world.tasks["r/c"].item[:2] == before
    assert busy.engine.wake_at() is None
    busy.apply(OverrideReverted("o1"))
    assert busy.engine.counts()["stale"] == 1


def test_a_pin_waits_for_its_node(drive) -> None:
    h = drive(train_span=0)
    h.join(node("n1"), node("n2", cpu=4))
    h.overrule("pin", "a", node="n1", ident="o1")
    h.overrule("pin", "b", node="n3", ident="o2")
    assert started(h.offer(task("a"), task("b"))) == [("a", "n1")]
    assert started(h.join(node("n3"))) == [("b", "n3")]


def test_a_run_is_overruled_with_all_its_tasks_and_those_to_come(drive) -> None:
    h = drive(train_span=0)
    h.join(node(cpu=8))
    h.overrule("hold", "r1/")
    h.offer(task("a", run="r1"), task("b", run="r10"))
    assert h.engine.counts()["held"] == 1
    assert h.engine.world.tasks["r10/b"].member is not None


def test_a_hold_calls_back_what_has_not_started_and_spares_what_runs(drive) -> None:
    h = drive(train_span=0)
    h.join(node(cpu=2))
    h.offer(task("a"), task("b"))
    h.started("a")
    assert recalled(h.overrule("hold", "a", ident="o1") + h.overrule("hold", "b", ident="o2")) == ["b"]
    h.returned("b")
    assert (h.state("a"), h.state("b")) == ("running", "held")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (override("boost", "r/a", amount=0), "a boost of 0"),
        (override("pin", "r/a"), "a pin names no node"),
        (override("frob", "r/a"), "no override 'frob'"),  # type: ignore[arg-type]
    ],
)
def test_an_override_that_means_nothing_is_refused(busy, made, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        busy.engine.apply(OverrideApplied(made), 0)
    assert not busy.engine.world.overrides.active
