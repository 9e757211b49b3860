"""Which nodes to add and which can go, for what waits in the engine at a moment."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from headway.domain.task import Gang
from headway.domain.units import SECOND
from headway.errors import Invalid
from headway.sim.pools import PoolPlan, Question, plan_pools
from headway.sim.sizing import Kind
from tests.builders import Harness, node, task

SMALL = Kind(node("small", cpu=2), price=1_000_000, least=1, most=6)
GPU = Kind(node("gpu", cpu=8, gpus=2), price=20_000_000, most=2)
MINUTE = 60 * SECOND


def crowd(waiting: int, seconds: float = 1800, **fields: Any) -> Harness:
    """One busy node of two cores and so many tasks of one core in line."""
    h = Harness(order="fcfs", train_span=0)
    h.join(node("small-1", cpu=2))
    h.offer(*(task(f"r{i}", seconds=seconds) for i in range(2)))
    h.started("r0", "r1")
    h.offer(*(task(f"t{i}", seconds=seconds, **fields) for i in range(waiting)))
    return h


def ask(h: Harness, **fields: Any) -> PoolPlan:
    return plan_pools(h.engine, h.now, Question((SMALL, GPU), steps=200, **fields))


def test_nodes_are_added_while_the_delay_they_save_is_worth_their_price() -> None:
    h = crowd(6)
    before = json.dumps(h.engine.snapshot())
    found = ask(h, ready=MINUTE)
    assert json.dumps(h.engine.snapshot()) == before  # nothing is changed by asking
    assert found.weighed is not None
    added = [change.node for change in found.weighed.plan.changes]
    assert added
    assert all(name.startswith("small-new-") for name in added)
    assert found.weighed.unchanged is not None
    assert found.weighed.plan.cost < found.weighed.unchanged
    assert f"add {added[0]}: saves" in found.text()
    dear = plan_pools(h.engine, h.now, Question((replace(SMALL, price=10**9), GPU), ready=MINUTE, steps=200))
    assert dear.weighed is not None
    assert dear.weighed.plan.changes == ()
    assert "no change is worth its price" in dear.text()
    patient = ask(h, ready=MINUTE, delay=1_000)  # an hour of waiting costs next to nothing
    assert patient.weighed is not None
    assert patient.weighed.plan.changes == ()


def test_packing_says_how_many_would_hold_all_at_once_and_which_can_go() -> None:
    h = crowd(5)
    h.offer(task("fast", gpu=1, seconds=60))
    found = ask(h)
    assert dict(found.growth.add) == {"gpu": 1}  # that has room for the others too
    assert "by packing alone: add 1 gpu" in found.text()
    h = crowd(0)
    h.join(*(node(f"small-{i}", cpu=2) for i in range(2, 5)))
    quiet = ask(h)
    assert quiet.release == ("small-4", "small-3", "small-2")
    assert "nothing waits" in quiet.text()
    assert "small-4, small-3, small-2 can go" in quiet.text()


def test_replicas_follow_kubernetes_rule_within_their_bounds() -> None:
    rows = {row.kind: row for row in ask(crowd(14), each=4).replicas}
    assert (rows["small"].there, rows["small"].tasks, rows["small"].wanted) == (1, 16, 4)
    assert (rows["gpu"].tasks, rows["gpu"].wanted) == (0, 0)
    rows = {row.kind: row for row in ask(crowd(60), each=4).replicas}
    assert rows["small"].wanted == 4  # 16 by the ratio; at most doubled or four in one step
    assert ask(crowd(2), each=4).replicas[0].reason == "tolerance"
    labelled = Harness(order="fcfs", train_span=0)
    labelled.join(node("host", cpu=2, labels={"pool": "small"}), node("stranger", cpu=64))
    assert [row.there for row in ask(labelled).replicas] == [1, 0]


def test_the_answer_is_plain_json_and_what_fits_nowhere_is_counted() -> None:
    h = crowd(3)
    h.offer(task("huge", cpu=99, seconds=5))
    h.offer(task("g0", gang=Gang("r/g", 0, 2)))
    tree = json.loads(json.dumps(ask(h).tree()))
    assert tree["waiting"] == 4  # a member without the others is not in line
    assert tree["packing"]["without_room"] == 1
    assert tree["together"]["cost"] <= tree["together"]["unchanged"]
    assert {row["kind"] for row in tree["replicas"]} == {"small", "gpu"}


@pytest.mark.parametrize("wrong", [{"delay": 0}, {"each": 0}, {"horizon": 0}, {"ready": -1}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(Invalid, match="above zero"):
        Question((SMALL,), **wrong)
    with pytest.raises(Invalid, match="each once"):
        Question((SMALL, SMALL))
