"""Chosen errors, deadlines and prices in the planner's core: what is tried again, what is told, what survives."""

from __future__ import annotations

import json
from typing import Any

from headway.core.runs import Runs
from headway.domain.results import Ref
from headway.domain.units import HOUR
from headway.domain.workflow import Deadline, Output, Retry, TaskSpec, Workflow

ONE = Ref("json", 1, 1, None, "1")


def run_of(*tasks: TaskSpec, **fields: Any) -> Runs:
    runs = Runs()
    runs.submit("r", Workflow("w", tasks, **fields), {}, "b", 1000)
    return runs


def fail(runs: Runs, attempt: int, *names: str, what: str = "failed", took: int = 5) -> str:
    """The task's state after an attempt that ended in such an error."""
    runs.drain()
    told = {"type": names[0], "message": "x", "traceback": "", "names": list(names)} if names else {}
    runs.report("r/t", attempt, what, 2000, [took, told], 2000)
    runs.check()
    return str(runs.task_view("r/t")["state"])


def test_a_chosen_error_is_tried_again_and_another_fails_at_once() -> None:
    spec = TaskSpec("t", "m:f", retry=Retry(5, on=("ConnectionError", "pkg.Throttled")))
    runs = run_of(spec)
    assert fail(runs, 1, "ConnectionResetError", "ConnectionError", "OSError") == "queued"
    assert fail(runs, 2, "pkg.Throttled", "Exception") == "queued"
    assert fail(runs, 3, "ValueError", "Exception") == "failed"
    (note,) = runs.task_view("r/t")["notes"]
    assert note == "not tried again: its retry is for ConnectionError, pkg.Throttled only"
    assert runs.run_view("r")["state"] == "failed"


def test_a_time_out_is_a_timeout_error_and_a_dead_worker_is_none_of_its_errors() -> None:
    runs = run_of(TaskSpec("t", "m:f", retry=Retry(3, on=("TimeoutError",))))
    assert fail(runs, 1, "Cancelled", what="timed_out") == "queued"
    assert fail(runs, 2, what="worker_died") == "queued"
    assert fail(runs, 3, "KeyError") == "failed"
    other = run_of(TaskSpec("t", "m:f", retry=Retry(3, on=("KeyError",))))
    assert fail(other, 1, "Cancelled", what="timed_out") == "failed"


def test_an_error_without_names_is_judged_by_its_type() -> None:
    """As an older executor tells it."""
    runs = run_of(TaskSpec("t", "m:f", retry=Retry(3, on=("Busy",))))
    runs.drain()
    runs.report("r/t", 1, "failed", 2000, [5, {"type": "Busy", "message": "x"}], 2000)
    assert runs.task_view("r/t")["state"] == "queued"


def test_offers_carry_the_earlier_deadline_and_misses_are_told() -> None:
    first = TaskSpec("t", "m:f", deadline=Deadline(50))
    second = TaskSpec("u", "m:f", args=(Output("t"),))
    runs = run_of(first, second, deadline=Deadline(4000, absolute=True))
    assert {offer.task.id: offer.task.deadline for offer in runs.drain().offers} == {
        "r/t": 1050,
        "r/u": 4000,
    }
    assert (runs.run_view("r")["deadline"], runs.run_view("r")["late"]) == (4000, None)
    runs.report("r/t", 1, "finished", 1080, [5, ONE], 1080)
    assert runs.task_view("r/t")["late"] == 30
    assert runs.task_view("r/t")["notes"] == ["ended 30 us after its deadline"]
    runs.report("r/u", 1, "finished", 3000, [5, ONE], 3000)
    assert (runs.task_view("r/u")["late"], runs.run_view("r")["late"]) == (0, 0)
    late = run_of(TaskSpec("t", "m:f"), deadline=Deadline(100))
    late.drain()
    late.report("r/t", 1, "finished", 1300, [5, ONE], 1300)
    assert late.run_view("r")["late"] == 200


def test_every_attempt_costs_what_it_took_and_the_sum_survives_a_restart() -> None:
    runs = run_of(TaskSpec("t", "m:f", cost=2500, retry=Retry(1)))
    assert runs.run_view("r")["cost"] == 0
    fail(runs, 1, "ValueError", took=HOUR)
    runs = Runs.restore(json.loads(json.dumps(runs.snapshot())))
    runs.drain()
    runs.report("r/t", 2, "finished", 9000, [HOUR // 2, ONE], 9000)
    assert runs.run_view("r")["cost"] == runs.task_view("r/t")["cost"] == 3_750_000
    assert "has cost 3.75, at 2.5 an hour" in runs.task_view("r/t")["notes"]
    assert run_of(TaskSpec("t", "m:f")).run_view("r")["cost"] is None
