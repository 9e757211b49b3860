"""Schedules in the planner's core: each time and event starts one run, whatever happens in between."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.runs.schedules import Schedules, run_of_event, run_of_time
from headway.domain.schedule import read_schedule, schedule_to_json
from headway.errors import Conflict, HeadwayError, Invalid, NotFound

SECOND = 1_000_000
SUBMISSION: dict[str, Any] = {
    "workflow": {"name": "flow", "tasks": []},
    "values": {
        "interval_start": {"kind": "json", "data": None},
        "event": {"kind": "json", "data": None},
        "v1": {"kind": "blob", "data": "ab" * 32},
    },
    "bundle": "cd" * 32,
}


def row(second: int) -> list[Any]:
    return [second * SECOND, f"from {second - 1}", f"to {second}"]


def made(**schedule: Any) -> Schedules:
    schedules = Schedules()
    schedules.put("s", schedule or {"every": "1s"}, SUBMISSION, "ann", 0)
    return schedules


def started(schedules: Schedules, alive: set[str] | None = None) -> list[str]:
    live = alive if alive is not None else set()
    return [start.run for start in schedules.due(lambda run: run in live)]


def test_a_time_starts_one_run_with_its_interval() -> None:
    schedules = made()
    assert schedules.fire("s", 1, 5 * SECOND, [row(5)], 0) == {"taken": True}
    [start] = schedules.due(lambda run: False)
    assert start.run == "s-19700101T000005Z"
    assert start.submission["values"]["interval_start"]["data"] == "from 4"
    assert "interval_end" not in start.submission["values"], "the workflow does not take it"
    assert schedules.fire("s", 1, 5 * SECOND, [row(5)], 0) == {"taken": False}, "the same time again"
    assert schedules.fire("s", 1, 4 * SECOND, [row(4)], 0) == {"taken": False}, "the clock went back"
    assert started(schedules) == []
    assert schedules.get("s").fired == 1


def test_what_was_worked_out_for_another_version_is_not_taken() -> None:
    schedules = made()
    schedules.put("s", {"every": "2s"}, SUBMISSION, "ann", SECOND)
    assert schedules.fire("s", 1, 5 * SECOND, [row(5)], 0) == {"taken": False}
    assert schedules.fire("gone", 1, 5 * SECOND, [row(5)], 0) == {"taken": False}
    assert schedules.get("s").version == 2


def test_overlap_skips_or_queues_while_a_run_goes_on() -> None:
    for overlap, then in (("allow", ["6", "7"]), ("skip", []), ("queue", ["6"])):
        schedules = made(every="1s", overlap=overlap)
        schedules.fire("s", 1, 5 * SECOND, [row(5)], 0)
        [first] = started(schedules)
        schedules.fire("s", 1, 7 * SECOND, [row(6), row(7)], 0)
        now = started(schedules, {first})
        if overlap == "queue":
            assert now == []
            now = started(schedules)
        assert now == [run_of_time("s", int(second) * SECOND) for second in then]
        assert schedules.get("s").skipped == (2 if overlap == "skip" else 0)


def test_a_queue_is_bounded_and_drops_the_oldest() -> None:
    schedules = made(every="1s", overlap="queue", limit=2)
    schedules.fire("s", 1, 1 * SECOND, [row(1)], 0)
    [first] = started(schedules)
    schedules.fire("s", 1, 9 * SECOND, [row(second) for second in range(2, 10)], 0)
    assert started(schedules, {first}) == []
    entry = schedules.get("s")
    assert (len(entry.pending), entry.skipped) == (2, 6)
    assert started(schedules) == [run_of_time("s", 8 * SECOND)]


def test_a_pause_starts_nothing_and_a_resume_does_not_catch_up() -> None:
    schedules = made()
    schedules.pause("s", "ben", "the source moves", 2 * SECOND)
    schedules.pause("s", "eve", "another word changes nothing", 3 * SECOND)
    assert schedules.get("s").paused == {"by": "ben", "reason": "the source moves", "at": 2 * SECOND}
    assert schedules.fire("s", 1, 5 * SECOND, [row(5)], 0) == {"taken": False}
    schedules.resume("s", 8 * SECOND)
    assert schedules.get("s").last == 8 * SECOND
    assert started(schedules) == []


def test_an_event_of_the_same_key_is_the_same_event() -> None:
    schedules = made(http=True)
    run = schedules.event("s", "k", {"path": "a.csv"})
    assert schedules.event("s", "k", {"path": "a.csv"}) == run == run_of_event("s", "k")
    [start] = schedules.due(lambda run: False)
    assert start.submission["values"]["event"]["data"] == {"path": "a.csv"}
    with pytest.raises(Invalid, match="bytes"):
        schedules.event("s", "big", "x" * 40_000)
    schedules.pause("s", "ben", "", 1)
    with pytest.raises(Conflict, match="paused by ben"):
        schedules.event("s", "k2", None)
    with pytest.raises(Invalid, match="goes by the clock"):
        made().event("s", "k", None)


def test_a_backfill_runs_so_many_at_a_time_and_can_be_ended() -> None:
    schedules = made()
    schedules.backfill("s", [row(second) for second in range(1, 8)], 2, "ann")
    with pytest.raises(Conflict, match="is under way"):
        schedules.backfill("s", [row(9)], 1, "ann")
    alive = set(started(schedules))
    assert alive == {run_of_time("s", 1 * SECOND), run_of_time("s", 2 * SECOND)}
    assert started(schedules, alive) == []
    alive.remove(run_of_time("s", 1 * SECOND))
    assert started(schedules, alive) == [run_of_time("s", 3 * SECOND)]
    schedules.cancel_backfill("s")
    assert started(schedules) == []
    with pytest.raises(Conflict, match="no backfill"):
        schedules.cancel_backfill("s")


def test_a_run_that_cannot_be_submitted_is_shown_and_the_schedule_goes_on() -> None:
    schedules = made()
    schedules.fire("s", 1, 5 * SECOND, [row(5)], 0)
    [start] = schedules.due(lambda run: False)
    schedules.failed(start, Invalid("no node could ever hold it"))
    entry = schedules.get("s")
    assert entry.error == "s-19700101T000005Z: no node could ever hold it"
    assert (entry.live, entry.fired) == ([], 0)
    assert schedules.fire("s", 1, 6 * SECOND, [row(6)], 0)["taken"]
    assert len(started(schedules)) == 1


def test_what_later_runs_need_is_known() -> None:
    assert made().blobs() == {"ab" * 32, "cd" * 32}


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ({}, "none of them"),
        ({"every": "1s", "http": True}, "every and http"),
        ({"evry": "1s"}, "no 'evry'"),
        ({"every": "1.5s"}, "whole number of seconds"),
        ({"every": 0.5}, "whole number of seconds"),
        ({"every": "-2s"}, "-2s"),
        ({"every": "1s", "zone": "Europe/Berlin"}, "only a cron expression"),
        ({"every": "1s", "catchup": "some"}, "none of latest, all, skip"),
        ({"every": "1s", "overlap": 3}, "none of allow, skip, queue"),
        ({"every": "1s", "limit": 0}, "limit=0"),
        ({"every": "1s", "limit": True}, "limit=True"),
        ({"cron": ["*"]}, "not a text"),
        ({"http": "yes"}, "http is true"),
        ({"file": "in/*.csv"}, "absolute path"),
        ({"mqtt": "lab/#/done"}, "not a topic filter"),
        ({"mqtt": "lab//done"}, "not a topic filter"),
        ({"mqtt": "lab/a+"}, "not a topic filter"),
        ({"mqtt": "lab/a b"}, "a blank or a dot"),
    ],
)
def test_every_field_wrong_once(tree: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        read_schedule(tree)


def test_a_name_that_could_not_begin_the_id_of_a_run_is_refused() -> None:
    for name in ("", "a/b", "-a", "a" * 61, "ä"):
        with pytest.raises(Invalid, match="cannot be the name"):
            Schedules().put(name, {"every": "1s"}, SUBMISSION, "ann", 0)
    with pytest.raises(NotFound):
        Schedules().remove("nope")


def test_a_schedule_survives_its_json() -> None:
    for tree in (
        {"cron": "@daily", "zone": "Asia/Tokyo"},
        {"every": 90 * SECOND, "overlap": "queue", "limit": 5},
    ):
        schedule = read_schedule(tree)
        assert read_schedule(json.loads(json.dumps(schedule_to_json(schedule)))) == schedule


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("fire"), st.integers(1, 30), st.integers(1, 4)),
        st.tuples(st.just("event"), st.sampled_from("abc"), st.none()),
        st.tuples(st.just("backfill"), st.integers(1, 20), st.integers(1, 3)),
        st.tuples(st.sampled_from(["pause", "resume", "cancel", "put", "end", "due"]), st.none(), st.none()),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["allow", "skip", "queue"]), ACTS)
def test_whatever_happens_no_run_starts_twice_and_a_copy_goes_on_alike(overlap: str, acts: list[Any]) -> None:
    schedules = Schedules()
    schedules.put("s", {"every": "1s", "overlap": overlap, "limit": 3}, SUBMISSION, "ann", 0)
    schedules.put("e", {"http": True, "overlap": overlap}, SUBMISSION, "ann", 0)
    known: dict[str, bool] = {}
    for kind, first, second in acts:
        copy = Schedules.restore(json.loads(json.dumps(schedules.snapshot())))
        assert copy.snapshot() == schedules.snapshot()
        for each in (schedules, copy):
            _act(each, known, kind, first, second)
        now = [
            [start.run for start in each.due(lambda run: known.get(run, False))] for each in (schedules, copy)
        ]
        assert now[0] == now[1]
        assert copy.snapshot() == schedules.snapshot()
        for run in now[0]:
            # The front looks for the run before it tells of an event or a backfill, the planner before it submits.
            known.setdefault(run, True)
        if overlap == "skip":
            assert len([run for run in schedules.get("e").live if known[run]]) <= 1
        backfill = schedules.get("s").backfill
        assert backfill is None or len(backfill.live) <= backfill.parallel
    assert len(set(known)) == len(known)


def _act(schedules: Schedules, known: dict[str, bool], kind: str, first: Any, second: Any) -> None:
    try:
        if kind == "fire":
            upto = first * SECOND
            rows = [row(at) for at in range(max(1, first - second), first + 1)]
            schedules.fire("s", schedules.get("s").version, upto, rows, 1)
        elif kind == "event":
            if run_of_event("e", first) not in known:
                schedules.event("e", first, None)
        elif kind == "backfill":
            rows = [row(at) for at in range(1, first) if run_of_time("s", at * SECOND) not in known]
            schedules.backfill("s", rows, second, "ann")
        elif kind == "pause":
            schedules.pause("s", "ben", "", 0)
        elif kind == "resume":
            schedules.resume("s", 0)
        elif kind == "cancel":
            schedules.cancel_backfill("s")
        elif kind == "put":
            schedules.put("s", schedule_to_json(schedules.get("s").schedule), SUBMISSION, "ann", 0)
        elif kind == "end":
            known.update(dict.fromkeys(known, False))
    except HeadwayError:
        pass
