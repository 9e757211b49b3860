"""What must never happen to any run, whatever the executors do; a seed is one history."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.errors import Conflict
from tests.core.runs_office import Office, random_workflow

seeds = st.integers(0, 2**40)
quick = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(seeds)
def test_every_run_ends_and_records_each_task_once(seed: int) -> None:
    """Losses, repeats, reordering, dead workers, restarts of the planner: nothing is recorded twice."""
    office = Office(seed, *random_workflow(seed))
    view = office.until_over()
    assert view["state"] in ("finished", "failed"), f"seed {seed}: {view}"
    assert office.ended == ["r"], f"seed {seed}"
    assert all(count == 1 for count in office.recorded.values()), f"seed {seed}"
    assert not office.placed, f"seed {seed}: the scheduler still holds {list(office.placed)}"
    assert sum(view["counts"].values()) == len(office.runs.tasks_view("r", limit=10_000))


@quick
@given(seeds)
def test_without_trouble_everything_finishes(seed: int) -> None:
    office = Office(seed, *random_workflow(seed), trouble=0.0)
    view = office.until_over()
    if office.runs.tasks_view("r", state="failed"):  # a map over something that is no list
        assert view["state"] == "failed"
        assert "is mapped over" in view["error"]["message"]
    else:
        assert view["state"] == "finished", f"seed {seed}: {view}"
        assert len(view["result"]["list"]) == len(office.workflow.tasks)


@quick
@given(seeds, st.integers(0, 60), st.booleans())
def test_a_cancel_ends_the_run_and_takes_every_offer_back(seed: int, steps: int, whole: bool) -> None:
    office = Office(seed, *random_workflow(seed))
    for _ in range(steps):
        office.take(office.plan())
        office.chance.choice((office.work, office.deliver))()
    names = [task["id"] for task in office.runs.tasks_view("r", limit=10_000)]
    target = "r" if whole else office.chance.choice(names)
    try:
        office.runs.cancel(target, "enough", office.now)
    except Conflict:
        assert office.runs.task_view(target)["ended"] if not whole else office.runs.run_view("r")["ended"]
        return
    office.runs.check()
    view = office.until_over()
    assert view["state"] in ("cancelled", "failed"), f"seed {seed}: {view}"
    assert office.ended == ["r"], f"seed {seed}"
    assert not office.placed, f"seed {seed}: the scheduler still holds {list(office.placed)}"


@quick
@given(seeds)
def test_a_retry_runs_what_did_not_finish_and_nothing_else(seed: int) -> None:
    office = Office(seed, *random_workflow(seed), trouble=0.5)
    office.until_over()
    before = dict(office.recorded)
    failed = [task["id"] for task in office.runs.tasks_view("r", "failed", limit=10_000)]
    office.trouble = 0.0
    if not failed:
        with pytest.raises(Conflict):
            office.runs.retry("r", office.now)
        return
    office.runs.retry("r", office.now)
    office.runs.check()
    view = office.until_over()
    assert office.recorded == {**dict.fromkeys(office.recorded, 1)}, f"seed {seed}"
    assert before.items() <= office.recorded.items()
    left = {task["name"] for task in office.runs.tasks_view("r", "failed", limit=10_000)}
    errors = [office.runs.task_view(f"r/{name}")["error"]["message"] for name in left]
    assert all("is mapped over" in error for error in errors), f"seed {seed}: {view} {errors}"
