"""`/metrics` for Prometheus: read from the roles' own counts at each scrape, so that nothing is paid between two.

Names follow Prometheus' conventions: base units, `_total` for what only grows. Counters begin at 0 with the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from headway import __version__
from headway.domain.units import MILLI, SECOND
from headway.roles.tally import Lengths
from headway.service.ports import PlannerPort, SchedulerPort

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: States of a task in which it holds nothing and waits for something.
_WAITING = ("waiting", "delayed", "held", "gathering", "queued", "claiming")


def exposition(planner: PlannerPort, scheduler: SchedulerPort) -> bytes:
    """All metrics as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Roles(planner, scheduler))
    return generate_latest(registry)


class _Roles(Collector):
    def __init__(self, planner: PlannerPort, scheduler: SchedulerPort) -> None:
        self._planner, self._scheduler = planner, scheduler

    def describe(self) -> list[Metric]:
        """Nothing beforehand: a scrape is the only reader."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        yield _gauge("headway_build_info", "The version that runs.", {("version",): {(__version__,): 1}})
        yield from self._tasks()
        yield from self._roles()
        yield from self._nodes()
        yield from self._tenants()

    def _tasks(self) -> Iterator[Metric]:
        states = self._scheduler.stats()
        tasks = GaugeMetricFamily(
            "headway_tasks", "Tasks that the scheduler knows, by state.", labels=["state"]
        )
        for state in (*_WAITING, "placed", "running"):
            tasks.add_metric([state], states.get(state, 0))
        yield tasks
        tally = self._planner.tally()
        yield _counter("headway_attempts_total", "Attempts that ended.", "outcome", tally.attempts)
        yield _counter("headway_runs_total", "Runs that ended.", "state", tally.runs)
        yield _histogram(
            "headway_task_processing_seconds", "How long attempts ran that finished.", tally.took
        )
        yield _histogram(
            "headway_run_response_seconds", "From the submission of a run to its end.", tally.spans
        )

    def _roles(self) -> Iterator[Metric]:
        decide = SummaryMetricFamily("headway_step_seconds", "Time in steps of a role.", labels=["role"])
        commit = SummaryMetricFamily(
            "headway_commit_seconds", "Time until a step is on disk.", labels=["role"]
        )
        backlog = GaugeMetricFamily(
            "headway_outbox_messages", "Sent, and not yet acknowledged by every receiver.", labels=["role"]
        )
        trouble = GaugeMetricFamily(
            "headway_journal_trouble", "1 while the journal cannot be written.", labels=["role"]
        )
        for name, stats in (("planner", self._planner.stats()), ("scheduler", self._scheduler.stats())):
            decide.add_metric([name], stats.get("steps", 0), stats.get("step_seconds", 0.0))
            commit.add_metric([name], stats.get("commits", 0), stats.get("commit_seconds", 0.0))
            backlog.add_metric([name], stats.get("outbox", 0))
            trouble.add_metric([name], 1 if stats.get("trouble") else 0)
        yield from (decide, commit, backlog, trouble)

    def _nodes(self) -> Iterator[Metric]:
        nodes = self._scheduler.nodes()
        cordoned = sum(1 for node in nodes if node["cordoned"])
        yield _gauge(
            "headway_nodes",
            "Nodes, by whether new tasks are placed there.",
            {("state",): {("up",): len(nodes) - cordoned, ("cordoned",): cordoned}},
        )
        capacity = GaugeMetricFamily(
            "headway_resource_capacity", "What all nodes have; memory in bytes.", labels=["resource"]
        )
        used = GaugeMetricFamily("headway_resource_used", "What is held of it.", labels=["resource"])
        for resource, (total, free) in sorted(_resources(nodes).items()):
            unit = 1 if resource == "memory" else MILLI
            capacity.add_metric([resource], total / unit)
            used.add_metric([resource], (total - free) / unit)
        yield from (capacity, used)

    def _tenants(self) -> Iterator[Metric]:
        tasks = GaugeMetricFamily("headway_tenant_tasks", "Tasks of a tenant.", labels=["tenant", "state"])
        for view in self._scheduler.tenants():
            for state in ("running", "waiting"):
                tasks.add_metric([view["tenant"], state], view.get(state, 0))
        yield tasks


def _resources(nodes: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """(all, free) by resource over all nodes, in milli-units; memory in bytes."""
    found: dict[str, tuple[int, int]] = {}

    def add(name: str, total: int, free: int) -> None:
        before = found.get(name, (0, 0))
        found[name] = (before[0] + total, before[1] + free)

    for node in nodes:
        add("cpu", node["cpu"], node["cpu_free"])
        add("memory", node["memory"], node["memory_free"])
        add("gpu", node["gpus"] * MILLI, sum(node["gpus_free"]))
        for name, amount in node["other"].items():
            add(name, amount, node["other_free"].get(name, 0))
    return found


def _gauge(name: str, text: str, values: dict[tuple[str, ...], dict[tuple[str, ...], float]]) -> Metric:
    [(labels, rows)] = values.items()
    family = GaugeMetricFamily(name, text, labels=list(labels))
    for key, value in rows.items():
        family.add_metric(list(key), value)
    return family


def _counter(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name.removesuffix("_total"), text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _histogram(name: str, text: str, lengths: Lengths) -> Metric:
    family = HistogramMetricFamily(name, text)
    family.add_metric([], lengths.buckets(), lengths.total / SECOND)
    return family
