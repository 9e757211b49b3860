"""A snapshot is small, plain and faithful. That it decides the same for ever is the fuzz test's."""

from __future__ import annotations

import gc
import json
import tracemalloc

import pytest

from headway.core.engine import Engine
from headway.core.events import TaskOffered
from headway.domain.resources import Demand
from headway.domain.task import Task
from headway.errors import Invalid
from tests.builders import Harness, node, task


def test_it_is_plain_json_and_comes_back_whole(drive) -> None:
    h = drive()
    h.join(node("n1", cpu=4, gpus=2, other={"licence": 3}), node("n2", cpu=2))
    h.offer(
        task("a", gpu=0.5), task("b", cpu=2, other={"licence": 1}), task("c", cpu=9), task("d", after=["a"])
    )
    h.started("a")
    h.sleep(2)
    h.offer(task("high", cpu=4, priority=2, gpu=2))
    h.overrule("hold", "c")
    h.engine.apply(TaskOffered(task("a"), not_before=7), h.now)
    tree = json.loads(json.dumps(h.engine.snapshot()))
    again = Engine.restore(tree)
    again.check()
    assert again.snapshot() == tree
    assert again.counts() == h.engine.counts()
    assert again.why("r/b", h.now) == h.engine.why("r/b", h.now)


def test_another_logics_snapshot_is_refused() -> None:
    tree = {**Engine().snapshot(), "logic": "1"}
    with pytest.raises(Invalid, match="made with logic '1'"):
        Engine.restore(tree)


def test_a_queued_task_costs_little_memory() -> None:
    """Under 1.2 kB, the task itself and its name among them."""
    h = Harness(order="priority > srpt")
    demand, count = Demand(), 10_000
    h.offer(task("warm"))
    gc.collect()
    tracemalloc.start()
    for i in range(count):
        h.engine.apply(TaskOffered(Task(f"some-run-0001/map[{i}]", "k", demand, release=i)), 0)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / count < 1_200
