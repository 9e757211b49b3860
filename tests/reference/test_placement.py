"""The engine that runs in production places the "openb" trace as the published rule does, pod by pod."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from benchmarks.reference import data_folder
from benchmarks.references.openb import NODES, read_nodes, read_pods, stream
from headway.core.decisions import Start
from headway.core.engine import Engine
from headway.core.events import MixSet, NodeJoined, TaskOffered, TaskWithdrawn
from headway.core.placement.fgd import Fgd
from headway.core.placement.fleet import Ask, Fleet, Machine, Placer
from headway.domain.resources import Demand, Node
from headway.domain.task import Task
from headway.domain.units import MILLI
from headway.sim.cluster import MODELS

pytestmark = [pytest.mark.reference, pytest.mark.slow]

#: Of the pods' demand, per cent of the capacity: allocation is published at 100.
UP_TO = 100


def demand(pod: Ask) -> Demand:
    """What a pod asks, as a task does; one of several models is a named resource (`sim.cluster.Cluster.equipped`)."""
    models = ((MODELS + "|".join(pod.models), pod.gpu),) if pod.models else ()
    return Demand(pod.cpu, pod.memory, pod.gpu, models)


def node(number: int, machine: Machine, pods: list[Ask]) -> Node:
    """A machine as a node, with as much of every choice of models that its own is among as it has GPUs."""
    choices = sorted({pod.models for pod in pods if machine.model in pod.models})
    named = tuple((MODELS + "|".join(models), machine.devices * MILLI) for models in choices)
    return Node(f"n{number}", machine.cpu, machine.memory, machine.devices, tuple(sorted(named)))


@pytest.mark.parametrize("workload", ["multigpu50", "default"])
def test_the_engine_allocates_as_the_published_rule_does(workload: str) -> None:
    folder = data_folder()
    pods_file = folder / f"gpu_placement/openb_pods_{workload}.csv.gz"
    if not pods_file.exists() or not (folder / NODES).exists():
        pytest.skip(f"no reference data at {folder}: set HEADWAY_BENCH_DATA")
    rng = random.Random(0)
    machines, pods = read_nodes(folder / NODES), read_pods(pods_file)
    machines = rng.sample(machines, len(machines))  # their order breaks ties
    fleet = Fleet(machines)
    placer = Placer(fleet, Fgd(fleet, pods))
    engine = Engine("fcfs", placement="fgd", train_span=0, preempt=False)
    for number, one in enumerate(machines):
        engine.apply(NodeJoined(node(number, one, pods), "i"), 0)
    engine.apply(MixSet(tuple(Counter(map(demand, pods)).items())), 0)
    failed = 0
    for number, pod in enumerate(stream(pods, fleet.gpu_size * UP_TO // 100, rng)):
        task = f"r{number}/pod"
        engine.apply(TaskOffered(Task(task, "pod", demand(pod))), number)
        starts = [one for one in engine.decide(number) if isinstance(one, Start)]
        placed = placer.place(pod)
        if placed is None:
            failed += 1
            assert not starts, f"pod {number}: {pod} fits nowhere by the rule, and the engine says {starts}"
            engine.apply(TaskWithdrawn(task), number)
            engine.decide(number)
        else:
            found = [(one.node, one.devices) for one in starts]
            assert found == [(f"n{placed.node}", placed.devices)], f"pod {number}: {pod}"
    free = sum(sum(space.devices) for space in engine.world.nodes.all)
    assert free == fleet.gpu_free
    assert failed > 0
    engine.check()
