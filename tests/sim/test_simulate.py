"""The simulator drives the very engine of the service, and plays what surrounds it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headway.core.engine import Engine
from headway.domain.units import SECOND
from headway.errors import Invalid
from headway.sim.cluster import uniform
from headway.sim.injected import Injected
from headway.sim.metrics import utilisation
from headway.sim.records import Result, Rules
from headway.sim.simulate import simulate
from tests.sim.builders import cores, job, times, trace


def test_one_after_the_other_on_one_core() -> None:
    result = simulate(trace(job("a", 0, 5), job("b", 1, 2), job("c", 2, 1)), cores(1), "fcfs")
    assert times(result) == {"a": (0, 5), "b": (5, 7), "c": (7, 8)}


def test_the_policy_decides() -> None:
    result = simulate(trace(job("a", 0, 5), job("b", 1, 2), job("c", 2, 1)), cores(1), "sjf")
    assert times(result) == {"a": (0, 5), "c": (5, 6), "b": (6, 8)}


def test_strict_waits_for_the_head_and_skip_does_not() -> None:
    jobs = trace(job("a", 0, 10), job("wide", 1, 1, cpu=2), job("b", 2, 1))
    assert times(simulate(jobs, cores(2), "fcfs, strict"))["b"] == (11, 12)
    assert times(simulate(jobs, cores(2), "fcfs, skip"))["b"] == (2, 3)


def test_with_decide_broken_nothing_is_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """One engine, two clocks: a simulator with a scheduler of its own would go on."""

    def broken(self: Engine, now: int) -> list[Any]:
        raise RuntimeError("decide is broken")

    monkeypatch.setattr(Engine, "decide", broken)
    with pytest.raises(RuntimeError, match="decide is broken"):
        simulate(trace(job("a")), cores(1), "fcfs")


def test_a_task_starts_when_the_last_it_waits_for_has_ended() -> None:
    jobs = trace(
        job("late", 0, 3, after=("left", "right")),
        job("left", 0, 4),
        job("right", 2, 5),
        job("end", 0, 1, after=("late",)),
    )
    assert times(simulate(jobs, cores(4), "fcfs")) == {
        "left": (0, 4), "right": (2, 7), "late": (7, 10), "end": (10, 11),
    }  # fmt: skip


def test_a_task_that_arrives_after_what_it_waits_for_starts_at_once() -> None:
    jobs = trace(job("first", 0, 1), job("second", 9, 1, after=("first",)))
    assert times(simulate(jobs, cores(1), "fcfs"))["second"] == (9, 10)


def test_a_preempted_task_goes_on_from_its_checkpoint() -> None:
    jobs = trace(job("low", 0, 10), job("high", 4, 3, priority=1))
    rules = Rules(checkpoint=1 * SECOND, restart=2 * SECOND)
    result = simulate(jobs, cores(1), "priority > fcfs", rules=rules)
    # 4 s done, 1 s to write, the other's 3 s, 2 s to restart, 6 s left
    assert times(result) == {"high": (5, 8), "low": (0, 16)}
    low = result.records[0]
    assert (low.preemptions, low.lost, low.overhead) == (1, 0, 3 * SECOND)
    assert [(span.outcome, span.start // SECOND, span.end // SECOND) for span in result.spans] == [
        ("preempted", 0, 5), ("finished", 5, 8), ("finished", 8, 16),
    ]  # fmt: skip


def test_without_checkpoints_it_runs_out_its_grace_and_starts_over() -> None:
    jobs = trace(job("low", 0, 10), job("high", 4, 3, priority=1))
    result = simulate(jobs, cores(1), "priority > fcfs, grace=2")
    assert times(result) == {"high": (6, 9), "low": (0, 19)}
    assert result.records[0].lost == 6 * SECOND


def test_it_may_finish_within_its_grace() -> None:
    result = simulate(
        trace(job("low", 0, 5), job("high", 4, 3, priority=1)), cores(1), "priority > fcfs, grace=2"
    )
    assert times(result) == {"high": (5, 8), "low": (0, 5)}
    assert result.records[0].preemptions == 0


def test_a_checkpoint_dearer_than_the_grace_is_not_written() -> None:
    jobs = trace(job("low", 0, 10), job("high", 4, 3, priority=1))
    result = simulate(jobs, cores(1), "priority > fcfs, grace=1", rules=Rules(checkpoint=2 * SECOND))
    assert result.records[0].lost == 5 * SECOND


def test_checkpoints_written_unasked_cost_time_and_keep_work() -> None:
    """Every 3 s of processing, half a second each: 10 s of work write three."""
    alone = simulate(trace(job("a", 0, 10)), cores(1), "fcfs", rules=Rules(SECOND // 2, every=3 * SECOND))
    assert times(alone) == {"a": (0, 11.5)}
    jobs = trace(job("low", 0, 10), job("high", 8, 1, priority=1))
    rules = Rules(SECOND // 2, every=3 * SECOND)
    result = simulate(jobs, cores(1), "priority > fcfs, grace=0", rules=rules)
    # By 8 s two are written (at 3.5 and 7) and another second is done, which is lost with a grace of nothing.
    assert times(result)["high"] == (8, 9)
    assert result.records[0].lost == 1 * SECOND
    assert times(result)["low"] == (0, 9 + 4 + 0.5)


def test_nodes_that_fail_lose_work_and_all_is_done_in_the_end() -> None:
    jobs = trace(*(job(f"t{i}", i, 50) for i in range(40)))
    injected = Injected(seed=3, mtbf=200 * SECOND, mttr=30 * SECOND)
    result = simulate(jobs, uniform(4, cpu=2), "fcfs", injected=injected)
    assert result.outages
    assert all(record.ended > 0 for record in result.records)
    assert (
        sum(record.losses for record in result.records) == sum(s.outcome == "lost" for s in result.spans) > 0
    )
    down = {(node, start): up for node, start, up in result.outages}
    for span in result.spans:  # nothing begins or goes on where no node is
        assert not any(
            node == span.node and start < span.end and span.start < up for (node, start), up in down.items()
        )


def test_what_loses_too_many_attempts_has_failed_and_all_that_waits_for_it() -> None:
    jobs = trace(job("long", 0, 10_000), job("next", 0, 1, after=("long",)), job("other", 0, 1))
    injected = Injected(seed=1, mtbf=100 * SECOND, mttr=1 * SECOND)
    result = simulate(jobs, cores(2), "fcfs", injected=injected, rules=Rules(losses=3))
    long, after, other = result.records
    assert (long.failed, after.failed, long.losses) == (True, True, 4)
    assert other.ended == 1 * SECOND


def test_chance_is_seeded_and_the_same_under_every_policy() -> None:
    jobs = trace(*(job(f"t{i}", 3 * i, 20) for i in range(30)))
    injected = Injected(seed=7, estimate_error=1.0, arrivals_per_hour=900, mtbf=60 * SECOND, mttr=20 * SECOND)

    def told(result: Result) -> list[Any]:
        return [record.job.task for record in result.records]

    first, again = (simulate(jobs, uniform(3, cpu=1), "sjf", injected=injected) for _ in range(2))
    assert (first.spans, first.outages) == (again.spans, again.outages)
    other = simulate(jobs, uniform(3, cpu=1), "fcfs", injected=injected)
    assert told(other) == told(first)
    until = min(first.end, other.end)
    seen = [outage for outage in first.outages if outage[1] < until]
    assert seen == [outage for outage in other.outages if outage[1] < until]
    assert len(seen) > 3
    assert told(simulate(jobs, uniform(3, cpu=1), "sjf", injected=replace(injected, seed=8))) != told(first)


def test_wrong_estimates_mislead_the_policy_and_not_the_clock() -> None:
    result = simulate(
        trace(job("now", 0, 1), job("a", 0, 5, said=1), job("b", 0, 2, said=9)), cores(1), "sjf"
    )
    assert times(result) == {"now": (0, 1), "a": (1, 6), "b": (6, 8)}


def test_an_estimate_error_has_the_spread_that_was_asked() -> None:
    jobs = trace(*(job(f"t{i}", i, 100) for i in range(2_000)))
    found = Injected(seed=1, estimate_error=0.5).on(jobs)
    logs = np.log([(one.task.estimate or 0) / one.duration for one in found.jobs])
    assert abs(float(logs.mean())) < 0.05
    assert abs(float(logs.std()) - 0.5) < 0.05


def test_what_fits_nowhere_is_refused_with_what_waits_for_it() -> None:
    jobs = trace(job("huge", 0, 1, cpu=64), job("after", 0, 1, after=("huge",)), job("small", 0, 1))
    result = simulate(jobs, cores(2), "fcfs")
    assert result.unfit == 2
    assert times(result)["small"] == (0, 1)
    with pytest.raises(Invalid, match="asks for cpu 64"):
        simulate(trace(job("huge", 0, 1, cpu=64)), cores(2), "fcfs")


def test_trains_are_simulated_as_the_executor_runs_them() -> None:
    """With a way to the executor of 5 ms, short tasks of one kind ride together and none is lost or run twice."""
    jobs = trace(*(job(f"t{i}", 0, 0.002, said=0.002) for i in range(400)))
    slow = simulate(jobs, cores(2), "fcfs, train_span=0", rules=Rules(latency=5_000))
    quick = simulate(jobs, cores(2), "fcfs", rules=Rules(latency=5_000))
    assert len(quick.spans) == 400 == sum(record.ended >= 0 for record in quick.records)
    assert (quick.end - quick.start) * 2 < slow.end - slow.start
    held = sorted((span.start, span.end) for span in quick.spans)
    assert all(sum(s <= start < e for s, e in held) <= 2 for start, _ in held)


def test_a_clock_without_events_stands_still() -> None:
    """Nothing polls: a year between two arrivals costs no decision."""
    year = 365 * 24 * 3600
    asked: list[int] = []
    decide = Engine.decide

    class Counted(Engine):
        def decide(self, now: int) -> list[Any]:
            asked.append(now)
            return decide(self, now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headway.sim.choice.Engine", Counted)
        simulate(trace(job("a", 0, 1), job("b", year, 1)), cores(1), "priority > srpt")
    assert len(asked) < 12


@pytest.mark.parametrize("order", ["fcfs", "priority > srpt", "sjf", "fair > srpt", "deadline"])
def test_capacity_is_never_exceeded_and_every_task_is_done_once(order: str) -> None:
    draw = np.random.default_rng(5)
    jobs = trace(*(
        job(
            f"t{i}", float(draw.integers(0, 300)), float(draw.integers(1, 60)), cpu=int(draw.integers(1, 4)),
            gpu=float(draw.choice([0, 0, 0.5, 1, 2])), priority=int(draw.integers(0, 3)), tenant=f"t{i % 3}",
        )
        for i in range(150)
    ))  # fmt: skip
    result = simulate(
        jobs,
        uniform(3, cpu=8, gpus=2),
        order,
        rules=Rules(checkpoint=SECOND),
        injected=Injected(mtbf=400 * SECOND),
    )
    finished = [span.job for span in result.spans if span.outcome == "finished"]
    assert sorted(finished) == list(range(150))
    moments = sorted({span.start for span in result.spans})
    for now in moments:
        running = [span for span in result.spans if span.start <= now < span.end]
        for node in range(3):
            here = [span for span in running if span.node == node]
            demands = [result.trace.jobs[span.job].task.demand for span in here]
            assert sum(demand.cpu for demand in demands) <= 8_000
            for device in range(2):
                held = [min(d.gpu, 1000) for s, d in zip(here, demands, strict=True) if device in s.devices]
                assert sum(held) <= 1000


def test_a_task_with_variants_takes_as_long_as_the_one_that_was_chosen_and_holds_what_that_holds() -> None:
    ways = ({"gpu": 1, "seconds": 10}, {"cpu": 4, "seconds": 30})
    jobs = trace(*(job(name, 0, variants=ways) for name in "abcd"))
    result = simulate(jobs, uniform(1, cpu=6, gpus=1), "fcfs")
    assert times(result) == {"a": (0, 10), "b": (10, 20), "c": (0, 30), "d": (20, 30)}
    assert [(span.job, span.variant) for span in result.spans] == [(0, 0), (1, 0), (2, 1), (3, 0)]
    assert utilisation(result) == {"cpu": 150 / 180, "gpu": 1.0}
    slow = replace(jobs, jobs=tuple(replace(one, durations=(50_000_000, 30_000_000)) for one in jobs.jobs))
    mistaken = simulate(slow, uniform(1, cpu=6, gpus=1), "fcfs", injected=Injected(estimate_error=0.1))
    assert all(record.ended > 0 for record in mistaken.records)
