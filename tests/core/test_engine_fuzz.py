"""Anything an executor, a planner and an operator may do, in any order: what must hold, holds.

Beside the invariants, which run after each decision: a second engine is replaced by its own snapshot at any
moment and must decide the same for ever; a third one gets the whole log at the end; no two attempts of a task
are out; attempt numbers never repeat; before the time it asks to be woken at, the engine decides nothing.

Every run takes other steps; the summary names its seed, and HEADWAY_FUZZ_SEED repeats it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from headway.core import events as ev
from headway.core.decisions import Decision, Dropped, Lost, Preempt, Reason, Recall, Spare, Start, Stop
from headway.core.engine import Engine
from headway.core.joint.record import PlanRecord, Row
from headway.core.ordering import orders
from headway.core.placement import placements
from headway.core.placement.paces import Site, Speed
from headway.core.policy import DISCIPLINES
from headway.core.preemption.terms import KINDS
from headway.domain.limits import Quota, Rate
from headway.domain.task import Gang, Task
from headway.domain.window import Window
from headway.errors import HeadwayError
from tests.builders import node, override, task

#: Steps of one run of the tests, in so many parts that workers can share.
STEPS, PARTS = 10_000, 4
NODES = {
    "n1": node("n1", cpu=2, labels={"zone": "a"}),
    "n2": node("n2", cpu=4, gpus=2, memory="1GiB", labels={"zone": "b"}, gpu_memory="16GiB"),
    "n3": node("n3", cpu=3, gpus=1),
}
SHAPES = (
    {"cpu": 1}, {"cpu": 1, "gpu": 0.5}, {"cpu": 1, "gpu": 0.8}, {"cpu": 2}, {"cpu": 2, "gpu": 2},
    {"cpu": 1, "memory": "600MiB"}, {"cpu": 0.5, "other": {"licence": 1}},
    {"cpu": 1, "where": "zone == a"}, {"cpu": 1, "where": "zone != b"}, {"cpu": 1, "gpu": 1, "where": "zone exists"},
    {"variants": ({"gpu": 1, "seconds": 1}, {"cpu": 2, "seconds": 5})},
    {"variants": ({"cpu": 3}, {"cpu": 1, "gpu": 0.5, "where": "zone == b"}, {"cpu": 0, "seconds": 40})},
    {"cpu": 1, "rates": {"tokens": 3}}, {"cpu": 0.5, "rates": {"tokens": 1, "calls": 1}}, {"cpu": 1, "rates": {"calls": 1}},
    {"cpu": 1, "rates": {"pool:db": 1}}, {"cpu": 0.5, "rates": {"pool:db": 2, "tokens": 1}},
    {"cpu": 0.5, "gpu": 0.2, "other": {"gpu_memory": "10GiB"}}, {"cpu": 1, "gpu": 1, "other": {"gpu_memory": "13GiB"}},
    {"cpu": 0, "gpu": 0.3, "other": {"gpu_memory": "3GiB"}},
    {"cpu": 1, "beside": {"group": "g"}}, {"cpu": 1, "beside": {"near": "g within zone"}},
    {"cpu": 0.5, "beside": {"group": "g", "apart": "g"}}, {"cpu": 0.5, "beside": {"group": "g", "spread": "node of tenant"}},
    {"cpu": 0.5, "gpu": 0.5, "beside": {"group": "h", "near": "h of tenant", "apart": ["g of tenant within zone"], "spread": "zone by 2"}},
    {"cpu": 0.5, "beside": {"group": "h", "apart": "g of tenant within zone"}},
)  # fmt: skip
ORDERS = (
    "fcfs", "srpt", "priority > srpt", "priority > fcfs", "priority", "priority > weighted_remaining",
    "attained > sjf", "slack > wspt", "deadline > aging",
    "priority > fair > srpt", "fair_history > fcfs", "priority > attained_run > sjf", "fair",
    "remaining", "priority > remaining > fcfs", "las > fcfs", "priority > las > srpt",
    "joint", "joint", "priority > joint", "fair > joint", "critical_path", "priority > critical_path",
)  # fmt: skip
QUOTAS = (
    None,
    Quota.parse({"quota": {"cpu": 2}}),
    Quota.parse({"quota": {"cpu": 2}, "cohort": "c"}),
    Quota.parse({"quota": {"cpu": 1, "gpu": 1}, "cohort": "c", "borrow": {"cpu": 1}}),
    Quota.parse({"quota": {"cpu": 3}, "cohort": "c", "lend": {"cpu": 1}, "reclaim": "lower_priority"}),
    Quota.parse({"cohort": "c", "reclaim": "never"}),
)
RATES = (
    None,
    Rate.parse({"amount": 3, "per": "60ms"}),
    Rate.parse({"amount": 5, "per": "2s", "tenants": {"ada": 2}}),
)
NAMES = st.integers(0, 24).map(lambda number: f"t{number}")


class Executors:
    """What the nodes really run: the other side of the protocol, and the judge of fencing."""

    def __init__(self) -> None:
        self.leases: dict[tuple[str, int], list[tuple[str, int]]] = {}
        self.running: set[tuple[str, int]] = set()
        self.asked_back: dict[tuple[str, int], None] = {}
        self.asked_to_end: dict[tuple[str, int], None] = {}
        self.used: dict[str, int] = {}

    def obey(self, decisions: list[Decision], gone: set[str]) -> None:
        """Takes decisions as an executor would."""
        for d in decisions:
            if isinstance(d, Start):
                assert d.node not in gone, f"{d} on a node that is gone"
                assert d.task not in {t for ms in self.leases.values() for t, _ in ms}, (
                    f"{d}: an attempt is out"
                )
                before = self.used.get(d.task, 0)
                assert d.attempt > before, f"{d}: attempt {before} was started"
                self.leases.setdefault((d.node, d.lease), []).append((d.task, d.attempt))
            elif isinstance(d, Recall):
                # It may have ended while the call was on its way.
                members = self.leases.get((d.node, d.lease), [])
                self.asked_back |= dict.fromkeys(
                    p for p in d.attempts if p in members and p not in self.running
                )
            elif isinstance(d, Spare):
                self.asked_to_end.pop((d.task, d.attempt), None)
            elif isinstance(d, Preempt | Stop):
                self.asked_to_end[d.task, d.attempt] = None
            elif isinstance(d, Lost):
                assert (d.task, d.attempt) not in {p for ms in self.leases.values() for p in ms}, (
                    f"{d} is not lost"
                )
            else:
                assert isinstance(d, Dropped)

    def out(self) -> list[tuple[str, int]]:
        """Every attempt that an executor has."""
        return [pair for members in self.leases.values() for pair in members]

    def startable(self) -> list[tuple[str, int]]:
        """First members that do not run."""
        heads = [members[0] for members in self.leases.values()]
        return [pair for pair in heads if pair not in self.running]

    def forget(self, pair: tuple[str, int]) -> None:
        """The attempt is over."""
        for key, members in list(self.leases.items()):
            if pair in members:
                members.remove(pair)
                if not members:
                    del self.leases[key]
        self.running.discard(pair)
        self.asked_back.pop(pair, None)
        self.asked_to_end.pop(pair, None)


class EngineMachine(RuleBasedStateMachine):
    """Three engines that must agree, and the executors they drive."""

    #: Taken by all examples so far.
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.executors = Executors()
        self.log: list[tuple[str, object, int]] = []
        self.transcript: list[str] = []
        self.gone: set[str] = set(NODES)
        self.lives: dict[str, int] = {}
        self.known: dict[str, int] = {}  # tasks the planner has offered and not seen the end of
        self.epoch: dict[str, int] = {}
        self.gangs = 0
        self.in_gangs: dict[str, Task] = {}

    @initialize(
        order=st.sampled_from(ORDERS),
        discipline=st.sampled_from(DISCIPLINES),
        span=st.sampled_from([0, 50_000]),
        nodes=st.integers(1, 3),
        within=st.sampled_from(["classes", "longer", "attained"]),
        budgets=st.sampled_from([(), ("run 1 at once",), ("tenant 50% at once", "kind 2 per 1s")]),
        placement=st.sampled_from(sorted(placements())),
    )
    def begin(
        self,
        order: str,
        discipline: str,
        span: int,
        nodes: int,
        within: str,
        budgets: tuple[str, ...],
        placement: str,
    ) -> None:
        self.make: Callable[[], Engine] = lambda: Engine(
            order, discipline, train_span=span, min_run=100_000, grace=1_000_000, budgets=budgets, placement=placement,
            **KINDS[within],
        )  # fmt: skip
        self.engine, self.twin = self.make(), self.make()
        for name in list(NODES)[:nodes]:
            self.join(name, True)

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, event: ev.Event) -> None:
        self.log.append(("apply", event, self.now))
        self.engine.apply(event, self.now)
        self.twin.apply(event, self.now)

    def pick(self, choices: list[tuple[str, int]], number: int) -> tuple[str, int] | None:
        return choices[number % len(choices)] if choices else None

    def full(self, name: str) -> str:
        # A name is used again under a new run once it is over: ids are unique for ever.
        return f"r{self.epoch.get(name, 0)}/{name}"

    def over(self, ident: str) -> None:
        self.known.pop(ident, None)
        name = ident.partition("/")[2]
        self.epoch[name] = self.epoch.get(name, 0) + 1

    # ── planner ─────────────────────────────────────────────────────────────────────────────────────────────

    @rule(
        name=NAMES, shape=st.sampled_from(SHAPES), priority=st.integers(0, 2), kind=st.sampled_from("ab"),
        tenant=st.sampled_from(["ada", "bob", "cyd"]), seconds=st.sampled_from([None, 0.01, 1, 30]), after=st.lists(NAMES, max_size=2),
        delay=st.sampled_from([0, 0, 0, 50_000]), release=st.booleans(),
    )  # fmt: skip
    def offer(self, name, shape, priority, kind, tenant, seconds, after, delay, release) -> None:
        ident = self.full(name)
        run, _, short = ident.partition("/")
        deps = tuple(self.full(one) for one in after if one < name and self.full(one) in self.known)
        made = task(
            short, run=run, kind=kind, seconds=seconds, priority=priority, after=deps, tenant=tenant,
            release=self.now if release else 0, **shape,
        )  # fmt: skip
        self.known[ident] = 1
        self.apply(ev.TaskOffered(made, self.now + delay if delay else 0))

    @rule(names=st.lists(NAMES, min_size=3, max_size=8, unique=True))
    def offer_short_ones(self, names: list[str]) -> None:
        for name in names:
            ident = self.full(name)
            run, _, short = ident.partition("/")
            if ident not in self.known:
                self.known[ident] = 1
                self.apply(ev.TaskOffered(task(short, run=run, kind="a", release=self.now)))

    @rule(
        names=st.lists(NAMES, min_size=2, max_size=5, unique=True), priority=st.integers(0, 2),
        shapes=st.lists(st.sampled_from(SHAPES[:5]), min_size=1, max_size=2), whole=st.booleans(),
        within=st.sampled_from([(), ("zone",), ("zone", "*")]), seconds=st.sampled_from([None, 0.01, 30]),
    )  # fmt: skip
    def offer_gang(self, names, priority, shapes, whole, within, seconds) -> None:
        """New tasks as a gang, perhaps without its last member (which comes with `offer_again`)."""
        new = [self.full(name) for name in names if self.full(name) not in self.known]
        self.gangs += 1
        for index, ident in enumerate(new):
            run, _, short = ident.partition("/")
            gang = Gang(f"g{self.gangs}", index, len(new), within=within)
            shape = shapes[index % len(shapes)]
            made = task(short, run=run, kind="a", seconds=seconds, priority=priority, gang=gang, **shape)
            self.known[ident] = 1
            self.in_gangs[ident] = made
            if whole or index + 1 < len(new):
                self.apply(ev.TaskOffered(made))

    @rule(number=st.integers(0, 99), delay=st.sampled_from([0, 0, 50_000]))
    def offer_again(self, number: int, delay: int) -> None:
        """The planner wants a member of a gang (still, or again after it failed or was lost)."""
        idents = sorted(ident for ident in self.in_gangs if ident in self.known)
        if idents:
            made = self.in_gangs[idents[number % len(idents)]]
            self.apply(ev.TaskOffered(made, self.now + delay if delay else 0))

    @rule(name=NAMES, producer=NAMES, size=st.sampled_from([1 << 20, 1 << 24, 3 << 24, 1 << 40]))
    def input_known(self, name: str, producer: str, size: int) -> None:
        self.apply(ev.InputKnown(self.full(name), self.full(producer), size))

    @rule(name=NAMES)
    def withdraw(self, name: str) -> None:
        self.apply(ev.TaskWithdrawn(self.full(name), "no more"))

    @rule(name=NAMES, priority=st.integers(0, 3))
    def edit(self, name: str, priority: int) -> None:
        self.apply(ev.TaskEdited(self.full(name), priority=priority))

    # ── executors ───────────────────────────────────────────────────────────────────────────────────────────

    @rule(number=st.integers(0, 99))
    def start(self, number: int) -> None:
        pair = self.pick(self.executors.startable(), number)
        if pair is not None:
            self.executors.running.add(pair)
            self.executors.asked_back.pop(pair, None)
            self.executors.used[pair[0]] = pair[1]
            self.apply(ev.AttemptStarted(*pair, self.now))

    @rule(number=st.integers(0, 99), done=st.integers(-1, 1000), checkpoint=st.booleans())
    def progress(self, number: int, done: int, checkpoint: bool) -> None:
        pair = self.pick(sorted(self.executors.running), number)
        if pair is not None:
            kind = ev.AttemptCheckpointed(*pair, self.now, done)
            self.apply(kind if checkpoint else ev.AttemptProgressed(*pair, done, self.now))

    @rule(number=st.integers(0, 99))
    def give_back(self, number: int) -> None:
        pair = self.pick(list(self.executors.asked_back), number)
        if pair is not None:
            self.executors.forget(pair)
            self.apply(ev.AttemptReturned(*pair))

    @rule(
        number=st.integers(0, 99),
        took=st.sampled_from([100, 1_000, 60_000]),
        outcome=st.sampled_from(ev.Outcome),
    )
    def end(self, number: int, took: int, outcome: ev.Outcome) -> None:
        pair = self.pick(sorted(self.executors.running), number)
        if pair is not None:
            self.finish(pair, took, outcome)

    @rule(rounds=st.integers(1, 12))
    def run_quickly(self, rounds: int) -> None:
        """The executors work for a while and all goes well."""
        for _ in range(rounds):
            for pair in self.executors.startable():
                self.executors.running.add(pair)
                self.executors.used[pair[0]] = pair[1]
                self.executors.asked_back.pop(pair, None)
                self.apply(ev.AttemptStarted(*pair, self.now))
                self.finish(pair, 200, ev.Outcome.FINISHED)
            self.decide()

    @rule(number=st.integers(0, 99))
    def obey_the_end(self, number: int) -> None:
        pair = self.pick(list(self.executors.asked_to_end), number)
        if pair is not None and pair in self.executors.running:
            self.finish(pair, 10_000, ev.Outcome.PREEMPTED)
        elif pair is not None:
            self.executors.forget(pair)
            self.apply(ev.AttemptEnded(*pair, ev.Outcome.CANCELLED))

    def finish(self, pair: tuple[str, int], took: int, outcome: ev.Outcome) -> None:
        self.executors.used[pair[0]] = pair[1]
        self.executors.forget(pair)
        if outcome is ev.Outcome.FINISHED:
            self.over(pair[0])
        self.apply(ev.AttemptEnded(*pair, outcome, took))

    @rule(number=st.integers(0, 99))
    def stale_report(self, number: int) -> None:
        name = f"t{number % 25}"
        self.apply(ev.AttemptEnded(self.full(name), 1_000_000, ev.Outcome.FINISHED, 5))
        self.apply(ev.AttemptStarted("nobody/knows", 1, self.now))

    # ── nodes and operators ─────────────────────────────────────────────────────────────────────────────────

    @rule(name=st.sampled_from(sorted(NODES)), fresh=st.booleans())
    def join(self, name: str, fresh: bool) -> None:
        fresh = fresh or name in self.gone
        if fresh:
            self.lives[name] = self.lives.get(name, 0) + 1
            self.drop_all(name)
        self.gone.discard(name)
        holds = tuple(
            p for (where, _), members in self.executors.leases.items() if where == name for p in members
        )
        self.apply(ev.NodeJoined(NODES[name], f"i{self.lives[name]}", holds))

    @rule(name=st.sampled_from(sorted(NODES)))
    def lose(self, name: str) -> None:
        self.drop_all(name)
        self.gone.add(name)
        self.apply(ev.NodeLost(name))

    def drop_all(self, name: str) -> None:
        for (where, _), members in list(self.executors.leases.items()):
            if where == name:
                for pair in list(members):
                    self.executors.used[pair[0]] = pair[1]
                    self.executors.forget(pair)

    @rule(name=st.sampled_from(sorted(NODES)), cordoned=st.booleans())
    def cordon(self, name: str, cordoned: bool) -> None:
        self.apply(ev.NodeCordoned(name, cordoned))

    @rule(
        cpu=st.integers(1, 6),
        gpus=st.integers(0, 3),
        zone=st.sampled_from("ab"),
        vram=st.sampled_from([0, "8GiB", "16GiB", "40GiB"]),
    )
    def resize(self, cpu: int, gpus: int, zone: str, vram: int | str) -> None:
        if "n2" not in self.gone:
            made = node(
                "n2", cpu=cpu, gpus=gpus, other={"licence": 2}, labels={"zone": zone}, gpu_memory=vram
            )
            self.apply(ev.NodeJoined(made, f"i{self.lives['n2']}"))

    @rule(
        order=st.sampled_from(ORDERS),
        discipline=st.sampled_from(DISCIPLINES),
        placement=st.sampled_from([None, *sorted(placements())]),
    )
    def set_policy(self, order: str, discipline: str, placement: str | None) -> None:
        self.apply(ev.PolicySet(order, discipline, placement))

    @rule(
        fast=st.sampled_from([0, 500, 2000, 3333]),
        far=st.sampled_from([0, 0, 7_000, 2_000_000]),
        learn=st.booleans(),
    )
    def set_paces(self, fast: int, far: int, learn: bool) -> None:
        rows = (Speed("fast", ("gpu exists",), fast, (("b", 2 * fast),)), Speed("n", (), 900)) if fast else ()
        if learn:
            rows = (Speed("taught", ("zone exists",), kinds=(("b", 700),), learn=True), *rows)
        self.apply(ev.SpeedsSet(rows))
        self.apply(ev.SitesSet((Site("edge", far, 1000), Site("cloud", 1, 500_000, 7)) if far else ()))

    @rule(levels=st.sampled_from([(), ("zone",), ("site", "zone")]))
    def set_levels(self, levels: tuple[str, ...]) -> None:
        self.apply(ev.LevelsSet(levels))

    @rule(shapes=st.lists(st.sampled_from(SHAPES), max_size=3))
    def set_mix(self, shapes: list[dict[str, Any]]) -> None:
        self.apply(ev.MixSet(tuple((task("x", **shape).demand, 3) for shape in shapes)))

    @rule(
        names=st.lists(NAMES, min_size=1, max_size=8, unique=True),
        places=st.lists(st.sampled_from(sorted(NODES)), min_size=8, max_size=8),
        starts=st.lists(st.sampled_from([0, 0, 30_000, 1_000_000, 40_000_000]), min_size=8, max_size=8),
        span=st.sampled_from([0, 50_000, 100_000_000]),
    )
    def plan(self, names: list[str], places: list[str], starts: list[int], span: int) -> None:
        """Whatever a solver may say, of tasks that are here or not."""
        rows = tuple(
            Row(self.full(name), where, self.now + start, Reason("plan_now"))
            for name, where, start in zip(names, places, sorted(starts), strict=False)
        )
        made = PlanRecord(
            "p", self.now, self.now + span, "makespan", 10, 5, 500_000, 1, "search", 0, "", rows
        )
        self.apply(ev.PlanSet(made))

    @rule()
    def no_plan(self) -> None:
        self.apply(ev.PlanSet(None))

    @rule(
        tenant=st.sampled_from(["ada", "bob"]), weight=st.sampled_from([1, 500, 1000, 4000]),
        parent=st.sampled_from(["", "", "house", "ada"]),
    )  # fmt: skip
    def set_tenant(self, tenant: str, weight: int, parent: str) -> None:
        self.apply(ev.TenantSet(tenant, weight, "" if parent == tenant else parent))

    @rule(tenant=st.sampled_from(["ada", "bob", "cyd"]), quota=st.sampled_from(QUOTAS))
    def set_quota(self, tenant: str, quota: Quota | None) -> None:
        self.apply(ev.QuotaSet(tenant, quota))

    @rule(slots=st.sampled_from([None, 0, 1, 2, 5]))
    def set_pool(self, slots: int | None) -> None:
        self.apply(ev.PoolSet("db", slots))

    @rule(rate=st.sampled_from(["tokens", "calls"]), limit=st.sampled_from(RATES))
    def set_rate(self, rate: str, limit: Rate | None) -> None:
        self.apply(ev.RateSet(rate, limit))

    @rule(
        kind=st.sampled_from([None, *KINDS]),
        cost=st.sampled_from([None, 0, 500_000]),
        budgets=st.sampled_from([None, (), ("run 2 at once", "tenant 1 per 2s")]),
    )
    def set_preemption(self, kind: str | None, cost: int | None, budgets: tuple[str, ...] | None) -> None:
        self.apply(ev.PreemptionSet(kind, cost=cost, budgets=budgets))

    @rule(number=st.integers(0, 99))
    def withdraw_a_preemptor(self, number: int) -> None:
        claiming = list(self.engine.world.claims)
        if claiming:
            self.apply(ev.TaskWithdrawn(claiming[number % len(claiming)], "no more"))

    @rule(
        kind=st.sampled_from(["boost", "hold", "pin"]), name=NAMES, ident=st.sampled_from("xyz"),
        where=st.sampled_from(sorted(NODES)), run=st.booleans(),
    )  # fmt: skip
    def overrule(self, kind, name, ident, where, run) -> None:
        target = self.full(name)
        target = target.partition("/")[0] if run else target
        made = override(kind, target, ident=ident, node=where, seconds=(self.now + 80_000) / 1_000_000)
        self.apply(ev.OverrideApplied(made))

    @rule(
        ident=st.sampled_from("vw"), names=st.lists(st.sampled_from(sorted(NODES)), min_size=1, unique=True),
        after=st.sampled_from([0, 50_000, 40_000_000]), lasts=st.sampled_from([60_000, 3_000_000]),
        owner=st.sampled_from(["", "ada"]), preempt=st.booleans(), assume=st.sampled_from([1_000_000, 86_400_000_000]),
    )  # fmt: skip
    def set_window(self, ident, names, after, lasts, owner, preempt, assume) -> None:
        kind = "reservation" if owner else "maintenance"
        start = self.now + after
        made = Window(ident, kind, tuple(names), start, start + lasts, owner, preempt=preempt, assume=assume)
        before = self.engine.snapshot()
        try:
            self.engine.apply(ev.WindowSet(made), self.now)
        except HeadwayError:  # another has the node then, or it cannot be free in time
            assert self.engine.snapshot() == before
            return
        self.twin.apply(ev.WindowSet(made), self.now)
        self.log.append(("apply", ev.WindowSet(made), self.now))

    @rule(ident=st.sampled_from("vw"))
    def clear_window(self, ident: str) -> None:
        self.apply(ev.WindowCleared(ident))

    @rule(name=NAMES, run=st.booleans(), stop=st.booleans())
    def pause(self, name: str, run: bool, stop: bool) -> None:
        target = self.full(name)
        target = target.partition("/")[0] if run else target
        self.apply(ev.OverrideApplied(override("pause", target, ident="p", seconds=0, stop=stop)))

    @rule(ident=st.sampled_from("xyzpp"))
    def revert(self, ident: str) -> None:
        self.apply(ev.OverrideReverted(ident))

    # ── time ────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(micros=st.sampled_from([0, 500, 60_000, 2_000_000]))
    def decide_later(self, micros: int) -> None:
        self.now += micros
        self.decide()

    def decide(self) -> None:
        self.log.append(("decide", None, self.now))
        decisions = self.engine.decide(self.now)
        self.transcript.append(repr(decisions))
        assert repr(self.twin.decide(self.now)) == self.transcript[-1]
        assert self.twin.wake_at() == self.engine.wake_at()
        self.engine.check()
        self.executors.obey(decisions, self.gone)

    @rule()
    def swap_the_twin(self) -> None:
        tree = json.loads(json.dumps(self.twin.snapshot()))
        self.twin = Engine.restore(tree)
        self.twin.check()
        assert json.dumps(self.twin.snapshot()) == json.dumps(tree)

    @rule()
    def everything_is_explained(self) -> None:
        self.decide()
        for ident, entry in self.engine.world.tasks.items():
            found = self.engine.why(ident, self.now)
            assert found.text()
            if "blocked" in found.facts:
                assert sum(found.facts["blocked"].values()) == found.facts["nodes"]
                if found.facts["discipline"] != "strict" and "variants" not in found.facts:
                    assert "fits" not in found.facts["blocked"], (
                        f"{ident} could start: {entry.state}\n{found.text()}"
                    )

    @rule(ahead=st.sampled_from([0, 40_000, 10_000_000]))
    def it_sleeps_until_it_wakes(self, ahead: int) -> None:
        self.decide()
        wake = self.engine.wake_at()
        until = self.now + ahead if wake is None else min(wake - 1, self.now + ahead)
        if until >= self.now:
            assert Engine.restore(self.engine.snapshot()).decide(until) == []

    @invariant()
    def all_holds(self) -> None:
        type(self).steps += 1
        if hasattr(self, "engine"):
            self.engine.check()

    def teardown(self) -> None:
        if not hasattr(self, "engine"):
            return
        third = self.make()
        again = []
        for what, event, now in self.log:
            if what == "apply":
                third.apply(event, now)
            else:
                again.append(repr(third.decide(now)))
        assert again == self.transcript, "a replay of the same events decided otherwise"


def test_every_order_is_tried() -> None:
    """An order that somebody adds cannot be forgotten here."""
    assert {name for policy in ORDERS for name in policy.split(" > ")} == set(orders())


@pytest.mark.parametrize("part", range(PARTS))
def test_engine(part: int) -> None:
    """At least `STEPS` steps over all parts, however short the examples turn out."""
    fuzz_seed, EngineMachine.steps = int(os.environ["HEADWAY_FUZZ_SEED"]), 0
    for again in count():
        run_state_machine_as_test(
            seed(fuzz_seed + part + PARTS * again)(EngineMachine),
            settings=settings(
                max_examples=30,
                stateful_step_count=60,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        if EngineMachine.steps * PARTS >= STEPS:
            break
