"""Where a task goes, and who may overtake."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.decisions import Start
from headway.core.engine import Engine
from headway.core.events import AttemptEnded, NodeCordoned, NodeJoined, Outcome, PolicySet, TaskOffered
from headway.core.placement import placements
from headway.core.placement.space import Space
from headway.core.state import Entry
from headway.core.world import World
from headway.domain.resources import Node
from headway.domain.task import Task
from headway.errors import Invalid
from tests.builders import Harness, node, placed, started, task


def test_best_fit_leaves_large_holes_alone(drive) -> None:
    h = drive()
    h.join(node("large", cpu=16), node("small", cpu=2))
    assert started(h.offer(task("a", cpu=2), task("b", cpu=16))) == [("a", "small"), ("b", "large")]


def test_a_task_without_gpu_avoids_gpus(drive) -> None:
    h = drive()
    h.join(node("gpu", cpu=4, gpus=4), node("plain", cpu=8))
    assert started(h.offer(task("a", cpu=1))) == [("a", "plain")]


def test_two_half_devices_do_not_make_one(drive) -> None:
    h = drive()
    h.join(node(cpu=8, gpus=2))
    h.offer(task("x", gpu=0.5), task("y", gpu=1))
    h.ended("y")
    h.offer(task("z", gpu=0.6))  # [0.5, 0.4] free
    assert placed(h.offer(task("big", gpu=0.8))) == []
    assert placed(h.offer(task("fits", gpu=0.5))) == ["fits"]
    assert h.engine.nodes_view()[0]["gpus_free"] == [0, 400]


def test_a_share_goes_to_the_fullest_device_and_whole_ones_to_idle_devices(drive) -> None:
    h = drive()
    h.join(node(cpu=8, gpus=3))
    first = h.offer(task("a", gpu=0.3), task("b", gpu=2), task("c", gpu=0.3))
    assert [d.devices for d in first if isinstance(d, Start)] == [(0,), (1, 2), (0,)]


def test_every_resource_counts(drive) -> None:
    h = drive()
    h.join(node("n1", cpu=8, memory="1GiB", other={"licence": 1}))
    asked = [
        task("memory", memory="2GiB"),
        task("licence", other={"licence": 2}),
        task("unknown", other={"fpga": 1}),
        task("gpu", gpu=0.1),
        task("cpu", cpu=9),
        task("all", cpu=8, memory="1GiB", other={"licence": 1}),
    ]
    assert placed(h.offer(*asked)) == ["all"]


def test_skip_lets_small_ones_by_and_strict_does_not(drive) -> None:
    """Four cores, three taken: the head asks for two. (Tiresias calls these fjf and fifo.)"""
    for discipline, expected in (("skip", ["small"]), ("strict", [])):
        h = drive(order="fcfs", discipline=discipline, train_span=0)
        h.join(node(cpu=4))
        h.offer(task("busy", cpu=3))
        assert placed(h.offer(task("head", cpu=2), task("small", cpu=1))) == expected
        h.ended("busy")
        assert h.state("head") == "placed"


def test_a_cordoned_node_takes_nothing_new(drive) -> None:
    h = drive()
    h.join(node("n1"), node("n2", cpu=4))
    h.apply(NodeCordoned("n2"))
    assert started(h.offer(task("a", cpu=1), task("b", cpu=8))) == [("a", "n1")]
    h.apply(NodeCordoned("n2", False))
    assert started(h.offer(task("c", cpu=4))) == [("c", "n2")]


def test_a_node_may_shrink_under_what_runs_on_it(drive) -> None:
    h = drive()
    h.join(node(cpu=4, gpus=2))
    h.offer(task("a", cpu=4, gpu=2))
    h.apply(NodeJoined(node(cpu=2, gpus=1), "i1"))
    assert h.engine.nodes_view()[0]["cpu_free"] == -2000
    h.ended("a")
    assert placed(h.offer(task("b", cpu=3), task("c", cpu=2, gpu=1))) == ["c"]


NODES = st.lists(
    st.tuples(
        st.integers(1, 8),
        st.integers(0, 3),
        st.sampled_from([0, 8, 16]),
        st.sampled_from("ab"),
    ),
    min_size=1,
    max_size=5,
)
TASKS = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.sampled_from([0, 0, 0.3, 0.5, 0.8, 1, 2]),
        st.sampled_from([0, 0, 4]),
        st.sampled_from(["", "", "zone == a", "zone not in (a, c)", "zone == c"]),
    ),
    min_size=1,
    max_size=30,
)


def _nodes(drawn) -> list[Node]:
    return [
        node(f"n{i}", cpu=cpu, gpus=gpus, memory=memory, labels={"zone": zone})
        for i, (cpu, gpus, memory, zone) in enumerate(drawn)
    ]


def _tasks(drawn) -> list[Task]:
    return [
        task(f"t{i}", cpu=cpu, gpu=gpu, memory=memory, where=where or ())
        for i, (cpu, gpu, memory, where) in enumerate(drawn)
    ]


@settings(max_examples=60, deadline=None)
@given(NODES, TASKS, st.data())
def test_the_same_as_trying_every_task_on_every_node(nodes, asked, data) -> None:
    """Heaps, parking and logs of changes are only quicker: order and node are those of the plain rule."""
    h = Harness(order="fcfs", train_span=0)
    h.join(*_nodes(nodes))
    for one in _tasks(asked):
        h.engine.apply(TaskOffered(one), 0)
    for _ in range(12):
        expected = _plain(h)
        assert started(h.decide()) == expected
        live = [t for t, e in h.engine.world.tasks.items() if e.member is not None]
        if not live:
            break
        chosen = data.draw(st.lists(st.sampled_from(live), max_size=3, unique=True))
        for name in chosen:
            h.engine.apply(AttemptEnded(name, 1, Outcome.FINISHED, 10), 0)


def _good(world: World, entry: Entry, space: Space) -> tuple[int, int, int]:
    """How good a node is: what is left over tells placements apart that look at the task first."""
    shape = entry.shape
    left = space.level - world.nodes.part(shape, space.alike)
    return (world.nodes.score(shape, space, entry), left, space.index)


def _plain(h: Harness) -> list[tuple[str, str]]:
    """What skipping first come, first served with best fit must decide, on a copy of the engine."""
    copy = Engine.restore(h.engine.snapshot()).world
    decided = []
    for item in list(copy.queue.waiting()):
        shape = item[2].shape
        if copy.nodes.sights is not None:
            copy.nodes.sights.scorer.renew(deciding=True)
        fitting = [_good(copy, item[2], space) for space in copy.nodes.all if space.fits(shape)]
        if fitting:
            space = copy.nodes.all[min(fitting)[2]]
            space.take(shape, copy.nodes.devices(shape, space))
            copy.nodes.changed(space, freed=False)
            decided.append((item[2].task.id.partition("/")[2], space.name))
    return decided


def test_with_many_nodes_only_the_nearest_are_kept_and_best_fit_stays_exact(drive) -> None:
    h = drive(order="fcfs", train_span=0)
    h.join(*(node(f"n{i}", cpu=8 + i % 7) for i in range(200)))
    expected = sorted((8 + i % 7, i) for i in range(200))
    decisions = h.offer(*(task(f"t{i}", cpu=8) for i in range(200)))
    # A node of 8 cores is full, one of 14 has the most left: by size, then by name.
    assert [int(d.node[1:]) for d in decisions if isinstance(d, Start)] == [i for _, i in expected]


def test_spread_takes_the_emptiest_node_and_pack_opens_none_without_need(drive) -> None:
    for placement, expected in (
        ("spread", ["b", "b", "a", "b"]),  # of 10 and of 4 cores, two at a time; a tie goes to the first
        ("pack", ["b", "b", "b", "b"]),
        ("best_fit", ["a", "a", "b", "b"]),
    ):
        h = drive(order="fcfs", train_span=0, placement=placement)
        h.join(node("b", cpu=10))
        h.offer(task("first", cpu=1))
        h.join(node("a", cpu=4))
        found = started(h.offer(*(task(f"t{i}", cpu=2) for i in range(4))))
        assert [where for _, where in found] == expected, placement


@settings(max_examples=80, deadline=None)
@given(NODES, TASKS, st.sampled_from(sorted(placements())))
def test_every_placement_is_exact(nodes, asked, placement: str) -> None:
    """The heap of nodes gives the node that scoring all of them gives, also after the placement was changed."""
    h = Harness(order="fcfs", train_span=0)
    h.join(*_nodes(nodes))
    half = len(asked) // 2
    for i, one in enumerate(_tasks(asked)):
        h.engine.apply(TaskOffered(one), 0)
        if i == half:
            h.decide()
            h.engine.apply(PolicySet("fcfs", placement=placement), 0)
    expected = _plain(h)
    assert started(h.decide()) == expected
    for entry in h.engine.world.tasks.values():
        if entry.member is None:
            assert not any(space.fits(entry.shape) for space in h.engine.world.nodes.all)


def test_a_placement_that_does_not_exist_is_refused_and_nothing_changes(drive) -> None:
    h = drive()
    before = h.engine.snapshot()
    with pytest.raises(Invalid, match=r"no placement 'sprad'.*\n.*did you mean 'spread'"):
        h.engine.apply(PolicySet("fcfs", placement="sprad"), 0)
    assert h.engine.snapshot() == before


def test_why_says_what_the_placement_went_by_and_a_policy_keeps_it(drive) -> None:
    h = drive(placement="spread", train_span=0)
    h.join(node("a", cpu=4), node("b", cpu=8))
    h.offer(task("x", cpu=2))
    h.apply(PolicySet("fcfs", "skip"))
    assert Engine.restore(h.engine.snapshot()).world.nodes.placement.name == "spread"
    text = h.engine.why("r/x", h.now).text()
    assert (
        "on b: the first by spread, leaves 75 % free, summed over its resources (next best: a, leaves 50 %"
        in text
    )
    assert "a has room too, leaves 50 % free" in text
