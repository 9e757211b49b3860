"""Disruption budgets are never overrun."""

from __future__ import annotations

import pytest

from headway.core import standing
from headway.core.events import AttemptEnded, AttemptStarted, Outcome, PreemptionSet, TaskWithdrawn
from headway.domain.budget import Budget
from headway.domain.units import SECOND
from headway.errors import Invalid
from tests.builders import node, preempted, task


def four(drive, *budgets: str):
    """Four cores with runs x and y, of which two tasks each run for ten seconds; x's would be cheaper."""
    h = drive(train_span=0, budgets=budgets)
    h.join(node(cpu=4))
    h.offer(task("c", run="y"), task("d", run="y"))
    start(h, "y/c", "y/d")
    h.sleep(5)
    h.offer(task("a", run="x"), task("b", run="x"))
    start(h, "x/a", "x/b")
    h.sleep(5)
    return h


def start(h, *names: str) -> None:
    h.apply(*(AttemptStarted(name, h.engine.world.tasks[name].attempt, h.now) for name in names))


def end(h, name: str, outcome: Outcome = Outcome.PREEMPTED):
    return h.apply(AttemptEnded(name, h.engine.world.tasks[name].attempt, outcome, SECOND))


def test_at_once_counts_until_it_runs_again(drive) -> None:
    h = four(drive, "run 1 at once")
    assert preempted(h.offer(task("h1", priority=1))) == ["b"]
    assert preempted(h.offer(task("h2", priority=1))) == ["d"], "x has one away"
    assert preempted(h.offer(task("h3", priority=1))) == []
    end(h, "x/b")
    end(h, "y/d")
    start(h, "r/h1", "r/h2")
    assert preempted(h.sleep(1)) == [], "b is back in line, and does not run"
    end(h, "r/h1", Outcome.FINISHED)  # h3 takes that place
    start(h, "r/h3")
    end(h, "r/h2", Outcome.FINISHED)
    end(h, "r/h3", Outcome.FINISHED)
    start(h, "x/b", "y/d")
    h.sleep(3)
    assert len(preempted(h.offer(task("h4", priority=1)))) == 1


def test_one_plan_may_not_overrun_it_either(drive) -> None:
    h = four(drive, "run 1 at once")
    assert sorted(preempted(h.offer(task("wide", cpu=2, priority=1)))) == ["b", "d"]
    assert preempted(h.offer(task("third", priority=1))) == []


def test_a_percentage_is_rounded_up(drive) -> None:
    h = four(drive, "tenant 30% at once")  # of four: two
    assert (
        len(preempted(h.offer(task("h1", priority=1, tenant="t"), task("h2", priority=1, tenant="t")))) == 2
    )
    assert preempted(h.offer(task("h3", priority=1, tenant="t"))) == []


def test_a_rate_allows_the_next_when_its_time_is_over(drive) -> None:
    h = four(drive, "kind 1 per 60s")
    assert preempted(h.offer(task("h1", priority=1))) == ["b"]
    end(h, "x/b")
    h.sleep(10)
    assert preempted(h.offer(task("h2", priority=1))) == []
    assert h.engine.wake_at() == 70 * SECOND
    assert preempted(h.sleep(50)) == ["a"]


def test_who_was_spared_counts_no_more(drive) -> None:
    h = four(drive, "run 1 per 1h", "kind 1 per 1h")
    assert preempted(h.offer(task("h1", priority=1))) == ["b"]
    h.apply(TaskWithdrawn("r/h1"))
    assert preempted(h.offer(task("h2", priority=1))) == ["b"]


def test_new_budgets_hold_from_now_on(drive) -> None:
    h = four(drive)
    h.apply(PreemptionSet(budgets=("tenant 0 at once",)))
    assert preempted(h.offer(task("h1", priority=1))) == []
    assert preempted(h.apply(PreemptionSet(budgets=()))) == ["b"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "run",
        "run 1",
        "pod 1 at once",
        "run x at once",
        "run 5% per 1h",
        "run 101% at once",
        "run 1 per 0s",
    ],
)
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Budget.parse(text)


def test_the_table_of_settings_becomes_one_event() -> None:
    table = {"preempt": "longer", "cost": "30s", "margin": 0.1, "budgets": ["run 1 at once"], "min_run": 2}
    assert standing.events({"preemption": table}) == [
        PreemptionSet("longer", min_run=2 * SECOND, cost=30 * SECOND, margin=100, budgets=("run 1 at once",))
    ]
    assert standing.events({}, {"preemption": {"preempt": "longer"}}) == [PreemptionSet("classes")]
    for wrong in (
        {"preemt": "no"},
        {"preempt": "maybe"},
        {"margin": 1},
        {"budgets": "run 1"},
        {"max_preemptions": -1},
    ):
        with pytest.raises(Invalid):
            standing.events({"preemption": wrong})
