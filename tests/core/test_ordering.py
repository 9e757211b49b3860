"""Who goes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.events import PolicySet, TaskEdited
from headway.core.ordering import orders
from headway.core.ordering.srpt import AGING
from headway.domain.task import Task
from headway.errors import Invalid
from tests.builders import Harness, node, placed, task


def run_order(drive_order: str, *tasks, **settings) -> list[str]:
    """The order in which one core takes tasks that were all there at once."""
    h = Harness(order=drive_order, train_span=0, **settings)
    h.join(node(cpu=1))
    order = placed(h.offer(*tasks))
    while h.engine.counts()["placed"]:
        order += placed(h.ended(order[-1]))
    return order


def test_fcfs_goes_by_release_then_arrival() -> None:
    tasks = [task("late", release=5), task("early", release=1), task("twin", release=1)]
    assert run_order("fcfs", *tasks) == ["early", "twin", "late"]


def test_srpt_takes_the_shortest_first() -> None:
    tasks = [task("long", seconds=9), task("short", seconds=1), task("middle", seconds=3)]
    assert run_order("srpt", *tasks) == ["short", "middle", "long"]


def test_srpt_counts_only_what_a_checkpoint_left(drive) -> None:
    h = drive(order="srpt", train_span=0)
    h.join(node(cpu=1))
    h.offer(task("busy", seconds=1))
    h.offer(task("long", seconds=10), task("middle", seconds=5))
    h.engine.world.tasks["r/long"].done = 900
    h.apply(TaskEdited("r/long", weight=1))  # any edit ranks it anew
    assert placed(h.ended("busy")) == ["long"]


def test_srpt_learns_what_nobody_said(drive) -> None:
    h = drive(order="srpt", train_span=0)
    h.join(node(cpu=1))
    for name in ("a", "b", "c"):
        h.offer(task(name, kind="quick"))
        h.ended(name, took=0.5)
    h.offer(task("busy"))
    h.offer(task("said", kind="slow", seconds=2), task("learned", kind="quick"))
    assert placed(h.ended("busy")) == ["learned"]


def test_priority_then_srpt() -> None:
    tasks = [
        task("low short", priority=0, seconds=1),
        task("high long", priority=5, seconds=9),
        task("high short", priority=5, seconds=2),
        task("below zero", priority=-1, seconds=1),
    ]
    assert run_order("priority > srpt", *tasks) == ["high short", "high long", "low short", "below zero"]


def test_the_first_order_weighs_more_than_all_others() -> None:
    tasks = [task("old", priority=0, release=0), task("new", priority=1, release=10**15)]
    assert run_order("priority > fcfs", *tasks) == ["new", "old"]
    assert run_order("fcfs > priority", *tasks) == ["old", "new"]


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.integers(0, 10**9))
def test_nothing_starves_under_srpt(mine: int, other: int, waited: int) -> None:
    """However short a newcomer is, it does not overtake what has waited AGING times its own length."""
    h = Harness(order="srpt", preempt=False)
    world = h.engine.world
    h.offer(Task("r/old", estimate=mine, release=0))
    h.offer(Task("r/new", estimate=other, release=waited))
    old, new = (world.tasks[name].item for name in ("r/old", "r/new"))
    assert old is not None
    assert new is not None
    if waited > AGING * mine:
        assert old < new
    assert (old[0] < new[0]) == (AGING * mine < AGING * other + waited)


def test_an_edit_and_a_new_policy_rank_anew(drive) -> None:
    h = drive(order="priority > srpt", train_span=0)
    h.join(node(cpu=1))
    h.offer(task("busy", priority=9))
    h.offer(task("a", seconds=1), task("b", seconds=5), task("c", seconds=3))
    h.apply(TaskEdited("r/b", priority=1))
    assert placed(h.ended("busy")) == ["b"]
    h.apply(PolicySet("fcfs"))
    assert placed(h.ended("b")) == ["a"]


def test_a_policy_that_does_not_exist_is_refused_and_nothing_changes(drive) -> None:
    h = drive(order="fcfs")
    before = h.engine.snapshot()
    with pytest.raises(Invalid, match=r"no order 'srtp'.*\n.*did you mean 'srpt'"):
        h.engine.apply(PolicySet("priority > srtp"), 0)
    with pytest.raises(Invalid, match="names an order twice"):
        h.engine.apply(PolicySet("fcfs > fcfs"), 0)
    with pytest.raises(Invalid, match=r"no discipline 'lenient'.*\n.*skip, strict"):
        h.engine.apply(PolicySet("fcfs", "lenient"), 0)
    assert h.engine.snapshot() == before


def test_every_order_is_found_under_its_name() -> None:
    found = orders()
    assert {"fcfs", "srpt", "priority"} <= set(found)
    assert all(order.name == name for name, order in found.items())
