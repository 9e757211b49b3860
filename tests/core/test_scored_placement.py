"""Placements whose score does not fall apart into node and shape, in the engine."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.decisions import Start
from headway.core.engine import Engine
from headway.core.events import (
    AttemptEnded,
    MixSet,
    NodeJoined,
    Outcome,
    PolicySet,
    TaskOffered,
    TaskWithdrawn,
)
from headway.core.placement.fgd import Fgd
from headway.core.placement.fleet import Ask, Fleet, Placed, Placer
from headway.core.placement.min_waste import MinWaste
from headway.core.placement.scores import least_allocated, most_allocated
from headway.domain.resources import Demand, Node
from headway.domain.task import Task
from headway.domain.units import MILLI
from headway.errors import Invalid
from tests.builders import Harness, node, started, task
from tests.core.test_device_placement import HISTORY, MACHINES

RULES = {"fgd": Fgd, "min_waste": MinWaste}


def engine_node(number: int) -> Node:
    """The machine of that number; its model is a named resource, as the simulator has it."""
    machine = MACHINES[number]
    model = ((f"models:{machine.model}", machine.devices * MILLI),) if machine.model == "T4" else ()
    return Node(f"n{number}", machine.cpu, machine.memory, machine.devices, model)


def demand_of(ask: Ask) -> Demand:
    """The same demand for the engine."""
    return Demand(ask.cpu, ask.memory, ask.gpu, (("models:T4", ask.gpu),) if ask.models else ())


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(st.one_of(st.sampled_from(sorted(set(HISTORY), key=str)), st.integers(0, 30)), max_size=60)
)
def test_the_engine_places_as_the_rule_on_its_own(name: str, steps: list[Ask | int]) -> None:
    """Node and devices of every task, with tasks that end in between, and a restored engine half way."""
    fleet = Fleet(MACHINES)
    placer = Placer(fleet, RULES[name](fleet, HISTORY))
    engine = Engine("fcfs", placement=name, train_span=0)
    engine.apply(MixSet(tuple((demand_of(ask), 1) for ask in HISTORY)), 0)
    for number in range(len(MACHINES)):
        engine.apply(NodeJoined(engine_node(number), "1"), 0)
    held: list[tuple[str, Ask, Placed]] = []
    for count, step in enumerate(steps):
        if count == len(steps) // 2:
            engine = Engine.restore(json.loads(json.dumps(engine.snapshot())))
        if isinstance(step, int):
            if held:
                ident, ask, placed = held.pop(step % len(held))
                placer.release(ask, placed)
                engine.apply(AttemptEnded(ident, 1, Outcome.FINISHED, 5), 0)
                assert engine.decide(0) == []
            continue
        ident = f"r/{count}"
        engine.apply(TaskOffered(Task(ident, demand=demand_of(step))), 0)
        wanted = placer.place(step)
        found = [(d.node, d.devices) for d in engine.decide(0) if isinstance(d, Start)]
        assert found == ([] if wanted is None else [(f"n{wanted.node}", wanted.devices)])
        if wanted is not None:
            held.append((ident, step, wanted))
        else:
            engine.apply(TaskWithdrawn(ident), 0)
            engine.decide(0)
        engine.check()


def test_fgd_completes_a_broken_device_where_best_fit_would_fill_another() -> None:
    h = Harness(order="fcfs", placement="fgd", train_span=0)
    h.apply(MixSet(((Demand(4000, 0, 470), 6), (Demand(3000, 0, 810), 5))))
    h.join(node("a", cpu=32, gpus=4))
    starts = h.offer(*(task(f"t{i}", cpu=4, gpu=0.47) for i in range(3)))
    assert [d.devices for d in starts if isinstance(d, Start)] == [(0,), (0,), (1,)]


def test_the_mix_is_learned_from_what_came_and_said_in_the_snapshot() -> None:
    h = Harness(order="fcfs", placement="fgd", train_span=0)
    h.join(node("a", cpu=32, gpus=4))
    h.offer(*(task(f"t{i}", cpu=1, gpu=0.5) for i in range(3)), task("x", cpu=2))
    expected = h.engine.world.nodes.expected
    assert [(str(shape.demand), count) for shape, count in expected.mix] == [
        ("cpu 1, gpu 0.5", 3),
        ("cpu 2", 1),
    ]
    h.offer(task("y", cpu=2))  # half as many again are needed before it is taken anew
    assert expected.version == 3
    again = Engine.restore(h.engine.snapshot())
    assert again.world.nodes.expected.tree() == expected.tree()
    h.apply(MixSet(((Demand(1000), 7),)))
    h.offer(task("z", cpu=3))
    assert [count for _, count in h.engine.world.nodes.expected.mix] == [7]


def test_changing_to_a_placement_with_a_mix_learns_it_from_the_tasks_that_are_here() -> None:
    h = Harness(order="fcfs", train_span=0)
    h.join(node("a", cpu=8, gpus=1))
    h.offer(task("x", gpu=0.5), task("y", gpu=0.5), task("z", cpu=9))
    h.apply(PolicySet("fcfs", placement="min_waste"))
    assert [count for _, count in h.engine.world.nodes.expected.mix] == [2, 1]
    h.ended("x")
    assert started(h.offer(task("w", gpu=0.5))) == [("w", "a")]


def test_a_mix_that_makes_no_sense_is_refused_and_nothing_changes() -> None:
    h = Harness(placement="fgd")
    before = h.engine.snapshot()
    with pytest.raises(Invalid, match="a mix with 0 of"):
        h.engine.apply(MixSet(((Demand(1000), 0),)), 0)
    assert h.engine.snapshot() == before


@pytest.mark.parametrize(
    ("name", "score"), [("least_allocated", least_allocated), ("most_allocated", most_allocated)]
)
def test_kubernetes_scores_decide_to_the_point(name: str, score) -> None:
    """Random nodes and tasks: the engine takes the node that the formula gives most, the first on a tie."""
    rng = random.Random(5)
    for _ in range(20):
        sizes = [(rng.randrange(4, 17), rng.randrange(8, 65)) for _ in range(6)]
        h = Harness(order="fcfs", placement=name, train_span=0)
        h.join(*(node(f"n{i}", cpu=cpu, memory=memory) for i, (cpu, memory) in enumerate(sizes)))
        used = [[0, 0] for _ in sizes]
        for number in range(12):
            cpu, memory = rng.randrange(1, 4), rng.randrange(1, 9)
            points = [
                (-score([c * MILLI, m], [u * MILLI, v], [cpu * MILLI, memory]), i)
                for i, ((c, m), (u, v)) in enumerate(zip(sizes, used, strict=True))
                if u + cpu <= c and v + memory <= m
            ]
            found = started(h.offer(task(f"t{number}", cpu=cpu, memory=memory)))
            assert found == ([(f"t{number}", f"n{min(points)[1]}")] if points else [])
            if points:
                used[min(points)[1]][0] += cpu
                used[min(points)[1]][1] += memory
            else:
                h.apply(TaskWithdrawn(f"r/t{number}"))


def test_why_says_the_alternatives_and_their_scores() -> None:
    h = Harness(order="fcfs", placement="least_allocated", train_span=0)
    h.join(node("a", cpu=4), node("b", cpu=8))
    h.offer(task("x", cpu=2))
    text = h.engine.why("r/x", h.now).text()
    assert (
        "on b: the first by least_allocated, least allocated 75 of 100 (next best: a, least allocated 50 of 100)"
        in text
    )
    assert "a has room too, least allocated 50 of 100" in text
    before = h.engine.snapshot()
    h.engine.why("r/x", h.now)
    assert h.engine.snapshot() == before
