"""Nodes of different speed and distance: what tasks take where, and the placements that go by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headway.core import standing
from headway.core.engine import Engine
from headway.core.events import AttemptEnded, Outcome, SitesSet, SpeedsSet
from headway.core.placement.paces import Site, Speed
from headway.domain.resources import Node
from headway.domain.units import MILLI, SECOND
from headway.errors import Invalid
from headway.sim.choice import Choice
from headway.sim.cluster import Cluster
from headway.sim.records import Rules
from headway.sim.simulate import simulate
from headway.sim.trace import Job, Trace
from headway.sim.traces import read_trace
from tests.builders import Harness, node, started, task

FAST = SpeedsSet((Speed("fast", ("gpu == a100",), 4000, (("tokenize", 1000),)),))
EDGE = SitesSet((Site("edge"), Site("cloud", 40_000, 1_000_000)))


def at(name: str, cpu: int = 4, **labels: str) -> Node:
    return Node(name, cpu * MILLI, labels=tuple(sorted(labels.items())))


def engine(*nodes: Node, placement: str = "min_completion") -> Harness:
    h = Harness(order="fcfs", placement=placement, train_span=0)
    h.apply(FAST)
    h.apply(EDGE)
    h.join(*nodes)
    return h


def test_the_faster_node_first_and_per_kind() -> None:
    h = engine(at("slow"), at("fast", gpu="a100"))
    assert started(h.offer(task("a", kind="train", seconds=8))) == [("a", "fast")]
    assert started(h.offer(task("b", kind="tokenize", seconds=8))) == [("b", "fast")]  # equal: the best fit
    member = h.engine.world.tasks["r/a"].member
    assert member is not None
    assert member.expected == 2 * SECOND
    assert "done in 2.0 s" in h.engine.why("r/a", h.now).text()
    assert "slow has room too, done in 8.0 s" in h.engine.why("r/a", h.now).text()


def test_a_short_request_stays_at_the_edge_and_a_long_one_goes_to_the_cloud() -> None:
    nodes = (at("edge-1", site="edge"), at("cloud-1", site="cloud", gpu="a100"))
    for seconds, where in ((0.01, "edge-1"), (0.053, "edge-1"), (0.054, "cloud-1"), (5, "cloud-1")):
        h = engine(*nodes)
        assert started(h.offer(task("x", seconds=seconds))) == [("x", where)], seconds


def test_a_large_input_keeps_a_task_where_its_producer_ran() -> None:
    for size, where in ((1_000_000, "cloud-1"), (10_000_000, "edge-1")):  # a second and ten to bring over
        h = engine(at("edge-1", site="edge", cpu=1), at("cloud-1", cpu=1, site="cloud", gpu="a100"))
        h.offer(task("first", seconds=0.01))
        h.ended("first")
        found = started(h.offer(task("next", seconds=8, inputs=(("r/first", size),))))
        assert found == [("next", where)], size


def test_locality_prefers_the_node_then_the_site_of_the_inputs() -> None:
    nodes = [
        at("a", site="x", cpu=1),
        at("b", site="y", cpu=1),
        at("c", site="x", cpu=1),
        at("d", site="y", cpu=1),
    ]
    h = engine(*nodes, placement="locality")
    h.offer(*(task(f"t{i}") for i in range(2)))
    h.ended("t0")
    h.ended("t1")
    told = {name: h.engine.world.finished[f"r/{name}"] for name in ("t0", "t1")}
    assert told == {"t0": 0, "t1": 1}
    h2 = started(h.offer(*(task(f"u{i}", inputs=(("r/t1", 100), ("r/t0", 10))) for i in range(3))))
    assert h2 == [("u0", "b"), ("u1", "d"), ("u2", "a")]
    assert "of its inputs away" in h.engine.why("r/u2", h.now).text()


def test_what_is_learned_is_work_and_not_time() -> None:
    h = engine(at("fast", gpu="a100"))
    h.offer(task("a", kind="train"))
    h.apply(AttemptEnded("r/a", 1, Outcome.FINISHED, 2 * SECOND))
    assert h.engine.world.estimates.families[0].mean == 8 * SECOND
    h.offer(task("b", kind="train"))
    member = h.engine.world.tasks["r/b"].member
    assert member is not None
    assert member.expected == 2 * SECOND


def test_backfilling_reckons_with_the_slow_node() -> None:
    """The head needs both cores of the slow node in 10 s: what takes 6 s of work and 12 s there must not start."""
    for speed, expected in ((1000, ["x"]), (500, [])):
        h = Harness(order="fcfs", discipline="backfill", train_span=0)
        h.apply(SpeedsSet((Speed("all", (), speed),)))
        h.join(at("n", cpu=2))
        h.offer(task("busy", cpu=1, seconds=10 * speed / 1000))
        assert [
            name for name, _ in started(h.offer(task("head", cpu=2), task("x", cpu=1, seconds=6)))
        ] == expected


def test_a_snapshot_keeps_speeds_sites_and_where_things_lie() -> None:
    h = engine(at("edge-1", site="edge", cpu=1), at("cloud-1", cpu=1, site="cloud", gpu="a100"))
    h.offer(task("first", seconds=0.01))
    h.ended("first")
    h.offer(task("busy", cpu=1, seconds=0.01), task("next", seconds=8, inputs=(("r/first", 10_000_000),)))
    tree = json.loads(json.dumps(h.engine.snapshot()))
    again = Engine.restore(tree)
    assert json.loads(json.dumps(again.snapshot())) == tree
    assert again.world.nodes.paces.speeds == FAST.speeds
    assert again.world.nodes.paces.sites == EDGE.sites
    assert again.why("r/next", h.now) == h.engine.why("r/next", h.now)


def test_nothing_overflows() -> None:
    h = engine(at("edge-1", site="edge"), at("cloud-1", site="cloud", gpu="a100"))
    both = np.array([0, 1], np.int64)
    times = h.engine.world.nodes.paces.times("k", 1 << 62, [(0, 1 << 60)], both)
    assert (times > 0).all()
    assert times[0] == 1 << 50


def test_the_simulator_plays_what_the_tables_say() -> None:
    nodes = (at("slow", cpu=1), at("fast", cpu=1, gpu="a100", site="cloud"))
    tables = {
        "speeds": {"fast": {"where": "gpu == a100", "speed": 4}},
        "sites": {"cloud": {"latency": "40ms"}},
    }
    jobs = [Job(task(f"t{i}", seconds=8), 8 * SECOND) for i in range(2)]
    cluster = Cluster("two", nodes, tables=tables)
    result = simulate(Trace.of("t", jobs), cluster, "fcfs, placement=min_completion")
    assert [(span.node, span.end - span.start) for span in result.spans] == [(1, 2_040_000), (0, 8_000_000)]
    result = simulate(Trace.of("t", jobs), cluster, "fcfs, placement=min_completion", rules=Rules(0, SECOND))
    assert [span.end - span.start for span in result.spans] == [2_040_000, 8_000_000]


def test_tables_become_events() -> None:
    tables = {
        "speeds": {"a": {"where": "gpu == a100", "speed": 2.5, "kinds": {"train": 4}}},
        "sites": {"edge": {"latency": "5ms", "bandwidth": "100MB", "inside": "1GB"}},
    }
    assert standing.events(tables) == [
        SpeedsSet((Speed("a", ("gpu == a100",), 2500, (("train", 4000),)),)),
        SitesSet((Site("edge", 5_000, 100_000_000, 1_000_000_000),)),
    ]
    assert standing.events({}, tables) == [SpeedsSet(()), SitesSet(())]


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"speeds": {"a": {"speed": 2}}}, "[speeds.a] does not say which nodes"),
        ({"speeds": {"a": {"where": "x exists", "speed": 0}}}, "would never finish"),
        ({"speeds": {"a": {"where": "x exists", "kinds": 3}}}, "[speeds.a] kinds is 3"),
        ({"speeds": {"a": {"where": "x =", "speed": 1}}}, "[speeds.a] where"),
        ({"sites": {"a": {"lag": 2}}}, "[sites.a] has no key 'lag'"),
        ({"sites": {"a": {"latency": "fast"}}}, "[sites.a] latency"),
        ({"sites": {"a": 3}}, "[sites.a] is 3"),
    ],
)
def test_tables_that_make_no_sense_are_refused_with_their_place(tables: dict[str, object], said: str) -> None:
    with pytest.raises(Invalid) as caught:
        standing.events(tables)  # type: ignore[arg-type]
    assert said in str(caught.value)


def test_a_trace_says_inputs_and_a_policy_says_that_the_mix_is_known(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "id,arrival,duration,cpu,dependencies,inputs\na,0,1s,1,,\nb,0,1s,1,a,a=8MB\n", encoding="utf-8"
    )
    trace = read_trace(tmp_path / "t.csv")
    assert trace.jobs[1].task.inputs == (("a", 8_000_000),)
    nodes = (at("n0", cpu=1, site="x"), at("n1", cpu=1, site="y"))
    cluster = Cluster("two", nodes, tables={"sites": {"x": {"bandwidth": "1MB"}}})
    for placement in ("locality", "min_completion"):
        spans = simulate(trace, cluster, f"fcfs, placement={placement}").spans
        assert [(span.node, span.end) for span in spans] == [(0, SECOND), (0, 2 * SECOND)]
    with pytest.raises(Invalid, match="mix=some"):
        Choice.parse("fcfs, placement=fgd, mix=some")
    assert len(simulate(trace, cluster, "fcfs, placement=fgd, mix=known").spans) == 2
    (tmp_path / "t.csv").write_text("id,arrival,duration,inputs\na,0,1s,a\n", encoding="utf-8")
    with pytest.raises(Invalid, match="row 1: inputs: 'a' is no task and size"):
        read_trace(tmp_path / "t.csv")


# ── speeds that nobody said ─────────────────────────────────────────────────────────────────────────────────


def taught(drive: Any, rows: str = "learn") -> Harness:
    """An old node and a new one whose speed is to be found out."""
    h: Harness = drive(order="fcfs", placement="min_completion", train_span=0)
    tables = {"speeds": {"new": {"where": "gen == new", "speed": rows}}}
    h.apply(*standing.events(tables))
    h.join(node("old", cpu=1), node("new", cpu=1, labels={"gen": "new"}))
    return h


def test_a_speed_is_learned_by_comparison_and_told_with_its_samples(drive) -> None:
    h = taught(drive)
    for number in range(4):
        where = dict(started(h.offer(task(f"a{number}"), task(f"b{number}"))))
        for name, place in where.items():
            h.ended(name, took=4 if place == "new" else 10)
    paces = h.engine.world.nodes.paces
    new, old = (h.engine.world.nodes.by_name[name].index for name in ("new", "old"))
    assert (paces.speed("k", new), paces.speed("k", old)) == (2500, 1000)
    assert paces.speed("another", new) == 2500  # as all kinds, until it has shown its own
    assert started(h.offer(task("first"))) == [("first", "new")]
    told = h.engine.why("r/first", h.now)
    assert told.facts["speed"]["milli"] == 2500
    assert "new is 2.5 times as fast as a common node (learned from" in told.text()
    assert h.engine.world.remaining(h.engine.world.tasks["r/first"]) == 10 * SECOND
    again = Engine.restore(json.loads(json.dumps(h.engine.snapshot())))
    assert again.world.nodes.paces.speed("k", new) == 2500
    assert json.dumps(again.snapshot()) == json.dumps(h.engine.snapshot())


def test_what_was_said_measures_too_and_what_was_said_of_a_kind_stays(drive) -> None:
    h = taught(drive)
    h.apply(SpeedsSet((Speed("new", ("gen == new",), kinds=(("known", 3000),), learn=True),)))
    new = h.engine.world.nodes.by_name["new"].index
    for number in range(3):
        h.offer(task(f"s{number}", seconds=12, where="gen == new"))
        h.ended(f"s{number}", took=3)
    paces = h.engine.world.nodes.paces
    assert (paces.speed("k", new), paces.speed("known", new)) == (4000, 3000)
    h.apply(SpeedsSet((Speed("new", ("gen == new",), 1500),)))
    assert (paces.speed("k", new), paces.learned) == (1500, None)


def test_with_too_few_samples_a_speed_is_one(drive) -> None:
    h = taught(drive)
    h.offer(task("a", seconds=10, where="gen == new"))
    h.ended("a", took=1)
    h.offer(task("b", seconds=10, where="gen == new"))
    assert h.engine.why("r/b", h.now).facts["speed"] == {"milli": 1000, "samples": 0}
    assert "(too few samples yet)" in h.engine.why("r/b", h.now).text()
