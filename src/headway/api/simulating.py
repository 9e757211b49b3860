"""Simulations that a person starts: of trace files, of a service's own journal, of a workflow that has not run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headway.authoring.decorators import WorkflowFunction
from headway.authoring.tracing import Traced
from headway.bus.messages import Call, NodesBody, OfferBody, ReportBody
from headway.bus.names import PLANNER, SCHEDULER
from headway.core import events
from headway.core.events import Event
from headway.core.policy import Policy
from headway.domain.codec import workflow_from_json
from headway.domain.resources import Demand
from headway.domain.task import Variant
from headway.domain.units import parse_time, show_milli
from headway.domain.workflow import Workflow
from headway.errors import Invalid
from headway.execute.machine import this_machine
from headway.roles.step import CALL, unpack_inputs
from headway.roles.translate import (
    demand_from_model,
    event_from_edit,
    event_from_report,
    node_from_model,
    task_from_row,
    variants_from_call,
)
from headway.settings import load
from headway.sim.cluster import Cluster, read_cluster
from headway.sim.injected import Injected
from headway.sim.records import Rules
from headway.sim.report import Comparison, compare
from headway.sim.trace import Trace, merged
from headway.sim.traces import journal, read_trace
from headway.sim.traces import workflow as workflows
from headway.solvers import named
from headway.store.reader import Reader

JOURNAL = "journal.db"


def simulate_traces(
    traces: Sequence[Path],
    cluster: Path | None,
    policies: Sequence[str],
    *,
    form: str | None = None,
    since: int | None = None,
    rules: Rules | None = None,
    injected: Injected | None = None,
) -> Comparison:
    """Simulate trace files, or state folders, under each policy.

    Args:
        cluster: A file of nodes; for a state folder alone, by default the nodes that it had.
        form: The format of the files, if their names do not say.
        since: Of a state folder: only what arrived in so many microseconds before its last event.

    Raises:
        NotFound: A file is not there.
        Invalid: A file says something else, or a policy is unknown.
    """
    trace, nodes = read_traces(traces, form, since)
    if cluster is not None:
        nodes = read_cluster(cluster)
    if nodes is None:
        raise Invalid(
            "on which nodes?", hint="name a file of nodes: --cluster FILE (see docs/how-to/simulate.md)"
        )
    return compare(trace, nodes, policies, rules=rules, injected=injected, solvers=named)


def read_traces(
    traces: Sequence[Path], form: str | None = None, since: int | None = None
) -> tuple[Trace, Cluster | None]:
    """Trace files and state folders as one trace, and the nodes that the last state folder had."""
    found: list[Trace] = []
    nodes: Cluster | None = None
    for path in traces:
        if (path / JOURNAL).is_file():
            trace, nodes = journal.read(Recorded(path), since)
        else:
            trace = read_trace(path, form)
        found.append(trace)
    return merged(found), nodes


def simulate_workflow(
    workflow: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    policies: Sequence[str] = (),
    cluster: Cluster | Path | str | None = None,
    durations: Mapping[str, float | str] | None = None,
    items: Mapping[str, int] | None = None,
    rules: Rules | None = None,
    injected: Injected | None = None,
) -> Comparison:
    """Simulate one run of a workflow; none of its tasks is run.

    Args:
        workflow: A function decorated with `@workflow`, or what its `trace` returned.
        policies: Those to compare; by default the one in the settings.
        cluster: Nodes, or a file of them; by default this machine.
        durations: How long a task takes, by name (seconds or "10min"); else its estimate.
        items: How many items a mapped task has, by name, where the graph does not say.

    Raises:
        Invalid: It is no workflow, its arguments are wrong, or it fits on none of the nodes.
    """
    if isinstance(workflow, WorkflowFunction):
        workflow = workflow.trace(*args, **(kwargs or {}))
    if not isinstance(workflow, Traced):
        raise Invalid(f"{workflow!r} is not a workflow", hint="write @workflow above its def")
    settings = load()
    if cluster is None:
        nodes = Cluster(
            "this machine", (this_machine(settings.node, settings.state),), tables=settings.tables
        )
    else:
        nodes = cluster if isinstance(cluster, Cluster) else read_cluster(Path(cluster))
    taken = {name: parse_time(length, f"durations[{name!r}]") for name, length in (durations or {}).items()}
    trace, notes = workflows.read(workflow.workflow, workflow.refs, durations=taken, items=items)
    policy = settings.policy
    usual = f"{policy.order}, {policy.discipline}, placement={policy.placement}"
    if Policy(policy.order).planned:
        aim = settings.joint
        usual += f", objective={aim.objective}, u_min={show_milli(aim.u_min)}, horizon={aim.horizon}us, every={aim.every}us"
        usual += f", jobs={aim.jobs}, steps={aim.steps}, solver={aim.solver}, plan_seed={aim.seed}"
    return compare(
        trace, nodes, list(policies) or [usual], rules=rules, injected=injected, notes=notes, solvers=named
    )


class Recorded:
    """The journal of a state folder, whether its service is up or down, as the engine's events."""

    def __init__(self, state: Path) -> None:
        self.name = str(state)
        self._history = Reader(state / JOURNAL)

    def workflows(self) -> Iterator[tuple[str, Workflow]]:
        """Every run that was submitted, as far back as the journal is kept."""
        for entry in self._history.entries(PLANNER, 1):
            for item in unpack_inputs(entry.inputs):
                if item.source == CALL and item.kind == "submit":
                    body = json.loads(item.body)
                    yield body["run"], workflow_from_json(body["workflow"])

    def events(self) -> Iterator[tuple[int, Event]]:
        """What the scheduler heard; what made no sense to it is passed over, as it did."""
        calls: dict[str, tuple[Call, Demand, tuple[Variant, ...]]] = {}
        for entry in self._history.entries(SCHEDULER, 1):
            for item in unpack_inputs(entry.inputs):
                try:
                    told = list(_told(item.kind, item.body, calls))
                except (ValueError, TypeError, LookupError, Invalid):
                    continue
                for event in told:
                    yield entry.at, event


def _told(
    kind: str, body: bytes, calls: dict[str, tuple[Call, Demand, tuple[Variant, ...]]]
) -> Iterator[Event]:
    if kind == "offer":
        offer = OfferBody.model_validate_json(body)
        for key, call in offer.calls.items():
            calls[key] = (call, demand_from_model(call.demand), variants_from_call(call))
        for row in offer.tasks:
            if row.call in calls:
                yield events.TaskOffered(task_from_row(row, *calls[row.call]), row.not_before)
        yield from map(event_from_edit, offer.edits)
    elif kind == "report":
        for report in ReportBody.model_validate_json(body).rows:
            yield event_from_report(report)
    elif kind == "nodes":
        for hello in NodesBody.model_validate_json(body).joined:
            yield events.NodeJoined(node_from_model(hello.node), hello.incarnation)
