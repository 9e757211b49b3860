"""SRPT proper: what has less left preempts what has more, of its own class."""

from __future__ import annotations

import pytest

from headway.core.decisions import Preempt
from headway.core.engine import Engine
from headway.core.events import AttemptProgressed, Outcome
from headway.domain.units import SECOND
from tests.builders import node, placed, preempted, task


@pytest.fixture
def h(drive):
    """Two cores; two tasks of a hundred and of fifty seconds have run for ten."""
    h = drive(order="priority > remaining", train_span=0, preempt_longer=True, max_preemptions=2)
    h.join(node(cpu=2))
    h.offer(task("long", seconds=100), task("middle", seconds=50))
    h.started("long", "middle")
    h.sleep(10)
    return h


def test_the_longest_goes_and_the_shorter_comes(h) -> None:
    decisions = h.offer(task("short", seconds=20))
    assert preempted(decisions) == ["long"]
    (found,) = (d for d in decisions if isinstance(d, Preempt))
    assert (found.reason["by"], found.reason["needs"], found.reason["left"]) == (
        "r/short",
        20 * SECOND,
        90 * SECOND,
    )
    assert placed(h.ended("long", outcome=Outcome.PREEMPTED)) == ["short"]
    assert placed(h.ended("short")) == ["long"]


def test_what_has_as_much_left_is_not_worth_it(h) -> None:
    assert preempted(h.offer(task("as_long", seconds=90))) == []
    assert preempted(h.offer(task("shorter", seconds=89))) == ["long"]


def test_it_must_gain_more_than_it_costs(drive) -> None:
    h = drive(order="remaining", train_span=0, preempt_longer=True, preempt_cost=10 * SECOND)
    h.join(node(cpu=1))
    h.offer(task("a", seconds=60))
    h.started("a")
    h.sleep(5)
    assert preempted(h.offer(task("b", seconds=45))) == []
    assert preempted(h.offer(task("c", seconds=44))) == ["a"]


def test_a_victim_that_is_not_needed_is_let_off(drive) -> None:
    h = drive(order="remaining", train_span=0, preempt_longer=True)
    h.join(node(cpu=4))
    h.offer(task("small", cpu=1, seconds=200), task("large", cpu=3, seconds=100))
    h.started("small", "large")
    h.sleep(5)
    assert preempted(h.offer(task("wide", cpu=3, seconds=10))) == ["large"]


def test_another_class_is_none_of_its_business(h) -> None:
    h.offer(task("vip", priority=5, seconds=500))  # takes the place of one, as classes do
    h.ended("long", outcome=Outcome.PREEMPTED)
    h.started("vip")
    h.sleep(10)
    assert preempted(h.offer(task("short", seconds=1))) == ["middle"]


def test_what_outlasts_its_estimate_is_nearly_done(h) -> None:
    h.sleep(200)
    assert preempted(h.offer(task("short", seconds=1))) == []


def test_progress_tells_better(h) -> None:
    h.sleep(200)
    h.apply(AttemptProgressed("r/middle", 1, 100, h.now))
    assert preempted(h.offer(task("short", seconds=1))) == ["middle"]


def test_nobody_is_preempted_for_ever(h) -> None:
    for round_ in range(2):
        assert preempted(h.offer(task(f"s{round_}", seconds=5))) == ["long"]
        h.ended("long", outcome=Outcome.PREEMPTED)
        h.started(f"s{round_}")
        h.ended(f"s{round_}")
        h.started("long")
        h.sleep(2)
    h.ended("middle")
    h.offer(task("other", seconds=3))
    h.started("other")
    assert preempted(h.offer(task("s2", seconds=1))) == []  # `other` is too young, `long` was preempted twice


def test_a_victim_too_young_is_taken_when_it_is_old_enough(drive) -> None:
    h = drive(order="remaining", train_span=0, preempt_longer=True, min_run=3 * SECOND)
    h.join(node(cpu=1))
    h.offer(task("a", seconds=60))
    h.started("a")
    assert preempted(h.offer(task("b", seconds=1))) == []
    wake = h.engine.wake_at()
    assert wake == h.now + 3 * SECOND
    assert preempted(h.sleep(3)) == ["a"]


def test_off_unless_it_is_asked_for(drive) -> None:
    h = drive(order="remaining", train_span=0)
    h.join(node(cpu=1))
    h.offer(task("a", seconds=60))
    h.started("a")
    h.sleep(5)
    assert preempted(h.offer(task("b", seconds=1))) == []


def test_an_order_by_something_else_does_not_preempt(drive) -> None:
    h = drive(order="fcfs > remaining", train_span=0, preempt_longer=True)
    h.join(node(cpu=1))
    h.offer(task("a", seconds=60))
    h.started("a")
    h.sleep(5)
    assert preempted(h.offer(task("b", seconds=1))) == []


def test_searches_are_bounded_and_none_is_repeated_before_something_happens(drive) -> None:
    """Forty shapes that could go nowhere: four are looked at, the others one after another, and then all rest."""
    h = drive(order="remaining", train_span=0, preempt_longer=True)
    h.join(node(cpu=8))
    h.offer(task("a", cpu=8, seconds=100))
    h.started("a")
    h.offer(*(task(f"w{i}", cpu=8 - i / 10, seconds=150) for i in range(40)))
    searched = [sum(shape.longer.stamp >= 0 for shape in h.engine.world.queue.shapes)]
    while h.engine.wake_at() is not None:
        again = Engine.restore(h.engine.snapshot())
        h.now = h.engine.wake_at()
        assert repr(again.decide(h.now)) == repr(h.decide())
        searched.append(sum(shape.longer.stamp >= 0 for shape in h.engine.world.queue.shapes))
    assert searched == list(range(4, 41, 4))
    h.offer(task("short", cpu=1, seconds=3))
    assert h.engine.wake_at() == SECOND, "its victim is too young"
    assert preempted(h.sleep(1)) == ["a"]
