"""The scheduler's loop: feeds the engine what planner, executors and resource manager say; publishes what it decides."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pydantic_core import to_json

from headway.bus.messages import (
    Call,
    GrantRow,
    LeaseBody,
    NodesBody,
    OfferBody,
    OfferRow,
    ReportBody,
    ReportRow,
    ScheduleBody,
)
from headway.bus.names import PLANNER, RESOURCE_MANAGER, SCHEDULER
from headway.bus.streams import WINDOW
from headway.bus.topics import executor_name
from headway.core import events, standing
from headway.core.decisions import Dropped, Lost, Preempt, Recall, Spare, Start, Stop
from headway.core.engine import LOGIC, Engine
from headway.core.joint.record import PlanRecord
from headway.core.world import KEEP_FINISHED
from headway.domain.limits import Quota, Rate
from headway.domain.override import Override
from headway.domain.resources import Demand
from headway.domain.task import Variant
from headway.domain.window import Window
from headway.errors import Conflict, HeadwayError, Invalid, NotFound
from headway.override.proposal import Proposal
from headway.roles.inputs import blob_size, held_inputs, read_by
from headway.roles.overruling import Overruling
from headway.roles.step import CALL, NONSENSE, Input, Output, Step
from headway.roles.translate import (
    demand_from_model,
    event_from_edit,
    event_from_report,
    node_from_model,
    task_from_row,
    variants_from_call,
)

#: Before the target, the id of the override that a pause is to the engine.
PAUSE = "pause:"


@dataclass(slots=True)
class Payload:
    """What an executor needs beyond the engine's view of a task."""

    call: str
    item: int | None
    #: Producer name -> ref; null until an earlier member of the same train has reported it.
    inputs: dict[str, Any]


@dataclass(slots=True)
class Book:
    """What is kept of one run, until the planner has closed it and the engine has forgotten its last task."""

    calls: dict[str, Call] = field(default_factory=dict)
    demands: dict[str, tuple[Demand, tuple[Variant, ...]]] = field(default_factory=dict)
    #: By call, as `demands`: the nodes whose results it reads.
    reads: dict[str, frozenset[str]] = field(default_factory=dict)
    payloads: dict[str, Payload] = field(default_factory=dict)
    #: Producer task -> offered tasks that lack its result. A producer may be lost and run again before it delivers.
    consumers: dict[str, list[str]] = field(default_factory=dict)
    #: Results that came here: the planner may not know one yet when it offers what needs it.
    results: OrderedDict[str, Any] = field(default_factory=OrderedDict)
    closed: bool = False


@dataclass(slots=True)
class Outgoing:
    """The messages of one step, gathered per receiver."""

    leases: dict[str, LeaseBody] = field(default_factory=dict)
    planner: ScheduleBody = field(default_factory=ScheduleBody)

    def lease(self, node: str) -> LeaseBody:
        return self.leases.setdefault(node, LeaseBody())


class Scheduler:
    """Owns the engine, and beside it what the engine need not know: calls, inputs, which executor incarnation a node has."""

    name = SCHEDULER
    logic = LOGIC

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.books: dict[str, Book] = {}
        self.incarnations: dict[str, str] = {}
        #: Executor -> (epoch, number, rows that end attempts) of its last reports. The planner takes its own copy of a
        #: report; if the executor dies before that is in, nobody but us can still tell it.
        self.endings: dict[str, deque[tuple[int, int, list[ReportRow]]]] = {}
        #: Such rows that go to the planner with this step.
        self._ended: list[tuple[str, ReportRow]] = []
        #: The policy that the settings asked for at the last start: only a change of it overrides an operator's.
        self.configured: list[str] = []
        #: What agents proposed.
        self.overruling = Overruling()
        #: The tables that they had (`core.standing`).
        self.tables: dict[str, Any] = {}

    # ── the step ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def step(self, now: int, inputs: Sequence[Input]) -> Step:
        """Apply all inputs in order, then decide once."""
        step = Step()
        for item in inputs:
            if item.source == CALL:
                step.replies[item.seq] = self._call(now, item)
                continue
            try:
                self._take(now, item, step)
            except NONSENSE as error:
                step.refuse(item, error)
        self._publish(self.engine.decide(now), step)
        self._ended.clear()
        return step

    def _take(self, now: int, item: Input, step: Step) -> None:
        if item.kind == "report":
            ends = []
            for row in ReportBody.model_validate_json(item.body).rows:
                try:
                    if self._report(now, row):
                        ends.append(row)
                except NONSENSE as error:
                    step.refuse(item, error)
            if ends:
                # An executor is never more letters ahead of the slower of its two readers.
                kept = self.endings.setdefault(item.source, deque())
                kept.append((item.epoch, item.seq, ends))
                while kept[0][0] == item.epoch and kept[0][1] <= item.seq - WINDOW:
                    kept.popleft()
        elif item.kind == "offer" and item.source == PLANNER:
            self._offers(now, OfferBody.model_validate_json(item.body))
        elif item.kind == "nodes" and item.source == RESOURCE_MANAGER:
            self._nodes(now, NodesBody.model_validate_json(item.body))

    def wake_at(self) -> int | None:
        return self.engine.wake_at()

    # ── what comes in ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _offers(self, now: int, body: OfferBody) -> None:
        for key, call in body.calls.items():
            book = self.books.setdefault(call.run, Book())
            book.closed = False
            book.calls[key] = call
            book.demands[key] = demand_from_model(call.demand), variants_from_call(call)
            book.reads[key] = read_by(call)
        for row in body.tasks:
            self._offer(now, row)
        for task, reason in body.withdraw:
            self.engine.apply(events.TaskWithdrawn(task, reason), now)
        for edit in body.edits:
            self.engine.apply(event_from_edit(edit), now)
        for target, by, reason, stop in body.pauses:
            pause = Override(PAUSE + target, "pause", target, by, reason, 0, stop=stop)
            self.engine.apply(events.OverrideApplied(pause), now)
        for target in body.resumes:
            self.engine.apply(events.OverrideReverted(PAUSE + target), now)
        for run in body.closed:
            if (closing := self.books.get(run)) is not None:
                closing.closed = True
                for task in [task for task in closing.payloads if not self.engine.knows(task)]:
                    del closing.payloads[task]
                self._put_away(run, closing)

    def _put_away(self, run: str, book: Book) -> None:
        if book.closed and not book.payloads:
            self.books.pop(run, None)

    def _offer(self, now: int, row: OfferRow) -> None:
        book = self.books[row.call.partition("/")[0]]
        inputs: dict[str, Any] = dict(row.inputs)
        for producer in row.after:
            inputs[producer.partition("/")[2]] = book.results.get(producer)
            if producer not in book.results:
                book.consumers.setdefault(producer, []).append(row.task)
        book.payloads[row.task] = Payload(row.call, row.item, inputs)
        waits = row._replace(after=[producer for producer in row.after if producer not in book.results])
        task = task_from_row(waits, book.calls[row.call], *book.demands[row.call])
        if inputs and (held := held_inputs(task.run, inputs, book.reads[row.call])):
            task = replace(task, inputs=held)
        self.engine.apply(events.TaskOffered(task, row.not_before), now)

    def _report(self, now: int, row: ReportRow) -> bool:
        """Take a row; returns whether it ends an attempt."""
        event = event_from_report(row)
        if row.what == "finished" and self.engine.expects(row.task, row.attempt):
            self._deliver(now, row.task, row.value[1])
        self.engine.apply(event, now)
        if not isinstance(event, events.AttemptEnded):
            return False
        self._forget(row.task)
        return True

    def _deliver(self, now: int, producer: str, ref: Any) -> None:
        """Hand a result to the offered tasks that lack it, and keep it for those that are on the way."""
        run, _, name = producer.partition("/")
        book = self.books.get(run)
        if book is None:
            return
        book.results[producer] = ref
        if len(book.results) > KEEP_FINISHED:
            book.results.popitem(last=False)
        for consumer in book.consumers.pop(producer, ()):
            payload = book.payloads.get(consumer)
            if payload is not None:
                payload.inputs[name] = ref
                size = blob_size(name, ref, book.reads[payload.call])
                if size:
                    self.engine.apply(events.InputKnown(consumer, producer, size), now)

    def _forget(self, task: str) -> None:
        """Drop the payload of a task that left the engine; one offered again meanwhile is still known there."""
        run = task.partition("/")[0]
        book = self.books.get(run)
        if book is not None and not self.engine.knows(task):
            book.payloads.pop(task, None)
            self._put_away(run, book)

    def _nodes(self, now: int, body: NodesBody) -> None:
        for hello in body.joined:
            self.incarnations[hello.node.name] = hello.incarnation
            self._forward(hello.node.name, int(hello.incarnation) - 1)
            holds = tuple((task, attempt) for task, attempt in hello.holds)
            joined = events.NodeJoined(node_from_model(hello.node), hello.incarnation, holds)
            self.engine.apply(joined, now)
        for node, incarnation in body.lost:
            self._forward(node, int(incarnation))
            self.engine.apply(events.NodeLost(node, incarnation), now)
        for node, cordoned in body.cordoned:
            self.engine.apply(events.NodeCordoned(node, cordoned), now)

    def _forward(self, node: str, epoch: int) -> None:
        """The executor up to this epoch is dead: its last reports, which the planner may not have got, go on from here."""
        name = executor_name(node)
        kept = self.endings.get(name, ())
        self._ended.extend((node, row) for of, _, rows in kept if of <= epoch for row in rows)
        self.endings[name] = deque(report for report in kept if report[0] > epoch)

    def _call(self, now: int, item: Input) -> dict[str, Any] | HeadwayError:
        body = json.loads(item.body)
        try:
            if item.kind in ("policy", "configure"):
                policy = [
                    body["order"],
                    body["discipline"],
                    *([body["placement"]] if "placement" in body else []),
                ]
                tables = body.get("tables", self.tables)
                changed = standing.events(tables, self.tables)
                if item.kind == "policy" or policy != self.configured:
                    self.engine.apply(events.PolicySet(*policy), now)
                for event in changed:
                    self.engine.apply(event, now)
                if item.kind == "configure":
                    self.configured, self.tables = policy, tables
                return self.engine.policy()
            if item.kind == "plan":
                plan = PlanRecord.from_tree(body)
                self.engine.apply(events.PlanSet(plan), now)
                return {"id": plan.id}
            if item.kind == "override":
                override = Override(**body)
                self.engine.apply(events.OverrideApplied(override), now)
                return dict(body)
            if item.kind == "propose":
                proposal = Proposal(**body["proposal"])
                return asdict(self.overruling.judge(self.engine, proposal, body["autonomy"], now))
            if item.kind == "window":
                return self._window(now, body)
            if item.kind == "unwindow":
                known = [window for window in self.engine.windows_view() if window["id"] == body["id"]]
                if not known:
                    return NotFound(
                        f"there is no window {body['id']!r}",
                        hint="`headway windows` lists those that are not over",
                    )
                self.engine.apply(events.WindowCleared(body["id"]), now)
                return known[0]
            if item.kind == "quota":
                return self._quota(now, body["tenant"], body["quota"])
            if item.kind == "rate":
                return self._rate(now, body["rate"], body["limit"])
            if item.kind == "pool":
                return self._pool(now, body["pool"], body["slots"])
            if item.kind == "revert":
                if body["id"].startswith(PAUSE):
                    target = body["id"].removeprefix(PAUSE)
                    return Conflict(f"{target} is paused", hint=f"resume it: headway resume {target}")
                if body["id"] not in self.engine.world.overrides.active:
                    return NotFound(
                        f"there is no override {body['id']!r} in force", hint="`headway overrides` lists them"
                    )
                self.engine.apply(events.OverrideReverted(body["id"]), now)
                return dict(body)
        except HeadwayError as error:
            return error
        return Invalid(f"the scheduler knows no call {item.kind!r}")

    def _quota(self, now: int, tenant: str, quota: dict[str, Any] | None) -> dict[str, Any]:
        if quota is None and not self.engine.limited(tenant):
            raise NotFound(f"tenant {tenant!r} has no quota", hint="`headway tenants` lists those that have")
        made = Quota.parse(quota) if quota is not None else None
        self.engine.apply(events.QuotaSet(tenant, made), now)
        idle = {"tenant": tenant, "used": {}, "running": 0, "waiting": 0}
        return next((view for view in self.engine.tenants_view() if view["tenant"] == tenant), idle)

    def _rate(self, now: int, rate: str, limit: dict[str, Any] | None) -> dict[str, Any]:
        def shown() -> dict[str, Any] | None:
            return next((view for view in self.engine.rates_view(now) if view["rate"] == rate), None)

        before = shown()
        if limit is None and before is None:
            raise NotFound(f"there is no rate {rate!r}", hint="`headway rates` lists them")
        self.engine.apply(events.RateSet(rate, Rate.parse(limit) if limit is not None else None), now)
        return shown() or before or {}

    def _pool(self, now: int, pool: str, slots: int | None) -> dict[str, Any]:
        def shown() -> dict[str, Any] | None:
            return next((view for view in self.engine.pools_view() if view["pool"] == pool), None)

        before = shown()
        if slots is None and before is None:
            raise NotFound(f"there is no pool {pool!r}", hint="`headway pools` lists them")
        self.engine.apply(events.PoolSet(pool, slots), now)
        return shown() or before or {}

    def _window(self, now: int, body: dict[str, Any]) -> dict[str, Any]:
        known = {view["node"] for view in self.engine.nodes_view()}
        missing = [name for name in body["nodes"] if name not in known]
        if missing:
            raise NotFound(f"there is no node {missing[0]!r}", hint="`headway nodes` lists them")
        if any(window["id"] == body["id"] for window in self.engine.windows_view()):
            raise Conflict(f"there is a window {body['id']!r}", hint="end it first, or choose another id")
        if body["end"] <= now:
            raise Invalid(f"window {body['id']} is over already", hint="give a time in the future to end at")
        demand = Demand(**body["demand"]) if body["demand"] is not None else None
        window = Window(**{**body, "nodes": tuple(body["nodes"]), "demand": demand})
        self.engine.apply(events.WindowSet(window), now)
        return next(view for view in self.engine.windows_view() if view["id"] == window.id)

    # ── what goes out ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _publish(self, decisions: Sequence[Any], step: Step) -> None:
        out = Outgoing()
        out.planner.ended.extend(self._ended)
        for decision in decisions:
            match decision:
                case Start():
                    self._grant(decision, out)
                case Recall(node, lease, attempts):
                    out.lease(node).recalls.append((lease, list(attempts)))
                case Preempt(task, attempt, node, grace):
                    out.lease(node).preempts.append((task, attempt, grace))
                case Spare(task, attempt, node):
                    asked = out.lease(node).preempts
                    if any(
                        row[:2] == (task, attempt) for row in asked
                    ):  # in this very step: as if never asked
                        asked[:] = [row for row in asked if row[:2] != (task, attempt)]
                    else:
                        out.lease(node).spares.append((task, attempt))
                case Stop(task, attempt, node, reason):
                    out.lease(node).stops.append((task, attempt, reason.code))
                case Lost(task, attempt, node, started):
                    out.planner.lost.append((task, attempt, node, started))
                    self._forget(task)
                case Dropped(task):
                    out.planner.dropped.append(task)
                    self._forget(task)
        if out.planner.lost or out.planner.dropped or out.planner.ended:
            step.outputs.append(Output(PLANNER, (PLANNER,), "schedule", to_json(out.planner)))
        for node, body in out.leases.items():
            name = executor_name(node)
            step.outputs.append(Output(name, (name,), "lease", to_json(body), self._epoch(node)))

    def _grant(self, start: Start, out: Outgoing) -> None:
        book = self.books[start.task.partition("/")[0]]
        payload = book.payloads[start.task]
        body = out.lease(start.node)
        body.calls.setdefault(payload.call, book.calls[payload.call])
        gang = None
        if start.gang is not None:
            rank, nodes = start.gang
            gang = (rank, f"{payload.call}:{start.attempt}")
            body.gangs.setdefault(gang[1], list(nodes))
        body.grants.append(
            GrantRow(
                start.task,
                start.attempt,
                start.lease,
                start.position,
                payload.call,
                payload.item,
                payload.inputs,
                list(start.devices),
                start.variant,
                gang,
            )
        )

    def _epoch(self, node: str) -> int:
        """A new executor begins its lease stream anew: what was on the way to the former one is void."""
        return int(self.incarnations.get(node, 0))

    # ── persistence ───────────────────────────────────────────────────────────────────────────────────────────────────

    def snapshot(self) -> Any:
        books = {
            run: {
                "calls": {key: call.model_dump(exclude_defaults=True) for key, call in book.calls.items()},
                "payloads": {task: [p.call, p.item, p.inputs] for task, p in book.payloads.items()},
                "consumers": book.consumers,
                "results": book.results,
                "closed": book.closed,
            }
            for run, book in self.books.items()
        }
        return {
            "engine": self.engine.snapshot(),
            "books": books,
            "incarnations": self.incarnations,
            "endings": {name: list(kept) for name, kept in self.endings.items()},
            "configured": self.configured,
            "tables": self.tables,
            "overruling": self.overruling.snapshot(),
        }

    def restore(self, tree: Any) -> None:
        self.engine = type(self.engine).restore(tree["engine"])
        self.incarnations = dict(tree["incarnations"])
        self.endings = {
            name: deque((epoch, seq, [ReportRow(*row) for row in rows]) for epoch, seq, rows in kept)
            for name, kept in tree["endings"].items()
        }
        self.configured = list(tree["configured"])
        self.tables = tree.get("tables", {})
        if "overruling" in tree:  # not in snapshots of before there were agents
            self.overruling.restore(tree["overruling"])
        self.books = {}
        for run, kept in tree["books"].items():
            calls = {key: Call(**call) for key, call in kept["calls"].items()}
            self.books[run] = Book(
                calls,
                {
                    key: (demand_from_model(call.demand), variants_from_call(call))
                    for key, call in calls.items()
                },
                {key: read_by(call) for key, call in calls.items()},
                {task: Payload(*fields) for task, fields in kept["payloads"].items()},
                {task: list(waiting) for task, waiting in kept["consumers"].items()},
                OrderedDict(kept["results"]),
                kept["closed"],
            )
