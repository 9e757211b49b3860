"""One comparison, several ways to read it: a table, JSON, or one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from headway.domain.units import SECOND, show_time
from headway.errors import Invalid
from headway.sim.choice import Choice
from headway.sim.cluster import Cluster
from headway.sim.injected import Injected
from headway.sim.metrics import Metrics, measure
from headway.sim.planning import Solvers, own
from headway.sim.planning import notes as plan_notes
from headway.sim.records import Result, Rules
from headway.sim.simulate import simulate
from headway.sim.trace import Trace


@dataclass(frozen=True)
class Comparison:
    """The same trace on the same cluster under several policies.

    Attributes:
        results, metrics: One each a policy, in the order given.
        notes: What a reader must know to read the figures right.
    """

    trace: Trace
    cluster: Cluster
    rules: Rules
    injected: Injected
    results: tuple[Result, ...] = field(repr=False)
    metrics: tuple[Metrics, ...]
    notes: tuple[str, ...] = ()

    def tree(self) -> dict[str, Any]:
        """As plain JSON; times in seconds."""
        return {
            "trace": self.trace.name,
            "tasks": len(self.trace.jobs),
            "left_out": dict(self.trace.left_out),
            "cluster": {"name": self.cluster.name, "nodes": len(self.cluster.nodes)},
            "seed": self.injected.seed,
            "notes": list(self.notes),
            "policies": [one.tree() for one in self.metrics],
        }

    def table(self) -> str:
        """For a terminal: a line a figure, a column a policy."""
        rows = [("", *(one.policy for one in self.metrics))]
        rows += [(row.name, *row.texts) for row in rows_of(self.metrics)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join(
                [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            )
            for row in rows
        ]
        head = f"{self.trace.name}: {len(self.trace.jobs)} tasks on {describe(self.cluster)}"
        return "\n".join(
            [head, "", *(line.rstrip() for line in lines), *(f"  {note}" for note in self.notes)]
        )

    def __str__(self) -> str:
        return self.table()

    def html(self) -> str:
        """One page, with its styles and pictures in it."""
        from headway.sim.page import page

        return page(self)


def compare(
    trace: Trace,
    cluster: Cluster,
    policies: Sequence[str],
    *,
    rules: Rules | None = None,
    injected: Injected | None = None,
    notes: Sequence[str] = (),
    solvers: Solvers = own,
) -> Comparison:
    """Simulates the trace under each policy.

    Args:
        policies: As `Choice.parse` reads them.
        notes: Goes in front of the notes that the simulation itself has.
        solvers: Who makes plans under `joint`.

    Raises:
        Invalid: No policy, the same twice, or one that is not known.
    """
    choices = [Choice.parse(text) for text in policies]
    names = [choice.name for choice in choices]
    if not choices or len(set(names)) < len(names):
        raise Invalid(
            "name at least one policy, and each once", hint="e.g. --policy fcfs --policy 'priority > srpt'"
        )
    rules, injected = rules or Rules(), injected or Injected()
    results = tuple(
        simulate(trace, cluster, one, rules=rules, injected=injected, solvers=solvers) for one in choices
    )
    metrics = tuple(measure(result) for result in results)
    planned = [note for result in results for note in plan_notes(result.choice.name, result.plans)]
    return Comparison(
        trace,
        cluster,
        rules,
        injected,
        results,
        metrics,
        (*notes, *_notes(trace, metrics, injected, rules), *planned),
    )


def _notes(trace: Trace, metrics: Sequence[Metrics], injected: Injected, rules: Rules) -> list[str]:
    notes = [f"{count} left out of the trace: {reason}" for reason, count in trace.left_out]
    if metrics[0].unfit:
        notes.append(f"{metrics[0].unfit} tasks fit on no node, or need one that does not, and were refused")
    notes += [
        f"{one.policy}: {one.failed} tasks failed, {one.unfinished} never got a place"
        for one in metrics
        if one.unfinished or one.failed
    ]
    if any(one.preemptions for one in metrics) and rules.checkpoint is None:
        notes.append("tasks write no checkpoints here: what is preempted starts over (set what one costs)")
    if injected.estimate_error:
        notes.append(f"estimates are wrong by a lognormal factor, sigma {injected.estimate_error:g}")
    if injected.no_estimates:
        notes.append("nobody says how long tasks take: the engine learns it")
    if injected.mtbf:
        notes.append(
            f"each node fails every {show_time(injected.mtbf)} in the mean, for {show_time(injected.mttr)}"
        )
    return notes


def describe(cluster: Cluster) -> str:
    """How many nodes, cores and GPUs."""
    cores = sum(node.cpu for node in cluster.nodes) / 1000
    gpus = sum(node.gpus for node in cluster.nodes)
    nodes = len(cluster.nodes)
    parts = [f"{nodes} node{'s' if nodes > 1 else ''}", *([f"{cores:g} cores"] if cores else [])]
    return ", ".join([*parts, *([f"{gpus} GPUs"] if gpus else [])])


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of every policy.

    Attributes:
        less: Whether less of it is better; None if neither is.
    """

    name: str
    values: tuple[float | None, ...]
    show: Callable[[float], str]
    less: bool | None = True

    @property
    def texts(self) -> list[str]:
        """For a reader."""
        return ["-" if value is None else self.show(value) for value in self.values]

    @property
    def best(self) -> str | None:
        """The text of the best value, if it is not that of all."""
        values = [value for value in self.values if value is not None]
        if self.less is None or len(set(self.texts)) < 2 or not values:
            return None
        return self.show(min(values) if self.less else max(values))


def rows_of(metrics: Sequence[Metrics]) -> list[Row]:
    """The figures that say something here."""
    rows: list[Row] = []

    def add(
        name: str,
        value: Callable[[Metrics], float | None],
        show: Callable[[float], str],
        less: bool | None = True,
        *,
        always: bool = False,
    ) -> None:
        values = tuple(value(one) for one in metrics)
        if always or any(values):
            rows.append(Row(name, values, show, less))

    add("finished", lambda m: m.finished, whole, None, always=True)
    add("response, mean", lambda m: m.response.mean, duration)
    if any(abs(one.response.weighted - one.response.mean) > 1e-9 for one in metrics):
        add("response, weighted mean", lambda m: m.response.weighted, duration)
    add("response, P95", lambda m: m.response.p95, duration)
    add("response, P99", lambda m: m.response.p99, duration)
    add("wait, mean", lambda m: m.wait.mean, duration, always=True)
    add("wait, P95", lambda m: m.wait.p95, duration)
    add("slowdown, mean", lambda m: m.slowdown.mean, ratio)
    add("bounded slowdown, mean", lambda m: m.bounded_slowdown.mean, ratio)
    add("bounded slowdown, P95", lambda m: m.bounded_slowdown.p95, ratio)
    add("makespan", lambda m: m.makespan, duration)
    for resource in sorted({name for one in metrics for name in one.utilisation}):
        add(f"{resource} held", partial(_held, resource), percent, False)
    add("fragmentation", lambda m: m.fragmentation, percent)
    if any(len(one.finish_time) > 1 for one in metrics):
        add("finish-time fairness, worst tenant", lambda m: max(m.finish_time.values(), default=None), ratio)
    add("Jain's index of shares", lambda m: m.jain, lambda value: f"{value:.3f}", False)
    add("preemptions", lambda m: m.preemptions, whole, None)
    add("attempts lost with nodes", lambda m: m.losses, whole)
    add("work lost", lambda m: m.work_lost_share, lambda value: f"{value:.2%}")
    if any(one.deadlines for one in metrics):
        add("deadlines missed", lambda m: m.late, whole, always=True)
    add("cost", lambda m: m.cost, lambda value: f"{value:,.2f}")
    add("cost by tasks", lambda m: m.charged, lambda value: f"{value:,.2f}")
    return rows


def _held(resource: str, metrics: Metrics) -> float | None:
    return metrics.utilisation.get(resource)


def whole(value: float) -> str:
    """A count."""
    return f"{value:,.0f}"


def ratio(value: float) -> str:
    """A multiple."""
    return f"{value:,.2f}"


def percent(value: float) -> str:
    """A share."""
    return f"{value:.1%}"


def duration(length: float) -> str:
    """Seconds for a reader."""
    return show_time(round(length * SECOND))
