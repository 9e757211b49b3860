"""Maintenance and reservations: nothing is placed that would overrun a beginning, and nobody waits for what cannot go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core import standing
from headway.core.decisions import Start
from headway.core.events import Outcome, TaskWithdrawn, WindowCleared, WindowSet
from headway.domain.units import SECOND
from headway.domain.window import Window
from headway.errors import Conflict, HeadwayError, Invalid
from tests.builders import Harness, demand, node, placed, preempted, started, task
from tests.core.test_gangs import gang


def window(*nodes: str, start: float = 100, end: float = 200, ident: str = "w", **fields: Any) -> WindowSet:
    """Of these nodes, in seconds."""
    kind = "reservation" if fields.get("tenant") or fields.get("run") else "maintenance"
    return WindowSet(Window(ident, kind, nodes, int(start * SECOND), int(end * SECOND), **fields))


def closing(drive: Any, *events: WindowSet, **engine: Any) -> Harness:
    h: Harness = drive(order=engine.pop("order", "fcfs"), train_span=0, **engine)
    h.join(node("n1", cpu=2))
    h.apply(*events)
    return h


def test_what_would_overrun_the_beginning_waits_and_what_ends_in_time_goes(drive) -> None:
    h = closing(drive, window("n1"))
    assert placed(h.offer(task("long", seconds=101), task("short", seconds=100))) == ["short"]
    text = h.engine.why("r/long", h.now).text()
    assert "1 by maintenance w" in text
    assert "begins in 1 min 40 s, it is taken to run 1 min 41 s" in text
    assert "ends before window w begins" in h.engine.why("r/short", h.now).text()
    assert h.engine.wake_at() == 100 * SECOND
    h.ended("short")
    assert placed(h.sleep(150)) == []
    assert placed(h.sleep(50)) == ["long"]  # it opens by itself


def test_what_is_known_of_a_task_nobody_said_anything_about(drive) -> None:
    h = closing(drive, window("n1", assume=200 * SECOND))
    assert placed(h.offer(task("a"))) == []
    h.apply(WindowCleared("w"))
    h.started("a")
    h.ended("a", took=10)
    h.apply(window("n1"))
    assert placed(h.offer(task("b"))) == ["b"]  # its kind took 10 s once: nine in ten take less than five times that
    assert placed(h.offer(task("c", kind="stranger"))) == []


def test_few_samples_widen_what_a_task_is_taken_to_run(drive) -> None:
    h: Harness = drive(order="fcfs", train_span=0)
    h.join(node("n1", cpu=1))
    for known in range(1, 9):
        h.offer(task(f"a{known}"))
        h.ended(f"a{known}", took=50)
        h.apply(window("n1"))
        h.offer(task(f"b{known}"))
        assert h.state(f"b{known}") == ("placed" if known >= 4 else "queued")  # four: twice the longest at most
        h.apply(TaskWithdrawn(f"r/b{known}", ""), WindowCleared("w"))
        if known >= 4:
            h.ended(f"b{known}", outcome=Outcome.CANCELLED)


def test_a_node_is_as_others_until_something_could_overrun(drive) -> None:
    h = closing(drive, window("n1", start=1_000_000, end=2_000_000, assume=60 * SECOND))
    assert not h.engine.world.nodes.all[0].closing
    h.offer(task("very_long", seconds=1_000_001))
    assert h.engine.world.nodes.all[0].closing
    assert h.state("very_long") == "queued"
    assert placed(h.offer(task("other"))) == ["other"]


def test_what_is_left_may_be_told_to_go(drive) -> None:
    h: Harness = drive(train_span=0)
    h.join(node("n1", cpu=2))
    h.offer(task("a", seconds=500), task("b", seconds=5))
    h.started("a", "b")
    assert preempted(h.apply(window("n1", preempt=True))) == []
    assert sorted(preempted(h.sleep(100))) == ["a", "b"]
    assert placed(h.ended("a", "b", outcome=Outcome.PREEMPTED)) == []
    assert "for window w" in h.engine.why("r/a", h.now).text()
    assert sorted(placed(h.sleep(100))) == ["a", "b"]


def test_its_owner_uses_a_reservation_and_nobody_else(drive) -> None:
    h = closing(drive, window("n1", start=0, end=100, tenant="vision"))
    mine = task("mine", seconds=500, tenant="vision")
    assert placed(h.offer(task("other", seconds=1), mine)) == ["mine"]
    assert "reserved for it as w" in h.engine.why("r/mine", h.now).text()
    assert "reservation w" in h.engine.why("r/other", h.now).text()
    assert placed(h.sleep(100)) == ["other"]


def test_reserved_nodes_are_chosen_by_what_they_have(drive) -> None:
    h: Harness = drive(train_span=0)
    h.join(node("small", cpu=2), node("g1", cpu=8, gpus=4), node("g2", cpu=8, gpus=8))
    h.offer(task("a", gpu=4, cpu=1, seconds=1000))
    h.apply(window(run="x", count=1, demand=demand(cpu=0, gpu=4), ident="one"))
    assert h.engine.windows_view()[0]["nodes"] == ["g2"]
    with pytest.raises(Invalid, match="of 2 that have it 0 can be free"):
        h.apply(window(run="y", count=1, demand=demand(cpu=0, gpu=4), ident="two"))
    with pytest.raises(Invalid, match="r/a is expected to run until"):
        h.apply(window("g1", run="y", ident="two"))
    with pytest.raises(Conflict, match="g2 has reservation one"):
        h.apply(window("g2", ident="two"))


@pytest.mark.parametrize("wrong", [
    window("n1", start=5, end=5), window("n1", start=-2, end=-3), window(), window("n1", ident=""),
    WindowSet(Window("w", "reservation", ("n1",), 0, 10)), WindowSet(Window("w", "maintenance", ("n1",), 0, 10, "t")),
])  # fmt: skip
def test_nonsense_is_refused_and_changes_nothing(drive, wrong: WindowSet) -> None:
    h = closing(drive)
    before = h.engine.snapshot()
    with pytest.raises(HeadwayError):
        h.engine.apply(wrong, h.now)
    assert h.engine.snapshot() == before


def test_strict_tries_the_head_alone(drive) -> None:
    h = closing(drive, window("n1"), discipline="strict")
    assert placed(h.offer(task("long", seconds=101), task("short", seconds=1))) == []
    assert started(h.join(node("n2", cpu=1))) == [("long", "n2"), ("short", "n1")]


def test_backfill_goes_on_around_it(drive) -> None:
    h = closing(drive, window("n1"), discipline="backfill")
    h.join(node("n2", cpu=1))
    h.offer(task("a", seconds=50))
    h.started("a")
    assert started(h.offer(task("long", seconds=500), task("short", seconds=20))) == [("short", "n1")]
    kept = h.engine.world.reservation
    assert kept is not None
    assert kept.space.name == "n2"


def test_a_gang_goes_where_all_of_it_ends_in_time(drive) -> None:
    h = closing(drive, window("n1"))
    h.join(node("n2", cpu=1))
    assert placed(h.offer(*gang("g", 3, seconds=101))) == []
    assert placed(h.offer(*gang("h", 3, seconds=99))) == ["h0", "h1", "h2"]


def test_a_table_in_a_file_sets_and_clears(drive) -> None:
    rows = {"w": {"nodes": ["n1"], "from": "100s", "to": "200s"}}
    (made,) = standing.events({"windows": rows})
    assert made == window("n1", by="settings")
    assert standing.events({"windows": {}}, {"windows": rows}) == [WindowCleared("w")]
    dated = {
        "w": {"nodes": ["a", "b"], "run": "x", "from": "2026-11-25T02:00Z", "to": "2026-11-25T04:00+01:00"}
    }
    (made,) = standing.events({"windows": dated})
    assert isinstance(made, WindowSet)
    assert made.window.end - made.window.start == 3600 * SECOND
    for wrong in (
        {"nodes": ["n"], "from": "2026-11-25T02:00", "to": "9h"},
        {"nodes": "n"},
        {"form": 1},
        {"nodes": ["n"]},
        3,
    ):
        with pytest.raises(Invalid, match=r"windows\.w"):
            standing.events({"windows": {"w": wrong}})


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(
        st.tuples(st.integers(1, 60), st.integers(1, 3), st.booleans()), min_size=1, max_size=12
    ),
    windows=st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 80), st.integers(1, 40), st.booleans()), max_size=4
    ),
    discipline=st.sampled_from(["skip", "strict", "backfill", "easy"]),
)
def test_no_task_of_known_length_ever_overruns_a_beginning(lengths, windows, discipline) -> None:
    h = Harness(order="fcfs", discipline=discipline, train_span=0)
    h.join(*(node(f"n{i}", cpu=3) for i in range(3)))
    kept: list[Window] = []
    for number, (where, start, lasts, owned) in enumerate(windows):
        made = window(
            f"n{where}", start=start, end=start + lasts, ident=f"w{number}", tenant="ada" if owned else ""
        )
        try:
            h.apply(made)
            kept.append(made.window)
        except Conflict:
            pass
    for number, (seconds, cpu, ada) in enumerate(lengths):
        h.offer(task(f"t{number}", cpu=cpu, seconds=seconds, tenant="ada" if ada else "bob"))
    running: dict[str, int] = {}
    began = {d.task: 0 for d in h.decided if isinstance(d, Start)}
    for _ in range(400):
        h.started(*(name.partition("/")[2] for name in began if name not in running))
        running |= {t: h.now + lengths[int(t[3:])][0] * SECOND for t in began if t not in running}
        for d in (d for d in h.decided if isinstance(d, Start)):
            seconds, _, ada = lengths[int(d.task[3:])]
            for one in kept:
                if (
                    d.node in one.nodes
                    and not (ada and one.tenant == "ada")
                    and running[d.task] - seconds * SECOND < one.end
                ):
                    assert running[d.task] <= one.start, f"{d} until {running[d.task]}, {one}"
        nexts = [t for t, end in running.items() if end > h.now or h.state(t[2:]) == "running"]
        edge = h.engine.wake_at()
        times = [running[t] for t in nexts] + ([edge] if edge is not None else [])
        if not times:
            break
        h.now = max(h.now, min(times))
        over = [t[2:] for t in nexts if running[t] <= h.now]
        decided = h.ended(*over, took=1) if over else h.decide()
        began = {d.task: 0 for d in decided if isinstance(d, Start)}
    assert all(h.state(f"t{number}") == "gone" for number in range(len(lengths)))
