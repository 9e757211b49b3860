"""Quotas with borrowing and reclaim, and rates: small cases by hand, and what must hold whatever happens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.admission.rate import PARTS, Window
from headway.core.decisions import Preempt, Recall, Start
from headway.core.engine import Engine
from headway.core.events import (
    AttemptEnded,
    AttemptReturned,
    AttemptStarted,
    NodeJoined,
    Outcome,
    QuotaSet,
    RateSet,
    TaskOffered,
)
from headway.domain.limits import Quota, Rate
from headway.domain.units import SECOND
from headway.errors import Invalid
from tests.builders import Harness, node, placed, preempted, task

DISCIPLINES = ("skip", "strict", "backfill", "easy")
ORDERS = ("priority > fcfs", "priority > fair > srpt")


def quota(h: Harness, tenant: str, **fields: Any) -> list[Any]:
    return h.apply(QuotaSet(tenant, Quota.parse(fields)))


def rate(h: Harness, name: str = "tokens", **fields: Any) -> list[Any]:
    return h.apply(RateSet(name, Rate.parse(fields)))


def two(order: str = "priority > fcfs", discipline: str = "skip", cpu: float = 8, **settings: Any) -> Harness:
    """Ada and Bob, four cores each, in one cohort."""
    h = Harness(order=order, discipline=discipline, train_span=0, **settings)
    h.join(node(cpu=cpu))
    quota(h, "ada", quota={"cpu": 4}, cohort="lab")
    quota(h, "bob", quota={"cpu": 4}, cohort="lab")
    return h


# ── quotas ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("discipline", DISCIPLINES)
@pytest.mark.parametrize("order", ORDERS)
def test_a_tenant_at_its_quota_is_passed_over(order: str, discipline: str) -> None:
    h = Harness(order=order, discipline=discipline, train_span=0)
    h.join(node(cpu=8))
    quota(h, "ada", quota={"cpu": 2})
    h.offer(*(task(f"a{i}", tenant="ada", seconds=9) for i in range(4)))
    assert placed(h.decided) == ["a0", "a1"]
    assert placed(h.offer(task("b", tenant="bob", cpu=3, release=1))) == ["b"]
    h.started("a0")
    assert placed(h.ended("a0")) == ["a2"]


@pytest.mark.parametrize("order", ORDERS)
def test_behind_a_task_that_is_short_of_quota_strict_waits_and_others_do_not(order: str) -> None:
    for discipline in DISCIPLINES:
        h = Harness(order=order, discipline=discipline, train_span=0)
        h.join(node(cpu=8))
        quota(h, "ada", quota={"cpu": 3})
        h.offer(task("a", tenant="ada", cpu=2))
        h.offer(task("large", tenant="ada", cpu=2))
        assert placed(h.offer(task("small", tenant="ada", release=1))) == (
            [] if discipline == "strict" else ["small"]
        )


def test_what_others_do_not_use_is_borrowed_up_to_the_limits() -> None:
    h = Harness(train_span=0)
    h.join(node(cpu=32))
    quota(h, "ada", quota={"cpu": 4}, borrow={"cpu": 2}, cohort="lab")
    quota(h, "bob", quota={"cpu": 8}, lend={"cpu": 5}, cohort="lab", reclaim="never")
    quota(h, "cyd", quota={}, cohort="lab")
    assert len(placed(h.offer(*(task(f"a{i}", tenant="ada") for i in range(12))))) == 6
    assert len(placed(h.offer(*(task(f"c{i}", tenant="cyd") for i in range(12))))) == 3  # 4 + 5 lent, 6 taken
    assert (
        len(placed(h.offer(*(task(f"b{i}", tenant="bob") for i in range(12))))) == 3
    )  # what it does not lend
    view = {row["tenant"]: row for row in h.engine.tenants_view()}
    assert view["ada"]["borrowed"] == {"cpu": 2000}
    assert view["cyd"]["borrowed"] == {"cpu": 3000}
    assert view["bob"]["lent"] == {"cpu": 5000}
    assert (view["bob"]["waiting"], view["bob"]["shut"]) == (9, 9)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_a_tenant_gets_its_own_back(order: str, discipline: str) -> None:
    h = two(order, discipline)
    names = [f"b{i}" for i in range(8)]
    h.offer(*(task(name, tenant="bob", seconds=99) for name in names))
    h.started(*names)
    h.sleep(2)
    asked = preempted(h.offer(*(task(f"a{i}", tenant="ada", release=2) for i in range(6))))
    while h.engine.wake_at() == h.now:  # at most four searches a decision
        asked += preempted(h.decide())
    assert sorted(asked) == ["b4", "b5", "b6", "b7"]
    assert placed(h.ended(*asked, outcome=Outcome.PREEMPTED)) == ["a0", "a1", "a2", "a3"]
    said = h.engine.why("r/a4", h.now).text()
    assert "ada is at its quota: cpu asked 1, used 4 of 4, it may take 0 more" in said
    assert "attempt" in h.engine.why("r/b0", h.now).text()
    h.started("a0", "a1", "a2", "a3")
    h.sleep(60)
    assert not preempted(h.decided[-4:])


def test_who_reclaims_says_so_and_the_place_goes_to_nobody_else() -> None:
    h = two()
    names = [f"b{i}" for i in range(8)]
    h.offer(*(task(name, tenant="bob", seconds=99) for name in names))
    h.started(*names)
    h.sleep(2)
    h.offer(task("a", tenant="ada", cpu=2))
    assert "cleared for ada, whose quota it borrows" in h.engine.why("r/b7", h.now).text()
    assert placed(h.offer(task("c", tenant="bob"), task("d", tenant="stranger", priority=9))) == []
    assert placed(h.ended("b7", outcome=Outcome.PREEMPTED)) == []
    assert placed(h.ended("b6", outcome=Outcome.PREEMPTED)) == ["a"]


def test_quota_that_is_missing_is_reclaimed_where_the_place_is_not() -> None:
    h = Harness(train_span=0)
    h.join(node("n1", cpu=4), node("n2", cpu=8))
    quota(h, "ada", quota={"cpu": 2}, cohort="lab")
    quota(h, "bob", quota={"cpu": 2}, cohort="lab")
    h.offer(task("b0", tenant="bob", cpu=2), task("b1", tenant="bob", cpu=2))
    h.started("b0", "b1")
    h.sleep(2)
    assert preempted(h.offer(task("a", tenant="ada", cpu=1))) == ["b1"]
    assert (
        h.state("a") == "claiming"
    )  # it has room on a node, but what is held must never be more than all quotas
    assert placed(h.ended("b1", outcome=Outcome.PREEMPTED))[0] == "a"


def test_reclaim_keeps_its_bounds() -> None:
    for reclaim, priority, expected in (
        ("never", 1, 0), ("lower_priority", 0, 0), ("lower_priority", 1, 1), ("any", 0, 1),
    ):  # fmt: skip
        h = two(preempt=False)
        quota(h, "ada", quota={"cpu": 4}, cohort="lab", reclaim=reclaim)
        h.offer(*(task(f"b{i}", tenant="bob") for i in range(8)))
        h.started(*(f"b{i}" for i in range(8)))
        assert preempted(h.offer(task("a", tenant="ada", priority=priority))) == []  # too young
        assert len(preempted(h.sleep(2))) == expected, (reclaim, priority)


def test_who_would_borrow_does_not_preempt_who_holds_its_own() -> None:
    h = two()
    h.offer(
        *(task(f"a{i}", tenant="ada") for i in range(4)), *(task(f"b{i}", tenant="bob") for i in range(4))
    )
    h.started("a0", "b0")
    h.sleep(5)
    assert preempted(h.offer(task("b9", tenant="bob", priority=5))) == []


def test_a_lease_that_is_borrowed_is_not_topped_up_while_its_lender_waits() -> None:
    h = Harness(order="fcfs", train_span=50_000)
    h.join(node(cpu=1))
    quota(h, "ada", quota={"cpu": 1}, cohort="lab", reclaim="never")
    quota(h, "bob", quota={}, cohort="lab")
    for i in range(3):  # short ones ride
        h.offer(task(f"w{i}", tenant="bob"))
        h.started(f"w{i}")
        h.ended(f"w{i}", took=0.001)
    h.offer(*(task(f"b{i}", tenant="bob") for i in range(20)))
    h.offer(task("a", tenant="ada"))
    for _ in range(12):
        if h.state("a") == "placed":
            break
        lease = next(iter(h.engine.world.leases.values()))
        name = lease.members[0].entry.task.id.partition("/")[2]
        h.started(name)
        h.ended(name, took=0.001)
    assert h.state("a") == "placed"


def test_limits_edited_and_removed_hold_at_once() -> None:
    h = Harness(train_span=0)
    h.join(node(cpu=8))
    h.offer(*(task(f"a{i}", tenant="ada") for i in range(6)))
    assert len(placed(h.decided)) == 6
    quota(h, "ada", quota={"cpu": 2})  # what it holds already, it keeps
    assert placed(h.offer(task("a6", tenant="ada"))) == []
    quota(h, "ada", quota={"cpu": 7})
    assert placed(h.decided)[-1] == "a6"
    h.offer(task("a7", tenant="ada"))
    assert placed(h.apply(QuotaSet("ada", None))) == ["a7"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"quota": {"gpu": -1}}, "must be zero or more"),
        ({"quota": {"gpu": 1}, "borrow": {"gpu": 1}}, "need a cohort"),
        ({}, "limits nothing"),
        ({"quota": {"gpu": 1}, "reclaim": "always"}, "reclaim"),
        ({"qouta": {"gpu": 1}}, "no field 'qouta'"),
        ({"quota": 3}, "no table of amounts"),
    ],
)  # fmt: skip
def test_a_quota_that_makes_no_sense_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        Quota.parse(fields)


# ── rates ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_a_rate_is_taken_in_line_and_comes_back_with_time(order: str, discipline: str) -> None:
    h = Harness(order=order, discipline=discipline, train_span=0)
    h.join(node(cpu=64))
    rate(h, amount=10, per="1min")
    h.offer(*(task(f"s{i}", rates={"tokens": 4}) for i in range(2)))
    h.offer(
        task("big", rates={"tokens": 9}),
        task("small", rates={"tokens": 1}, release=1),
        task("free", release=1),
    )
    assert placed(h.decided) == ["s0", "s1", "free"]  # the small one does not overtake the big one
    said = h.engine.why("r/big", h.now).text()
    assert "takes 9 tokens: 8 of 10 in 1 min are taken, there is room in 1 min 1 s" in said
    assert "what ranks before it and needs more of them goes first" in h.engine.why("r/small", h.now).text()
    wake = h.engine.wake_at()
    assert wake is not None
    h.now = wake - 1
    assert placed(h.decide()) == []
    h.now = wake
    assert placed(h.decide()) == ["big", "small"]


def test_what_never_started_is_given_back() -> None:
    h = Harness(order="fcfs", train_span=50_000)
    h.join(node(cpu=1))
    rate(h, amount=10, per="1h")
    for i in range(3):
        h.offer(task(f"w{i}"))
        h.started(f"w{i}")
        h.ended(f"w{i}", took=0.001)
    h.offer(task("f", rates={"tokens": 1}, kind="k"))
    window = h.engine.world.gates.windows["tokens", ""]
    assert window.used(h.now) == 1000
    h.overrule("hold", "f")
    h.returned("f")
    assert window.used(h.now) == 0
    assert window.sums == []


def test_a_rate_of_a_tenant_holds_beside_that_of_all() -> None:
    h = Harness(train_span=0)
    h.join(node(cpu=64))
    rate(h, amount=10, per="1min", tenants={"ada": 3})
    h.offer(*(task(f"a{i}", tenant="ada", rates={"tokens": 2}) for i in range(3)))
    h.offer(*(task(f"b{i}", tenant="bob", rates={"tokens": 2}, release=1) for i in range(9)))
    assert placed(h.decided) == ["a0", "b0", "b1", "b2", "b3"]
    assert "of ada are taken" in h.engine.why("r/a1", h.now).text()


def test_a_demand_above_the_window_waits_and_holds_back_nobody() -> None:
    h = Harness(train_span=0)
    h.join(node(cpu=8))
    rate(h, amount=10, per="1min")
    assert placed(h.offer(task("huge", rates={"tokens": 11}))) == []
    assert h.engine.wake_at() is None
    assert "it asks for more than all of them" in h.engine.why("r/huge", h.now).text()
    assert placed(h.offer(task("small", rates={"tokens": 1}, release=1))) == ["small"]
    assert placed(h.apply(RateSet("tokens", None))) == ["huge"]


@given(
    amount=st.integers(1, 40),
    per=st.integers(1, 2_000),
    steps=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 40), st.booleans()), max_size=60),
)
def test_no_window_ever_gives_more_than_its_amount(
    amount: int, per: int, steps: list[tuple[int, int, bool]]
) -> None:
    window, now, taken = Window(1, amount, per), 0, [(0, 0)]
    for later, need, back in steps:
        now += later
        if window.used(now) + need <= amount:
            window.take(need, now)
            taken.append((now, need))
            if back:
                window.give_back(need, now)
                taken.pop()
        elif need <= amount:
            when = window.when(need)
            assert when is not None
            assert now < when <= now + per + max(per // PARTS, 1)
            assert window.used(when) + need <= amount
            assert window.used(when - 1) + need > amount
    assert len(window.sums) <= PARTS + 2
    for begin, _ in taken:
        assert sum(milli for at, milli in taken if begin <= at < begin + per) <= amount


# ── whatever happens ────────────────────────────────────────────────────────────────────────────────────────

LAB = {
    "ada": Quota.parse({"quota": {"cpu": 4}, "cohort": "lab", "lend": {"cpu": 2}}),
    "bob": Quota.parse({"quota": {"cpu": 3}, "cohort": "lab", "borrow": {"cpu": 2}}),
    "cyd": Quota.parse({"quota": {"cpu": 1}, "cohort": "lab"}),
}


@settings(max_examples=25, deadline=None)
@given(
    order=st.sampled_from(ORDERS),
    discipline=st.sampled_from(DISCIPLINES),
    span=st.sampled_from([0, 50_000]),
    steps=st.lists(
        st.tuples(st.sampled_from([*LAB, "dan"]), st.integers(1, 3), st.integers(0, 2), st.integers(0, 4)), max_size=40
    ),
)  # fmt: skip
def test_quotas_hold_and_everybody_gets_its_own(
    order: str, discipline: str, span: int, steps: list[Any]
) -> None:
    """Nobody holds more than nominal and borrowed, nor all together more than all quotas, nor anybody of rates in any window;
    and when others want nothing more, whoever waits within its quota has it after a bounded number of decisions."""
    engine, now = Engine(order, discipline, train_span=span, min_run=0), 0
    engine.apply(NodeJoined(node(cpu=8), "1"), now)
    for tenant, one in LAB.items():
        engine.apply(QuotaSet(tenant, one), now)
    engine.apply(RateSet("tokens", Rate.parse({"amount": 3, "per": "10ms"})), now)
    running: dict[str, tuple[int, bool]] = {}
    given_tokens: dict[tuple[str, int], int] = {}

    def decide() -> None:
        for d in engine.decide(now):
            if isinstance(d, Start):
                running[d.task] = (d.attempt, False)
                if engine.world.tasks[d.task].shape.rates:
                    given_tokens[d.task, d.attempt] = now
            elif isinstance(d, Preempt) and d.task in running:
                running[d.task] = (d.attempt, True)
            elif isinstance(d, Recall):
                for name, attempt in d.attempts:
                    if running.pop(name, None) is not None:
                        engine.apply(AttemptReturned(name, attempt), now)
                        given_tokens.pop((name, attempt), None)  # it was given back
        engine.check()
        held = {name: account.held.get("cpu", 0) for name, account in engine.world.gates.accounts.items()}
        assert held["bob"] <= 5000
        assert sum(held.values()) <= 8000
        assert held["bob"] + held["cyd"] <= 6000  # two of Ada's are never lent

    def leave(task: str) -> None:
        attempt, asked = running.pop(task)
        member = engine.world.tasks[task].member
        assert member is not None
        if member.lease.members[0] is member:
            engine.apply(AttemptStarted(task, attempt, now), now)
            engine.apply(
                AttemptEnded(task, attempt, Outcome.PREEMPTED if asked else Outcome.FINISHED, 500), now
            )
        else:
            running[task] = (attempt, asked)

    for number, (tenant, cpu, priority, what) in enumerate(steps):
        now += 700
        rates = {"tokens": 1} if what == 1 else None
        if what < 3:
            made = task(f"t{number}", tenant=tenant, cpu=cpu, priority=priority, rates=rates, release=now)
            engine.apply(TaskOffered(made), now)
        elif running:
            leave(sorted(running)[number % len(running)])
        decide()
    for _ in range(40):
        now += 20_000
        for task_id in sorted(running):
            if running[task_id][1]:
                leave(task_id)
        decide()
    for name in LAB:
        account = engine.world.gates.accounts[name]
        for shape in account.shapes.values():
            if shape.count and account.within(shape) and shape.shut is not None:
                assert shape.shut.kind in ("behind", "never", "rate"), f"{name} lacks its own: {shape.shut}"
    for begin in given_tokens.values():
        assert sum(begin <= at < begin + 10_000 for at in given_tokens.values()) <= 3


def test_a_restored_engine_knows_what_is_used() -> None:
    h = two()
    rate(h, amount=10, per="1min")
    h.offer(*(task(f"b{i}", tenant="bob", rates={"tokens": 2}) for i in range(9)))
    tree = h.engine.snapshot()
    again = Engine.restore(tree)
    assert again.snapshot() == tree
    assert again.tenants_view() == h.engine.tenants_view()
    assert again.rates_view(h.now) == h.engine.rates_view(h.now)
    assert again.wake_at() == h.engine.wake_at() == 60 * SECOND + 60 * SECOND // PARTS
