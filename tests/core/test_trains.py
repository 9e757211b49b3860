"""Trains: short work rides one behind the other, and nothing ever waits long for it."""

from __future__ import annotations

import pytest

from headway.core.decisions import Recall, Start
from headway.core.events import Outcome
from tests.builders import node, placed, recalled, task


def teach(h, *, kind: str = "k", took: float = 0.001, times: int = 8) -> None:
    """The kind has proved to take so long."""
    for i in range(times):
        h.offer(task(f"teach-{kind}-{i}", kind=kind))
        h.started(f"teach-{kind}-{i}")
        h.ended(f"teach-{kind}-{i}", took=took)


@pytest.fixture
def one(drive):
    """One core, and a kind that is known to take a millisecond."""
    h = drive(order="priority > fcfs")
    h.join(node(cpu=1))
    teach(h)
    return h


def some(count: int, **fields) -> list:
    return [task(f"t{i}", **fields) for i in range(count)]


def test_an_unknown_kind_goes_one_by_one_and_doubles_on_evidence(drive) -> None:
    h = drive()
    h.join(node(cpu=1))
    h.offer(*some(40, kind="new"))
    sizes = []
    while h.engine.world.leases:
        (lease,) = h.engine.world.leases.values()
        sizes.append(len(lease.members))
        first = lease.members[0].entry.task.id.partition("/")[2]
        h.started(first)
        h.ended(first, took=0.001)
    assert sizes[0] == 1
    assert max(sizes) > 8
    assert all(later <= 2 * max(sizes[:i], default=1) for i, later in enumerate(sizes) if i)


def test_a_train_covers_the_span_and_no_more(one) -> None:
    one.engine.world.estimates.families[0].cap = 256
    assert len(placed(one.offer(*some(100)))) == 50  # 50 ms of a millisecond each


def test_members_share_the_lease_in_order(one) -> None:
    starts = [d for d in one.offer(*some(4)) if isinstance(d, Start)]
    assert [(d.task, d.position) for d in starts] == [("r/t0", 0), ("r/t1", 1), ("r/t2", 2), ("r/t3", 3)]
    assert len({d.lease for d in starts}) == 1
    assert starts[1].reason.code == "train"


def test_a_lease_is_topped_up_before_it_runs_dry(one) -> None:
    one.engine.world.estimates.families[0].cap = 256
    one.offer(*some(100))
    granted = 0
    for i in range(30):
        one.started(f"t{i}")
        granted += len(placed(one.ended(f"t{i}", took=0.001)))
    assert granted >= 24  # as soon as half of the span is gone
    assert len(one.engine.world.leases) == 1


def test_what_arrives_later_boards_too(one) -> None:
    one.offer(task("first"))
    decisions = one.offer(task("second"))
    assert [(d.task, d.position) for d in decisions if isinstance(d, Start)] == [("r/second", 1)]


def test_long_kinds_do_not_ride(one) -> None:
    teach(one, kind="long", took=0.2)
    assert placed(one.offer(*some(4, kind="long"))) == ["t0"]


def test_a_long_estimate_does_not_ride_even_if_its_kind_was_short(one) -> None:
    assert placed(one.offer(task("a"), task("said", seconds=30))) == ["a"]


def test_one_long_in_five_means_no_train(one) -> None:
    for i in range(20):
        one.offer(task(f"mixed-{i}", kind="mixed"))
        one.ended(f"mixed-{i}", took=1.0 if i % 5 == 0 else 0.001)
    assert placed(one.offer(*some(4, kind="mixed"))) == ["t0"]


def test_a_slow_member_lets_the_others_go(one) -> None:
    one.offer(*some(4))
    one.started("t0")
    assert one.engine.wake_at() == one.now + 50_000
    one.join(node("n2", cpu=1))
    decisions = one.sleep(0.05)
    assert recalled(decisions) == ["t1", "t2", "t3"]
    (call,) = (d for d in decisions if isinstance(d, Recall))
    assert (call.reason.code, call.reason["slow"]) == ("slow_member", "r/t0")
    assert placed(one.returned("t1", "t2", "t3")) == [
        "t1"
    ]  # on the other node; trains of the kind start over
    assert one.engine.world.tasks["r/t1"].attempt == 1  # never started: the number is given again


def test_members_called_back_count_until_they_are_acknowledged(one) -> None:
    one.offer(*some(2))
    one.started("t0")
    one.sleep(0.05)
    one.ended("t0")
    assert len(one.engine.world.leases) == 1
    assert placed(one.offer(task("other", cpu=1))) == []
    assert placed(one.returned("t1")) == ["t1"]


def test_a_member_called_back_may_have_started(one) -> None:
    one.offer(*some(3))
    one.started("t0")
    one.sleep(0.05)
    one.ended("t0", took=0.05)
    one.started("t1")
    assert one.state("t1") == "running"
    assert one.engine.counts()["recalled"] == 1


def test_a_better_class_calls_back_what_has_not_started(one) -> None:
    one.offer(*some(4))
    one.started("t0")
    assert recalled(one.offer(task("urgent", priority=5, kind="other"))) == ["t1", "t2", "t3"]
    one.ended("t0", took=0.001)
    assert placed(one.returned("t1", "t2", "t3"))[0] == "urgent"


def test_another_shape_that_ranks_before_is_not_overtaken(drive) -> None:
    h = drive(order="fcfs")
    h.join(node(cpu=2))
    teach(h)
    h.offer(task("a", cpu=1), task("b", cpu=1))
    decisions = h.offer(task("wide", cpu=1.5, release=1), task("late", cpu=1, release=2))
    assert placed(decisions) == ["late"], (
        "one core coming free is not enough for it: it would not start any sooner"
    )
    other = drive(order="fcfs")
    other.join(node(cpu=1))
    teach(other)
    other.offer(task("a", cpu=1))
    assert placed(other.offer(task("half", cpu=0.5, release=1), task("late", cpu=1, release=2))) == []


def test_an_idle_node_takes_half_of_a_long_train(one) -> None:
    one.engine.world.estimates.families[0].cap = 256
    one.offer(*some(40))
    one.started("t0")
    called = recalled(one.join(node("n2", cpu=1)))
    assert called == [f"t{i}" for i in range(20, 40)]
    assert "t20" in placed(one.returned(*called))


def test_slots_share_what_is_queued(drive) -> None:
    h = drive()
    h.join(node(cpu=2))
    teach(h)
    h.engine.world.estimates.families[0].cap = 256
    h.offer(*some(22))
    assert sorted(len(lease.members) for lease in h.engine.world.leases.values()) == [11, 11]


def test_a_successor_rides_behind_what_it_waits_for(one) -> None:
    decisions = one.offer(task("a"), task("b", after=["a"]), task("c", after=["b"]))
    starts = [d for d in decisions if isinstance(d, Start)]
    assert [(d.task, d.position) for d in starts] == [("r/a", 0), ("r/b", 1), ("r/c", 2)]
    assert starts[1].reason.code == "successor"
    one.started("a")
    one.ended("a", took=0.001)
    one.started("b")
    one.ended("b", took=0.001)
    assert one.state("c") == "placed"


def test_a_successor_comes_back_when_its_producer_fails(one) -> None:
    one.offer(task("a"), task("b", after=["a"]), task("c", after=["b"]))
    one.started("a")
    assert recalled(one.ended("a", outcome=Outcome.FAILED)) == ["b", "c"]
    one.returned("b", "c")
    assert (one.state("b"), one.state("c")) == ("waiting", "waiting")
    one.offer(task("a"))
    one.ended("a", took=0.001)
    assert one.state("b") == "placed"


def test_at_most_once_never_rides(one) -> None:
    assert placed(one.offer(task("a"), task("b", at_most_once=True))) == ["a"]


def test_without_a_span_there_are_no_trains(drive) -> None:
    h = drive(train_span=0)
    h.join(node(cpu=1))
    teach(h)
    assert placed(h.offer(*some(4))) == ["t0"]
