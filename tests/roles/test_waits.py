"""Approvals and signals through all roles: no slot is held, who answered is kept, time runs out, restarts change nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from headway.errors import Conflict, Invalid, NotFound

from .office import Office, make_roles
from .test_steering import spec


def asked(kind: str, text: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "text": text, **more}


def flow(**wait: Any) -> list[dict[str, Any]]:
    return [
        spec("train"),
        {"name": "approval", "after": ["train"], "wait": asked("approval", "Deploy?", **wait)},
        spec("deploy", "approval"),
    ]


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    made.hello("a", cpu=1000)
    yield made
    made.check()


def answer(office: Office, yes: bool, reason: str = "") -> dict[str, Any]:
    return office.call("planner", "approve", task="r1/approval", yes=yes, by="ada", reason=reason)


def give(office: Office, name: str, value: Any = None, run: str = "r1") -> dict[str, Any]:
    return office.call("planner", "signal", run=run, name=name, value=value, by="ada", reason="")


def view(office: Office, task: str) -> dict[str, Any]:
    found: dict[str, Any] = office.roles["planner"].runs.task_view(task)  # type: ignore[attr-defined]
    return found


def pass_time(office: Office, micros: int) -> None:
    office.now += micros
    office._step("planner", [])
    office.pump()


def restart(office: Office) -> None:
    for name, role in make_roles().items():
        role.restore(json.loads(json.dumps(office.roles[name].snapshot())))
        office.roles[name] = role


def test_an_approval_holds_no_slot_and_what_follows_gets_the_answer(office: Office) -> None:
    office.submit("r1", flow())
    with pytest.raises(Conflict, match="is not asked yet"):
        answer(office, True)
    office.work()
    assert view(office, "r1/approval")["state"] == "waiting"
    assert view(office, "r1/approval")["notes"] == [
        "asks: Deploy? (headway approve r1/approval --yes, or --no)"
    ]
    office.submit("r2", [spec("other")])
    assert list(office.grants["a"]) == [("r2/other", 1)], "the only slot is free"
    office.work()
    answered = answer(office, True, "the numbers look right")
    assert (answered["state"], answered["wait"]["by"]) == ("finished", "ada")
    assert "approved by ada: the numbers look right" in answered["notes"]
    assert office.grants["a"]["r1/deploy", 1]["inputs"]["approval"]["data"] is True
    office.work()
    assert office.view("r1")["state"] == "finished"


def test_the_same_answer_again_changes_nothing_and_another_is_refused(office: Office) -> None:
    office.submit("r1", flow())
    office.work()
    first = answer(office, False)
    assert answer(office, False) == first
    with pytest.raises(Conflict, match="was refused by ada"):
        answer(office, True)
    assert office.grants["a"]["r1/deploy", 1]["inputs"]["approval"]["data"] is False
    office.work()


def test_when_the_time_is_over_the_default_counts_or_the_task_fails(office: Office) -> None:
    office.submit("r1", flow(timeout=60_000_000, default=False))
    office.submit("r2", flow(timeout=60_000_000))
    office.work()
    assert office.roles["planner"].wake_at() is not None
    restart(office)
    pass_time(office, 30_000_000)
    assert {view(office, f"{run}/approval")["state"] for run in ("r1", "r2")} == {"waiting"}
    pass_time(office, 30_000_001)
    assert view(office, "r1/approval")["state"] == "finished"
    failed = view(office, "r2/approval")
    assert (failed["state"], failed["error"]["message"]) == ("failed", "nobody answered within 1 min")
    assert view(office, "r2/deploy")["state"] == "skipped"
    assert office.roles["planner"].wake_at() is None
    office.work()


def test_a_signal_gives_its_value_to_who_waits_and_to_who_will(office: Office) -> None:
    wait = asked("signal", "data-ready")
    tasks = [
        {"name": "early", "wait": wait},
        spec("load", "early"),
        {"name": "late", "after": ["load"], "wait": wait},
        spec("check", "late"),
    ]
    office.submit("r1", tasks)
    restart(office)
    assert give(office, "data-ready", {"version": 3})["answered"] == 1
    assert office.grants["a"]["r1/load", 1]["inputs"]["early"]["data"] == {"version": 3}
    restart(office)
    office.finish("a", "r1/load")
    assert office.grants["a"]["r1/check", 1]["inputs"]["late"]["data"] == {"version": 3}
    office.work()
    assert office.view("r1")["state"] == "finished"


def test_a_cancelled_run_asks_nobody_and_a_retry_asks_again(office: Office) -> None:
    office.submit("r1", flow(timeout=60_000_000))
    office.work()
    office.call("planner", "cancel", target="r1", reason="", by="ada")
    assert office.roles["planner"].wake_at() is None
    with pytest.raises(Conflict, match="has ended: it is cancelled"):
        answer(office, True)
    with pytest.raises(Conflict, match="r1 has ended"):
        give(office, "x")
    office.call("planner", "retry", run="r1", by="ada")
    answer(office, True)
    office.work()
    assert office.view("r1")["state"] == "finished"


def test_nonsense_is_refused(office: Office) -> None:
    office.submit("r1", flow())
    office.work()
    with pytest.raises(NotFound):
        office.call("planner", "approve", task="r1/nobody", yes=True, by="ada", reason="")
    with pytest.raises(Invalid, match="is no approval"):
        office.call("planner", "approve", task="r1/train", yes=True, by="ada", reason="")
    with pytest.raises(Conflict, match="waits for signal 'x'"):
        give(office, "x")
    with pytest.raises(Invalid, match="at most"):
        give(office, "x", "x" * 40_000)
    for wait in (
        {"kind": "other", "text": "x"},
        {"kind": "approval", "text": ""},
        {"kind": "approval", "text": "x", "default": True},
        {"kind": "approval", "text": "x", "timeout": 1, "default": 3},
        {"kind": "signal", "text": "x", "timeout": 0},
        {"kind": "signal", "text": "x", "more": 1},
    ):
        with pytest.raises(Invalid, match="wait"):
            office.submit("r9", [{"name": "t", "wait": wait}])
    with pytest.raises(Invalid, match="takes no arguments"):
        office.submit(
            "r9", [spec("a"), {"name": "t", "args": [{"output": "a"}], "wait": asked("signal", "x")}]
        )
    answer(office, True)
    office.work()
