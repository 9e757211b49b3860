"""Pools of slots: never more in use than there are, nobody else kept waiting, in line, and told by `why`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.engine import Engine
from headway.core.events import PoolSet
from headway.core.standing import events as standing_events
from headway.domain.task import Task
from headway.errors import Invalid
from tests.builders import Harness, node, placed, task


def wanting(name: str, slots: int = 1, **fields: Any) -> Task:
    return task(name, cpu=1, rates={"pool:db": slots}, seconds=10, **fields)


def harness(slots: int | None = 2, cpu: int = 16, **policy: Any) -> Harness:
    made = Harness(**policy)
    made.join(node("n1", cpu=cpu))
    made.apply(PoolSet("db", slots))
    return made


@pytest.mark.parametrize("discipline", ["skip", "strict", "backfill"])
def test_a_full_pool_is_never_exceeded_and_keeps_nobody_else_waiting(discipline: str) -> None:
    made = harness(2, discipline=discipline)
    assert placed(made.offer(*(wanting(f"t{n}") for n in range(5)), task("free", cpu=1))) == [
        "t0",
        "t1",
        "free",
    ]
    made.started("t0", "t1")
    assert placed(made.ended("t0")) == ["t2"]
    assert made.engine.pools_view() == [{"pool": "db", "slots": 2000, "used": 2000, "waiting": 2}]


def test_a_full_pool_does_not_starve_another() -> None:
    made = harness(1)
    made.apply(PoolSet("api", 1))
    made.offer(wanting("t0"), wanting("t1"), wanting("t2"))
    assert placed(made.offer(task("other", cpu=1, rates={"pool:api": 1}))) == ["other"]


def test_many_small_ones_do_not_keep_a_large_one_waiting() -> None:
    made = harness(2)
    made.offer(wanting("s0"), wanting("s1"), wanting("large", 2), wanting("s2"), wanting("s3"))
    made.started("s0", "s1")
    assert placed(made.ended("s0")) == [], "the large one is first in line"
    assert placed(made.ended("s1")) == ["large"]
    made.started("large")
    assert placed(made.ended("large")) == ["s2", "s3"]


def test_a_pool_is_enlarged_lowered_and_lifted_while_it_is_used() -> None:
    made = harness(1)
    made.offer(*(wanting(f"t{n}") for n in range(6)))
    assert placed(made.apply(PoolSet("db", 3))) == ["t1", "t2"]
    assert placed(made.apply(PoolSet("db", 1))) == [], "who holds a slot keeps it"
    made.started("t0", "t1", "t2")
    assert placed(made.ended("t0", "t1")) == []
    assert placed(made.ended("t2")) == ["t3"]
    assert placed(made.apply(PoolSet("db", None))) == ["t4", "t5"]
    assert made.engine.pools_view() == []


def test_why_names_the_pool() -> None:
    made = harness(1)
    made.offer(wanting("t0"), wanting("t1"), wanting("wide", 2))
    assert "wants 1 of pool db: 1 of its 1 slots are taken" in made.engine.why("r/t1", made.now).text()
    assert "wants 2 of pool db" in made.engine.why("r/wide", made.now).text()
    assert "more than there are" in made.engine.why("r/wide", made.now).text()


def test_what_no_pool_could_ever_give_is_refused_with_the_pools_there_are() -> None:
    engine = harness(2).engine
    engine.refuse_impossible("t", "default", wanting("t", 2).demand)
    with pytest.raises(Invalid, match="wants 3 of pool 'db', which has 2 slots"):
        engine.refuse_impossible("t", "default", wanting("t", 3).demand)
    with pytest.raises(Invalid, match="pool 'api', which nobody has set"):
        engine.refuse_impossible("t", "default", task("t", cpu=1, rates={"pool:api": 1}).demand)


def test_a_table_of_pools_becomes_events_and_nonsense_is_refused() -> None:
    now, before = {"db": {"slots": 4}, "api": {"slots": 1}}, {"db": {"slots": 2}, "gone": {"slots": 1}}
    found = standing_events({"pools": now}, {"pools": before})
    assert found == [PoolSet("db", 4), PoolSet("api", 1), PoolSet("gone", None)]
    for row in (
        4,
        {},
        {"slots": "4"},
        {"slots": -1},
        {"slots": True},
        {"slots": 1.5},
        {"slots": 4, "size": 4},
    ):
        with pytest.raises(Invalid, match=r"\[pools.db\]"):
            standing_events({"pools": {"db": row}})


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 3), st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3)), max_size=40))
def test_whatever_comes_and_goes_no_more_slots_are_used_than_there_are(
    slots: int, steps: list[tuple[int, int]]
) -> None:
    """Tasks of one to three slots come, start, end and are lost with a restart of the engine between."""
    made = harness(slots)
    for number, (what, size) in enumerate(steps):
        here = [name for name, entry in made.engine.world.tasks.items() if entry.member is not None]
        names = [name.partition("/")[2] for name in here]
        if what < 3 or not names:
            made.offer(wanting(f"t{number}", size))
        elif what == 3:
            made.started(*(n for n in names if made.state(n) == "placed"))
            made.ended(*[n for n in names if made.state(n) == "running"][:size])
        else:
            made.engine = Engine.restore(json.loads(json.dumps(made.engine.snapshot())))
        (view,) = made.engine.pools_view()
        held = [lease.shape.rates for lease in made.engine.world.leases.values()]
        assert view["used"] == sum(amount for rates in held for _, amount in rates) <= slots * 1000
