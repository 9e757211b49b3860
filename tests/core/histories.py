"""Long histories of anything an executor, a planner and an operator may do, the same every time: a seed says which.

Chance comes from `random.Random.random` alone, whose numbers are the same under every version of Python.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, TypeVar

from headway.core import events as ev
from headway.core.decisions import Decision, Preempt, Reason, Recall, Spare, Start, Stop
from headway.core.engine import Engine
from headway.core.joint.record import PlanRecord, Row
from headway.core.placement.paces import Site, Speed
from headway.domain.limits import Quota, Rate
from headway.domain.task import Gang, Task
from headway.domain.units import SECOND
from headway.domain.window import Window
from headway.errors import HeadwayError
from tests.builders import node, override, task

T = TypeVar("T")
Pair = tuple[str, int]

NODES = {
    "n1": node("n1", cpu=4, labels={"zone": "a"}),
    "n2": node("n2", cpu=8, gpus=4, memory="8GiB", labels={"zone": "b"}),
    "n3": node("n3", cpu=4, gpus=2, memory="8GiB", other={"licence": 2}),
    "n4": node("n4", cpu=8, gpus=4, memory="8GiB", labels={"zone": "a"}),
    "n5": node("n5", cpu=2, memory="4GiB"),
}
SHAPES: tuple[dict[str, Any], ...] = (
    {"cpu": 1}, {"cpu": 1, "gpu": 0.5}, {"cpu": 1, "gpu": 0.3}, {"cpu": 2}, {"cpu": 2, "gpu": 2}, {"cpu": 1, "gpu": 1},
    {"cpu": 0.5, "memory": "600MiB"}, {"cpu": 4, "gpu": 4}, {"cpu": 3},
)  # fmt: skip
ODD_SHAPES: tuple[dict[str, Any], ...] = (
    {"cpu": 0.5, "other": {"licence": 1}}, {"cpu": 1, "where": "zone == a"}, {"cpu": 1, "gpu": 1, "where": "zone exists"},
    {"variants": ({"gpu": 1, "seconds": 1}, {"cpu": 2, "seconds": 5})}, {"cpu": 1, "rates": {"tokens": 2}},
)  # fmt: skip
QUOTAS = (
    None,
    Quota.parse({"quota": {"cpu": 4}}),
    Quota.parse({"quota": {"cpu": 4, "gpu": 2}, "cohort": "c"}),
    Quota.parse({"quota": {"cpu": 3}, "cohort": "c", "lend": {"cpu": 1}, "reclaim": "lower_priority"}),
)
RATES = (
    None,
    Rate.parse({"amount": 6, "per": "2s"}),
    Rate.parse({"amount": 9, "per": "4s", "tenants": {"ada": 4}}),
)


class History:
    """One history: an engine, those around it, and a digest of all it decided.

    Args:
        seed: Which.
        features: What happens besides tasks that come, run and go: `odd` (other resources, labels, variants), `graphs`,
            `gangs`, `nodes` (come and go), `limits`, `overrides`, `windows`, `plans`, `paces`, `tenants`, `orders` (a policy is
            set), `short` (trains), `edits`.
        settings: Of the engine.
    """

    def __init__(self, seed: int, features: Sequence[str] = (), **settings: Any) -> None:
        self.chance = random.Random(seed)
        self.engine = Engine(**settings)
        self.now = SECOND
        self.number = 0
        self.leases: dict[tuple[str, int], list[Pair]] = {}
        self.running: dict[Pair, int] = {}  # since when
        self.asked_back: dict[Pair, None] = {}
        self.asked_to_end: dict[Pair, None] = {}
        self.gone: set[str] = set()
        self.lives = dict.fromkeys(NODES, 1)
        self.here: dict[str, Task] = {}  # offered, not finished
        self.features = features
        self.digest = sha256()
        self.decided: dict[str, int] = {}
        self.others = [getattr(self, f"do_{name}") for name in features if hasattr(self, f"do_{name}")]
        for name in NODES:
            self.engine.apply(ev.NodeJoined(NODES[name], "i1"), self.now)

    def go(self, steps: int) -> str:
        """So many moments. Returns the digest of all that was decided."""
        for _ in range(steps):
            for _ in range(self.below(3)):
                self.offer()
            for _ in range(self.below(4)):
                self.execute()
            if self.others and self.below(4) == 0:
                self.one(self.others)()
            self.now += self.one((0, 20_000, 200_000, SECOND))
            self.decide()
        return self.digest.hexdigest()

    def below(self, limit: int) -> int:
        """A number below the limit."""
        return int(self.chance.random() * limit)

    def one(self, choices: Sequence[T]) -> T:
        """One of them."""
        return choices[self.below(len(choices))]

    def try_(self, event: ev.Event) -> None:
        """Applies what may be refused as things stand."""
        try:
            self.engine.apply(event, self.now)
        except HeadwayError:
            self.digest.update(b"refused")

    # ── tasks ───────────────────────────────────────────────────────────────────────────────────────────────

    def make(self, **more: Any) -> Task:
        """A new task."""
        self.number += 1
        shapes = SHAPES + ODD_SHAPES if "odd" in self.features else SHAPES
        short = "short" in self.features and self.below(3) > 0
        known = list(self.here)[-12:]
        if "graphs" in self.features and known and self.below(3) == 0:
            more["after"] = tuple(dict.fromkeys(self.one(known) for _ in range(1 + self.below(2))))
            more["inputs"] = ((more["after"][0], 1 << 20),)
        shape = {"cpu": 1} if short else self.one(shapes)
        made = task(
            f"t{self.number}", run=f"r{self.number // 8}", kind="s" if short else self.one("abc"),
            seconds=None if short else self.one((None, 0.01, 1, 4, 30)), priority=self.below(3), tenant=self.one(("ada", "bob", "cyd")),
            release=self.now, weight=self.one((500, 1000, 3000)), deadline=self.one((None, self.now + 9 * SECOND)),
            at_most_once=self.below(9) == 0, **{**shape, **more},
        )  # fmt: skip
        self.here[made.id] = made
        return made

    def offer(self) -> None:
        """A task comes, or some of a gang."""
        if "gangs" not in self.features or self.below(4):
            delay = self.one((0, 0, 0, 150_000))
            self.try_(ev.TaskOffered(self.make(), self.now + delay if delay else 0))
            return
        size, name, within = 2 + self.below(2), f"g{self.number}", self.one(((), ("zone",), ("zone", "*")))
        for index in range(size):
            made = self.make(gang=Gang(name, index, size, within=within), after=(), inputs=(), variants=())
            self.try_(ev.TaskOffered(made))

    # ── executors ───────────────────────────────────────────────────────────────────────────────────────────

    def execute(self) -> None:
        """An executor says something."""
        what = self.below(8)
        heads = [members[0] for members in self.leases.values() if members[0] not in self.running]
        if self.asked_back and what == 0:
            pair = self.one(list(self.asked_back))
            self.forget(pair)
            self.engine.apply(ev.AttemptReturned(*pair), self.now)
        elif self.asked_to_end and what == 1:
            pair = self.one(list(self.asked_to_end))
            self.end(pair, ev.Outcome.PREEMPTED if pair in self.running else ev.Outcome.CANCELLED)
        elif self.running and what == 2:
            pair, done = self.one(list(self.running)), self.below(1001)
            said = self.one((ev.AttemptProgressed(*pair, done, 0), ev.AttemptCheckpointed(*pair, 0, done)))
            self.engine.apply(said, self.now)
        elif heads and what < 6:
            pair = self.one(heads)
            self.running[pair] = self.now
            self.asked_back.pop(pair, None)
            self.engine.apply(ev.AttemptStarted(*pair, self.now), self.now)
            if self.here[pair[0]].kind == "s":
                self.end(pair, ev.Outcome.FINISHED)
        elif self.running:
            bad = self.one((ev.Outcome.FAILED, ev.Outcome.TIMED_OUT, ev.Outcome.WORKER_DIED))
            self.end(self.one(list(self.running)), self.one((*[ev.Outcome.FINISHED] * 8, bad)))

    def end(self, pair: Pair, outcome: ev.Outcome) -> None:
        """An attempt is over; what failed may be offered again."""
        took = 1_000 if self.here[pair[0]].kind == "s" else self.now - self.running.get(pair, self.now)
        again = outcome not in (ev.Outcome.FINISHED, ev.Outcome.PREEMPTED) and self.here[pair[0]].gang is None
        made = self.here[pair[0]]
        self.forget(pair)
        if outcome is not ev.Outcome.PREEMPTED and not again:
            del self.here[pair[0]]
        self.engine.apply(ev.AttemptEnded(*pair, outcome, took), self.now)
        if again:
            self.try_(ev.TaskOffered(made, self.now + 100_000))

    def forget(self, pair: Pair) -> None:
        """No executor has it any more."""
        for key, members in list(self.leases.items()):
            if pair in members:
                members.remove(pair)
                if not members:
                    del self.leases[key]
        for kept in (self.running, self.asked_back, self.asked_to_end):
            kept.pop(pair, None)

    # ── features ────────────────────────────────────────────────────────────────────────────────────────────

    def do_edits(self) -> None:
        """A task is withdrawn or edited."""
        if not self.here:
            return
        name = self.one(list(self.here))
        if self.below(2):
            self.engine.apply(
                ev.TaskEdited(name, priority=self.below(4), weight=self.one((None, 100, 2000))), self.now
            )
        elif name not in {task for members in self.leases.values() for task, _ in members}:
            del self.here[name]
            self.engine.apply(ev.TaskWithdrawn(name, "no more"), self.now)

    def do_nodes(self) -> None:
        """A node goes, comes back, is cordoned or grows."""
        name, what = self.one(list(NODES)), self.below(4)
        if name in self.gone or what == 0:
            self.lives[name] += name in self.gone
            if name not in self.gone:
                held = tuple(p for (where, _), pairs in self.leases.items() if where == name for p in pairs)
                self.engine.apply(ev.NodeJoined(NODES[name], f"i{self.lives[name]}", held), self.now)
            else:
                self.engine.apply(ev.NodeJoined(NODES[name], f"i{self.lives[name]}"), self.now)
            self.gone.discard(name)
        elif what == 1:
            for (where, _), members in list(self.leases.items()):
                for pair in list(members) if where == name else ():
                    self.forget(pair)
                    self.here.pop(pair[0], None)
            self.gone.add(name)
            self.engine.apply(ev.NodeLost(name), self.now)
        else:
            self.engine.apply(ev.NodeCordoned(name, what == 2), self.now)

    def do_limits(self) -> None:
        """A quota or a rate is set."""
        if self.below(2):
            self.engine.apply(ev.QuotaSet(self.one(("ada", "bob", "cyd")), self.one(QUOTAS)), self.now)
        else:
            self.engine.apply(ev.RateSet("tokens", self.one(RATES)), self.now)

    def do_overrides(self) -> None:
        """An override is applied."""
        if not self.here:
            return
        target = self.one(list(self.here))
        target = self.one((target, target.partition("/")[0]))
        made = override(
            self.one(("boost", "boost", "hold", "pin")), target, ident=self.one("xyz"), node=self.one(list(NODES)),
            seconds=self.now / SECOND + 3, amount=1 + self.below(3),
        )  # fmt: skip
        self.engine.apply(ev.OverrideApplied(made), self.now)

    def do_windows(self) -> None:
        """A window is set or cleared."""
        if self.below(3) == 0:
            self.engine.apply(ev.WindowCleared(self.one("vw")), self.now)
            return
        owner, start = self.one(("", "ada")), self.now + self.one((0, 2 * SECOND, 40 * SECOND))
        kind = "reservation" if owner else "maintenance"
        nodes, preempt = (self.one(list(NODES)),), self.below(2) == 0
        window = Window(
            self.one("vw"), kind, nodes, start, start + 5 * SECOND, owner, preempt=preempt, assume=SECOND
        )
        self.try_(ev.WindowSet(window))

    def do_plans(self) -> None:
        """A plan of some of the tasks, whoever would make it so."""
        rows = tuple(
            Row(name, self.one(list(NODES)), self.now + place * SECOND, Reason("plan_now"))
            for place, name in enumerate(list(self.here)[-self.below(9) :])
        )
        until = self.now + 8 * SECOND
        self.engine.apply(
            ev.PlanSet(
                PlanRecord("p", self.now, until, "makespan", 10, 5, 500_000, 1, "search", 0, "", rows)
            ),
            self.now,
        )

    def do_paces(self) -> None:
        """Nodes and sites get other speeds."""
        self.engine.apply(
            ev.SpeedsSet((Speed("fast", ("gpu exists",), self.one((500, 2000, 3333)), (("b", 1500),)),)),
            self.now,
        )
        self.engine.apply(ev.SitesSet((Site("edge", self.one((7_000, 2_000_000)), 1000),)), self.now)

    def do_tenants(self) -> None:
        """Weights and parents."""
        name = self.one(("ada", "bob"))
        self.engine.apply(
            ev.TenantSet(name, self.one((500, 1000, 4000)), self.one(("", "", "house"))), self.now
        )

    def do_orders(self) -> None:
        """Another policy."""
        order = self.one(
            ("priority > srpt", "priority > fair > srpt", "fcfs", "las > fcfs", "priority > wspt")
        )
        self.engine.apply(ev.PolicySet(order, self.one(("skip", "strict", "backfill", "easy"))), self.now)

    # ── decisions ───────────────────────────────────────────────────────────────────────────────────────────

    def decide(self) -> None:
        """The engine decides; all obey, sooner or later."""
        decisions = self.engine.decide(self.now)
        for one in decisions:
            self.decided[type(one).__name__] = self.decided.get(type(one).__name__, 0) + 1
            if isinstance(one, Start):
                self.leases.setdefault((one.node, one.lease), []).append((one.task, one.attempt))
            elif isinstance(one, Recall):
                here = self.leases.get((one.node, one.lease), [])
                self.asked_back |= dict.fromkeys(
                    p for p in one.attempts if p in here and p not in self.running
                )
            elif isinstance(one, Spare):
                self.asked_to_end.pop((one.task, one.attempt), None)
            elif isinstance(one, Preempt | Stop) and any(
                (one.task, one.attempt) in members for members in self.leases.values()
            ):
                self.asked_to_end[one.task, one.attempt] = None
        said = json.dumps([plain(one) for one in decisions] + [self.engine.wake_at()])
        self.digest.update(said.encode())


def plain(decision: Decision) -> list[Any]:
    """A decision with all it says, as JSON; what is empty is left out, so that a new field nobody uses changes nothing."""
    values: list[Any] = [type(decision).__name__]
    for name in type(decision).__match_args__:
        value = getattr(decision, name)
        if value:
            values.append([name, [value.code, list(value.facts)] if isinstance(value, Reason) else value])
    return values


def crowd(
    order: str, placement: str, shapes: int = 100, nodes: int = 60, queued: int = 1_500, ends: int = 400
) -> str:
    """The digest of a long line before many nodes: one end, one new task, one decision after the other."""
    chance = random.Random(shapes)

    def below(limit: int) -> int:
        return int(chance.random() * limit)

    engine, digest, out, now = Engine(order, placement=placement, preempt=False), sha256(), [], SECOND
    sizes = ((32, 8), (96, 8), (64, 4), (16, 0))
    for index in range(nodes):
        cpu, gpus = sizes[index % len(sizes)]
        engine.apply(ev.NodeJoined(node(f"n{index}", cpu=cpu, gpus=gpus, memory="512GiB")), now)
    asked: list[dict[str, Any]] = []
    for _ in range(shapes):
        gpu = (0, 0, 0.1, 0.25, 0.5, 1, 1, 2, 4, 8)[below(10)]
        asked.append({"cpu": 0.5 * (1 + below(24)), "gpu": gpu, "memory": f"{1 + below(60)}GiB"})

    def offer(number: int) -> ev.TaskOffered:
        made = task(
            f"t{number}", run=f"r{number // 50}", kind=f"k{number % 5}", seconds=1 + below(300), priority=below(3),
            tenant=f"u{below(20)}", release=now, **asked[below(shapes)],
        )  # fmt: skip
        return ev.TaskOffered(made)

    for number in range(queued):
        engine.apply(offer(number), now)
    for step in range(ends):
        for one in engine.decide(now):
            assert isinstance(one, Start)
            out.append((one.task, one.attempt))
            digest.update(json.dumps(plain(one)).encode())
        now += SECOND
        last, place = out.pop(), below(len(out))
        if place < len(out):
            last, out[place] = out[place], last
        engine.apply(ev.AttemptEnded(*last, ev.Outcome.FINISHED, below(200) * SECOND), now)
        engine.apply(offer(queued + step), now)
    engine.check()
    return digest.hexdigest()
