"""What would start a task sooner, and what it would cost: each change is tried in the task's own futures.

The price of a change is in seconds of one task of weight 1, and has three parts, all means over the scenarios:

* **delay**: how much later the other tasks of the snapshot are complete, times their weights (the change in their
  sum w*C; what makes them earlier on the whole costs nothing);
* **lost**: work that is thrown away because a task is ended, and what the task itself takes longer on less;
* **bought**: time for which a node is held that was not there, from now until the task is complete.

Of the changes that save at least a tenth of the task's wait the cheapest comes first; at one price the one that starts it first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from headway.core.engine import Engine
from headway.core.events import (
    NodeJoined,
    OverrideApplied,
    PolicySet,
    QuotaSet,
    TaskEdited,
    TaskOffered,
    TaskWithdrawn,
    TenantSet,
)
from headway.core.ordering import orders
from headway.core.placement import placements
from headway.core.state import Entry, State
from headway.domain.override import Override
from headway.domain.resources import Demand
from headway.domain.task import Task
from headway.domain.units import MILLI, show_milli
from headway.sim.experience import Experience
from headway.sim.future import Future
from headway.sim.what_if import quantile

#: Scenarios in which each change is tried, at most and at least; moments that all of them together may take.
SCENARIOS, FEWEST, BUDGET = 8, 3, 40_000
#: Moments that one of them is followed.
MOMENTS = 2_000
#: Holders of its place that are tried one by one.
HOLDERS = 3
_ID = "~what-if"


@dataclass(frozen=True, slots=True)
class Change:
    """Something that may be done for a task.

    Attributes:
        kind: `priority`, `boost`, `weight`, `share`, `quota`, `end`, `smaller`, `variant`, `placement` or `node`.
        text: For a reader.
        apply: Does it to an engine.
        lost: Microseconds of weighted work that it throws away by itself.
        bought: How many nodes it adds.
        ended: The task that it ends, whose own completion then does not count as a delay.
    """

    kind: str
    text: str
    apply: Callable[[Engine, int], None]
    lost: int = 0
    bought: int = 0
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a change, in microseconds; None: not within the horizon.

    Attributes:
        start: Median predicted start, and `before` without the change.
        delay, lost, bought: The parts of its price, see the module.
    """

    kind: str
    text: str
    start: int | None
    before: int | None
    delay: int
    lost: int
    bought: int

    @property
    def price(self) -> int:
        """What it costs, in microseconds of a task of weight 1."""
        return max(self.delay, 0) + self.lost + self.bought


def candidates(engine: Engine, task: str, now: int) -> Iterator[Change]:
    """Every change there is to try for a task that has no place yet."""
    world = engine.world
    entry = world.tasks[task]
    yield from _ranks(engine, entry, now)
    yield from _ends(engine, entry, now)
    yield from _gate(engine, entry, now)
    for way in entry.task.variants:
        if len(entry.task.variants) > 1 and way.demand != entry.task.demand:
            only = replace(entry.task, demand=way.demand, estimate=way.estimate, where=way.where, variants=())
            yield Change("variant", f"let it run only as {way.demand}", _offered(only, entry.not_before))
    smaller = _halved(entry.task.demand)
    if smaller is not None and not entry.task.variants and entry.task.gang is None:
        said = entry.task.estimate
        less = replace(entry.task, demand=smaller, estimate=None if said is None else 2 * said)
        longer = world.remaining(entry) * entry.task.weight // MILLI
        yield Change(
            "smaller",
            f"ask for {smaller} instead, if it then takes twice as long",
            _offered(less, entry.not_before),
            lost=longer,
        )
    policy = world.policy
    for name in placements():
        if name != policy.placement.name:

            def placed(engine: Engine, now: int, name: str = name) -> None:
                engine.apply(PolicySet(policy.text, policy.discipline, name), now)

            yield Change("placement", f"place by {name} instead of {policy.placement.name}", placed)
    yield from _nodes(engine, entry)


def _offered(task: Task, not_before: int) -> Callable[[Engine, int], None]:
    """Says anew what it asks for."""
    return lambda engine, now: engine.apply(TaskOffered(task, not_before), now)


def _ranks(engine: Engine, entry: Entry, now: int) -> Iterator[Change]:
    """Changes of its place in line."""
    world, task = engine.world, entry.task
    by = {name.strip() for name in world.policy.text.split(">")}
    if by & {"priority", "aging"}:
        above = sorted(
            {other.task.priority for other in world.tasks.values() if other.task.priority > task.priority}
        )
        better = above[0] if above else task.priority + 1
        yield Change(
            "priority",
            f"raise its priority from {task.priority} to {better}",
            lambda engine, now: engine.apply(TaskEdited(task.id, priority=better), now),
        )
    if by & {"wspt", "weighted_remaining"}:
        yield Change(
            "weight",
            f"raise its weight from {show_milli(task.weight)} to {show_milli(2 * task.weight)}",
            lambda engine, now: engine.apply(TaskEdited(task.id, weight=2 * task.weight), now),
        )
    if any(getattr(orders().get(name), "weighted", False) for name in by):
        weight = world.weights.get(task.tenant, MILLI)
        yield Change(
            "share",
            f"raise the weight of tenant {task.tenant} from {show_milli(weight)} to {show_milli(2 * weight)}",
            lambda engine, now: engine.apply(TenantSet(task.tenant, 2 * weight), now),
        )
    boost = Override(_ID, "boost", task.id, "what-if", "tried", now + (1 << 50))
    yield Change(
        "boost",
        "boost it above all others by an override",
        lambda engine, now: engine.apply(OverrideApplied(boost), now),
    )


def _gate(engine: Engine, entry: Entry, now: int) -> Iterator[Change]:
    """A larger quota, if that is what keeps it."""
    world, tenant = engine.world, entry.task.tenant
    account = world.gates.accounts.get(tenant)
    found = world.gates.refusal(world.queue, entry.shape, now, world.policy.strict) or entry.shape.shut
    if account is None or found is None or found.kind != "quota":
        return
    more = dict(account.quota.nominal)
    for name, amount in entry.shape.needs:
        if name in account.pool.size:
            more[name] = more.get(name, 0) + amount
    raised = replace(account.quota, nominal=tuple(sorted(more.items())))
    yield Change(
        "quota",
        f"raise the quota of tenant {tenant} by {entry.task.demand}",
        lambda engine, now: engine.apply(QuotaSet(tenant, raised), now),
    )


def _ends(engine: Engine, entry: Entry, now: int) -> Iterator[Change]:
    """Ending one of those that hold what it could use: the ones with the least work to lose."""
    found = []
    for space in engine.world.nodes.all:
        if space.gone or not space.admits(entry.shape) or space.node.lacks(entry.task.demand):
            continue
        for lease in space.leases.values():
            holder = lease.members[0]
            if holder.started >= 0 and not holder.entry.withdrawn:
                ran = now - holder.started
                found.append((ran * holder.entry.task.weight // MILLI, holder.entry.task.id, space.name))
    for lost, holder_id, node in sorted(found)[:HOLDERS]:

        def end(engine: Engine, now: int, holder_id: str = holder_id) -> None:
            engine.apply(TaskWithdrawn(holder_id, "what-if"), now)

        yield Change("end", f"end {holder_id}, which runs on {node}", end, lost=lost, ended=holder_id)


def _halved(demand: Demand) -> Demand | None:
    """Half of what is scarce: GPUs if it asks for any (a share by half), else cores."""
    if demand.gpu >= 2 * MILLI:
        return replace(demand, gpu=demand.gpu // (2 * MILLI) * MILLI)
    if demand.gpu >= 2:
        return replace(demand, gpu=demand.gpu // 2)
    if demand.cpu >= 2:
        return replace(demand, cpu=demand.cpu // 2)
    return None


def _nodes(engine: Engine, entry: Entry) -> Iterator[Change]:
    """One node more of each kind that could hold it."""
    seen = set()
    for space in engine.world.nodes.all:
        kind = replace(space.node, name=_ID)
        if space.gone or kind in seen or not space.admits(entry.shape):
            continue
        if space.node.lacks(entry.task.demand):
            continue
        seen.add(kind)

        def join(engine: Engine, now: int, kind: Any = kind) -> None:
            engine.apply(NodeJoined(kind, "1"), now)

        yield Change("node", f"add a node like {space.name}", join, bought=1)


def tried(
    tree: dict[str, Any], now: int, experience: Experience, task: str, *, budget: int = BUDGET
) -> list[Tried]:
    """Every change that starts the task sooner, the cheapest first.

    Args:
        tree: `Engine.snapshot()`.
        budget: Moments that all futures together may take; what is not tried then is left out.
    """
    engine = Engine.restore(tree)
    entry = engine.world.tasks.get(task)
    if entry is None or entry.state not in (State.QUEUED, State.HELD, State.GATHERING, State.CLAIMING):
        return []
    changes = list(candidates(engine, task, now))
    size = len(tree["tasks"]) // 50
    first = _Outcome(tree, now, experience, task, 0, None)
    count = max(FEWEST, min(SCENARIOS, budget // ((first.moments + size) * (len(changes) + 1))))
    base = [first, *(_Outcome(tree, now, experience, task, seed, None) for seed in range(1, count))]
    budget -= sum(outcome.moments + size for outcome in base)
    before = _median(base)
    found = []
    for change in changes:
        if budget <= 0:
            break
        after = [_Outcome(tree, now, experience, task, seed, change) for seed in range(count)]
        budget -= sum(outcome.moments + size for outcome in after)
        delays = [new.later_than(old, change.ended) for new, old in zip(after, base, strict=True)]
        held = sum(outcome.complete - now for outcome in after) // count
        found.append(
            Tried(
                change.kind,
                change.text,
                _median(after),
                before,
                sum(delays) // count,
                change.lost,
                change.bought * held,
            )
        )
    better = [
        t for t in found if t.start is not None and (before is None or _helps(t.start - now, before - now))
    ]
    return sorted(better, key=lambda t: (t.price, t.start, t.text))


def _helps(wait: int, before: int) -> bool:
    """At least a tenth of the wait is gained: less is within what the scenarios differ by."""
    return 10 * wait <= 9 * before


class _Outcome:
    """One scenario with or without a change: when the task starts, when each of all is complete."""

    def __init__(
        self,
        tree: dict[str, Any],
        now: int,
        experience: Experience,
        task: str,
        seed: int,
        change: Change | None,
    ) -> None:
        future = Future(
            tree, now, experience, seed, change=None if change is None else change.apply, moments=MOMENTS
        ).run_on()
        self.moments = MOMENTS - future.moments
        self.task = task
        self.start = future.starts.get(task)
        self.end = future.now
        self.ends = {r.job.task.id: (r.ended, r.job.task.weight) for r in future.records}
        self.complete = self.ends[task][0] if self.ends[task][0] >= 0 else future.now

    def later_than(self, other: _Outcome, ended: str) -> int:
        """Change in the weighted completion of all but the task and the one that is ended; what is not complete in one
        of the two counts as complete when both stop being followed."""
        horizon, change = max(self.end, other.end), 0
        for task, (at, weight) in self.ends.items():
            if task in (self.task, ended):
                continue
            then = other.ends[task][0]
            change += ((at if at >= 0 else horizon) - (then if then >= 0 else horizon)) * weight
        return change // MILLI


def _median(outcomes: list[_Outcome]) -> int | None:
    starts = [outcome.start for outcome in outcomes if outcome.start is not None]
    return quantile(starts, 500, len(outcomes))
