"""Futures of an engine: exact where nothing is left to chance, bounded, and never a change to the engine itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.events import QuotaSet
from headway.domain.limits import Quota
from headway.domain.units import SECOND
from headway.sim.arrivals import Arrivals
from headway.sim.calibration import Calibration
from headway.sim.chance import Chance
from headway.sim.changes import tried
from headway.sim.experience import WINDOW, Experience
from headway.sim.future import Future
from headway.sim.what_if import Prediction, predict, quantile, waiting
from tests.builders import Harness, node, task


def exact(kind: str = "k") -> Experience:
    """Estimates have always been right: one draw in 513 comes from the prior, and the seeds of these tests have none."""
    made = Experience()
    for _ in range(WINDOW):
        for said in (5, 10, 20, 30, 60):
            made.learn(kind, said * SECOND, said * SECOND)
    return made


def busy(order: str = "priority > fcfs", **settings: Any) -> Harness:
    """One node of two cores; `a` and `b` run on it for 10 and 30 s, `c` and `d` of one core and 10 s wait."""
    h = Harness(order=order, train_span=0, preempt=False, **settings)
    h.join(node("n1", 2))
    h.offer(task("a", seconds=10), task("b", seconds=30))
    h.started("a", "b")
    h.offer(task("c", seconds=10), task("d", seconds=10))
    return h


def test_a_prediction_is_exact_where_nothing_is_left_to_chance() -> None:
    h = busy()
    h.sleep(4)
    found = predict(h.engine.snapshot(), h.now, exact(), waiting(h.engine), scenarios=8)
    assert {t: (p.p50, p.p90) for t, p in found.items()} == {
        "r/c": (10 * SECOND, 10 * SECOND),
        "r/d": (20 * SECOND, 20 * SECOND),
    }


def test_a_future_leaves_the_snapshot_and_the_engine_as_they_were() -> None:
    h = busy()
    tree = h.engine.snapshot()
    before = json.dumps(tree)
    predict(tree, h.now, exact(), ["r/c", "r/d"], scenarios=8)
    tried(tree, h.now, exact(), "r/d")
    assert json.dumps(tree) == before == json.dumps(h.engine.snapshot())


def test_the_same_question_has_the_same_answer() -> None:
    h, unsure = busy(), Experience()
    ask = lambda: predict(h.engine.snapshot(), h.now, unsure, ["r/d"], scenarios=16)  # noqa: E731
    first = ask()
    assert first == ask()
    assert first["r/d"].p50 is not None
    assert first["r/d"].p90 is not None
    assert first["r/d"].p50 < first["r/d"].p90


def test_what_can_never_start_has_no_prediction() -> None:
    h = busy()
    h.offer(task("huge", cpu=64))
    h.overrule("hold", "d", seconds=10**6)
    found = predict(h.engine.snapshot(), h.now, exact(), ["r/huge", "r/c"], scenarios=8)
    assert found["r/huge"].p90 is None
    assert found["r/c"].p90 == 10 * SECOND


def test_members_of_a_train_and_victims_go_on_in_the_future() -> None:
    """A snapshot between a decision and what executors do about it: a claim is waiting for its victim's grace."""
    h = Harness(order="priority > fcfs", train_span=0, grace=5 * SECOND)
    h.join(node("n1", 1))
    h.offer(task("low", seconds=60))
    h.started("low")
    h.sleep(2)
    h.offer(task("high", seconds=10, priority=5))
    assert h.state("high") == "claiming"
    found = predict(h.engine.snapshot(), h.now, exact(), ["r/high"], scenarios=8)
    assert found["r/high"].p90 == 7 * SECOND
    future = Future(h.engine.snapshot(), h.now, exact(), 1).run_on()
    future.engine.check()
    # The victim wrote no checkpoint: after high it does its whole minute again.
    assert {r.job.task.id: r.ended for r in future.records} == {
        "r/low": 77 * SECOND,
        "r/high": 17 * SECOND,
    }


def test_newcomers_push_a_task_back_where_the_order_lets_them() -> None:
    h, seen = busy("sjf"), Arrivals()
    for number in range(40):
        seen.heard(number * SECOND // 10, task(f"short{number}", seconds=5))
    h.sleep(4)
    alone = predict(h.engine.snapshot(), h.now, exact(), ["r/d"], scenarios=8)["r/d"]
    crowded = predict(h.engine.snapshot(), h.now, exact(), ["r/d"], arrivals=seen, scenarios=8)["r/d"]
    assert alone.p50 == 20 * SECOND
    assert crowded.p50 is not None
    assert crowded.p50 > 100 * SECOND


def test_after_a_quiet_time_nobody_is_expected() -> None:
    seen = Arrivals()
    for number in range(40):
        seen.heard(number * SECOND, task(f"t{number}"))
    assert next(seen.drawn(40 * SECOND, 1), None) is not None
    assert list(seen.drawn(60 * SECOND, 1)) == []


def test_changes_that_help_come_with_their_price_cheapest_first() -> None:
    h = busy()
    h.sleep(4)
    found = tried(h.engine.snapshot(), h.now, exact(), "r/d")
    by_kind = {t.kind: t for t in found}
    assert [t.price for t in found] == sorted(t.price for t in found)
    raised = by_kind["priority"]
    # d overtakes c: it starts at 10 s instead of 20, and c is complete 10 s later.
    assert (raised.before, raised.start, raised.delay) == (20 * SECOND, 10 * SECOND, 10 * SECOND)
    # A node more takes c, and d at once: nobody is later, and it is held for 10 s of d.
    more = by_kind["node"]
    assert (more.start, more.delay <= 0, more.bought) == (4 * SECOND, True, 10 * SECOND)
    # Ending a throws away its 4 s; both c and d are 6 s earlier.
    ended = by_kind["end"]
    assert (ended.start, ended.lost, ended.price) == (14 * SECOND, 4 * SECOND, 4 * SECOND)
    assert "r/a" in ended.text


def test_no_change_is_offered_that_does_not_help() -> None:
    h = busy()
    h.sleep(4)
    assert all(
        t.start is not None and t.start < 20 * SECOND
        for t in tried(h.engine.snapshot(), h.now, exact(), "r/d")
    )
    assert tried(h.engine.snapshot(), h.now, exact(), "r/a") == []
    assert tried(h.engine.snapshot(), h.now, exact(), "r/ghost") == []


def test_the_budget_bounds_what_is_tried() -> None:
    h = busy()
    h.offer(*(task(f"t{number}", seconds=10) for number in range(300)))
    found = predict(h.engine.snapshot(), h.now, exact(), waiting(h.engine), budget=900)
    assert {p.scenarios for p in found.values()} == {8}
    assert found["r/c"].p90 == 10 * SECOND
    assert found["r/t299"].p90 is None
    assert found["r/t299"].horizon > h.now


def test_a_larger_quota_is_told_where_the_quota_keeps_a_task() -> None:
    h = Harness(order="fcfs", train_span=0)
    h.join(node("n1", 8))
    h.apply(QuotaSet("default", Quota(nominal=(("cpu", 1000),))))
    h.offer(task("a", seconds=30))
    h.started("a")
    h.offer(task("b", seconds=10))
    assert predict(h.engine.snapshot(), 0, exact(), ["r/b"], scenarios=8)["r/b"].p50 == 30 * SECOND
    (quota,) = (t for t in tried(h.engine.snapshot(), 0, exact(), "r/b") if t.kind == "quota")
    assert (quota.start, quota.price) == (0, 0)
    assert "tenant default" in quota.text


def test_each_variant_has_its_own_time_and_is_tried_alone() -> None:
    ways = ({"gpu": 1, "seconds": 10}, {"cpu": 2, "seconds": 60})
    h = Harness(order="fcfs", train_span=0)
    h.join(node("n1", 2, gpus=1))
    h.offer(task("busy", cpu=1, gpu=1, seconds=30))
    h.started("busy")
    h.offer(task("either", variants=ways))
    future = Future(h.engine.snapshot(), 0, exact(), 1).run_on()
    (record,) = (r for r in future.records if r.job.task.id == "r/either")
    assert (record.started, record.ended - record.started) in [
        (30 * SECOND, 10 * SECOND),
        (30 * SECOND, 60 * SECOND),
    ]
    assert record.job.durations == (10 * SECOND, 60 * SECOND)


# ── experience ──────────────────────────────────────────────────────────────────────────────────────────────


@given(
    st.lists(st.integers(1, 10**9), max_size=40),
    st.integers(0, 10**10),
    st.integers(0, 10**9),
    st.integers(0, 2**32),
)
def test_what_runs_takes_longer_than_it_has_run(took: list[int], ran: int, said: int, seed: int) -> None:
    from headway.core.capacity.estimates import Estimates
    from headway.domain.resources import Demand

    learned, estimates = Experience(), Estimates()
    family = estimates.family("k", Demand(1000))
    for one in took:
        learned.learn("k", 10**6, one)
        estimates.learn(family, one, 50_000)
    for about in (None, said):
        assert learned.draw(Chance(seed), estimates, family, about, ran) > ran


def test_long_ones_said_are_judged_by_long_ones() -> None:
    from headway.core.capacity.estimates import Estimates
    from headway.domain.resources import Demand

    learned, estimates = Experience(), Estimates()
    family = estimates.family("k", Demand(1000))
    for _ in range(WINDOW):
        learned.learn("k", 10 * SECOND, 10 * SECOND)
        learned.learn("k", 10_000 * SECOND, 100 * SECOND)
    drawn = sorted(learned.draw(Chance(n), estimates, family, 10_000 * SECOND, 0) for n in range(99))
    assert drawn[49] == 100 * SECOND


# ── calibration ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wrong", [0.2, 1.0, 5.0])
def test_nine_of_ten_start_in_time_however_wrong_the_model_is(wrong: float) -> None:
    """Waits are exponential; the model is wrong about them by a factor, and says 1.0 always."""
    from random import Random

    chance, calibration, in_time = Random(7), Calibration(), []
    for number in range(4_000):
        now = number * 10**12
        told = calibration.corrected(Prediction(f"t{number}", now, SECOND, 2 * SECOND + now, 8, now))
        calibration.promised(told)
        start = now + round(chance.expovariate(1.0) * wrong * SECOND)
        assert told.p90 is not None
        in_time.append(start <= told.p90)
        calibration.started(f"t{number}", start)
    assert 0.88 <= sum(in_time[400:]) / len(in_time[400:]) <= 0.92


def test_a_broken_promise_teaches_at_its_time_not_at_the_start() -> None:
    calibration = Calibration()
    calibration.promised(Prediction("t", 0, SECOND, 2 * SECOND, 8, 0))
    calibration.passed(3 * SECOND)
    assert (calibration.half.late, calibration.most.late) == (1, 1)
    calibration.started("t", 99 * SECOND)
    assert calibration.most.told == 1


@given(st.lists(st.integers(0, 100), max_size=30), st.integers(1, 999))
def test_quantiles_are_nearest_ranks(found: list[int], milli: int) -> None:
    exact_rank = -(-len(found) * milli // 1000)
    assert quantile(found, milli, len(found)) == (sorted(found)[exact_rank - 1] if found else None)
