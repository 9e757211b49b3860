"""Runs that are too old leave the planner's memory by a journalled call, and nothing else does."""

from __future__ import annotations

import json
from typing import Any

from headway.domain.units import SECOND
from headway.roles.planner import Planner
from headway.roles.step import CALL, Input


def call(planner: Planner, now: int, kind: str, **body: Any) -> Any:
    step = planner.step(now, [Input(CALL, "", 0, 0, kind, json.dumps(body).encode())])
    return step.replies[0]


def submit(planner: Planner, run: str, now: int) -> None:
    workflow = {"name": "flow", "tasks": [{"name": "one", "shell": "true"}]}
    reply = call(planner, now, "submit", run=run, workflow=workflow, values={}, bundle="", key=None, by="me")
    assert reply["id"] == run, reply


def test_ended_runs_are_forgotten_by_their_end() -> None:
    planner = Planner()
    for number, run in enumerate(("first", "second", "going")):
        submit(planner, run, (1 + number) * SECOND)
    call(planner, 10 * SECOND, "cancel", target="second", reason="no", by="me")
    call(planner, 20 * SECOND, "cancel", target="first", reason="no", by="me")
    assert call(planner, 30 * SECOND, "forget", before=10 * SECOND) == {"forgotten": 0}
    assert call(planner, 31 * SECOND, "forget", before=20 * SECOND) == {"forgotten": 1}
    assert set(planner.runs.ids()) == {"first", "going"}
    assert call(planner, 32 * SECOND, "forget", before=30 * SECOND) == {"forgotten": 1}
    assert set(planner.runs.ids()) == {"going"}
    assert planner.recent == {}
    again = Planner()
    again.restore(json.loads(json.dumps(planner.snapshot())))
    assert set(again.runs.ids()) == {"going"}
