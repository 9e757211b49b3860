"""Whose turn it is: fair shares of tenants, with and without memory, and of whole runs."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.decisions import Reason, Start
from headway.core.engine import Engine
from headway.core.events import AttemptEnded, NodeJoined, NodeLost, Outcome, PolicySet, TaskOffered, TenantSet
from headway.core.ordering import drf
from headway.core.ordering.fair_history import HALF_LIFE, growth
from headway.errors import Invalid
from tests.builders import Harness, node, placed, started, task


def tenants(h: Harness) -> dict[str, int]:
    """How many attempts of each tenant are out."""
    found: dict[str, int] = {}
    for member in h.engine.world.members():
        name = member.entry.task.tenant
        found[name] = found.get(name, 0) + 1
    return found


def test_drf_as_in_the_paper(drive) -> None:
    """Ghodsi et al. 2011, section 4.1: 9 cores, 18 GB; <1, 4> and <3, 1> get 3 and 2 tasks."""
    h = drive(order="fair", train_span=0)
    h.join(node(cpu=9, memory=18))
    for i in range(9):
        h.engine.apply(TaskOffered(task(f"a{i}", cpu=1, memory=4, tenant="a")), 0)
        h.engine.apply(TaskOffered(task(f"b{i}", cpu=3, memory=1, tenant="b")), 0)
    h.decide()
    assert tenants(h) == {"a": 3, "b": 2}


ASKED = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 5), st.sampled_from([500, 1000, 3000])),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 40), st.integers(4, 40), ASKED)
def test_whoever_is_served_holds_least_over_its_weight(cpu: int, memory: int, asked) -> None:
    """Each step is that of exact progressive filling, and at the end nobody's next task fits."""
    h = Harness(order="fair > fcfs", train_span=0, preempt=False)
    h.join(node(cpu=cpu, memory=memory))
    demands = {}
    for number, (cores, space, weight) in enumerate(asked):
        demands[f"u{number}"] = ({"cpu": cores * 1000, "memory": space}, weight)
        h.engine.apply(TenantSet(f"u{number}", weight), 0)
        for i in range(cpu):
            one = task(f"u{number}-{i}", cpu=cores, memory=space, tenant=f"u{number}", release=i)
            h.engine.apply(TaskOffered(one), 0)
    free = {"cpu": cpu * 1000, "memory": memory}
    capacity = dict(free)
    got = dict.fromkeys(demands, 0)

    def fits(name: str) -> bool:
        return got[name] < cpu and all(amount <= free[r] for r, amount in demands[name][0].items())

    def share(name: str) -> Fraction:
        demand, weight = demands[name]
        used = {resource: amount * got[name] for resource, amount in demand.items()}
        return drf.dominant_share(used, capacity)[0] / weight

    for name, _ in started(h.decide()):
        tenant = name.partition("-")[0]
        assert share(tenant) == min(share(other) for other in demands if fits(other))
        for resource, amount in demands[tenant][0].items():
            free[resource] -= amount
        got[tenant] += 1
    assert not any(fits(name) for name in demands)


NODES = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 2)), min_size=1, max_size=4)
TASKS = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from([0, 0, 0.5, 1]), st.integers(0, 3), st.integers(0, 1)),
    min_size=1, max_size=30,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    NODES, TASKS, st.sampled_from(["priority > fair > srpt", "attained_run", "fair_history > sjf"]), st.data()
)
def test_the_same_as_trying_every_task_on_every_node(nodes, asked, order, data) -> None:
    """Groups, lanes and parking are only quicker: task and node are those of the plain rule, step by step."""
    h = Harness(order=order, train_span=0, preempt=False)
    h.join(*(node(f"n{i}", cpu=cpu, gpus=gpus) for i, (cpu, gpus) in enumerate(nodes)))
    for i, (cpu, gpu, tenant, priority) in enumerate(asked):
        made = task(
            f"t{i}",
            cpu=cpu,
            gpu=gpu,
            run=f"r{i % 3}",
            tenant=f"u{tenant}",
            priority=priority,
            seconds=1 + i % 7,
        )
        h.engine.apply(TaskOffered(made), 0)
    for _ in range(8):
        expected = _plain(h)
        assert [(d.task, d.node) for d in h.decide() if isinstance(d, Start)] == expected
        live = [t for t, e in h.engine.world.tasks.items() if e.member is not None]
        if not live:
            break
        h.now += 1000
        for name in data.draw(st.lists(st.sampled_from(live), max_size=3, unique=True)):
            h.engine.apply(AttemptEnded(name, 1, Outcome.FINISHED, 10), h.now)


def _plain(h: Harness) -> list[tuple[str, str]]:
    """On a copy of the engine: again and again the first of all waiting tasks that fits anywhere."""
    copy = Engine.restore(h.engine.snapshot()).world
    decided = []
    while True:
        queued = sorted((copy.key(e), e.seq, t) for t, e in copy.tasks.items() if e.item is not None)
        for _, _, name in queued:
            entry = copy.tasks[name]
            fitting = [
                (copy.nodes.score(entry.shape, s), s.index) for s in copy.nodes.all if s.fits(entry.shape)
            ]
            if fitting:
                space = copy.nodes.all[min(fitting)[1]]
                copy.place(entry, space, Reason("plain"), h.now)
                decided.append((name, space.name))
                break
        else:
            return decided


def test_tenants_that_hold_the_same_take_turns(drive) -> None:
    """One core: when it comes free both hold nothing, and the one that was served last does not go again."""
    h = drive(order="fair > fcfs", train_span=0)
    h.join(node(cpu=1))
    order = placed(h.offer(*(task(f"{name}{i}", tenant=name) for name in "ab" for i in range(3))))
    for _ in range(5):
        order += placed(h.ended(order[-1]))
    assert order == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_weights_count_and_may_change_live(drive) -> None:
    h = drive(order="fair", train_span=0)
    h.apply(TenantSet("a", 3000))
    h.join(node(cpu=8))
    h.offer(*(task(f"{name}{i}", tenant=name) for name in "ab" for i in range(20)))
    assert tenants(h) == {"a": 6, "b": 2}
    h.apply(TenantSet("a", 1000))
    h.ended("a0", "a1", "a2", "a3")
    assert tenants(h) == {"a": 4, "b": 4}
    with pytest.raises(Invalid, match="cannot weigh 0"):
        h.engine.apply(TenantSet("a", 0), 0)


def test_more_capacity_makes_everybodys_share_smaller(drive) -> None:
    """Two GPUs of two are all; of ten they are less than half of the cores."""
    h = drive(order="fair", train_span=0)
    h.join(node("n1", cpu=8, gpus=2))
    h.offer(task("g", cpu=1, gpu=2, tenant="g"), task("c", cpu=3, tenant="c"))
    assert [d.partition("/")[2] for d in (h.engine.world.tasks)] == ["g", "c"]
    ledger = h.engine.world.ledger
    assert ledger.accounts["g"].level > ledger.accounts["c"].level
    h.join(node("n2", cpu=0, gpus=8))
    assert ledger.accounts["g"].level < ledger.accounts["c"].level
    h.apply(NodeLost("n2"))
    assert ledger.accounts["g"].level > ledger.accounts["c"].level


def test_priority_before_fair_before_srpt(drive) -> None:
    h = drive(order="priority > fair > srpt", train_span=0)
    h.join(node(cpu=1))
    h.offer(task("busy", tenant="a", priority=9))
    h.offer(
        task("a long", tenant="a", seconds=9),
        task("a short", tenant="a", seconds=1),
        task("b long", tenant="b", seconds=8),
        task("b short", tenant="b", seconds=2),
        task("a urgent", tenant="a", seconds=99, priority=1),
    )
    order = placed(h.ended("busy"))
    for _ in range(4):
        order += placed(h.ended(order[-1]))
    assert order == ["a urgent", "b short", "a short", "b long", "a long"]
    text = h.engine.why("r/a long", h.now).text()
    assert text.startswith("r/a long is placed")


def test_why_names_those_ahead_by_turn(drive) -> None:
    h = drive(order="fair > srpt", train_span=0)
    h.join(node(cpu=4))
    h.offer(task("busy", cpu=4, tenant="a"))
    h.offer(task("a", tenant="a", seconds=1), task("b", tenant="b", seconds=50))
    found = h.engine.why("r/a", h.now)
    assert found.facts["place"] == 2
    assert [one["task"] for one in found.facts["ahead"]] == ["r/b"]
    assert "its tenant holds 100.0 % over its weight" in found.text()
    assert "behind r/b: its tenant holds 0.0 % over its weight" in found.text()


def test_history_gives_the_core_to_who_had_less_though_both_hold_nothing(drive) -> None:
    h = drive(order="fair_history > fcfs", train_span=0)
    h.join(node(cpu=1))
    order = placed(h.offer(*(task(f"a{i}", tenant="a", seconds=6) for i in range(3))))
    h.offer(*(task(f"b{i}", tenant="b", seconds=2) for i in range(9)))
    for _ in range(7):
        took = 6 if order[-1][0] == "a" else 2
        order += placed(h.ended(order[-1], took=took))
    assert order == ["a0", "b0", "b1", "b2", "a1", "b3", "b4", "b5"]


def test_history_is_charged_in_advance_and_corrected(drive) -> None:
    h = drive(order="fair_history", train_span=0)
    h.join(node(cpu=4))
    h.offer(task("a", tenant="a", seconds=100), task("b", tenant="b", seconds=1))
    a, b = (h.engine.world.ledger.accounts[name] for name in "ab")
    assert a.level == 100 * b.level
    h.ended("a", took=1)
    h.ended("b", took=50)
    assert b.level == 50 * a.level
    h.offer(task("c", tenant="a", seconds=30))
    charged = a.level
    h.ended("c", outcome=Outcome.FAILED, took=0)
    assert a.level < charged
    assert b.level == 50 * a.level


def test_what_was_given_a_half_life_ago_counts_half(drive) -> None:
    h = drive(order="fair_history", train_span=0)
    h.join(node(cpu=4))
    h.offer(task("a", tenant="a", seconds=8))
    h.ended("a", took=8)
    h.now += HALF_LIFE
    h.offer(task("b", tenant="b", seconds=4))
    h.ended("b", took=4)
    a, b = (h.engine.world.ledger.accounts[name] for name in "ab")
    assert a.level == b.level
    h.now += 100 * HALF_LIFE  # forgotten, and the numbers are small again
    h.offer(task("c", tenant="b", seconds=1))
    assert (a.level, b.service.bit_length() < 64) == (0, True)


def test_growth_is_a_power_of_two_to_the_last_bit() -> None:
    class Past:
        landmark = 0

    for step in (0, 1, 64, 128, 255):
        found = growth(Past(), -(-HALF_LIFE * step // 256))
        # found <= 2 ** (16 + step / 256) < found + 1, in integers
        assert found**256 <= 1 << (16 * 256 + step) < (found + 1) ** 256
    assert growth(Past(), 3 * HALF_LIFE) == 8 << 16


def test_a_short_run_passes_one_with_many_tasks(drive) -> None:
    h = drive(order="attained_run > fcfs", train_span=0)
    h.join(node(cpu=1))
    order = placed(h.offer(*(task(f"big{i}", run="r", seconds=5) for i in range(4))))
    h.apply(*(TaskOffered(task(f"small{i}", run="s", seconds=1)) for i in range(3)))
    assert order == ["big0"]
    for name in ("big0", "small0", "small1", "small2", "big1"):
        run = "s" if name.startswith("small") else "r"
        assert h.engine.world.tasks[f"{run}/{name}"].member is not None
        h.apply(AttemptEnded(f"{run}/{name}", 1, Outcome.FINISHED, (1 if run == "s" else 5) * 10**6))


def test_a_policy_with_turns_may_come_and_go_while_tasks_wait_and_run(drive) -> None:
    h = drive(order="srpt", train_span=0)
    h.join(node(cpu=2))
    h.offer(task("a0", tenant="a"), task("a1", tenant="a"))
    h.offer(task("a2", tenant="a", seconds=1), task("b0", tenant="b", seconds=9))
    h.apply(PolicySet("fair > srpt"))
    assert placed(h.ended("a0")) == ["b0"]
    h.apply(PolicySet("srpt"))
    assert h.engine.world.ledger is None
    h.offer(task("b1", tenant="b", seconds=0.5))
    assert placed(h.ended("a1")) == ["b1"]
    with pytest.raises(Invalid, match=r"has 'fair' and 'attained_run'.*\n.*one order of tenants or runs"):
        h.engine.apply(PolicySet("fair > attained_run"), 0)


def test_strict_waits_for_the_first_tenants_task(drive) -> None:
    for discipline, expected in (("skip", ["a1"]), ("strict", [])):
        h = drive(order="fair", discipline=discipline, train_span=0)
        h.join(node(cpu=4))
        h.offer(task("a0", cpu=3, tenant="a"))
        assert placed(h.offer(task("b0", cpu=2, tenant="b"), task("a1", tenant="a"))) == expected


def test_a_train_of_two_tenants_counts_for_the_one_that_runs(drive) -> None:
    h = drive(order="fair", train_span=50_000)
    h.join(node(cpu=1))
    for i in range(4):
        h.offer(task(f"warm{i}", tenant="a"))
        h.ended(f"warm{i}", took=0.001)
    h.offer(*(task(f"{name}{i}", tenant=name) for name in "ab" for i in range(2)))
    lease = next(iter(h.engine.world.leases.values()))
    names = [member.entry.task.tenant for member in lease.members]
    assert set(names) == {"a", "b"}
    ledger = h.engine.world.ledger
    for name in names:
        assert {a.name for a in ledger.accounts.values() if a.level} == {name}
        member = lease.members[0]
        h.apply(AttemptEnded(member.entry.task.id, member.attempt, Outcome.FINISHED, 1000))
    assert not any(a.level for a in ledger.accounts.values())


def test_node_joined_again_changes_nothing(drive) -> None:
    h = drive(order="fair", train_span=0)
    h.join(node(cpu=4))
    h.offer(task("a", tenant="a"))
    before = h.engine.world.ledger.accounts["a"].level
    h.apply(NodeJoined(node(cpu=4), "i1"))
    assert h.engine.world.ledger.accounts["a"].level == before
