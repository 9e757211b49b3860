"""The place that is cleared is the preemptor's, and nobody leaves in vain."""

from __future__ import annotations

import pytest

from headway.core.decisions import Preempt, Spare
from headway.core.events import NodeCordoned, NodeJoined, Outcome, TaskEdited, TaskWithdrawn
from tests.builders import Harness, node, placed, preempted, task


@pytest.fixture
def h(drive):
    """Two cores, two tasks that run, and one of a better class for which both are asked to leave."""
    h = drive(train_span=0)
    h.join(node(cpu=2))
    h.offer(task("a"), task("b"))
    h.started("a", "b")
    h.sleep(10)
    assert preempted(h.offer(task("high", cpu=2, priority=1))) == ["b", "a"]
    return h


def spared(decisions) -> list[str]:
    return [d.task.partition("/")[2] for d in decisions if isinstance(d, Spare)]


@pytest.mark.parametrize(
    "event",
    [
        TaskWithdrawn("r/high"),
        NodeCordoned("n1"),
        NodeJoined(node(cpu=1.5), "i1"),
        TaskEdited("r/high", priority=0),
    ],
    ids=["withdrawn", "cordoned", "shrunk", "lowered"],
)
def test_who_has_not_left_stays_when_the_place_is_not_needed(h: Harness, event) -> None:
    h.ended("b", outcome=Outcome.PREEMPTED)
    assert spared(h.apply(event)) == ["a"]
    assert h.state("a") == "running"
    assert h.engine.world.tasks["r/a"].ousted is None
    assert h.engine.world.tasks["r/a"].preemptions == 0


def test_a_spared_one_may_be_asked_again(h: Harness) -> None:
    h.apply(TaskWithdrawn("r/high"))
    decisions = h.offer(task("higher", priority=2))
    assert preempted(decisions) == ["b"]


def test_who_still_runs_when_the_place_is_clear_stays(drive) -> None:
    """A third one ends by itself, and that is room enough."""
    h = drive(train_span=0)
    h.join(node(cpu=2))
    h.offer(task("a"), task("b", priority=1))
    h.started("a", "b")
    h.sleep(10)
    assert preempted(h.offer(task("high", priority=1))) == ["a"]
    decisions = h.ended("b")
    assert placed(decisions) == ["high"]
    assert spared(decisions) == ["a"]


def test_a_raised_preemptor_keeps_its_claim(h: Harness) -> None:
    assert spared(h.apply(TaskEdited("r/high", priority=5))) == []
    assert h.state("high") == "claiming"


def test_an_end_that_crossed_the_word_is_a_preemption(h: Harness) -> None:
    h.apply(TaskWithdrawn("r/high"))
    h.ended("a", outcome=Outcome.PREEMPTED)
    assert (h.attempt("a"), h.state("a")) == (2, "placed")


def test_a_late_start_on_a_claimed_place_is_asked_to_leave_and_knows_why(drive) -> None:
    h = drive(train_span=0)
    h.join(node(cpu=1))
    h.offer(task("a"))
    h.offer(task("high", priority=1))
    (found,) = (d for d in h.started("a") if isinstance(d, Preempt))
    assert (found.reason["by"], found.reason["late"]) == ("r/high", True)
