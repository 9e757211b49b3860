"""How many nodes of which kind keep the wait within bounds: tried, not reckoned.

Each answer is a simulation of the trace by the production engine on that many nodes. The search begins with the nodes that
the mean load needs (packed as an autoscaler would, `core.capacity.packing`), grows until the bound is kept, and then takes
away: the dearest kind first, by bisection, until no single node of any kind can go. So what is found is not proved to be the
cheapest mix of all, but every node in it is needed: `fewer` says what the wait would be without one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headway.core.capacity.packing import Kind as Had
from headway.core.capacity.packing import Want, nodes_to_add
from headway.domain.resources import Demand, Node
from headway.domain.units import MILLI, SECOND, show_time
from headway.errors import Invalid
from headway.sim.choice import Choice
from headway.sim.cluster import Cluster, kind_of, read_tables
from headway.sim.injected import Injected
from headway.sim.metrics import amounts, ready
from headway.sim.records import Rules
from headway.sim.simulate import simulate
from headway.sim.trace import Trace

#: Simulations that a search may cost.
BUDGET = 120
#: Nodes of a kind, unless a file says otherwise.
MOST = 1_000
#: A wait that never ended.
NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of node that can be had.

    Attributes:
        node: One of it; its name is the kind's.
        price: Of an hour, in millionths of a currency.
        least, most: How many there must and may be.
    """

    node: Node
    price: int = 0
    least: int = 0
    most: int = MOST

    @property
    def name(self) -> str:
        return self.node.name


@dataclass(frozen=True, slots=True)
class Target:
    """What must hold: of a thousand tasks, `milli` wait no longer than `wait` microseconds for their first start."""

    wait: int
    milli: int = 950

    def __post_init__(self) -> None:
        if self.wait < 0 or not 0 < self.milli <= MILLI:
            raise Invalid(
                f"P{self.milli / 10:g} of {self.wait} us cannot be asked for",
                hint="e.g. --wait 5min --share 0.95",
            )

    def __str__(self) -> str:
        return f"P{self.milli / 10:g} wait up to {show_time(self.wait)}"


@dataclass(frozen=True, slots=True)
class Trial:
    """What one number of nodes of each kind gives."""

    counts: tuple[int, ...]
    wait: int
    price: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer.

    Attributes:
        best: The cheapest found that keeps the target, or None if even the most nodes do not.
        most: What all nodes that may be had would give, where that was tried.
        fewer: For each kind of which a node could be taken away: what would be then.
        trials: All that were simulated, in order.
        notes: What a reader must know.
    """

    kinds: tuple[Kind, ...]
    target: Target
    policy: str
    best: Trial | None
    most: Trial | None
    fewer: tuple[tuple[str, Trial], ...]
    trials: tuple[Trial, ...] = field(repr=False)
    notes: tuple[str, ...] = ()

    def tree(self) -> dict[str, Any]:
        """As plain JSON; times in seconds, prices an hour."""
        return {
            "target": {"quantile": self.target.milli / MILLI, "wait": self.target.wait / SECOND},
            "policy": self.policy,
            "met": self.best is not None,
            "plan": None if self.best is None else self._trial(self.best),
            "without_one": {name: self._trial(trial) for name, trial in self.fewer},
            "most": None if self.most is None else self._trial(self.most),
            "simulations": len(self.trials),
            "notes": list(self.notes),
        }

    def _trial(self, trial: Trial) -> dict[str, Any]:
        return {
            "nodes": {kind.name: count for kind, count in zip(self.kinds, trial.counts, strict=True)},
            "wait": None if trial.wait >= NEVER else trial.wait / SECOND,
            "price": trial.price / 1_000_000,
        }

    def text(self) -> str:
        """For a terminal."""
        if self.best is None:
            assert self.most is not None
            lines = [
                f"{self.target} cannot be kept under {self.policy}: with all that may be had it is {shown(self.most.wait)}",
                f"  {self._counts(self.most)}",
            ]
            return "\n".join([*lines, *(f"  {note}" for note in self.notes)])
        lines = [
            f"{self._counts(self.best)} keep {self.target} under {self.policy}: it is {shown(self.best.wait)}"
            + (f", at {self.best.price / 1_000_000:g} an hour" if self.best.price else "")
        ]
        for name, trial in self.fewer:
            lines.append(f"  with one {name} less it would be {shown(trial.wait)}")
        return "\n".join([*lines, f"  {len(self.trials)} simulations", *(f"  {note}" for note in self.notes)])

    def _counts(self, trial: Trial) -> str:
        named = [
            f"{count} {kind.name}" for kind, count in zip(self.kinds, trial.counts, strict=True) if count
        ]
        return ", ".join(named) or "no node"


def shown(wait: int) -> str:
    """A wait for a reader."""
    return "without end" if wait >= NEVER else show_time(wait)


def plan(
    trace: Trace,
    kinds: Sequence[Kind],
    target: Target,
    choice: Choice | str = "priority > fcfs",
    *,
    tables: dict[str, Any] | None = None,
    rules: Rules | None = None,
    injected: Injected | None = None,
    budget: int = BUDGET,
    progress: Callable[[Trial], None] = lambda trial: None,
) -> Plan:
    """Searches for the fewest nodes that keep the target.

    Args:
        kinds: What can be had; each name once.
        choice: The policy, as `Choice.parse` reads it.
        tables: Standing orders of the cluster, as `Cluster.tables`.
        budget: Simulations at most; the note says so if that was not enough to try every removal.
        progress: Told of each simulation.

    Raises:
        Invalid: No kind, two of one name, or tasks that fit on no kind.
    """
    return _Search(trace, kinds, target, choice, tables or {}, rules, injected, budget, progress).run()


def read_kinds(path: Path) -> tuple[tuple[Kind, ...], dict[str, Any]]:
    """Kinds of nodes from a cluster file, `count` aside: `least` and `most` bound each. With its other tables.

    Raises:
        NotFound: There is no such file.
        Invalid: It says something else than nodes.
    """
    rows, tables = read_tables(path)
    kinds = []
    for number, row in enumerate(rows, 1):
        where = f"{path.name}, node {number}"
        (node,), price = kind_of({**row, "count": 1}, where)
        try:
            least, most = int(row.get("least") or 0), int(row.get("most") or MOST)
        except ValueError as error:
            raise Invalid(f"{where}: {error}", hint="least and most are whole numbers") from None
        kinds.append(Kind(replace(node, name=str(row.get("name") or f"node{number}")), price, least, most))
    return tuple(kinds), tables


class _Search:
    def __init__(
        self,
        trace: Trace,
        kinds: Sequence[Kind],
        target: Target,
        choice: Choice | str,
        tables: dict[str, Any],
        rules: Rules | None,
        injected: Injected | None,
        budget: int,
        progress: Callable[[Trial], None],
    ) -> None:
        self.trace, self.kinds, self.target = trace, tuple(kinds), target
        self.choice = Choice.parse(choice) if isinstance(choice, str) else choice
        self.tables, self.rules, self.injected = tables, rules, injected or Injected()
        self.budget, self.progress = budget, progress
        self.trials: dict[tuple[int, ...], Trial] = {}
        names = [kind.name for kind in kinds]
        if not names or len(set(names)) < len(names):
            raise Invalid("name at least one kind of node, and each once")
        for kind in kinds:
            if not 0 <= kind.least <= kind.most:
                raise Invalid(
                    f"kind {kind.name}: at least {kind.least} and at most {kind.most} nodes is no range"
                )
        homeless = [
            job.task
            for job in trace.jobs
            if all(kind.most == 0 or kind.node.lacks(job.task.demand) for kind in kinds)
        ]
        if homeless:
            raise Invalid(
                f"{len(homeless)} of {len(trace.jobs)} tasks fit on no kind of node, e.g. {homeless[0].id}: "
                f"{homeless[0].demand}",
                hint="add a kind that is large enough",
            )

    def run(self) -> Plan:
        counts, most = self._grown()
        if counts is None:
            return self._answer(None, most, ())
        counts = self._shrunk(counts)
        fewer = []
        for place, kind in enumerate(self.kinds):
            if counts[place] > kind.least and (
                trial := self._try(self._with(counts, place, counts[place] - 1))
            ):
                fewer.append((kind.name, trial))
        return self._answer(self.trials[counts], most, tuple(fewer))

    def _answer(self, best: Trial | None, most: Trial | None, fewer: tuple[tuple[str, Trial], ...]) -> Plan:
        notes = []
        if len(self.trials) >= self.budget:
            notes.append(f"stopped after {self.budget} simulations: fewer nodes might do")
        if len(self.trace.jobs) * (MILLI - self.target.milli) // MILLI < 10:
            notes.append(
                f"{len(self.trace.jobs)} tasks are few for a P{self.target.milli / 10:g}: a handful of them decide it"
            )
        return Plan(
            self.kinds,
            self.target,
            self.choice.name,
            best,
            most,
            fewer,
            tuple(self.trials.values()),
            tuple(notes),
        )

    # ── the search ──────────────────────────────────────────────────────────────────────────────────────────

    def _grown(self) -> tuple[tuple[int, ...] | None, Trial | None]:
        """Counts that keep the target, or None and what the most nodes give."""
        counts = self._loaded()
        while True:
            trial = self._try(counts)
            if trial is None:
                return None, self._try(self._all(), force=True)
            if trial.wait <= self.target.wait:
                return counts, None
            grown = tuple(
                min(max(count + 1, -(-count * 5 // 4)), kind.most)
                for count, kind in zip(counts, self.kinds, strict=True)
            )
            if grown == counts:
                return None, trial
            counts = grown

    def _shrunk(self, counts: tuple[int, ...]) -> tuple[int, ...]:
        """As few of each kind as the target allows, the dearest kinds first, until nothing changes."""
        order = sorted(range(len(self.kinds)), key=lambda place: (-self.kinds[place].price, place))
        while True:
            before = counts
            for place in order:
                low, high = self.kinds[place].least, counts[place]
                while low < high:
                    middle = (low + high) // 2
                    trial = self._try(self._with(counts, place, middle))
                    if trial is not None and trial.wait <= self.target.wait:
                        high = middle
                    else:
                        low = middle + 1
                counts = self._with(counts, place, high)
            if counts == before:
                return counts

    def _loaded(self) -> tuple[int, ...]:
        """What the mean load needs at the least, each task on the cheapest kind that holds it."""
        jobs = self.trace.jobs
        span = max(jobs[-1].task.release - jobs[0].task.release, max(job.duration for job in jobs), 1)
        work: dict[Demand, int] = {}
        for job in jobs:
            work[job.task.demand] = work.get(job.task.demand, 0) + job.duration
        wants = [
            Want(amounts(demand), -(-time * self._speed() // (span * MILLI)) or 1)
            for demand, time in work.items()
        ]
        kinds = [Had(kind.name, amounts(kind.node), kind.most) for kind in self.kinds]
        added = dict(nodes_to_add(wants, kinds).add)
        return tuple(min(max(added.get(kind.name, 0), kind.least), kind.most) for kind in self.kinds)

    def _speed(self) -> int:
        return round(self.injected.load * MILLI)

    def _all(self) -> tuple[int, ...]:
        return tuple(kind.most for kind in self.kinds)

    @staticmethod
    def _with(counts: tuple[int, ...], place: int, count: int) -> tuple[int, ...]:
        return (*counts[:place], count, *counts[place + 1 :])

    def _try(self, counts: tuple[int, ...], force: bool = False) -> Trial | None:
        """One simulation, or None if the budget is spent."""
        found = self.trials.get(counts)
        if found is None:
            if len(self.trials) >= self.budget and not force:
                return None
            price = sum(kind.price * count for kind, count in zip(self.kinds, counts, strict=True))
            found = self.trials[counts] = Trial(counts, self._wait(counts), price)
            self.progress(found)
        return found

    def _wait(self, counts: tuple[int, ...]) -> int:
        nodes = [
            replace(kind.node, name=f"{kind.name}-{number + 1}")
            for kind, count in zip(self.kinds, counts, strict=True)
            for number in range(count)
        ]
        if not nodes:
            return NEVER
        cluster = Cluster("plan", tuple(nodes), tables=self.tables)
        if not any(cluster.holds(job.task.demand) for job in self.trace.jobs):
            return NEVER
        result = simulate(self.trace, cluster, self.choice, rules=self.rules, injected=self.injected)
        waits = sorted(NEVER if one.started < 0 else one.started - ready(one) for one in result.records)
        return waits[max(-(-len(waits) * self.target.milli // MILLI), 1) - 1]
