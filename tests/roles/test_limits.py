"""Quotas and rates through the scheduler's calls and the front: set live, kept by a snapshot, refused with words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headway.core.engine import Engine
from headway.errors import HeadwayError, Invalid, NotFound
from headway.roles.front import SchedulerFront
from headway.roles.scheduler import Scheduler
from headway.roles.step import CALL, Input

CONFIGURED = {
    "order": "fcfs",
    "discipline": "skip",
    "tables": {
        "tenants": {"ada": {"quota": {"gpu": 2, "disk": "10GiB"}}},
        "rates": {"tokens": {"amount": 10, "per": "1min", "tenants": {"ada": 5}}},
    },
}


def call(scheduler: Scheduler, kind: str, **body: Any) -> dict[str, Any] | HeadwayError:
    made = Input(CALL, "", 0, 1, kind, json.dumps(body).encode())
    return scheduler.step(1, [made]).replies[1]


@pytest.fixture
def scheduler() -> Scheduler:
    made = Scheduler(Engine())
    assert not isinstance(call(made, "configure", **CONFIGURED), HeadwayError)
    return made


def front(scheduler: Scheduler) -> SchedulerFront:
    return SchedulerFront(None, scheduler, None, None)  # type: ignore[arg-type]  # no loops: it only reads


def test_the_files_count_again_only_when_they_changed(scheduler: Scheduler) -> None:
    assert scheduler.engine.tenants_view()[0]["quota"] == {"gpu": 2000, "disk": 10 * 2**30}
    call(scheduler, "quota", tenant="ada", quota={"quota": {"gpu": 3}})
    call(scheduler, "configure", **CONFIGURED)
    again = Scheduler(Engine())
    again.restore(json.loads(json.dumps(scheduler.snapshot())))
    assert again.engine.tenants_view()[0]["quota"] == {"gpu": 3000}
    call(again, "configure", order="fcfs", discipline="skip", tables={})
    assert again.engine.tenants_view() == []
    assert again.engine.rates_view(1) == []


def test_what_is_set_live_comes_back_and_nonsense_changes_nothing(scheduler: Scheduler) -> None:
    assert call(scheduler, "rate", rate="calls", limit={"amount": 3})["per"] == 60_000_000  # type: ignore[index]
    assert call(scheduler, "quota", tenant="bob", quota={"cohort": "lab"})["cohort"] == "lab"  # type: ignore[index]
    before = scheduler.engine.snapshot()
    assert isinstance(call(scheduler, "quota", tenant="bob", quota={}), Invalid)
    assert isinstance(call(scheduler, "rate", rate="calls", limit={"amount": -1}), Invalid)
    assert isinstance(call(scheduler, "quota", tenant="nobody", quota=None), NotFound)
    assert isinstance(call(scheduler, "rate", rate="nothing", limit=None), NotFound)
    assert scheduler.engine.snapshot() == before


@pytest.mark.parametrize(
    ("tenant", "demand", "said"),
    [
        ("ada", {"gpu": 3000}, "asks for gpu 3, and tenant 'ada' may hold at most 2"),
        ("ada", {"rates": {"tokens": 6000}}, "takes 6 tokens at once, and there are 5 in 1 min for tenant 'ada'"),
        ("bob", {"rates": {"tokens": 11000}}, "takes 11 tokens at once, and there are 10 in 1 min"),
        ("bob", {"rates": {"words": 1}}, "takes from rate 'words', which nobody has set"),
    ],
)  # fmt: skip
def test_what_could_never_start_is_refused(scheduler: Scheduler, tenant: str, demand: Any, said: str) -> None:
    workflow = {"name": "w", "tenant": tenant, "tasks": [{"name": "a", "demand": demand}]}
    with pytest.raises(Invalid, match=said):
        front(scheduler).admissible(workflow)


@pytest.mark.parametrize(
    "workflow",
    [{}, {"tasks": 3}, {"tasks": [3]}, {"tenant": [], "tasks": [{}]}, {"tenant": "ada", "tasks": [{"demand": {"gpu": "x"}}]}],
)  # fmt: skip
def test_what_makes_no_sense_is_left_to_the_planner(scheduler: Scheduler, workflow: Any) -> None:
    front(scheduler).admissible(workflow)
