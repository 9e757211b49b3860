"""Schedules in the planner: runs follow from times and events in the same step, and a journal of them replays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from headway.errors import Invalid

from .office import Office, make_roles

SECOND = 1_000_000
SUBMISSION: dict[str, Any] = {
    "workflow": {"name": "flow", "tasks": [{"name": "load", "function": "m:load", "args": [{"value": "interval_start"}]}]},
    "values": {"interval_start": {"kind": "json", "data": None}},
    "bundle": "",
}  # fmt: skip


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.check()


def schedule(office: Office, **when: Any) -> dict[str, Any]:
    return office.call(
        "planner", "schedule", name="s", schedule=when or {"every": "1s"}, submission=SUBMISSION, by="ann"
    )


def fire(office: Office, *seconds: int) -> dict[str, Any]:
    rows = [[at * SECOND, f"from {at - 1}", f"to {at}"] for at in seconds]
    return office.call(
        "planner", "schedule_fire", name="s", version=1, upto=seconds[-1] * SECOND, rows=rows, missed=0
    )


def test_a_time_becomes_a_run_that_gets_its_interval(office: Office) -> None:
    office.hello("a")
    schedule(office)
    fire(office, 5)
    [grant] = office.grants["a"].values()
    assert grant["task"] == "s-19700101T000005Z/load"
    call = office.told["a"][0]["calls"][grant["call"]]
    assert call["values"]["interval_start"]["data"] == "from 4"
    office.work()
    assert office.view("s-19700101T000005Z")["state"] == "finished"


def test_a_queued_time_follows_the_run_before_it(office: Office) -> None:
    office.hello("a")
    schedule(office, every="1s", overlap="queue")
    fire(office, 5, 6)
    assert office.roles["planner"].runs.ids() == ["s-19700101T000005Z"]  # type: ignore[attr-defined]
    office.finish("a", "s-19700101T000005Z/load")
    office.submit("other", [{"name": "x", "function": "m:x"}])  # any next step
    assert office.view("s-19700101T000006Z")["state"] == "running"


def test_a_schedule_whose_task_fits_nowhere_says_so_and_goes_on(office: Office) -> None:
    schedule(office)
    office.hello("small", cpu=500)
    fire(office, 5)
    entry = office.roles["planner"].schedules.get("s")  # type: ignore[attr-defined]
    assert "no node could ever hold it" in entry.error
    assert office.roles["planner"].runs.ids() == []  # type: ignore[attr-defined]


def test_a_workflow_that_is_none_is_not_registered(office: Office) -> None:
    with pytest.raises(Invalid):
        office.call(
            "planner", "schedule", name="s", schedule={"every": "1s"}, by="ann",
            submission={"workflow": {"name": "x", "tasks": [{"name": "a"}]}, "values": {}, "bundle": ""},
        )  # fmt: skip
    assert len(office.roles["planner"].schedules) == 0  # type: ignore[attr-defined]


def test_a_restart_in_the_middle_of_a_backfill_goes_on_alike(office: Office) -> None:
    office.hello("a")
    schedule(office)
    rows = [[at * SECOND, f"from {at - 1}", f"to {at}"] for at in range(1, 6)]
    office.call("planner", "schedule_backfill", name="s", rows=rows, parallel=2, by="ann")
    tree = json.loads(json.dumps(office.roles["planner"].snapshot()))
    again = make_roles()["planner"]
    again.restore(tree)
    assert again.snapshot() == tree
    while office.grants["a"]:
        office.work()
        office.submit(f"step-{office.now}", [])
    assert [run for run in office.roles["planner"].runs.ids() if run.startswith("s-")] == [  # type: ignore[attr-defined]
        f"s-19700101T00000{at}Z" for at in range(1, 6)
    ]
    assert office.roles["planner"].schedules.get("s").backfill is None  # type: ignore[attr-defined]


def test_a_snapshot_of_before_there_were_schedules_is_read() -> None:
    planner = make_roles()["planner"]
    tree = planner.snapshot()
    del tree["schedules"]
    planner.restore(tree)
    assert planner.snapshot()["schedules"] == {"entries": [], "waiting": []}
