"""Closed forms: textbook values, what must hold between them, and a small simulation written independently."""

from __future__ import annotations

import heapq
import math
import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.capacity.queueing import (
    Class,
    Phases,
    Sizes,
    erlang_b,
    erlang_c,
    fcfs,
    mmc,
    preemptive_responses,
    priority_waits,
    servers_for,
    sjf,
    srpt,
    wait_exceeds,
)
from headway.errors import Invalid

EXP = Phases.exponential()
HEAVY = Phases.fitted(1.0, 10.0)


def test_one_server_as_published() -> None:
    assert fcfs(0.7, EXP) == pytest.approx(3.33333, abs=1e-5)
    assert sjf(0.7, EXP) == pytest.approx(2.3122, abs=1e-5)
    assert srpt(0.7, EXP) == pytest.approx(1.87457, abs=1e-5)
    assert fcfs(0.5, HEAVY) == pytest.approx(6.5, abs=1e-5)
    assert srpt(0.5, HEAVY) == pytest.approx(1.40081, abs=2e-5)


def test_many_servers_as_published() -> None:
    assert mmc(4, 2.0) == pytest.approx(1.08696, abs=1e-5)
    assert mmc(16, 11.2) == pytest.approx(1.02702, abs=1e-5)
    assert [servers_for(load, 0.2) for load in (1, 2, 4, 8)] == [3, 4, 7, 12]
    assert erlang_b(5, 3.0) == pytest.approx(0.1101, abs=1e-4)  # from the tables


def test_priorities_as_published_and_preemption_helps_the_first_class() -> None:
    half = Class(0.25, EXP)
    waits = priority_waits([half, half])
    assert [1 + wait for wait in waits] == pytest.approx([1.66667, 2.33333], abs=1e-5)
    first, second = preemptive_responses([half, half])
    assert first == pytest.approx(1 / (1 - 0.25))  # as if it were alone
    assert second > 1 + waits[1]


def test_constant_service_needs_half_the_wait_and_no_order_helps() -> None:
    constant = Sizes.constant(1.0)
    assert fcfs(0.8, constant) == pytest.approx(1 + 0.8 / (2 * 0.2))
    assert sjf(0.8, constant) == pytest.approx(fcfs(0.8, constant))
    assert srpt(0.8, constant) == pytest.approx(fcfs(0.8, constant))


def test_a_fine_history_of_an_exponential_comes_near_it() -> None:
    # Midpoints of 4000 equally likely slices of the exponential distribution.
    slices = 4000
    values = sorted({-math.log(1 - (i + 0.5) / slices) for i in range(slices)})
    history = Sizes(tuple(values), (1 / len(values),) * len(values))
    assert srpt(0.7, history) == pytest.approx(srpt(0.7, EXP), rel=2e-3)
    assert sjf(0.7, history) == pytest.approx(sjf(0.7, EXP), rel=2e-3)


def test_an_unstable_queue_is_refused_with_the_number_that_helps() -> None:
    with pytest.raises(
        Invalid, match=r"load 8.5 on 8 servers: the queue grows without end\n  at least 9 servers"
    ):
        erlang_c(8, 8.5)
    with pytest.raises(Invalid, match="grows without end"):
        fcfs(1.0, EXP)


@given(st.floats(0.05, 0.95), st.floats(1.0, 30.0))
def test_srpt_is_never_beaten(load: float, variation: float) -> None:
    service = Phases.fitted(1.0, variation)
    assert srpt(load, service) <= sjf(load, service) * (1 + 1e-9)
    assert sjf(load, service) <= fcfs(load, service) * (1 + 1e-9)


@given(st.floats(0, 300), st.floats(0.001, 1), st.floats(0, 3), st.floats(0, 5))
def test_staffing_is_enough_and_one_server_fewer_is_not(
    load: float, share: float, time: float, variation: float
) -> None:
    servers = servers_for(load, share, time, variation)
    if servers > load:
        assert wait_exceeds(servers, load, time, variation) <= share + 1e-12
    if servers - 1 > load:
        assert wait_exceeds(servers - 1, load, time, variation) > share


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.01, 1)), min_size=1, max_size=5))
def test_the_order_of_classes_never_changes_the_work_that_waits(rows: list[tuple[float, float]]) -> None:
    # Kleinrock's conservation law: the load-weighted mean wait is the same for every order.
    total = sum(size * rate for size, rate in rows)
    classes = [Class(rate * 0.8 / total, Sizes.constant(size)) for size, rate in rows]

    def waiting_work(order: list[Class]) -> float:
        waits = priority_waits(order)
        return sum(each.rate * each.service.mean * wait for each, wait in zip(order, waits, strict=True))

    assert waiting_work(classes) == pytest.approx(waiting_work(classes[::-1]))


def test_srpt_with_equal_sizes_agrees_with_a_simulation() -> None:
    service = Sizes((1.0, 4.0), (0.75, 0.25))
    simulated = fmean(_simulate_srpt(0.35, service, 60_000, seed) for seed in range(3))
    assert srpt(0.35, service) == pytest.approx(simulated, rel=0.03)


def _simulate_srpt(rate: float, service: Sizes, count: int, seed: int) -> float:
    """Mean response on one server; ties go to the earlier task."""
    rng = random.Random(seed)
    now, free, total, queue = 0.0, 0.0, 0.0, []
    for _ in range(count):
        now += rng.expovariate(rate)
        while queue and free < now:
            left, arrived = heapq.heappop(queue)
            done = min(left, now - free)
            free += done
            if done < left:
                heapq.heappush(queue, (left - done, arrived))
            else:
                total += free - arrived
        free = max(free, now)
        heapq.heappush(queue, (rng.choices(service.values, service.probabilities)[0], now))
    while queue:
        left, arrived = heapq.heappop(queue)
        free += left
        total += free - arrived
    return total / count
