"""Conditions on labels in the engine."""

from __future__ import annotations

from headway.core.engine import Engine
from headway.core.events import NodeJoined
from tests.builders import node, placed, started, task


def test_a_task_only_goes_where_the_labels_say(drive) -> None:
    h = drive()
    h.join(node("a", labels={"zone": "eu-1"}), node("b", labels={"zone": "eu-2"}), node("c"))
    found = started(
        h.offer(
            task("x", where="zone == eu-2"),
            task("y", where="zone exists and zone != eu-2"),
            task("z", where="zone not exists"),
            task("never", where="zone == mars"),
        )
    )
    assert found == [("x", "b"), ("y", "a"), ("z", "c")]


def test_why_counts_the_nodes_by_condition(drive) -> None:
    h = drive()
    h.join(*(node(f"a{i}", labels={"zone": "a"}) for i in range(3)), node("b", cpu=2, labels={"zone": "b"}))
    h.offer(task("busy", cpu=2, where="zone == b"))
    h.offer(task("x", where="zone == b and gpu_type != t4"))
    found = h.engine.why("r/x", h.now)
    assert found.facts["blocked"] == {"zone == b": 3, "cpu": 1}
    assert found.facts["closest"][0]["node"] == "b"
    assert found.facts["where"] == ["gpu_type != t4", "zone == b"]
    assert "of 4 nodes: 3 by zone == b, 1 by cpu" in found.text()
    assert "wants gpu_type != t4 and zone == b" in found.text()


def test_a_node_with_other_labels_is_looked_at_again(drive) -> None:
    """Also through the masks that many nodes are filtered by."""
    h = drive(order="fcfs", train_span=0)
    h.join(*(node(f"n{i}", labels={"rack": str(i % 2)}) for i in range(40)))
    assert placed(h.offer(*(task(f"t{i}", cpu=8, where="rack == 1") for i in range(21)))) == [
        f"t{i}" for i in range(20)
    ]
    decisions = h.apply(NodeJoined(node("n0", labels={"rack": "1"}), "i1"))
    assert started(decisions) == [("t20", "n0")]
    h.apply(NodeJoined(node("n2", labels={"rack": "1"}), "i1"))
    assert started(h.offer(task("later", cpu=8, where="rack == 1"))) == [("later", "n2")]
    assert Engine.restore(h.engine.snapshot()).snapshot() == h.engine.snapshot()


def test_a_better_class_preempts_only_where_it_may_go(drive) -> None:
    h = drive(order="priority", min_run=0)
    h.join(node("a", cpu=2, labels={"zone": "a"}), node("b", cpu=2, labels={"zone": "b"}))
    h.offer(task("low-a", cpu=2, where="zone == a"), task("low-b", cpu=2, where="zone == b"))
    h.started("low-a", "low-b")
    h.offer(task("high", cpu=2, where="zone == b", priority=5))
    assert h.engine.world.claims["r/high"].space.name == "b"


def test_what_has_less_left_preempts_only_where_it_may_go(drive) -> None:
    h = drive(order="srpt", preempt_longer=True, train_span=0, min_run=0)
    h.join(node("a", cpu=2, labels={"zone": "a"}), node("b", cpu=2, labels={"zone": "b"}))
    h.offer(
        task("long-a", cpu=2, seconds=9000, where="zone == a"),
        task("long-b", cpu=2, seconds=900, where="zone == b"),
    )
    h.started("long-a", "long-b")
    h.offer(task("short", cpu=2, seconds=1, where="zone == b"))
    assert h.engine.world.claims["r/short"].space.name == "b"
