"""The planner's loop: holds every run's graph, offers what is ready and what is a few steps behind, records what is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from pydantic_core import to_json

from headway.bus.messages import (
    Call,
    EditRow,
    NodeModel,
    NodesBody,
    OfferBody,
    OfferRow,
    ReportBody,
    ReportRow,
    ScheduleBody,
)
from headway.bus.names import PLANNER, RESOURCE_MANAGER, SCHEDULER
from headway.bus.topics import executor_name
from headway.core.behind import Behind, behind
from headway.core.capacity.estimates import UNKNOWN
from headway.core.runs import Offer, Plan, Runs, refuse_impossible
from headway.core.runs.schedules import Schedules
from headway.domain.beside import beside_to_json
from headway.domain.codec import arg_to_json as tree_of
from headway.domain.codec import ref_from_json, ref_to_json, workflow_from_json
from headway.domain.growth import GRAPH, Growth, growth_from_json
from headway.domain.resources import Node
from headway.domain.results import Ref
from headway.domain.units import SECOND
from headway.domain.waits import json_of
from headway.domain.workflow import TaskSpec, parents
from headway.errors import Conflict, HeadwayError, Invalid, NotFound
from headway.journal.records import Document
from headway.roles import recurring
from headway.roles.step import CALL, NONSENSE, Input, Output, Step
from headway.roles.tally import Tally
from headway.roles.translate import (
    demand_to_model,
    environment_to_model,
    node_from_model,
    node_to_model,
    ref_to_model,
    variant_to_model,
)

#: An offer message holds at most this many tasks, so that no letter grows past a few hundred kilobytes.
OFFERS_PER_LETTER = 500
#: Inputs of one task larger than this travel as one blob.
INPUTS_LIMIT = 32_768
#: How long an idempotency key is remembered.
KEY_LIFE = 24 * 3600 * SECOND
#: Ended runs kept in memory for listings; older ones are read from the archive.
RECENT_RUNS, RECENT_TASKS = 500, 50_000


#: Reports of an attempt that goes on, or never began.
UNENDED = ("started", "progress", "checkpoint", "returned")


class Planner:
    """Owns the graphs (`core.runs`), the idempotency keys, and which calls the scheduler has been told."""

    name = PLANNER
    logic = "1"

    def __init__(self, heard: Callable[[], bool] = lambda: True) -> None:
        #: Whether anybody wants to hear what changed: telling it takes a tenth of a step's time.
        self._heard = heard
        self.runs = Runs()
        self.schedules = Schedules()
        #: For who watches; not part of the state.
        self.tally = Tally()
        self.nodes: dict[str, Node] = {}
        #: Idempotency key -> [run, digest of the submission, time].
        self.keys: dict[str, list[Any]] = {}
        #: Ended runs that are archived but still in memory, oldest first: run -> number of tasks.
        self.recent: dict[str, int] = {}
        #: What lies behind each node of a run's graph, by run: follows from the graphs.
        self._behind: dict[str, dict[str, Behind]] = {}

    # ── the step ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def step(self, now: int, inputs: Sequence[Input]) -> Step:
        """Apply all inputs in order, then plan once."""
        step = Step()
        self.runs.tick(now)
        for item in inputs:
            if item.source == CALL:
                step.replies[item.seq] = self._call(now, item)
                continue
            try:
                self._take(now, item, step)
            except NONSENSE as error:
                step.refuse(item, error)
        recurring.start_due(
            self.schedules, self.runs.alive, self.runs.has, lambda body: self._submit(now, body)
        )
        plan = self.runs.drain()
        self._publish(plan, step)
        self._archive(now, plan, step)
        if self._heard():
            step.changes.extend(self.runs.changes())
        else:
            self.runs.skip_changes()
        return step

    def wake_at(self) -> int | None:
        return self.runs.wake_at()

    # ── what comes in ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, now: int, item: Input, step: Step) -> None:
        if item.kind == "report":
            node = item.source.removeprefix(executor_name(""))
            for row in ReportBody.model_validate_json(item.body).rows:
                try:
                    self._report(now, row, node)
                except NONSENSE as error:
                    step.refuse(item, error)
        elif item.kind == "schedule" and item.source == SCHEDULER:
            self._schedule(now, ScheduleBody.model_validate_json(item.body))
        elif item.kind == "nodes" and item.source == RESOURCE_MANAGER:
            self._nodes(NodesBody.model_validate_json(item.body))

    def _report(self, now: int, row: ReportRow, node: str) -> None:
        value = row.value
        if row.what == "finished":
            took, ref = value
            if ref.get("kind") == GRAPH:
                try:
                    value = [took, self._growth(ref.get("data"))]
                except Invalid as error:
                    value = [took, str(error)]
            else:
                value = [took, ref_from_json(ref)]
        if (
            self.runs.report(row.task, row.attempt, row.what, row.at, value, now, node)
            and row.what not in UNENDED
        ):
            self.tally.attempt(row.what, value[0] if value else 0)

    def _growth(self, tree: Any) -> Growth:
        """What a dynamic task called, checked as a submission is."""
        growth = growth_from_json(tree)
        if self.nodes:
            refuse_impossible(growth.workflow, [self.nodes[name] for name in sorted(self.nodes)])
        return growth

    def _schedule(self, now: int, body: ScheduleBody) -> None:
        for node, row in body.ended:
            self._report(now, row, node)
        for task, attempt, _node, started in body.lost:
            self.runs.lost(task, attempt, started, now)
        for task in body.dropped:
            self.runs.dropped(task, now)

    def _nodes(self, body: NodesBody) -> None:
        for hello in body.joined:
            self.nodes[hello.node.name] = node_from_model(hello.node)
        for name, _incarnation in body.lost:
            self.nodes.pop(name, None)

    def _call(self, now: int, item: Input) -> dict[str, Any] | HeadwayError:
        body = json.loads(item.body)
        try:
            if item.kind in recurring.CALLS:
                return recurring.CALLS[item.kind](self.schedules, body, now)
            if item.kind == "submit":
                return self._submit(now, body)
            if item.kind == "cancel":
                self.runs.cancel(body["target"], body["reason"], now)
                return self._view_of(body["target"])
            if item.kind in ("pause", "resume", "edit"):
                return self._steer(now, item.kind, body)
            if item.kind == "forget":
                return {"forgotten": self._forget(body["before"])}
            if item.kind == "approve":
                self.runs.approve(body["task"], body["yes"], body["by"], body["reason"], now)
                return self.runs.task_view(body["task"])
            if item.kind == "signal":
                value = json_of(body["value"], "the value of the signal")
                count = self.runs.signal(body["run"], body["name"], value, body["by"], body["reason"], now)
                return {**self.runs.run_view(body["run"]), "answered": count}
            if item.kind == "retry":
                if body.get("archived") is not None and not self.runs.has(body["run"]):
                    self.runs.adopt(body["archived"])
                self.recent.pop(body["run"], None)
                self.runs.retry(body["run"], now)
                return self.runs.run_view(body["run"])
        except HeadwayError as error:
            return error
        return Invalid(f"the planner knows no call {item.kind!r}")

    def _steer(self, now: int, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        target = body["target"]
        if kind == "pause":
            self.runs.pause(target, body["by"], body["reason"], body["stop"], now)
        elif kind == "resume":
            self.runs.resume(target)
        else:
            self.runs.edit(target, body["changes"], body["by"], body["reason"], now)
        try:
            return self._view_of(target)
        except NotFound:  # all items of a map: it is no task itself
            return {**self.runs.run_view(target.partition("/")[0]), "target": target}

    def _view_of(self, target: str) -> dict[str, Any]:
        return self.runs.task_view(target) if "/" in target else self.runs.run_view(target)

    def _submit(self, now: int, body: dict[str, Any]) -> dict[str, Any]:
        digest = hashlib.sha256(to_json([body["workflow"], body["values"], body["bundle"]])).hexdigest()
        key = body.get("key")
        if key is not None and key in self.keys:
            run, before, _ = self.keys[key]
            if before != digest:
                raise Conflict(
                    f"idempotency key {key!r} was used for another submission, run {run}",
                    hint="use a new key",
                )
            if self.runs.has(run):
                return {**self.runs.run_view(run), "repeated": True}
            return {"id": run, "repeated": True, "archived": True}
        workflow = workflow_from_json(body["workflow"])
        if self.nodes:
            refuse_impossible(workflow, [self.nodes[name] for name in sorted(self.nodes)])
        values = {name: ref_from_json(ref) for name, ref in body["values"].items()}
        self.runs.submit(body["run"], workflow, values, body["bundle"], now)
        if key is not None:
            self._remember_key(key, body["run"], digest, now)
        return self.runs.run_view(body["run"])

    def _remember_key(self, key: str, run: str, digest: str, now: int) -> None:
        self.keys[key] = [run, digest, now]
        while self.keys:
            oldest = next(iter(self.keys))
            if self.keys[oldest][2] > now - KEY_LIFE:
                break
            del self.keys[oldest]

    # ── what goes out ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _publish(self, plan: Plan, step: Step) -> None:
        offers, edits, first = plan.offers, plan.edits, True
        while first or offers or edits:
            chunk, offers = offers[:OFFERS_PER_LETTER], offers[OFFERS_PER_LETTER:]
            body = OfferBody(edits=[EditRow(*row) for row in edits[:OFFERS_PER_LETTER]])
            edits = edits[OFFERS_PER_LETTER:]
            for offer in chunk:
                if offer.call not in body.calls:
                    body.calls[offer.call] = self._call_of(offer.call)
                body.tasks.append(self._row(offer, step))
            if first:
                body.withdraw.extend(plan.withdraw)
                body.closed.extend(plan.ended)
                body.pauses.extend(plan.pauses)
                body.resumes.extend(plan.resumes)
            if any((body.tasks, body.withdraw, body.closed, body.edits, body.pauses, body.resumes)):
                step.outputs.append(Output(SCHEDULER, (SCHEDULER,), "offer", to_json(body)))
            first = False

    def _row(self, offer: Offer, step: Step) -> OfferRow:
        inputs = {name: ref_to_json(ref) for name, ref in offer.inputs.items()}
        if len(inputs) > 8:
            # Many inputs: as one blob if they are large, so that a fan-in over thousands stays a small message.
            encoded = to_json(inputs)
            if len(encoded) > INPUTS_LIMIT:
                sha = hashlib.sha256(encoded).hexdigest()
                step.blobs[sha] = encoded
                inputs = {"*": ref_to_json(Ref("blob", sha, len(encoded)))}
        task = offer.task
        gang = (task.gang.index, task.gang.size, task.gang.done) if task.gang is not None else None
        return OfferRow(
            task.id,
            offer.call,
            offer.item,
            list(task.after),
            inputs,
            task.release,
            offer.not_before,
            gang,
            offer.edit,
        )

    def _call_of(self, key: str) -> Call:
        """The call of one workflow node, in the protocol's form."""
        workflow, spec, values, bundle = self.runs.call(key)
        run = key.partition("/")[0]
        lies = self._behind_of(key, workflow.weight)
        return Call(
            run=run,
            name=spec.name,
            bundle=bundle,
            function=spec.function,
            shell=spec.shell,
            args=[tree_of(arg) for arg in spec.args],
            kwargs={name: tree_of(arg) for name, arg in spec.kwargs},
            mapped=spec.mapped,
            values={name: ref_to_model(ref) for name, ref in values.items()},
            demand=demand_to_model(spec.demand),
            kind=spec.kind,
            tenant=workflow.tenant,
            priority=spec.priority,
            weight=workflow.weight,
            estimate=spec.estimate,
            deadline=workflow.due(spec, self.runs.submitted(run)),
            timeout=spec.timeout,
            at_most_once=spec.at_most_once,
            where=list(spec.where),
            restart=spec.restart,
            environment=environment_to_model(spec.environment),
            variants=[variant_to_model(variant) for variant in spec.variants],
            within=list(spec.within),
            dynamic=spec.dynamic,
            beside=beside_to_json(spec.beside) if spec.beside is not None else {},
            path=lies.path,
            behind=lies.weight,
        )

    def _behind_of(self, key: str, weight: int) -> Behind:
        """What lies behind a node of a run's graph, by the estimates that were said; a map counts as one task.

        Behind what a dynamic task called lies, too, what lies behind that task.
        """
        run, _, name = key.partition("/")
        found = self._behind.setdefault(run, {})
        missing: list[tuple[list[TaskSpec], str | None]] = []
        caller: str | None = name
        while caller is not None and caller not in found:  # several levels after a restart
            together, caller = self.runs.drawn_with(f"{run}/{caller}")
            missing.append((together, caller))
        for together, caller in reversed(missing):
            beyond = found[caller] if caller is not None else Behind()
            place = {spec.name: index for index, spec in enumerate(together)}
            after = [[place[name] for name in parents(spec)] for spec in together]
            takes = [UNKNOWN if spec.estimate is None else spec.estimate for spec in together]
            for named, lies in zip(place, behind(after, takes, [weight] * len(takes)), strict=True):
                found[named] = Behind(lies.path + beyond.path, lies.weight + beyond.weight)
        return found[name]

    def _archive(self, now: int, plan: Plan, step: Step) -> None:
        """Write down runs that ended; forget the oldest beyond what listings keep at hand."""
        for run in plan.ended:
            self._behind.pop(run, None)
            kept = self.runs.archive(run)
            self.tally.run(kept["state"], kept["ended"] - kept["submitted"])
            saved = kept.pop("saved")
            # Two rows: listings read the small one only.
            for kind, body in (("run", kept), ("graph", {"saved": saved})):
                step.documents.append(
                    Document(kind, run, run, kept["state"], kept["submitted"], to_json(body))
                )
            self.recent[run] = sum(kept["counts"].values())
        while len(self.recent) > RECENT_RUNS or (
            len(self.recent) > 1 and sum(self.recent.values()) > RECENT_TASKS
        ):
            oldest = next(iter(self.recent))
            del self.recent[oldest]
            self.runs.forget(oldest)

    def _forget(self, before: int) -> int:
        """Drop ended runs from memory that ended before; returns how many."""
        old = [run for run in self.recent if (self.runs.run_view(run)["ended"] or before) < before]
        for run in old:
            del self.recent[run]
            self.runs.forget(run)
        return len(old)

    # ── persistence ───────────────────────────────────────────────────────────────────────────────────────────────────

    def snapshot(self) -> Any:
        nodes = [node_to_model(node).model_dump() for node in self.nodes.values()]
        return {
            "runs": self.runs.snapshot(),
            "schedules": self.schedules.snapshot(),
            "nodes": nodes,
            "keys": self.keys,
            "recent": self.recent,
        }

    def restore(self, tree: Any) -> None:
        self.runs = Runs.restore(tree["runs"])
        if "schedules" in tree:  # not in snapshots of before there were any
            self.schedules = Schedules.restore(tree["schedules"])
        self.nodes = {node["name"]: node_from_model(NodeModel(**node)) for node in tree["nodes"]}
        self.keys, self.recent = dict(tree["keys"]), dict(tree["recent"])
