"""The one module that translates between messages (pydantic, wire) and the core's values."""

from __future__ import annotations

from typing import Any

from headway.bus.messages import (
    Call,
    DemandModel,
    EditRow,
    EnvironmentModel,
    NodeModel,
    OfferRow,
    RefModel,
    ReportRow,
    VariantModel,
)
from headway.core import events
from headway.core.events import Outcome
from headway.domain.attributes import environment_to_json
from headway.domain.beside import parse_beside
from headway.domain.resources import Demand, Node
from headway.domain.results import Ref
from headway.domain.task import Gang, Task, Variant
from headway.domain.workflow import Environment
from headway.errors import Invalid

OUTCOMES = {outcome.value: outcome for outcome in Outcome}


def demand_to_model(demand: Demand) -> DemandModel:
    return DemandModel(
        cpu=demand.cpu,
        memory=demand.memory,
        gpu=demand.gpu,
        other=dict(demand.other),
        rates=dict(demand.rates),
    )


def demand_from_model(model: DemandModel) -> Demand:
    other, rates = tuple(sorted(model.other.items())), tuple(sorted(model.rates.items()))
    return Demand(model.cpu, model.memory, model.gpu, other, rates)


def environment_to_model(environment: Environment | None) -> EnvironmentModel | None:
    return None if environment is None else EnvironmentModel(**environment_to_json(environment))


def variant_to_model(variant: Variant) -> VariantModel:
    return VariantModel(
        demand=demand_to_model(variant.demand), estimate=variant.estimate, where=list(variant.where)
    )


def variants_from_call(call: Call) -> tuple[Variant, ...]:
    return tuple(Variant(demand_from_model(v.demand), v.estimate, tuple(v.where)) for v in call.variants)


def node_from_model(model: NodeModel) -> Node:
    return Node(
        model.name,
        model.cpu,
        model.memory,
        model.gpus,
        tuple(sorted(model.other.items())),
        tuple(sorted(model.labels.items())),
    )


def node_to_model(node: Node) -> NodeModel:
    return NodeModel(
        name=node.name,
        cpu=node.cpu,
        memory=node.memory,
        gpus=node.gpus,
        other=dict(node.other),
        labels=dict(node.labels),
    )


def ref_to_model(ref: Ref) -> RefModel:
    return RefModel(kind=ref.kind, data=ref.data, size=ref.size, items=ref.items, text=ref.text)


def task_from_row(row: OfferRow, call: Call, demand: Demand, variants: tuple[Variant, ...]) -> Task:
    """The engine's view of an offered task; `demand` and `variants` are the call's, translated once per call."""
    priority, weight, deadline = row.edit or (None, None, None)
    return Task(
        id=row.task,
        kind=call.kind,
        demand=demand,
        tenant=call.tenant,
        priority=call.priority if priority is None else priority,
        weight=call.weight if weight is None else weight,
        estimate=call.estimate,
        path=call.path,
        behind=call.behind,
        release=row.release,
        deadline=call.deadline if deadline is None else deadline,
        after=tuple(row.after),
        at_most_once=call.at_most_once,
        where=tuple(call.where),
        restart=call.restart,
        variants=variants,
        gang=Gang(row.call, *row.gang, tuple(call.within)) if row.gang is not None else None,
        beside=parse_beside(call.beside) if call.beside else None,
    )


def event_from_report(row: ReportRow) -> events.Event:
    """The engine's event for one row of an executor's report. Raises Invalid for a word the protocol does not know."""
    task, attempt, what, at, value = row
    if what == "finished":
        return events.AttemptEnded(task, attempt, Outcome.FINISHED, value[0])
    if what == "started":
        return events.AttemptStarted(task, attempt, at)
    if what == "progress":
        return events.AttemptProgressed(task, attempt, value, at)
    if what == "checkpoint":
        return events.AttemptCheckpointed(task, attempt, at, value if value is not None else -1)
    if what == "returned":
        return events.AttemptReturned(task, attempt)
    if what in OUTCOMES:
        return events.AttemptEnded(task, attempt, OUTCOMES[what], took_of(value))
    raise Invalid(f"a report about {task} says {what!r}, which the protocol does not know")


def took_of(value: Any) -> int:
    """Processing time in the value of an outcome's row: `[took, detail]`."""
    return int(value[0]) if isinstance(value, list) and value else 0


def event_from_edit(row: EditRow) -> events.TaskEdited:
    return events.TaskEdited(row.task, row.priority, row.weight, row.deadline)
