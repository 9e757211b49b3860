"""Every message of the protocol, as pydantic models; their JSON Schemas are its reference.

A hot batch is one message whose body is rows (JSON arrays, columns in the order of the row's fields below), validated by one
adapter in one call. Bodies are JSON, readable with any MQTT client.

| kind       | from         | to                     | body           |
|------------|--------------|------------------------|----------------|
| `offer`    | planner      | scheduler              | OfferBody      |
| `schedule` | scheduler    | planner                | ScheduleBody   |
| `lease`    | scheduler    | an executor            | LeaseBody      |
| `report`   | an executor  | scheduler, planner     | ReportBody     |
| `hello`    | an executor  | resource_manager       | HelloBody      |
| `nodes`    | resource_manager | scheduler, planner | NodesBody      |
| `digest`   | desk         | agents                 | DigestBody     |
| `proposal` | an agent     | desk                   | ProposalBody   |
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    """A wire value: unknown fields are refused, so that a typo or a newer peer is seen at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RefModel(Model):
    """`headway.domain.results.Ref` on the wire; exactly one of json, pickle, blob is set (`none` is json null)."""

    kind: str = "json"
    data: Any = None
    size: int = 0
    items: int | None = None
    text: str = ""


class DemandModel(Model):
    """Milli-units; memory and disk in bytes, network in bits a second. Rates are taken once, when an attempt is granted."""

    cpu: int = 1000
    memory: int = 0
    gpu: int = 0
    other: dict[str, int] = Field(default_factory=dict)
    rates: dict[str, int] = Field(default_factory=dict)


class VariantModel(Model):
    """One way in which a task may run."""

    demand: DemandModel = Field(default_factory=DemandModel)
    estimate: int | None = None
    where: list[str] = Field(default_factory=list)


class EnvironmentModel(Model):
    """What an attempt finds around it; a virtual environment is one that is there, or made of requirements."""

    variables: dict[str, str] = Field(default_factory=dict)
    cwd: str = ""
    venv: str = ""
    requirements: list[str] = Field(default_factory=list)
    secrets: dict[str, str] = Field(default_factory=dict)


class Call(Model):
    """What all tasks of one workflow node have in common. Sent once per message, named by `<run>/<node>`.

    Arguments are trees: {"value": key} | {"output": task, "path": [...]} | {"list": [...]} | {"tuple": [...]} | {"dict": {...}}.
    """

    run: str
    name: str
    bundle: str = ""
    function: str = ""
    shell: str | None = None
    args: list[dict[str, Any]] = Field(default_factory=list)
    kwargs: dict[str, dict[str, Any]] = Field(default_factory=dict)
    mapped: int = 0
    values: dict[str, RefModel] = Field(default_factory=dict)
    demand: DemandModel = Field(default_factory=DemandModel)
    kind: str = ""
    tenant: str = "default"
    priority: int = 0
    weight: int = 1000
    estimate: int | None = None
    deadline: int | None = None  # microseconds of the service's clock
    timeout: int | None = None
    at_most_once: bool = False
    where: list[str] = Field(default_factory=list)
    restart: int | None = None
    environment: EnvironmentModel | None = None
    variants: list[VariantModel] = Field(default_factory=list)
    within: list[str] = Field(default_factory=list)
    dynamic: bool = False
    #: Its group and rules about other tasks, as `domain.beside` writes them: `{"group": …, "near": […], …}`.
    beside: dict[str, str | list[str]] = Field(default_factory=dict)
    path: int = 0
    behind: int = 0


class OfferRow(NamedTuple):
    """A task that is ready, or waits only for the tasks in `after`.

    `inputs` maps producer task names (`train[3]`, without the run) to results; {"*": ref} is the whole map in one blob.
    """

    task: str
    call: str
    item: int | None
    after: list[str]
    inputs: dict[str, dict[str, Any]]
    release: int
    not_before: int = 0
    #: Of a member of a gang, which is named as its call: its index, the size, how many have finished.
    gang: tuple[int, int, int] | None = None
    #: Priority, milli-weight and deadline as a person set them; None for the call's.
    edit: tuple[int | None, int | None, int | None] | None = None


class EditRow(NamedTuple):
    task: str
    priority: int | None = None
    weight: int | None = None
    deadline: int | None = None


class OfferBody(Model):
    calls: dict[str, Call] = Field(default_factory=dict)
    tasks: list[OfferRow] = Field(default_factory=list)
    withdraw: list[tuple[str, str]] = Field(default_factory=list)  # (task, reason)
    edits: list[EditRow] = Field(default_factory=list)
    #: (target, by whom, reason, whether what runs is to stop); targets that are paused no more
    pauses: list[tuple[str, str, str, bool]] = Field(default_factory=list)
    resumes: list[str] = Field(default_factory=list)
    closed: list[str] = Field(default_factory=list)  # runs that are over: their calls can be forgotten


class GrantRow(NamedTuple):
    """Run `task` as member `position` of `lease`. An input of null is a result of an earlier member of the same lease.

    `variant` is which of the call's variants it runs as, from 0.
    """

    task: str
    attempt: int
    lease: int
    position: int
    call: str
    item: int | None
    inputs: dict[str, dict[str, Any] | None]
    devices: list[int]
    variant: int = 0
    #: Of a member of a gang: its rank among those that start together, and which of `LeaseBody.gangs` it is.
    gang: tuple[int, str] | None = None


class LeaseBody(Model):
    calls: dict[str, Call] = Field(default_factory=dict)
    grants: list[GrantRow] = Field(default_factory=list)
    gangs: dict[str, list[str]] = Field(
        default_factory=dict
    )  # the nodes of all members that start together, by rank
    recalls: list[tuple[int, list[tuple[str, int]]]] = Field(
        default_factory=list
    )  # (lease, [(task, attempt)])
    preempts: list[tuple[str, int, int]] = Field(
        default_factory=list
    )  # (task, attempt, grace in microseconds)
    spares: list[tuple[str, int]] = Field(
        default_factory=list
    )  # (task, attempt): preempted before, and need not end after all; before `preempts`
    stops: list[tuple[str, int, str]] = Field(default_factory=list)  # (task, attempt, reason)


class ReportRow(NamedTuple):
    """What happened to an attempt.

    `what` is started, progress, checkpoint, returned, or an outcome of `core.events.Outcome` (finished, failed, timed_out,
    cancelled, worker_died, preempted). `at` is microseconds of the wall clock; `value` by `what`: started: pid;
    progress and checkpoint: done in milli (-1 unknown); finished: [took, ref]; other outcomes: [took, {"type", "message",
    "traceback"}].
    """

    task: str
    attempt: int
    what: str
    at: int
    value: Any = None


class ScheduleBody(Model):
    lost: list[tuple[str, int, str, bool]] = Field(
        default_factory=list
    )  # (task, attempt, node, may have started)
    dropped: list[str] = Field(default_factory=list)  # withdrawn before they were placed
    #: (node, row): what a dead executor reported last, in case that only reached the scheduler
    ended: list[tuple[str, ReportRow]] = Field(default_factory=list)


class ReportBody(Model):
    rows: list[ReportRow]


class NodeModel(Model):
    """A node's capacity: milli-units, memory in bytes, gpus in devices."""

    name: str
    cpu: int
    memory: int = 0
    gpus: int = 0
    other: dict[str, int] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)


class HelloBody(Model):
    """An executor says who it is: at every connect and when its capacity changes."""

    node: NodeModel
    incarnation: str
    holds: list[tuple[str, int]] = Field(default_factory=list)


class NodesBody(Model):
    joined: list[HelloBody] = Field(default_factory=list)
    lost: list[tuple[str, str]] = Field(default_factory=list)  # (node, incarnation)
    cordoned: list[tuple[str, bool]] = Field(default_factory=list)


BODIES: dict[str, type[Model]] = {
    "offer": OfferBody, "schedule": ScheduleBody, "lease": LeaseBody, "report": ReportBody, "hello": HelloBody, "nodes": NodesBody,
}  # fmt: skip


class Presence(Model):
    """A lease on being alive, published (retained, QoS 1, also as last will with alive=false) under the sender's own topic."""

    name: str
    incarnation: str
    alive: bool
    expires_in: int  # microseconds after its arrival


# ── agents: what they are told, and what they may say. Neither is kept or repeated: the next digest says what is so then. ──


class WaitingRow(NamedTuple):
    """A task that waits for a place.

    `waited` since its run was submitted, and `remaining`, the processing time expected of it, are microseconds.
    """

    task: str
    tenant: str
    waited: int
    remaining: int
    deadline: int | None
    boosted: bool


class DigestBody(Model):
    """The state of the queue at a time, in bounded size.

    `in_force` counts the overrides of agents that concern a task which is still here; `patience` is what the settings call a long
    wait, microseconds.
    """

    at: int
    counts: dict[str, int] = Field(default_factory=dict)
    waiting: list[WaitingRow] = Field(default_factory=list, max_length=100)
    in_force: int = 0
    patience: int = 0


class ProposalModel(Model):
    """An override that an agent would like: typed and bounded; the guard has the last word (`override.guard`)."""

    kind: str = Field(min_length=1, max_length=20)
    target: str = Field(min_length=1, max_length=500)
    amount: int = Field(default=1, ge=1, le=1_000_000)
    ttl: int = Field(ge=1, le=2**53)
    reason: str = Field(min_length=1, max_length=2_000)


class ProposalBody(Model):
    """What one deliberation came to; `digest` is the time of the digest that it was about."""

    digest: int = Field(ge=0, le=2**53)
    proposals: list[ProposalModel] = Field(max_length=20)
