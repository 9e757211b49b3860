"""Making room for a better class."""

from __future__ import annotations

import pytest

from headway.core.decisions import Preempt, Start
from headway.core.events import AttemptCheckpointed, NodeCordoned, NodeLost, Outcome, TaskWithdrawn
from headway.domain.units import SECOND
from tests.builders import lost, node, placed, preempted, recalled, started, task


@pytest.fixture
def busy(drive):
    """Two cores, each with a low task that has run for ten seconds."""
    h = drive(train_span=0)
    h.join(node(cpu=2))
    h.offer(task("a"), task("b"))
    h.started("a", "b")
    h.sleep(10)
    return h


def test_the_victim_goes_the_preemptor_comes_and_the_victim_is_queued_again(busy) -> None:
    assert preempted(busy.offer(task("high", priority=1))) == ["b"]
    assert busy.state("high") == "claiming"
    assert placed(busy.ended("b", outcome=Outcome.PREEMPTED)) == ["high"]
    assert busy.state("b") == "queued"
    again = busy.ended("high")
    assert [(d.task, d.attempt) for d in again if isinstance(d, Start)] == [("r/b", 2)]


def test_the_work_lost_since_the_last_checkpoint_decides(busy) -> None:
    busy.apply(AttemptCheckpointed("r/a", 1, busy.now, 800))
    decisions = busy.offer(task("high", priority=1))
    assert preempted(decisions) == ["a"]
    (found,) = (d for d in decisions if isinstance(d, Preempt))
    assert (found.reason["by"], found.reason["lost"], found.grace) == ("r/high", 0, 30 * SECOND)


def test_a_preempted_task_keeps_what_its_checkpoint_kept(busy) -> None:
    busy.apply(AttemptCheckpointed("r/b", 1, busy.now, 750))
    busy.offer(task("high", priority=1))
    busy.ended("b", outcome=Outcome.PREEMPTED)
    entry = busy.engine.world.tasks["r/b"]
    assert (entry.done, busy.engine.world.remaining(entry)) == (
        750,
        2_500_000,
    )  # of the ten seconds of an unknown


def test_the_place_is_the_preemptors_and_nobody_elses(busy) -> None:
    busy.offer(task("high", priority=1, cpu=2))
    assert placed(busy.ended("a", outcome=Outcome.PREEMPTED)) == []
    assert placed(busy.offer(task("sly", cpu=1))) == []
    assert placed(busy.offer(task("higher", priority=2, cpu=1))) == []
    assert placed(busy.ended("b", outcome=Outcome.PREEMPTED)) == ["high"]


def test_the_fewest_victims_are_taken(drive) -> None:
    h = drive(train_span=0)
    h.join(node("n1", cpu=4), node("n2", cpu=4))
    h.offer(task("a", cpu=4))
    h.offer(*(task(f"b{i}", cpu=1) for i in range(4)))
    h.started("a", "b0", "b1", "b2", "b3")
    h.sleep(10)
    assert preempted(h.offer(task("high", cpu=3, priority=1))) == ["a"]


def test_a_victim_that_is_not_needed_is_let_off(drive) -> None:
    h = drive(train_span=0)
    h.join(node(cpu=4))
    h.offer(task("small", cpu=1), task("large", cpu=3))
    h.started("large")
    h.sleep(1)
    h.started("small")  # less is lost with it, so it is tried first
    h.sleep(5)
    assert preempted(h.offer(task("high", cpu=3, priority=1))) == ["large"]


def test_nothing_is_preempted_by_its_own_class_nor_where_the_policy_has_none(busy, drive) -> None:
    assert preempted(busy.offer(task("equal"))) == []
    for settings in ({"order": "srpt"}, {"preempt": False}):
        h = drive(train_span=0, **settings)
        h.join(node(cpu=1))
        h.offer(task("a"))
        h.started("a")
        h.sleep(10)
        assert preempted(h.offer(task("high", priority=9, seconds=1))) == []


def test_a_young_victim_is_waited_for(drive) -> None:
    h = drive(train_span=0, min_run=5 * SECOND)
    h.join(node(cpu=1))
    h.offer(task("a"))
    h.started("a")
    h.sleep(1)
    assert preempted(h.offer(task("high", priority=1))) == []
    assert h.engine.wake_at() == 5 * SECOND
    assert preempted(h.sleep(4)) == ["a"]


def test_preemptions_of_a_task_are_bounded(drive) -> None:
    h = drive(train_span=0, max_preemptions=2)
    h.join(node(cpu=1))
    h.offer(task("a"))
    for i in range(2):
        h.started("a")
        h.sleep(2)
        assert preempted(h.offer(task(f"high{i}", priority=1))) == ["a"]
        h.ended("a", outcome=Outcome.PREEMPTED)
        h.ended(f"high{i}")
    h.started("a")
    h.sleep(2)
    assert preempted(h.offer(task("high2", priority=1))) == []


def test_an_unstarted_victim_is_called_back_and_asked_to_end_if_it_started_after_all(drive) -> None:
    h = drive(train_span=0)
    h.join(node(cpu=1))
    h.offer(task("a"))
    assert recalled(h.offer(task("high", priority=1))) == ["a"]
    assert preempted(h.started("a")) == ["a"]
    h.ended("a", outcome=Outcome.PREEMPTED)
    assert h.state("high") == "placed"


def test_a_claim_ends_with_its_node_its_task_or_a_cordon(drive) -> None:
    for event in (NodeLost("n1"), TaskWithdrawn("r/high"), NodeCordoned("n1")):
        h = drive(train_span=0)
        h.join(node(cpu=2))
        h.offer(task("a"), task("b"))
        h.started("a", "b")
        h.sleep(10)
        h.offer(task("high", cpu=2, priority=1))
        h.ended("a", outcome=Outcome.PREEMPTED)
        h.apply(event)
        assert h.state("high") == ("gone" if isinstance(event, TaskWithdrawn) else "queued")
        assert not h.engine.world.claims


def test_whole_devices_are_cleared_one_by_one(drive) -> None:
    h = drive(train_span=0)
    h.join(node(cpu=8, gpus=2))
    h.offer(*(task(f"t{i}", cpu=1, gpu=0.5) for i in range(4)))
    h.started("t0", "t1", "t2", "t3")
    h.sleep(5)
    victims = preempted(h.offer(task("high", cpu=1, gpu=1, priority=1)))
    assert len(victims) == 2
    h.ended(victims[0], outcome=Outcome.PREEMPTED)
    decisions = h.ended(victims[1], outcome=Outcome.PREEMPTED)
    assert started(decisions) == [("high", "n1")]
    assert h.engine.nodes_view()[0]["gpus_free"] == [0, 0]


def test_a_lost_victim_makes_room_too(busy) -> None:
    busy.join(node("n2", cpu=1))
    busy.offer(task("c"))
    busy.offer(task("high", priority=1))
    assert lost(busy.apply(NodeLost("n1")))[:1] == [("a", 1)]
    assert busy.state("high") in {"queued", "claiming"}
