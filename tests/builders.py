"""Builders with defaults, so that what a test sets is what it is about; and a harness that drives an engine
by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headway.core.decisions import Decision, Lost, Preempt, Recall, Start
from headway.core.engine import Engine
from headway.core.events import (
    AttemptEnded,
    AttemptReturned,
    AttemptStarted,
    Event,
    NodeJoined,
    Outcome,
    OverrideApplied,
    TaskOffered,
)
from headway.domain.beside import parse_beside
from headway.domain.override import Override, OverrideKind
from headway.domain.resources import Demand, Node
from headway.domain.task import Task, Variant
from headway.domain.units import GPU_MEMORY, MILLI, SECOND, parse_bytes
from headway.domain.where import parse_where


def demand(
    cpu: float = 1,
    gpu: float = 0,
    memory: int | str = 0,
    other: Mapping[str, float | int | str] | None = None,
    rates: Mapping[str, float | int | str] | None = None,
) -> Demand:
    """What a test's task holds: one core unless said."""
    return Demand.parse(cpu=cpu, gpu=gpu, memory=memory, other=other, rates=rates)


def task(
    name: str,
    *,
    cpu: float = 1,
    gpu: float = 0,
    memory: int | str = 0,
    other: Mapping[str, float | int | str] | None = None,
    rates: Mapping[str, float | int | str] | None = None,
    run: str = "r",
    kind: str = "k",
    seconds: float | None = None,
    where: str | Sequence[str] = (),
    variants: Sequence[Mapping[str, Any]] = (),
    beside: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Task:
    """A task `r/<name>`; `seconds` is its estimate. Each variant has its own demand, `seconds` and `where`; `beside` has
    `group`, `near`, `apart` and `spread` as people write them. Other fields as in `Task`."""
    after = tuple(one if "/" in one else f"{run}/{one}" for one in fields.pop("after", ()))
    estimate = None if seconds is None else int(seconds * SECOND)
    asked = demand(cpu, gpu, memory, other, rates)
    fields["variants"] = tuple(variant(**said) for said in variants)
    fields["beside"] = parse_beside(beside or {}, "k")
    return Task(
        f"{run}/{name}", kind, asked, estimate=estimate, after=after, where=parse_where(where), **fields
    )


def variant(seconds: float | None = None, where: str | Sequence[str] = (), **asked: Any) -> Variant:
    """One way in which a test's task may run."""
    estimate = None if seconds is None else int(seconds * SECOND)
    return Variant(demand(**asked), estimate, parse_where(where))


def node(
    name: str = "n1",
    cpu: float = 8,
    gpus: int = 0,
    memory: int | str = 0,
    other: Mapping[str, int] | None = None,
    labels: Mapping[str, str] | None = None,
    gpu_memory: int | str = 0,
) -> Node:
    """A node with eight cores unless said."""
    named = {key: amount * MILLI for key, amount in (other or {}).items()}
    if gpu_memory:
        named[GPU_MEMORY] = parse_bytes(gpu_memory)
    held = tuple(sorted(named.items()))
    return Node(name, int(cpu * MILLI), parse_bytes(memory), gpus, held, tuple(sorted((labels or {}).items())))


def override(
    kind: OverrideKind,
    target: str,
    *,
    ident: str = "o1",
    seconds: float = 3600,
    amount: int = 1,
    node: str = "",
    stop: bool = False,
) -> Override:
    """An override by `ada`, for an hour unless said."""
    return Override(ident, kind, target, "ada", "because", int(seconds * SECOND), amount, node, stop)


class Harness:
    """An engine, its clock, and what it decided; names are without the run `r/`.

    Attributes:
        now: Microseconds. Tests move it with `sleep`.
        decided: Every decision so far.
    """

    def __init__(self, **settings: Any) -> None:
        self.engine = Engine(**settings)
        self.now = 0
        self.decided: list[Decision] = []

    def apply(self, *events: Event) -> list[Decision]:
        """Applies events and decides once."""
        for event in events:
            self.engine.apply(event, self.now)
        return self.decide()

    def decide(self) -> list[Decision]:
        """Decides, and proves that all invariants hold."""
        decisions = self.engine.decide(self.now)
        self.engine.check()
        self.decided += decisions
        return decisions

    def sleep(self, seconds: float) -> list[Decision]:
        """Time passes; decides at the end of it."""
        self.now += int(seconds * SECOND)
        return self.decide()

    def join(self, *nodes: Node) -> list[Decision]:
        """Nodes come up."""
        return self.apply(*(NodeJoined(one, "i1") for one in nodes))

    def offer(self, *tasks: Task) -> list[Decision]:
        """The planner offers tasks in one batch."""
        return self.apply(*(TaskOffered(one) for one in tasks))

    def overrule(self, kind: OverrideKind, target: str, **fields: Any) -> list[Decision]:
        """An override on a task (without its run) or a run (with a trailing slash), from now."""
        target = target[:-1] if target.endswith("/") else f"r/{target}"
        made = override(kind, target, **fields)
        return self.apply(OverrideApplied(made))

    def attempt(self, name: str) -> int:
        """The present attempt's number."""
        return self.engine.world.tasks[f"r/{name}"].attempt

    def started(self, *names: str) -> list[Decision]:
        """Executors say that the tasks run."""
        return self.apply(*(AttemptStarted(f"r/{name}", self.attempt(name), self.now) for name in names))

    def ended(self, *names: str, outcome: Outcome = Outcome.FINISHED, took: float = 1) -> list[Decision]:
        """Executors say that the tasks ended; `took` is seconds."""
        micros = int(took * SECOND)
        return self.apply(*(AttemptEnded(f"r/{name}", self.attempt(name), outcome, micros) for name in names))

    def returned(self, *names: str) -> list[Decision]:
        """Executors give unstarted tasks back."""
        return self.apply(*(AttemptReturned(f"r/{name}", self.attempt(name)) for name in names))

    def state(self, name: str) -> str:
        """Where the task stands, `gone` if nowhere."""
        entry = self.engine.world.tasks.get(f"r/{name}")
        return str(entry.state) if entry is not None else "gone"


def started(decisions: list[Decision]) -> list[tuple[str, str]]:
    """(task without run, node) of every Start."""
    return [(d.task.partition("/")[2], d.node) for d in decisions if isinstance(d, Start)]


def placed(decisions: list[Decision]) -> list[str]:
    """Task (without run) of every Start, in order."""
    return [name for name, _ in started(decisions)]


def recalled(decisions: list[Decision]) -> list[str]:
    """Tasks (without run) of every Recall, in order."""
    return [name.partition("/")[2] for d in decisions if isinstance(d, Recall) for name, _ in d.attempts]


def preempted(decisions: list[Decision]) -> list[str]:
    """Tasks (without run) of every Preempt, in order."""
    return [d.task.partition("/")[2] for d in decisions if isinstance(d, Preempt)]


def lost(decisions: list[Decision]) -> list[tuple[str, int]]:
    """(task without run, attempt) of every Lost, in order."""
    return [(d.task.partition("/")[2], d.attempt) for d in decisions if isinstance(d, Lost)]
