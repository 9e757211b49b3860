"""The life of a task: ends, fencing, waiting for others, nodes that go."""

from __future__ import annotations

import pytest

from headway.core.decisions import Dropped, Lost, Start, Stop
from headway.core.events import (
    AttemptEnded,
    AttemptProgressed,
    AttemptReturned,
    AttemptStarted,
    NodeJoined,
    NodeLost,
    Outcome,
    TaskEdited,
    TaskOffered,
    TaskWithdrawn,
)
from headway.core.state import TABLE, Impossible, Move, State
from headway.domain.units import SECOND
from headway.errors import Invalid
from tests.builders import lost, node, placed, task

BAD_ENDS = [o for o in Outcome if o not in (Outcome.FINISHED, Outcome.PREEMPTED)]


@pytest.fixture
def h(drive):
    """One core."""
    harness = drive(train_span=0)
    harness.join(node(cpu=1))
    return harness


def test_the_table_leads_everywhere_and_out_of_everything() -> None:
    assert set(TABLE) == set(State)
    assert {new for row in TABLE.values() for new in row.values()} == set(State)
    assert {move for row in TABLE.values() for move in row} == set(Move)
    assert not TABLE[State.GONE]


def test_a_finished_task_is_gone_and_lets_its_successors_go(h) -> None:
    h.offer(task("a"), task("b", after=["a"]), task("c", after=["a", "b"]))
    assert (h.state("b"), h.state("c")) == ("waiting", "waiting")
    assert placed(h.ended("a")) == ["b"]
    assert h.state("a") == "gone"
    assert placed(h.ended("b")) == ["c"]


def test_a_successor_offered_too_late_does_not_wait(h) -> None:
    h.offer(task("a"))
    h.ended("a")
    assert placed(h.offer(task("b", after=["a"]))) == ["b"]


@pytest.mark.parametrize("outcome", BAD_ENDS)
def test_any_other_end_leaves_the_engine_and_holds_its_successors(h, outcome: Outcome) -> None:
    h.offer(task("a"), task("b", after=["a"]))
    h.ended("a", outcome=outcome)
    assert (h.state("a"), h.state("b")) == ("gone", "waiting")
    h.offer(task("a"))
    assert h.attempt("a") == 2
    assert placed(h.ended("a")) == ["b"]


def test_an_offer_during_an_attempt_is_taken_up_when_that_ends(h) -> None:
    h.offer(task("a"))
    assert h.apply(TaskOffered(task("a", priority=3), not_before=5 * SECOND)) == []
    h.ended("a", outcome=Outcome.FAILED)
    assert h.state("a") == "delayed"
    assert h.engine.wake_at() == 5 * SECOND
    h.sleep(5)
    entry = h.engine.world.tasks["r/a"]
    assert (str(entry.state), entry.attempt, entry.task.priority) == ("placed", 2, 3)


def test_an_offer_of_what_finished_meanwhile_is_void(h) -> None:
    h.offer(task("a"))
    h.offer(task("a"))
    h.ended("a")
    assert h.state("a") == "gone"


def test_an_offer_replaces_what_was_said_of_a_queued_task(h) -> None:
    h.offer(task("busy"))
    h.offer(task("a", cpu=1), task("b", cpu=1))
    h.offer(task("a", cpu=1, priority=-1))
    assert placed(h.ended("busy")) == ["b"]


def test_a_withdrawn_task_is_dropped_or_stopped(h) -> None:
    h.offer(task("a"), task("b"), task("c", after=["a"]))
    dropped = h.apply(TaskWithdrawn("r/b"), TaskWithdrawn("r/c"))
    assert dropped == [Dropped("r/b"), Dropped("r/c")]
    (stop,) = h.apply(TaskWithdrawn("r/a", "enough"), TaskWithdrawn("r/a", "again"))
    assert isinstance(stop, Stop)
    assert (stop.task, stop.attempt, stop.reason["said"]) == ("r/a", 1, "enough")
    h.ended("a", outcome=Outcome.CANCELLED)
    assert not h.engine.knows("r/a")
    h.offer(task("a"))  # somebody thought better of it
    assert h.attempt("a") == 2


def test_a_withdrawn_task_that_comes_back_unstarted_is_dropped(h) -> None:
    h.offer(task("a"))
    h.apply(TaskWithdrawn("r/a"))
    assert h.returned("a") == [Dropped("r/a")]


def test_a_lost_node_loses_its_attempts_and_numbers_go_on(h) -> None:
    h.offer(task("a"))
    h.started("a")
    assert h.apply(NodeLost("n1")) == [Lost("r/a", 1, "n1", True)]
    h.apply(NodeJoined(node(cpu=1), "i2"))
    (start,) = h.offer(task("a"))
    assert isinstance(start, Start)
    assert start.attempt == 2


def test_a_new_incarnation_keeps_what_it_holds_and_loses_the_rest(drive) -> None:
    h = drive(train_span=0)
    h.join(node(cpu=2))
    h.offer(task("a"), task("b"))
    assert lost(h.apply(NodeJoined(node(cpu=2), "i2", (("r/b", 1),)))) == [("a", 1)]
    assert h.state("b") == "placed"
    assert lost(h.apply(NodeJoined(node(cpu=2), "i2"))) == []  # the same one again: only its capacity


def test_a_node_that_comes_back_with_what_was_given_up_is_told_to_stop_it(h) -> None:
    h.offer(task("a"))
    h.apply(NodeLost("n1"))
    (stop,) = h.apply(NodeJoined(node(cpu=1), "i1", (("r/a", 1),)))
    assert isinstance(stop, Stop)
    assert (stop.task, stop.attempt) == ("r/a", 1)


def test_the_loss_of_a_former_incarnation_is_stale(h) -> None:
    h.apply(NodeJoined(node(cpu=1), "i2"))
    h.offer(task("a"))
    assert h.apply(NodeLost("n1", "i1")) == []
    assert h.engine.counts()["stale"] == 1


def test_stale_and_unknown_are_counted_and_ignored(h) -> None:
    h.offer(task("a"))
    h.ended("a", outcome=Outcome.FAILED)
    h.offer(task("a"))
    stale = [
        AttemptStarted("r/a", 1, 0),
        AttemptEnded("r/a", 1, Outcome.FINISHED),
        AttemptReturned("r/a", 1),
        AttemptProgressed("r/x", 1, 5, 0),
        TaskWithdrawn("r/x"),
        TaskEdited("r/x", priority=1),
        NodeLost("n9"),
    ]
    assert h.apply(*stale) == []
    assert h.engine.counts()["stale"] == len(stale)
    assert h.state("a") == "placed"


def test_a_second_start_is_stale(h) -> None:
    h.offer(task("a"))
    h.started("a")
    h.sleep(3)
    h.started("a")
    assert h.engine.world.tasks["r/a"].member.started == 0


@pytest.mark.parametrize(
    "event",
    [AttemptStarted("r/a", 1, 0), AttemptEnded("r/a", 1, Outcome.FINISHED), AttemptReturned("r/a", 1)],
)
def test_what_was_given_back_cannot_start_after_all(h, event) -> None:
    h.offer(task("a"))
    h.engine.world.overrides.active.clear()
    h.apply(NodeJoined(node(cpu=0), "i1"))
    h.returned("a")
    before = h.engine.snapshot()
    with pytest.raises(Impossible, match=r"task r/a is queued \(attempt 1\): .* cannot happen to it"):
        h.engine.apply(event, h.now)
    assert h.engine.snapshot() == before


def test_a_running_task_cannot_be_given_back(h) -> None:
    h.offer(task("a"))
    h.started("a")
    before = h.engine.snapshot()
    with pytest.raises(Impossible) as caught:
        h.engine.apply(AttemptReturned("r/a", 1), h.now)
    assert caught.value.fields == {"task": "r/a", "state": "running", "attempt": 1, "event": "return"}
    assert h.engine.snapshot() == before


def test_nonsense_is_refused_and_changes_nothing(h) -> None:
    h.offer(task("a"))
    before = h.engine.snapshot()
    with pytest.raises(Invalid, match="took -1 us"):
        h.engine.apply(AttemptEnded("r/a", 1, Outcome.FINISHED, -1), 0)
    with pytest.raises(Invalid, match="is no event of the engine"):
        h.engine.apply("hello", 0)  # type: ignore[arg-type]
    assert h.engine.snapshot() == before
