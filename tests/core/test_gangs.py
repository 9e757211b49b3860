"""Gangs: all members start together or none does, wherever that finds room; what ends one ends all."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.admission import gangs
from headway.core.ask import Ask, Wide
from headway.core.decisions import Preempt, Start
from headway.core.engine import Engine
from headway.core.events import NodeCordoned, NodeLost, Outcome, TaskWithdrawn
from headway.core.placement.space import Imagined
from headway.core.placement.together import hold, places
from headway.core.queue import Queue
from headway.domain.resources import Node
from headway.domain.task import Gang, Task
from tests.builders import Harness, demand, lost, node, placed, preempted, recalled, started, task


def gang(name: str, size: int, *, within: tuple[str, ...] = (), **fields: Any) -> list[Task]:
    """Members `<name>0`, `<name>1`, … of one gang."""
    return [
        task(f"{name}{index}", gang=Gang(f"r/{name}", index, size, within=within), **fields)
        for index in range(size)
    ]


def racks(**nodes: str) -> list[Node]:
    """Nodes of four cores, each in a rack."""
    return [node(name, cpu=4, labels={"rack": rack}) for name, rack in nodes.items()]


# ── together or not at all ──────────────────────────────────────────────────────────────────────────────────


def test_a_gang_starts_when_all_members_fit_and_not_before(drive) -> None:
    h: Harness = drive(order="fcfs", train_span=0)
    h.join(node("n1", cpu=2), node("n2", cpu=2))
    h.offer(task("first", cpu=1))
    assert placed(h.offer(*gang("g", 4))) == []
    assert h.state("g0") == "queued"
    assert h.state("g3") == "gathering"
    assert started(h.ended("first")) == [("g0", "n1"), ("g1", "n1"), ("g2", "n2"), ("g3", "n2")]


def test_it_sees_the_nodes_as_they_are_under_a_placement_with_columns_of_its_own(drive) -> None:
    """`fgd` keeps what it knows of nodes apart: what it has taken note of, a gang must still hear of."""
    h: Harness = drive(order="fcfs", train_span=0, placement="fgd")
    h.join(node("n1", cpu=2, gpus=2), node("n2", cpu=2))
    assert placed(h.offer(task("first", gpu=0.5))) == ["first"]
    assert placed(h.offer(*gang("g", 3))) == ["g0", "g1", "g2"]


def test_members_wait_for_the_last_of_them(drive) -> None:
    h: Harness = drive(train_span=0)
    h.join(node(cpu=8))
    members = gang("g", 3)
    assert placed(h.offer(*members[:2])) == []
    assert "3, which starts together: 2 ready, 1 missing" in h.engine.why("r/g0", h.now).text()
    assert placed(h.offer(members[2])) == ["g0", "g1", "g2"]


def test_every_member_learns_its_rank_and_where_the_others_are(drive) -> None:
    h: Harness = drive(train_span=0)
    h.join(node("n1", cpu=2), node("n2", cpu=2))
    starts = [d for d in h.offer(*gang("g", 3)) if isinstance(d, Start)]
    assert [d.gang for d in starts] == [(rank, ("n1", "n1", "n2")) for rank in range(3)]


def test_two_large_gangs_never_hold_half_each(drive) -> None:
    h: Harness = drive(order="fcfs", train_span=0)
    h.join(node("n1", cpu=3), node("n2", cpu=3))
    a, b = gang("a", 4), gang("b", 4)
    h.offer(*[member for pair in zip(a, b, strict=True) for member in pair])
    assert [h.state("a0"), h.state("b0")] == ["placed", "queued"]
    assert placed(h.ended("a0", "a1", "a2", "a3")) == ["b0", "b1", "b2", "b3"]


def test_what_is_behind_a_gang_goes_under_skip(drive) -> None:
    h: Harness = drive(order="fcfs", train_span=0)
    h.join(node(cpu=3))
    assert placed(h.offer(*gang("g", 4), task("small"))) == ["small"]


def test_within_a_rack_or_else_anywhere(drive) -> None:
    h: Harness = drive(order="fcfs", train_span=0)
    h.join(*racks(n1="a", n2="b", n3="b", n4="c"))
    assert placed(h.offer(*gang("g", 9, within=("rack",)))) == []
    assert "all within one rack" in h.engine.why("r/g0", h.now).text()
    found = h.offer(*gang("h", 8, within=("rack",)))
    assert {where for _, where in started(found)} == {"n2", "n3"}
    assert "within rack=b" in h.engine.why("r/h0", h.now).text()
    assert len(started(h.offer(*gang("i", 5, within=("rack", "*"))))) == 5


def test_the_tightest_rack_is_taken(drive) -> None:
    h: Harness = drive(train_span=0)
    h.join(*racks(n1="a", n2="a", n3="b"))
    assert {where for _, where in started(h.offer(*gang("g", 3, within=("rack",))))} == {"n3"}


def test_members_may_ask_for_different_things(drive) -> None:
    h: Harness = drive(train_span=0)
    h.join(node("n1", cpu=4), node("n2", cpu=4, gpus=1))
    lead = task("g0", cpu=4, gpu=1, gang=Gang("r/g", 0, 3))
    rest = [task(f"g{i}", cpu=2, gang=Gang("r/g", i, 3)) for i in (1, 2)]
    assert started(h.offer(lead, *rest)) == [("g0", "n2"), ("g1", "n1"), ("g2", "n1")]


def test_a_gang_is_never_on_a_train(drive) -> None:
    h: Harness = drive(order="fcfs")
    h.join(node(cpu=2))
    for _ in range(8):  # the kind proves short
        h.offer(task("x"))
        h.started("x")
        h.ended("x", took=0.001)
    h.offer(*gang("g", 2))
    h.started("g0", "g1")
    assert placed(h.offer(task("y"), task("z"))) == []


# ── what ends one ends all ──────────────────────────────────────────────────────────────────────────────────


def running(drive, size: int = 3, **settings_: Any) -> Harness:
    h: Harness = drive(train_span=0, **settings_)
    h.join(node("n1", cpu=2), node("n2", cpu=2))
    h.offer(*gang("g", size))
    h.started(*(f"g{i}" for i in range(size)))
    return h


def test_a_failed_member_takes_the_others_with_it_and_all_start_again_together(drive) -> None:
    h = running(drive)
    assert preempted(h.ended("g1", outcome=Outcome.FAILED)) == ["g0", "g2"]
    assert placed(h.ended("g0", "g2", outcome=Outcome.PREEMPTED)) == []
    again = h.offer(gang("g", 3)[1])
    assert [d.attempt for d in again if isinstance(d, Start)] == [2, 2, 2]


def test_a_member_lost_with_its_node_too(drive) -> None:
    h = running(drive)
    decided = h.apply(NodeLost("n2"))
    assert lost(decided) == [("g2", 1)]
    assert preempted(decided) == ["g0", "g1"]
    h.ended("g0", "g1", outcome=Outcome.PREEMPTED)
    assert "as r/g2 of its gang ended: lost" in h.engine.why("r/g0", h.now).text()
    assert placed(h.offer(gang("g", 3)[2])) == []  # two cores are left
    assert len(placed(h.join(node("n3", cpu=1)))) == 3


def test_one_that_has_finished_is_not_run_again(drive) -> None:
    h = running(drive)
    h.ended("g0")
    assert preempted(h.ended("g1", outcome=Outcome.FAILED)) == ["g2"]
    h.ended("g2", outcome=Outcome.PREEMPTED)
    again = [d for d in h.offer(gang("g", 3)[1]) if isinstance(d, Start)]
    assert [(d.task, d.gang) for d in again] == [("r/g1", (0, ("n1", "n1"))), ("r/g2", (1, ("n1", "n1")))]


def test_one_not_started_is_called_back(drive) -> None:
    h: Harness = drive(train_span=0)
    h.join(node(cpu=2))
    h.offer(*gang("g", 2))
    h.started("g0")
    decided = h.ended("g0", outcome=Outcome.FAILED)
    assert recalled(decided) == ["g1"]
    h.returned("g1")
    assert h.state("g1") == "gathering"


def test_one_that_starts_when_it_was_called_back_is_asked_to_end(drive) -> None:
    h: Harness = drive(train_span=0)
    h.join(node(cpu=2))
    h.offer(*gang("g", 2))
    h.started("g0")
    h.ended("g0", outcome=Outcome.FAILED)
    assert preempted(h.started("g1")) == ["g1"]
    h.ended("g1", outcome=Outcome.PREEMPTED)
    assert "it started when it was to go already" in h.engine.why("r/g1", h.now).text()


def test_withdrawn_members_leave_the_gang_incomplete(drive) -> None:
    h: Harness = drive(train_span=0)
    h.join(node(cpu=2))
    h.offer(*gang("g", 3))
    h.apply(TaskWithdrawn("r/g1"))
    assert placed(h.join(node("n2", cpu=8))) == []
    assert [h.state(f"g{i}") for i in range(3)] == ["gathering", "gone", "gathering"]


# ── behind and before others ────────────────────────────────────────────────────────────────────────────────


def test_a_gang_at_the_head_keeps_nodes_for_all(drive) -> None:
    h: Harness = drive(order="fcfs", discipline="backfill", train_span=0)
    h.join(node("n1", cpu=2), node("n2", cpu=2), node("n3", cpu=1))
    h.offer(task("a", cpu=1, seconds=10), task("b", cpu=2, seconds=20), task("c", seconds=60))
    h.started("a", "b", "c")
    h.offer(*gang("g", 4, seconds=5))
    assert placed(h.offer(task("long", seconds=30))) == []
    assert placed(h.offer(task("short", seconds=5))) == ["short"]
    kept = h.engine.world.reservation
    assert kept is not None
    assert (kept.task, kept.at) == ("r/g0", 20_000_000)


def test_a_gang_may_go_behind_the_head(drive) -> None:
    h: Harness = drive(order="fcfs", discipline="backfill", train_span=0)
    h.join(node("n1", cpu=4), node("n2", cpu=2))
    h.offer(task("a", cpu=3, seconds=10))
    h.started("a")
    h.offer(task("head", cpu=4, seconds=10))
    assert started(h.offer(*gang("g", 2, seconds=100))) == [("g0", "n2"), ("g1", "n2")]
    assert "without delaying r/head" in h.engine.why("r/g0", h.now).text()


def test_strict_lets_nothing_overtake_a_gang(drive) -> None:
    h: Harness = drive(order="fcfs", discipline="strict", train_span=0)
    h.join(node(cpu=2))
    assert placed(h.offer(*gang("g", 3), task("small"))) == []
    assert placed(h.join(node("n2", cpu=2))) == ["g0", "g1", "g2", "small"]


def test_victims_go_for_all_members_or_nobody_goes(drive) -> None:
    h: Harness = drive(order="priority > fcfs", train_span=0, min_run=0)
    h.join(node("n1", cpu=2), node("n2", cpu=2))
    h.offer(task("a", cpu=2), task("b", cpu=1))
    h.started("a", "b")
    assert preempted(h.offer(*gang("big", 5, priority=5))) == []
    decided = h.offer(*gang("g", 4, priority=5))
    assert sorted(preempted(decided)) == ["a", "b"]
    assert {h.state(f"g{i}") for i in range(4)} == {"claiming"}
    assert placed(h.ended("b", outcome=Outcome.PREEMPTED)) == []
    assert placed(h.ended("a", outcome=Outcome.PREEMPTED)) == ["g0", "g1", "g2", "g3"]


def test_claims_of_a_gang_fall_together(drive) -> None:
    h: Harness = drive(order="priority > fcfs", train_span=0, min_run=0)
    h.join(node("n1", cpu=2), node("n2", cpu=2))
    h.offer(task("a", cpu=2))
    h.started("a")
    h.offer(*gang("g", 4, priority=5))
    h.apply(NodeCordoned("n2"))
    assert h.state("g0") == "queued"
    assert not h.engine.world.claims


def test_a_preempted_gang_goes_as_a_whole(drive) -> None:
    h = running(drive, 4, order="priority > fcfs", min_run=0)
    decided = h.offer(task("urgent", cpu=2, priority=9))
    assert sorted(preempted(decided)) == ["g0", "g1", "g2", "g3"]
    assert len([d for d in decided if isinstance(d, Preempt)]) == 4


# ── packing ─────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=150, deadline=None)
@given(
    nodes=st.lists(st.tuples(st.integers(1, 8), st.integers(0, 3)), min_size=1, max_size=6),
    parts=st.lists(
        st.tuples(st.sampled_from([(1, 0), (2, 0), (1, 1), (3, 2), (1, 0.5)]), st.integers(1, 4)),
        min_size=1,
        max_size=3,
        unique_by=lambda part: part[0],
    ),
)
def test_places_hold_what_they_promise_and_equal_members_find_any_there_are(nodes, parts) -> None:
    engine = Engine(train_span=0)
    h = Harness()
    h.engine = engine
    h.join(*(node(f"n{i}", cpu=cpu, gpus=gpus) for i, (cpu, gpus) in enumerate(nodes)))
    queue = Queue()
    asked = [(queue.shape(Ask(demand(cpu=cpu, gpu=gpu))), count) for (cpu, gpu), count in parts]
    spaces = engine.world.nodes.all
    found = places(spaces, asked, may=gangs.fits_now)
    if found is None:
        if len(asked) == 1:
            shape, count = asked[0]
            rooms = [Imagined(space) for space in spaces]
            fitted = 0
            while fitted < count and (room := next((r for r in rooms if r.fits(shape)), None)) is not None:
                hold(room, shape)
                fitted += 1
            assert fitted < count
        return
    rooms = {space.index: Imagined(space) for space in spaces}
    for (shape, count), where in zip(asked, found.nodes, strict=True):
        assert len(where) == count
        for space in where:
            assert rooms[space.index].fits(shape)
            hold(rooms[space.index], shape)


def test_a_gang_of_what_the_same_gangs_ask_is_one_shape() -> None:
    queue = Queue()
    asks = [Ask(demand(), wide=Wide(((Ask(demand()), 4),))) for _ in range(2)]
    assert queue.shape(asks[0]) is queue.shape(asks[1])
