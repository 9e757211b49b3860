"""How many nodes: the answer keeps the target, loses no node, and agrees with the formula where there is one."""

from __future__ import annotations

import random
from itertools import product
from pathlib import Path

import pytest

from headway.api.sizing import growth, plan_traces
from headway.core.capacity.queueing import servers_for
from headway.domain.resources import Demand, Node
from headway.domain.task import Task
from headway.domain.units import SECOND
from headway.errors import Invalid, NotFound
from headway.sim.sizing import NEVER, Kind, Target, plan
from headway.sim.trace import Job, Trace


def trace(count: int, gap: float, mean: float, *, gpu_every: int = 0, seed: int = 1) -> Trace:
    """Random arrivals and lengths, in seconds; every so many-th task asks for a GPU."""
    chance, now, jobs = random.Random(seed), 0.0, []
    for number in range(count):
        now += chance.expovariate(1 / gap)
        takes = max(round(chance.expovariate(1 / mean) * SECOND), 1)
        demand = Demand(1000, 0, 1000 if gpu_every and number % gpu_every == 0 else 0)
        jobs.append(Job(Task(f"t/{number}", "k", demand, release=round(now * SECOND), estimate=takes), takes))
    return Trace.of("random", jobs)


def small(name: str, *, cpu: int = 1, gpus: int = 0, price: int = 1, most: int = 60) -> Kind:
    return Kind(Node(name, cpu * 1000, 0, gpus), price, 0, most)


def test_the_fewest_nodes_of_one_kind_are_about_those_of_the_formula() -> None:
    """M/M/c: load 8, at most 5 % wait longer than half a mean service time (`queueing.servers_for`)."""
    found = plan(trace(6000, 1 / 8, 1), [small("n")], Target(SECOND // 2), "fcfs, train_span=0")
    assert found.best is not None
    assert abs(found.best.counts[0] - servers_for(8, 0.05, 0.5)) <= 1
    assert found.best.wait <= SECOND // 2
    ((name, without),) = found.fewer
    assert name == "n"
    assert without.counts[0] == found.best.counts[0] - 1
    assert without.wait > SECOND // 2


def test_no_smaller_mix_of_two_kinds_keeps_the_target() -> None:
    """All mixes below the answer are tried: none of them does, so each node in it is needed."""
    kinds = [small("cpu", cpu=4, price=1), small("gpu", cpu=2, gpus=2, price=10)]
    target, load = Target(2 * SECOND, 900), trace(400, 0.5, 4, gpu_every=4)
    found = plan(load, kinds, target, "fcfs, train_span=0")
    assert found.best is not None
    tried = {trial.counts: trial.wait for trial in found.trials}
    assert tried[found.best.counts] <= target.wait
    below = product(*(range(count + 1) for count in found.best.counts))
    exact = plan(
        load,
        [Kind(k.node, k.price, 0, c) for k, c in zip(kinds, found.best.counts, strict=True)],
        target,
        "fcfs, train_span=0",
    )
    assert exact.best == found.best
    assert all(
        counts not in tried or tried[counts] > target.wait for counts in below if counts != found.best.counts
    )
    assert plan(load, kinds, target, "fcfs, train_span=0").tree() == found.tree()


def test_what_cannot_be_kept_is_said_with_what_can() -> None:
    found = plan(trace(300, 0.1, 5), [small("n", most=3)], Target(SECOND), "fcfs")
    assert found.best is None
    assert found.most is not None
    assert found.most.counts == (3,)
    assert "cannot be kept" in found.text()
    assert found.tree()["met"] is False


def test_what_makes_no_sense_is_refused() -> None:
    some = trace(20, 1, 1, gpu_every=2)
    with pytest.raises(Invalid, match="10 of 20 tasks fit on no kind"):
        plan(some, [small("n")], Target(1))
    with pytest.raises(Invalid, match="each once"):
        plan(some, [small("n"), small("n", gpus=1)], Target(1))
    with pytest.raises(Invalid, match="no range"):
        plan(some, [Kind(Node("n", 1000, 0, 1), 0, 5, 2)], Target(1))
    with pytest.raises(Invalid, match="cannot be asked"):
        Target(-1)


def test_a_search_that_ran_out_says_so() -> None:
    found = plan(trace(200, 0.25, 2), [small("n")], Target(SECOND), budget=2)
    assert len(found.trials) <= 4
    assert any("stopped after 2 simulations" in note for note in found.notes)
    assert NEVER > 10**18


def test_growth_follows_the_trace() -> None:
    hour = 3600
    rising = [
        Job(Task(f"t/{h}-{i}", "k", Demand(), release=(h * hour + i) * SECOND), 10 * SECOND)
        for h in range(72)
        for i in range(10 + 2 * h)
    ]
    factor, note = growth(Trace.of("rising", rising), 24 * hour * SECOND, 900)
    assert 1.8 < factor < 3.0
    assert "trend" in note
    few, note = growth(Trace.of("few", rising[:30]), hour * SECOND, 900)
    assert few == pytest.approx(1.0, abs=0.3)
    assert "too short" in note


def test_the_python_call(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        plan_traces([tmp_path / "none.csv"], tmp_path / "none.toml", SECOND)
