"""What a simulation keeps: how tasks behave, what becomes of each, and the whole that comes out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from headway.core.joint.record import PlanRecord
from headway.domain.resources import Demand
from headway.domain.units import MILLI
from headway.errors import Invalid
from headway.sim.choice import Choice
from headway.sim.cluster import Cluster
from headway.sim.trace import Job, Trace


@dataclass(frozen=True, slots=True)
class Rules:
    """How tasks behave while they run; times in microseconds.

    Attributes:
        checkpoint: What writing a checkpoint costs; None: tasks write none, and what is preempted starts over.
        every: Processing time after which a task writes one unasked; 0 for never.
        restart: What an attempt pays before it goes on from a checkpoint.
        latency: One way between scheduler and executor.
        losses: A task that lost more attempts with their nodes than this has failed.
        together: What happens at one moment is decided on together. Else one after the other, arrivals first, as
            many published simulators do.
    """

    checkpoint: int | None = None
    every: int = 0
    restart: int = 0
    latency: int = 0
    losses: int = 10
    together: bool = True

    def __post_init__(self) -> None:
        if min(self.checkpoint or 0, self.every, self.restart, self.latency, self.losses) < 0:
            raise Invalid(f"a negative amount in {self}")
        if self.every and self.checkpoint is None:
            raise Invalid(
                "tasks write checkpoints, but not at what cost", hint="give the cost of one, e.g. 0"
            )


class Span(NamedTuple):
    """An attempt on its node.

    Attributes:
        job, node: Their places in the trace and the cluster.
        devices: The GPUs it held.
        outcome: `finished`, `preempted` or `lost`.
        variant: As which of its variants it ran.
    """

    job: int
    node: int
    start: int
    end: int
    devices: tuple[int, ...]
    outcome: str
    variant: int = 0


class Record:
    """What becomes of a job.

    Attributes:
        started: When its first attempt began, or -1. `ended`: when it was complete, or -1.
        kept: Processing time that a checkpoint keeps. `lost`: that was done and not kept.
        overhead: Time that its attempts spent on checkpoints and restarts.
        failed: It was given up, or something it depends on was.
    """

    __slots__ = (
        "after",
        "arrived",
        "below",
        "ended",
        "failed",
        "index",
        "job",
        "kept",
        "losses",
        "lost",
        "missing",
        "offered",
        "overhead",
        "preemptions",
        "started",
        "unready",
    )  # fmt: skip

    def __init__(self, index: int, job: Job) -> None:
        self.index = index
        self.job = job
        self.started = self.ended = -1
        self.kept = self.lost = self.overhead = 0
        self.preemptions = self.losses = 0
        self.arrived = self.offered = self.failed = False
        #: Of what it depends on: unfinished; neither finished nor ready. `after`, `below`: the records.
        self.missing = self.unready = 0
        self.after: list[Record] = []
        self.below: list[Record] = []


class Result(NamedTuple):
    """One simulation.

    Attributes:
        start, end: The first arrival and the last event, microseconds.
        spans: Every attempt, in order of its end.
        outages: (node, down, up) of each failure.
        unfit: Jobs that fit on no node, and those that depend on them: refused, as a service would.
        decisions: How many there were.
        plans: Under `joint`, those that were in force, in order.
    """

    choice: Choice
    trace: Trace
    cluster: Cluster
    records: list[Record]
    spans: list[Span]
    outages: list[tuple[int, int, int]]
    start: int
    end: int
    unfit: int
    decisions: int
    plans: tuple[PlanRecord, ...] = ()

    def demand(self, span: Span) -> Demand:
        """What the attempt held."""
        task = self.trace.jobs[span.job].task
        return task.variants[span.variant].demand if task.variants else task.demand


class Attempt:
    """An attempt at its executor.

    Attributes:
        began: When, or -1. `kept`: processing time kept when it began.
        speed: Of its node for its kind, milli. `setup`: what its inputs take to be brought there.
        asked: When it was asked to leave, or -1; `frozen`: processing time it had done then, if it checkpoints, else
            -1.
    """

    __slots__ = (
        "asked", "began", "devices", "frozen", "kept", "lease", "node", "number", "over", "record", "setup", "speed",
        "variant",
    )  # fmt: skip

    def __init__(
        self, record: Record, number: int, node: Machine, lease: int, devices: tuple[int, ...]
    ) -> None:
        self.record = record
        self.number = number
        self.node = node
        self.lease = lease
        self.devices = devices
        self.began = self.frozen = self.asked = -1
        self.kept = self.setup = self.variant = 0
        self.speed = MILLI
        self.over = False

    def time(self, work: int) -> int:
        """What so much work takes where it is, rounded up."""
        return work if self.speed == MILLI else -(-work * MILLI // self.speed)

    def work(self, time: int) -> int:
        """The work of so much time where it is."""
        return time if self.speed == MILLI else time * self.speed // MILLI


class Machine:
    """A node, and the trains it has: attempts by lease, in the order they run."""

    __slots__ = ("incarnation", "index", "trains", "up")

    def __init__(self, index: int) -> None:
        self.index = index
        self.incarnation = 1
        self.up = True
        self.trains: dict[int, deque[Attempt]] = {}
