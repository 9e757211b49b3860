"""Proposals in the scheduler's step: judged, applied under the agent's name, kept, and replayed to the byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from headway.errors import NotFound

from .office import Office, make_roles
from .test_office import spec

MINUTE = 60_000_000


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    made.now = 100 * MINUTE
    made.hello("a", cpu=1000)
    made.submit("r1", [spec("first"), spec("second"), spec("third")])
    yield made
    made.check()


def propose(
    office: Office, number: int, target: str = "r1/third", autonomy: str = "act", **change: Any
) -> Any:
    proposal = {
        "id": f"a-{number}", "agent": "agent-scheduler", "kind": "boost", "target": target, "amount": 1,
        "ttl": 5 * MINUTE, "reason": "has waited long", "digest": office.now, **change,
    }  # fmt: skip
    return office.call("scheduler", "propose", proposal=proposal, autonomy=autonomy)


def granted(office: Office) -> str:
    [(task, _)] = office.grants["a"]
    return task


def test_an_agent_that_may_act_lifts_a_task(office: Office) -> None:
    assert granted(office) == "r1/first"
    assert propose(office, 1)["outcome"] == "applied"
    office.finish("a", "r1/first")
    assert granted(office) == "r1/third"


def test_one_that_observes_changes_nothing(office: Office) -> None:
    assert propose(office, 1, autonomy="observe")["outcome"] == "observed"
    office.finish("a", "r1/first")
    assert granted(office) == "r1/second"


def test_what_the_guard_refuses_changes_nothing_and_is_kept_with_its_reason(office: Office) -> None:
    for number, (target, change, says) in enumerate(
        [
            ("r1/first", {}, "no task that waits"),
            ("r9/none", {}, "no task that waits"),
            ("r1", {}, "no task that waits"),
            ("r1/third", {"kind": "hold"}, "may not propose"),
            ("r1/third", {"digest": 0}, "too old"),
        ]
    ):
        verdict = propose(office, number, target, **change)
        assert (verdict["outcome"], says in verdict["why"]) == ("refused", True), verdict
    overruling = office.roles["scheduler"].overruling  # type: ignore[attr-defined]
    assert overruling.counts["agent-scheduler", "refused"] == 5
    office.finish("a", "r1/first")
    assert granted(office) == "r1/second"


def test_a_flood_is_cut_off_and_lets_one_again_after_a_minute(office: Office) -> None:
    outcomes = [propose(office, number)["outcome"] for number in range(100)]
    assert outcomes.count("applied") == 1, "a task is lifted once"
    assert "30 proposals within a minute" in propose(office, 200)["why"]
    office.now += 2 * MINUTE
    assert "in force" in propose(office, 201)["why"]


def test_an_override_of_a_task_that_has_ended_does_not_count_against_the_agent(office: Office) -> None:
    office.submit("r2", [spec(f"t{number}") for number in range(8)])
    for number in range(5):
        assert propose(office, number, f"r2/t{number}")["outcome"] == "applied"
    assert "5 overrides in force" in propose(office, 5, "r2/t5")["why"]
    office.finish("a", "r1/first")
    office.finish("a", "r2/t0")
    assert propose(office, 6, "r2/t6")["outcome"] == "applied"


def test_it_is_reverted_like_any_other_and_survives_a_restart(office: Office) -> None:
    propose(office, 1)
    tree = json.loads(json.dumps(office.roles["scheduler"].snapshot()))
    again = make_roles()["scheduler"]
    again.restore(tree)
    assert again.snapshot() == tree
    assert [one.by for one in again.engine.world.overrides.active.values()] == ["agent-scheduler"]  # type: ignore[attr-defined]
    office.call("scheduler", "revert", id="a-1", by="ann")
    with pytest.raises(NotFound, match="no override 'a-1' in force"):
        office.call("scheduler", "revert", id="a-1", by="ann")
    office.finish("a", "r1/first")
    assert granted(office) == "r1/second"


def test_a_snapshot_of_before_there_were_agents_is_read() -> None:
    scheduler = make_roles()["scheduler"]
    tree = scheduler.snapshot()
    del tree["overruling"]
    scheduler.restore(tree)
    assert scheduler.snapshot()["overruling"]["verdicts"] == []
