"""Who goes first."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core import ordering
from headway.core.engine import Engine
from headway.core.events import NodeLost, Outcome, PolicySet, TaskEdited
from headway.core.ordering import orders
from headway.core.ordering.aging import STEP
from headway.core.ordering.srpt import AGING
from headway.domain.task import Task
from headway.errors import Invalid
from tests.builders import Harness, node, placed, task

ROOT = Path(__file__).resolve().parents[2]


def run_order(drive_order: str, *tasks, **fields) -> list[str]:
    """The order in which one core takes tasks that were all there at once."""
    h = Harness(order=drive_order, train_span=0, **fields)
    h.join(node(cpu=1))
    order = placed(h.offer(*tasks))
    while h.engine.counts()["placed"]:
        order += placed(h.ended(order[-1]))
    return order


def test_fcfs_goes_by_release_then_arrival() -> None:
    tasks = [task("late", release=5), task("early", release=1), task("twin", release=1)]
    assert run_order("fcfs", *tasks) == ["early", "twin", "late"]


def test_srpt_takes_the_shortest_first() -> None:
    tasks = [task("long", seconds=9), task("short", seconds=1), task("middle", seconds=3)]
    assert run_order("srpt", *tasks) == ["short", "middle", "long"]


def test_srpt_counts_only_what_a_checkpoint_left(drive) -> None:
    h = drive(order="srpt", train_span=0)
    h.join(node(cpu=1))
    h.offer(task("busy", seconds=1))
    h.offer(task("long", seconds=10), task("middle", seconds=5))
    h.engine.world.tasks["r/long"].done = 900
    h.apply(TaskEdited("r/long", weight=1))  # any edit ranks it anew
    assert placed(h.ended("busy")) == ["long"]


def test_srpt_learns_what_nobody_said(drive) -> None:
    h = drive(order="srpt", train_span=0)
    h.join(node(cpu=1))
    for name in ("a", "b", "c"):
        h.offer(task(name, kind="quick"))
        h.ended(name, took=0.5)
    h.offer(task("busy"))
    h.offer(task("said", kind="slow", seconds=2), task("learned", kind="quick"))
    assert placed(h.ended("busy")) == ["learned"]


def test_priority_then_srpt() -> None:
    tasks = [
        task("low short", priority=0, seconds=1),
        task("high long", priority=5, seconds=9),
        task("high short", priority=5, seconds=2),
        task("below zero", priority=-1, seconds=1),
    ]
    assert run_order("priority > srpt", *tasks) == ["high short", "high long", "low short", "below zero"]


def test_the_first_order_weighs_more_than_all_others() -> None:
    tasks = [task("old", priority=0, release=0), task("new", priority=1, release=10**15)]
    assert run_order("priority > fcfs", *tasks) == ["new", "old"]
    assert run_order("fcfs > priority", *tasks) == ["old", "new"]


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.integers(0, 10**9))
def test_nothing_starves_under_srpt(mine: int, other: int, waited: int) -> None:
    """However short a newcomer is, it does not overtake what has waited AGING times its own length."""
    h = Harness(order="srpt", preempt=False)
    world = h.engine.world
    h.offer(Task("r/old", estimate=mine, release=0))
    h.offer(Task("r/new", estimate=other, release=waited))
    old, new = (world.tasks[name].item for name in ("r/old", "r/new"))
    assert old is not None
    assert new is not None
    if waited > AGING * mine:
        assert old < new
    assert (old[0] < new[0]) == (AGING * mine < AGING * other + waited)


def test_sjf_looks_at_the_whole_task_and_does_not_age(drive) -> None:
    tasks = [task("old long", seconds=9), task("short", seconds=1, release=10**12), task("middle", seconds=3)]
    assert run_order("sjf", *tasks) == ["short", "middle", "old long"]
    h = drive(order="sjf", train_span=0)
    h.join(node(cpu=1))
    h.offer(task("busy", seconds=1))
    h.offer(task("long", seconds=10), task("middle", seconds=5))
    h.engine.world.tasks["r/long"].done = 900
    h.apply(TaskEdited("r/long", weight=1))  # any edit ranks it anew
    assert placed(h.ended("busy")) == ["middle"]


def _weighted_sum(order: list[str], tasks: list[Task]) -> int:
    known, clock, total = {t.id.partition("/")[2]: t for t in tasks}, 0, 0
    for name in order:
        clock += known[name].estimate or 0
        total += clock * known[name].weight
    return total


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 9)), min_size=1, max_size=6))
def test_no_order_of_any_kind_beats_wspt_on_one_machine(rows: list[tuple[int, int]]) -> None:
    """Smith's rule against all permutations; `sjf` likewise where all weigh the same."""
    tasks = [task(f"t{i}", seconds=p, weight=w * 1000) for i, (p, w) in enumerate(rows)]
    everything = [list(names) for names in itertools.permutations([f"t{i}" for i in range(len(rows))])]
    best = min(_weighted_sum(names, tasks) for names in everything)
    assert _weighted_sum(run_order("wspt", *tasks), tasks) == best
    alike = [replace(t, weight=1000) for t in tasks]
    assert _weighted_sum(run_order("sjf", *alike), alike) == min(
        _weighted_sum(names, alike) for names in everything
    )


def test_weighted_remaining_counts_what_is_left_per_weight_and_ages(drive) -> None:
    tasks = [task("long heavy", seconds=8, weight=8000), task("light", seconds=2, weight=1000)]
    assert run_order("weighted_remaining", *tasks) == ["long heavy", "light"]
    old = task("old", seconds=9, release=0)
    new = task("new", seconds=1, release=9 * AGING * 10**6)
    assert run_order("weighted_remaining", old, new) == ["old", "new"]
    assert run_order("wspt", old, new) == ["new", "old"]


def test_deadline_and_slack_differ_by_what_is_left_to_do() -> None:
    tasks = [
        task("none", seconds=1),
        task("soon", seconds=1, deadline=20 * 10**6),
        task("must start", seconds=19, deadline=30 * 10**6),
    ]
    assert run_order("deadline", *tasks) == ["soon", "must start", "none"]
    assert run_order("slack", *tasks) == ["must start", "soon", "none"]
    late = task("hopeless", seconds=99, deadline=1)
    assert run_order("priority > slack", *tasks, late)[0] == "hopeless"


def test_among_tasks_without_a_deadline_the_next_order_counts() -> None:
    tasks = [task("long", seconds=9), task("short", seconds=1)]
    assert run_order("deadline > srpt", *tasks) == ["short", "long"]


def test_attained_puts_what_has_run_behind_newcomers_and_remembers_over_attempts(drive) -> None:
    h = drive(order="attained", train_span=0)
    h.join(node(cpu=1))
    h.offer(task("again", seconds=1))
    h.started("again")
    h.ended("again", outcome=Outcome.FAILED, took=7)
    h.offer(task("busy"))
    h.offer(task("again", seconds=1), task("fresh", seconds=99))
    assert h.engine.world.tasks["r/again"].attained == 7_000_000
    assert h.engine.why("r/again", h.now).facts["key"] == {"attained": 7_000_000}
    assert placed(h.ended("busy")) == ["fresh"]


def test_what_ran_on_a_lost_node_is_attained_too(drive) -> None:
    h = drive(order="attained", train_span=0)
    h.join(node(cpu=1))
    h.offer(task("a"))
    h.started("a")
    h.sleep(3)
    h.apply(NodeLost("n1"))
    h.offer(task("a"))
    assert h.engine.world.tasks["r/a"].attained == 3_000_000
    assert Engine.restore(h.engine.snapshot()).world.tasks["r/a"].attained == 3_000_000


@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(0, 10 * STEP))
def test_no_class_starves_under_aging(mine: int, other: int, waited: int) -> None:
    """A task overtakes every newcomer that is fewer classes above it than it has waited steps."""
    h = Harness(order="aging")
    h.offer(Task("r/old", priority=mine), Task("r/new", priority=other, release=waited))
    old, new = (h.engine.world.tasks[name].item for name in ("r/old", "r/new"))
    assert old is not None
    assert new is not None
    assert (old < new) == (waited >= (other - mine) * STEP)


def test_why_shows_keys_as_people_say_them(drive) -> None:
    h = drive(order="priority > deadline > aging", train_span=0)
    h.now = 10 * STEP
    h.join(node(cpu=1))
    h.offer(task("busy", priority=9))
    h.offer(task("a", priority=2, deadline=h.now + 90 * 10**6, release=h.now - 3 * STEP), task("b"))
    text = h.engine.why("r/b", h.now).text()
    assert "priority 0, no deadline, priority 10 with age" in text
    assert "behind r/a: priority 2, due in 1 min 30 s, priority 5 with age" in text


def test_an_edit_and_a_new_policy_rank_anew(drive) -> None:
    h = drive(order="priority > srpt", train_span=0)
    h.join(node(cpu=1))
    h.offer(task("busy", priority=9))
    h.offer(task("a", seconds=1), task("b", seconds=5), task("c", seconds=3))
    h.apply(TaskEdited("r/b", priority=1))
    assert placed(h.ended("busy")) == ["b"]
    h.apply(PolicySet("fcfs"))
    assert placed(h.ended("b")) == ["a"]


def test_a_policy_that_does_not_exist_is_refused_and_nothing_changes(drive) -> None:
    h = drive(order="fcfs")
    before = h.engine.snapshot()
    with pytest.raises(Invalid, match=r"no order 'srtp'.*\n.*did you mean 'srpt'"):
        h.engine.apply(PolicySet("priority > srtp"), 0)
    with pytest.raises(Invalid, match="names an order twice"):
        h.engine.apply(PolicySet("fcfs > fcfs"), 0)
    with pytest.raises(Invalid, match=r"no discipline 'lenient'.*\n.*skip, strict, backfill, easy"):
        h.engine.apply(PolicySet("fcfs", "lenient"), 0)
    with pytest.raises(Invalid, match="did you mean 'backfill'"):
        h.engine.apply(PolicySet("fcfs", "backfil"), 0)
    assert h.engine.snapshot() == before


def test_every_order_is_found_under_its_name() -> None:
    found = orders()
    assert {"fcfs", "srpt", "priority"} <= set(found)
    assert all(order.name == name for name, order in found.items())


def test_the_order_of_the_how_to_page_works_as_one_file(monkeypatch, tmp_path) -> None:
    """`docs/how-to/write-a-policy.md`: dropped beside the others it is found, ranks, and explains itself."""
    page = (ROOT / "docs" / "how-to" / "write-a-policy.md").read_text(encoding="utf-8")
    source = page.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "frugal.py").write_text(source, encoding="utf-8")
    monkeypatch.setattr(ordering, "__path__", [*ordering.__path__, str(tmp_path)])
    orders.cache_clear()
    try:
        h = Harness(order="frugal > sjf", train_span=0)
        h.join(node(cpu=4, gpus=1))
        h.offer(task("busy", cpu=4))
        h.offer(task("gpu", gpu=1), task("long", seconds=9), task("short", seconds=1), task("big", cpu=2))
        assert "asks for 9 cores' worth" in h.engine.why("r/gpu", 0).text()
        assert placed(h.ended("busy")) == ["short", "long", "big"]
        with pytest.raises(Invalid, match="did you mean 'frugal'"):
            Engine("frugel")
    finally:
        monkeypatch.undo()
        orders.cache_clear()
        sys.modules.pop(f"{ordering.__name__}.frugal", None)
