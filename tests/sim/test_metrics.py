"""Figures that can be reckoned by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headway.domain.units import SECOND
from headway.sim.cluster import Cluster, uniform
from headway.sim.injected import Injected
from headway.sim.metrics import curve, held_over_time, measure, waiting_over_time
from headway.sim.records import Rules
from headway.sim.report import compare
from headway.sim.simulate import simulate
from headway.sim.traces import read_trace
from tests.builders import node
from tests.sim.builders import cores, job, trace


def test_times_of_three_tasks_on_one_core() -> None:
    """Responses 20, 22 (waits 18), 31 (waits 21); processing 20, 4, 10."""
    found = measure(
        simulate(
            trace(job("a", 0, 20), job("b", 2, 4), job("c", 3, 10, weight=3000)), cores(1), "fcfs, strict"
        )
    )
    assert (found.response.mean, found.response.p50, found.response.most) == pytest.approx((73 / 3, 22, 31))
    assert found.response.weighted == pytest.approx((20 + 22 + 3 * 31) / 5)
    assert found.wait.mean == pytest.approx(39 / 3)
    assert found.slowdown.mean == pytest.approx((1 + 22 / 4 + 3.1) / 3)
    assert found.bounded_slowdown.mean == pytest.approx((1 + 2.2 + 3.1) / 3)
    assert (found.makespan, found.utilisation["cpu"]) == pytest.approx((34, 1.0))
    assert (found.finished, found.unfinished, found.failed, found.preemptions) == (3, 0, 0, 0)


def test_a_task_s_response_begins_when_it_is_ready() -> None:
    found = measure(simulate(trace(job("a", 0, 20), job("b", 0, 4, after=("a",))), cores(1), "fcfs"))
    assert found.response.most == pytest.approx(20)
    assert found.wait.most == 0


def test_utilisation_counts_what_was_there() -> None:
    """Two cores, one held for ten of twenty seconds; and of the memory nothing."""
    cluster = Cluster("c", (node("n", cpu=2, memory="1GiB"),))
    found = measure(simulate(trace(job("a", 0, 10), job("b", 10, 10)), cluster, "fcfs"))
    assert found.utilisation == pytest.approx({"cpu": 0.5, "memory": 0.0})


def test_time_away_is_not_time_idle_and_costs_nothing() -> None:
    cluster = replace(cores(1), prices=(3_600_000_000,))  # 3600 an hour: one a second
    jobs = trace(job("a", 0, 300))
    injected = Injected(seed=1, mtbf=200 * SECOND, mttr=100 * SECOND)
    result = simulate(jobs, cluster, "fcfs", rules=Rules(0, every=SECOND), injected=injected)
    away = sum(min(up, result.end) - down for _, down, up in result.outages) / SECOND
    assert away > 0
    found = measure(result)
    assert found.cost == pytest.approx(found.makespan - away)
    assert found.utilisation["cpu"] == pytest.approx(1.0, abs=0.01)


def test_deadlines_and_work_lost() -> None:
    jobs = trace(job("low", 0, 10, deadline=11 * SECOND), job("high", 4, 3, priority=1, deadline=9 * SECOND))
    found = measure(simulate(jobs, cores(1), "priority > fcfs, grace=2"))
    assert (found.deadlines, found.late, found.preemptions) == (2, 1, 1)
    assert found.work_lost == pytest.approx(6)
    assert found.work_lost_share == pytest.approx(6 / 19)


def test_fragmentation_is_what_is_free_where_the_mix_does_not_fit() -> None:
    """A task of five cores and half a GPU on each of two nodes of eight and two. What is free then serves another such
    task nowhere, a pair of GPUs nowhere, a small one everywhere: of the mix of four, three quarters of it are wasted."""
    jobs = trace(
        job("x0", 0, 100, cpu=5, gpu=0.5),
        job("x1", 0, 100, cpu=5, gpu=0.5),
        job("pair", 0, 0.01, cpu=1, gpu=2),
        job("small", 0, 0.01, cpu=1, gpu=0.5),
    )
    result = simulate(jobs, uniform(2, cpu=8, gpus=2), "fcfs")
    assert measure(result).fragmentation == pytest.approx(0.75, abs=0.01)


def test_nothing_free_is_nothing_wasted() -> None:
    assert measure(simulate(trace(job("a", 0, 5)), cores(1), "fcfs")).fragmentation is None


def test_shares_and_fairness_of_tenants() -> None:
    """Two tenants on two cores, the first with all its tasks before the other's: fcfs serves it alone, fair by turns."""
    jobs = trace(
        *(job(f"a{i}", 0, 10, tenant="anna") for i in range(8)),
        *(job(f"b{i}", 0, 10, tenant="bo") for i in range(8)),
    )
    first, turns = (measure(simulate(jobs, cores(2), policy)) for policy in ("fcfs", "fair > fcfs"))
    assert first.shares == pytest.approx({"anna": 0.5, "bo": 0.5})
    assert first.finish_time["bo"] > 1.2 > 0.8 > first.finish_time["anna"]
    assert max(turns.finish_time.values()) < first.finish_time["bo"]
    assert first.jain == pytest.approx(0.5, abs=0.05)  # while both wait, one has it all
    assert turns.jain is not None
    assert turns.jain > 0.95


def test_one_tenant_is_not_compared_with_itself() -> None:
    found = measure(simulate(trace(job("a"), job("b")), cores(1), "fcfs"))
    assert found.jain is None


def test_a_curve_is_the_mean_in_each_stretch() -> None:
    steps = [(0, 10, 1.0), (5, 10, 2.0), (12, 20, 4.0)]
    assert curve(steps, 0, 20, 4).tolist() == pytest.approx([1.0, 3.0, 2.4, 4.0])


def test_curves_of_a_simulation() -> None:
    result = simulate(trace(job("a", 0, 10), job("b", 0, 10)), cores(1), "fcfs")
    assert held_over_time(result, 4).tolist() == pytest.approx([1, 1, 1, 1])
    assert waiting_over_time(result, 4).tolist() == pytest.approx([1, 1, 0, 0])


def test_tasks_are_charged_for_all_their_attempts_lost_work_too() -> None:
    """It runs for 300 s at 12 an hour, is preempted without a checkpoint after 100 of them, and begins anew."""
    low = replace(job("low", 0, 300), cost=12_000)
    jobs = trace(low, job("high", 100, 10, priority=9))
    found = measure(simulate(jobs, cores(1), "priority", rules=Rules(checkpoint=None)))
    assert found.preemptions == 1
    assert found.charged == pytest.approx((300 + found.work_lost) * 12 / 3600)
    assert found.work_lost >= 100
    assert measure(simulate(trace(job("a", 0, 1)), cores(1), "priority")).charged is None


def test_a_trace_says_prices_and_the_report_shows_them(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("id,arrival,duration,cost,deadline\na,0,1h,2,30min\nb,0,30min,,\n")
    found = compare(read_trace(table), cores(2), ["fcfs"])
    assert (found.metrics[0].charged, found.metrics[0].deadlines, found.metrics[0].late) == (2.0, 1, 1)
    assert "cost by tasks" in found.table()
