"""Which nodes to add and which to close for what waits right now: three answers, from one state of the engine.

* *Together*: one plan of tasks and nodes (`core.joint.pools`), where a node is added if the delay it saves is worth its
  price, and closed if nothing planned is worth keeping it.
* *Packing*: the nodes on which all that waits would have room at once, and the idle ones that it needs not (Ray's greedy
  rule, `core.capacity.packing`). It looks at amounts and not at time.
* *Replicas*: so many nodes of each kind as bring its tasks, waiting and running, to a number each (the rule of Kubernetes'
  horizontal autoscaler, `core.capacity.replicas`).

Nothing is changed by asking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from headway.core.capacity.packing import Growth, Held, Want, nodes_to_add, nodes_to_release
from headway.core.capacity.packing import Kind as Had
from headway.core.capacity.replicas import by_total_each, within
from headway.core.engine import Engine
from headway.core.joint.horizon import Aim, Offer
from headway.core.joint.pools import Weighed, weigh
from headway.core.joint.record import Change
from headway.core.joint.search import Search
from headway.core.placement.space import Space
from headway.core.state import State
from headway.core.world import World
from headway.domain.resources import Demand, Node
from headway.domain.task import Task
from headway.domain.units import MILLI, SECOND
from headway.errors import Invalid
from headway.sim.sizing import Kind

#: New nodes of one kind that one plan weighs.
NEW = 4
HOUR = 3_600 * SECOND
#: Millionths of a currency.
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        kinds: What can be had, each with its price. A node that is there is of the kind whose name its own begins with, or
            that its label `pool` names.
        delay: What an hour's delay of a task of weight 1 costs, in millionths of the prices' currency.
        ready: Microseconds until a new node could take tasks.
        horizon: Microseconds for which a node that is added or kept is paid.
        each: Tasks a node, waiting and running, that the count of replicas aims at.
    """

    kinds: tuple[Kind, ...]
    delay: int = _MILLION
    ready: int = 0
    horizon: int = HOUR
    each: int = 4
    steps: int = 1_000

    def __post_init__(self) -> None:
        if min(self.delay, self.horizon, self.each) < 1 or self.ready < 0:
            raise Invalid(
                f"delay cost {self.delay / _MILLION:g}, horizon {self.horizon / SECOND:g} s, {self.each} tasks a node",
                hint="all of them above zero, and the time until a node is ready not below",
            )
        names = [kind.name for kind in self.kinds]
        if not names or len(set(names)) < len(names):
            raise Invalid(
                "name at least one kind of node, and each once", hint="see docs/how-to/plan-capacity.md"
            )


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many nodes of one kind there are, and should be by the autoscaler's rule."""

    kind: str
    there: int
    tasks: int
    wanted: int
    reason: str


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """The three answers.

    Attributes:
        waiting: Tasks in line.
        weighed: Tasks and nodes in one plan; None if nothing waits that any node could hold.
        growth: What packing adds. `release`: what it can do without, the first to go first.
    """

    question: Question
    waiting: int
    weighed: Weighed | None
    growth: Growth
    release: tuple[str, ...]
    replicas: tuple[Replicas, ...]

    def tree(self) -> dict[str, Any]:
        """As plain JSON; amounts of money in the currency of the prices."""
        together = None
        if self.weighed is not None:
            plan, unchanged = self.weighed.plan, self.weighed.unchanged
            together = {
                "cost": self.money(plan.cost),
                "unchanged": None if unchanged is None else self.money(unchanged),
                "gap": plan.gap / _MILLION,
                "changes": [
                    {
                        "kind": change.kind,
                        "node": change.node,
                        "saves": None if change.worth is None else self.money(_saved(change)),
                        "price": self.money(change.price),
                    }
                    for change in plan.changes
                ],
            }
        return {
            "waiting": self.waiting,
            "together": together,
            "packing": {
                "add": dict(self.growth.add),
                "without_room": sum(want.count for want in self.growth.unmet),
                "release": list(self.release),
            },
            "replicas": [
                {"kind": r.kind, "there": r.there, "tasks": r.tasks, "wanted": r.wanted, "reason": r.reason}
                for r in self.replicas
            ],
        }

    def money(self, cost: int) -> float:
        """A cost of the plan (milli-weights times microseconds) in the currency of the prices."""
        return cost * self.question.delay / (MILLI * HOUR * _MILLION)

    def text(self) -> str:
        """For a reader."""
        lines = [f"{self.waiting} {'task' if self.waiting == 1 else 'tasks'} in line"]
        lines += self._together()
        lines.append(f"by packing alone: {self._packing()}")
        for r in self.replicas:
            rule = {"ratio": "", "tolerance": ", near enough to what is aimed at"}[r.reason]
            lines.append(
                f"by the autoscaler's rule, {self.question.each} tasks a node: {r.wanted} {r.kind} instead of {r.there}"
                f" ({r.tasks} tasks{rule})"
            )
        return "\n".join(lines)

    def _together(self) -> list[str]:
        if self.weighed is None:
            return ["tasks and nodes together: nothing waits that any of these nodes could hold"]
        plan, unchanged = self.weighed.plan, self.weighed.unchanged
        before = "some task fits on no node" if unchanged is None else f"{self.money(unchanged):.2f}"
        head = f"tasks and nodes together: delay and nodes cost {self.money(plan.cost):.2f}"
        if not plan.changes:
            return [f"{head} as it is; no change is worth its price (gap {plan.gap / 10_000:.1f} %)"]
        found = [f"{head}, without these changes {before} (gap {plan.gap / 10_000:.1f} %)"]
        for change in plan.changes:
            price = f"{self.money(change.price):.2f}"
            if change.kind == "close":
                found.append(f"  close {change.node}: nothing planned is worth its price of {price}")
            elif change.worth is None:
                found.append(f"  add {change.node}: without it some task fits nowhere; its price is {price}")
            else:
                found.append(
                    f"  add {change.node}: saves {self.money(_saved(change)):.2f} of delay at a price of {price}"
                )
        return found

    def _packing(self) -> str:
        parts = [f"add {count} {kind}" for kind, count in self.growth.add]
        unmet = sum(want.count for want in self.growth.unmet)
        if unmet:
            parts.append(f"{unmet} fit on no kind or beyond its most")
        if self.release:
            parts.append(f"{', '.join(self.release)} can go")
        return "; ".join(parts) or "what is there has room for all at once, and none can go"


def _saved(change: Change) -> int:
    """The delay that a node saves: what it is worth, and its price, which that is net of."""
    return (change.worth or 0) + change.price


def plan_pools(engine: Engine, now: int, question: Question) -> PoolPlan:
    """Weighs nodes against what waits in the engine at that moment."""
    world = engine.world
    spaces = [space for space in world.nodes.all if not space.gone]
    belongs = {space.index: _kind_of(space.node, question.kinds) for space in spaces}
    there = {kind.name: sum(found is kind for found in belongs.values()) for kind in question.kinds}
    waiting = [entry.task for entry in world.tasks.values() if entry.state is State.QUEUED]
    wants = [Want(_amounts(task.demand)) for task in waiting]
    had = [Had(kind.name, _whole(kind.node), kind.most) for kind in question.kinds]
    growth = nodes_to_add(wants, had, there, [_free(space) for space in spaces if space.open])
    held = [
        Held(space.name, _free(space), _idle(space), kind.name if (kind := belongs[space.index]) else "")
        for space in spaces
        if space.open
    ]
    release = nodes_to_release(
        [one for one in held if one.pool], wants, {kind.name: kind.least for kind in question.kinds}
    )
    aim = Aim(horizon=question.horizon, steps=question.steps, jobs=96)
    offers = list(_offers(question, spaces, belongs, there))
    return PoolPlan(
        question,
        len(waiting),
        weigh(world, now, aim, offers, Search()),
        growth,
        release,
        tuple(_replicas(world, question, belongs, there, waiting)),
    )


def _offers(
    question: Question, spaces: Sequence[Space], belongs: dict[int, Kind | None], there: dict[str, int]
) -> list[Offer]:
    """Idle nodes beyond the least of their kind, and up to `NEW` new ones of each."""
    found = []
    for kind in question.kinds:
        # The delay that an hour's price buys, in seconds of a task of weight 1.
        rate = kind.price * 3600 // question.delay
        spare = there[kind.name] - kind.least
        idle = [s for s in spaces if belongs[s.index] is kind and s.open and _idle(s)]
        found += [Offer(space.node, rate=rate, present=True) for space in idle[: max(spare, 0)]]
        names = {space.name for space in spaces}
        for number in range(1, max(min(NEW, kind.most - there[kind.name]), 0) + 1):
            name = f"{kind.name}-new-{number}"
            while name in names:
                name += "x"
            found.append(Offer(replace(kind.node, name=name), question.ready, rate))
    return found


def _replicas(
    world: World,
    question: Question,
    belongs: dict[int, Kind | None],
    there: dict[str, int],
    waiting: Sequence[Task],
) -> list[Replicas]:
    """A waiting task counts for the cheapest kind that could hold it, one that runs for the kind that it runs on."""
    tasks = dict.fromkeys(there, 0)
    for task in waiting:
        able = [k for k in question.kinds if not k.node.refuses(task.demand, task.where)]
        if able:
            tasks[min(able, key=lambda kind: kind.price).name] += 1
    for lease in world.leases.values():
        kind = belongs.get(lease.space.index)
        if kind is not None:
            tasks[kind.name] += len(lease.members)
    found = []
    for kind in question.kinds:
        current = there[kind.name]
        answer = by_total_each(current, question.each, tasks[kind.name])
        wanted = within(answer.replicas, current, kind.least, kind.most)
        found.append(Replicas(kind.name, current, tasks[kind.name], wanted, answer.reason))
    return found


def _kind_of(node: Node, kinds: Sequence[Kind]) -> Kind | None:
    pool = dict(node.labels).get("pool")
    for kind in kinds:
        if pool == kind.name or node.name == kind.name or node.name.startswith(f"{kind.name}-"):
            return kind
    return None


def _idle(space: Space) -> bool:
    return not space.leases and not space.claims


def _amounts(demand: Demand) -> dict[str, int]:
    return {"cpu": demand.cpu, "memory": demand.memory, "gpu": demand.gpu, **dict(demand.other)}


def _whole(node: Node) -> dict[str, int]:
    return {"cpu": node.cpu, "memory": node.memory, "gpu": node.gpus * MILLI, **dict(node.other)}


def _free(space: Space) -> dict[str, int]:
    return {"cpu": space.cpu, "memory": space.memory, "gpu": space.gpu, **space.other}
