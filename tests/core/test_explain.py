"""What `why` says, word for word."""

from __future__ import annotations

import pytest

from headway.core.events import Outcome, TaskOffered, TaskWithdrawn
from headway.domain.units import SECOND
from headway.errors import NotFound
from tests.builders import node, task


@pytest.fixture
def h(drive):
    """Two nodes, and a task for which neither has room."""
    harness = drive(train_span=0)
    harness.join(node("n1", cpu=4, gpus=2, memory="8GiB"), node("n2", cpu=2))
    harness.offer(task("a", cpu=3, gpu=0.5, seconds=90), task("b", cpu=1, gpu=0.6, seconds=20))
    harness.started("a", "b")
    harness.offer(task("first", cpu=2, gpu=1, seconds=5, priority=1), task("waits", cpu=1, gpu=1, seconds=60))
    harness.sleep(0.5)
    return harness


def say(h, name: str) -> str:
    return h.engine.why(f"r/{name}", h.now).text()


def test_a_queued_task(h) -> None:
    assert say(h, "waits") == (
        "r/waits is queued\n"
        "  asks for cpu 1, gpu 1\n"
        "  place 2 of 2 by priority > srpt (skip): priority 0, srpt 3840000000\n"
        "  behind r/first: priority 1, srpt 320000000\n"
        "  of 2 nodes: 1 by cpu, 1 by gpu (too small)\n"
        "  n1: cpu asked 1, free 0\n"
        "  n2: gpu asked 1, has only 0\n"
        "  r/b holds cpu 1, gpu 0.6, about 19.5 s left\n"
        "  r/a holds cpu 3, gpu 0.5, about 1 min 30 s left"
    )


def test_the_counts_add_up_to_the_nodes(h) -> None:
    facts = h.engine.why("r/waits", h.now).facts
    assert sum(facts["blocked"].values()) == facts["nodes"] == 2


def test_a_running_task(h) -> None:
    assert say(h, "b") == (
        "r/b is running\n"
        "  asks for cpu 1, gpu 0.6\n"
        "  attempt 1 on n1 (gpu 0): the best fit, leaves 245 % free, summed over its resources\n"
        "  runs for 500 ms, 20.0 s were expected"
    )


def test_a_placed_task_and_its_alternative(drive) -> None:
    h = drive()
    h.join(node("n1", cpu=4), node("n2", cpu=8))
    h.offer(task("a"))
    assert say(h, "a").splitlines() == [
        "r/a is placed",
        "  asks for cpu 1",
        "  attempt 1 on n1: the best fit, leaves 75 % free, summed over its resources "
        "(next best: n2, leaves 87.5 % free, summed over its resources)",
        "  n2 has room too, leaves 87.5 % free, summed over its resources",
    ]


def test_a_waiting_a_delayed_a_held_and_an_ended_task(h) -> None:
    h.offer(task("later", after=["waits", "unheard"]))
    assert say(h, "later").splitlines()[2:] == [
        "  waits for r/waits, which is queued",
        "  waits for r/unheard, which is not offered yet",
    ]
    h.apply(TaskOffered(task("again"), not_before=h.now + 4 * SECOND))
    assert say(h, "again").endswith("\n  backs off for another 4.0 s")
    h.overrule("hold", "again", seconds=60.5)
    assert say(h, "again").splitlines()[0] == "r/again is held"
    assert say(h, "again").endswith("\n  override o1: hold by ada, ends in 1 min: because")
    h.ended("b", outcome=Outcome.FAILED, took=0.4)
    assert say(h, "b") == (
        "r/b is failed\n"
        "  attempt 1 on n1: the best fit, leaves 245 % free, summed over its resources\n"
        "  took 400 ms, ended 500 ms after it was placed"
    )


def test_a_task_that_was_cancelled_and_clings_to_its_place(h) -> None:
    h.apply(TaskWithdrawn("r/b", "enough"))
    assert say(h, "b").splitlines()[0] == "r/b is running"
    assert say(h, "b").splitlines()[4] == "  asked to end, and has not ended yet"


def test_a_death_and_a_timeout_are_told_in_words(h) -> None:
    h.ended("b", outcome=Outcome.WORKER_DIED, took=0.4)
    assert say(h, "b").splitlines()[0] == "r/b has failed: the worker of its last attempt died"


def test_how_long_ago_it_came_stands_for_first_come(drive) -> None:
    h = drive(order="fcfs")
    h.join(node(cpu=1))
    h.offer(task("a"))
    h.offer(task("b"))
    h.sleep(2)
    assert "\n  place 1 of 1 by fcfs (skip): came 2.0 s ago\n" in say(h, "b")


def test_room_is_being_made(drive) -> None:
    h = drive(train_span=0)
    h.join(node(cpu=1))
    h.offer(task("a"))
    h.started("a")
    h.sleep(2)
    h.offer(task("high", priority=1))
    h.sleep(1)
    assert say(h, "high").endswith(
        "\n  room is being made on n1: 1 preempted 1.0 s ago\n  r/a has not left yet"
    )
    assert say(h, "a").endswith("\n  asked to leave: its place is being cleared")
    h.ended("a", outcome=Outcome.PREEMPTED)
    assert "room was made for it by preempting 1 in 1.0 s" in say(h, "high")


def test_strict_names_the_head_of_the_line(drive) -> None:
    h = drive(order="fcfs", discipline="strict", train_span=0)
    h.join(node(cpu=4))
    h.offer(task("busy", cpu=3))
    h.offer(task("head", cpu=2), task("small", cpu=1))
    assert "\n  nothing overtakes the head of the line, r/head\n  of 1 nodes: 1 have room\n" in say(
        h, "small"
    )


def test_a_task_nobody_knows(h) -> None:
    with pytest.raises(NotFound, match="the scheduler has no task r/x"):
        h.engine.why("r/x", 0)
