"""All runs together: the planner's deterministic core, driven by its loop, the inline run and the simulator.

Sans-IO: no clock, no chance. Events come in through the methods, what follows is taken once per step with
`drain`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headway.core.runs import attempts, flow, steering, storage, views, waits
from headway.core.runs.caching import Kept
from headway.core.runs.graph import Step
from headway.core.runs.run import KNOWN, OFFERED, UNACKED, Run
from headway.core.runs.states import FINISHED, LIVE, STATES
from headway.domain.codec import nearest, validate_workflow, values_of
from headway.domain.groups import check_levels
from headway.domain.resources import Node
from headway.domain.results import Ref
from headway.domain.task import Gang, Task
from headway.domain.units import show_amount
from headway.domain.where import unmet
from headway.domain.workflow import TaskSpec, Workflow
from headway.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True, slots=True)
class Offer:
    """A task for the scheduler.

    Attributes:
        task: With `after`: the tasks it still waits for.
        call: `<run>/<node of the graph>`, see `Runs.call`.
        item: Its index in a map, or None.
        inputs: Results of the parents that have finished, by name in the run (`train[3]`).
        not_before: Not to start earlier (back-off), in microseconds; 0 for at once.
        edit: What a person set, which `task` has in it; None for nothing.
    """

    task: Task
    call: str
    item: int | None
    inputs: dict[str, Ref]
    not_before: int = 0
    edit: steering.Edit | None = None


@dataclass(slots=True)
class Plan:
    """What follows from one step's events.

    Attributes:
        withdraw: (task, reason) of offers that are void.
        ended: Runs that have no live task any more.
        pauses: (target, by whom, reason, whether what runs is to stop).
        resumes: Targets that are paused no more.
        edits: (task, priority, weight, deadline) of tasks that are offered already.
    """

    offers: list[Offer] = field(default_factory=list)
    withdraw: list[tuple[str, str]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    pauses: list[tuple[str, str, str, bool]] = field(default_factory=list)
    resumes: list[str] = field(default_factory=list)
    edits: list[tuple[str, int | None, int | None, int | None]] = field(default_factory=list)


class Runs:
    """Every run the planner holds, by id, in order of submission."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        #: Reports that were stale or repeated, and dropped.
        self.duplicates = 0
        self.kept = Kept()
        self._dirty: dict[str, None] = {}  # runs with something for the next drain
        self._ended: dict[str, None] = {}
        self._asked: dict[str, None] = {}  # runs of which something waits for an answer
        self._changes: list[tuple[str, list[tuple[int, int]]]] = []  # of the last drain: run, (step, row)

    # ── what happens ────────────────────────────────────────────────────────────────────────────────────────

    def submit(
        self, run_id: str, workflow: Workflow, values: Mapping[str, Ref], bundle: str, now: int
    ) -> None:
        """Take a workflow in.

        Raises:
            Invalid: The workflow cannot run, see `validate_workflow`.
            Conflict: The id is taken.
        """
        if not run_id or "/" in run_id:
            raise Invalid(f"{run_id!r} cannot be the id of a run", hint="use text without '/'")
        if run_id in self._runs:
            raise Conflict(f"there is a run {run_id} already", run=run_id)
        validate_workflow(workflow, values)
        run = Run(run_id, workflow, values, bundle, now)
        run.kept = self.kept
        flow.begin(run, now)
        self._runs[run_id] = run
        self._after(run, now)

    def report(
        self, task: str, attempt: int, what: str, at: int, value: Any, now: int, node: str = ""
    ) -> bool:
        """Take one row of an executor's report (`bus.messages.ReportRow`; a finished value is [took, Ref],
        of a dynamic task that called others [took, Growth], or [took, what is wrong with it]).

        Args:
            node: Whose executor it is.

        Returns:
            False if it was stale or repeated, which is counted and changes nothing.
        """
        found = self._find(task)
        if found is None or not attempts.report(found[0], found[1], found[2], attempt, what, at, value, now):
            self.duplicates += 1
            return False
        if node and what != "returned":
            found[0].put_on(found[2], node)
        self._after(found[0], now)
        return True

    def lost(self, task: str, attempt: int, started: bool, now: int) -> bool:
        """The scheduler says: the attempt ended with its node; `started` unless it certainly never ran."""
        found = self._find(task)
        if found is None:
            return False
        run, step, row = found
        run.flags[row] &= ~UNACKED
        if not attempts.lost(run, step, row, attempt, started, now):
            if run.state[row] == FINISHED:
                # We heard of its end, the scheduler did not and now never will: there its heirs wait for ever.
                flow.offer_heirs(run, step, row)
                flow.offer_gang(run, step)
                self._dirty[run.id] = None
            return False
        self._after(run, now)
        return True

    def dropped(self, task: str, now: int) -> None:
        """The scheduler says: the withdrawn task is gone, it was not placed."""
        found = self._find(task)
        if found is not None:
            found[0].flags[found[2]] &= ~UNACKED

    def cancel(self, target: str, reason: str, now: int) -> None:
        """Cancel a run, a task, or all items of a map; what needs them is skipped.

        Raises:
            NotFound: No such run or task.
            Conflict: It has ended otherwise.
        """
        run_id, _, name = target.partition("/")
        run = self._get(run_id)
        rows = self._targets(run, name)
        live = [(step, row) for step, row in rows if run.state[row] in LIVE]
        if not live:
            state = run.outcome if not name else STATES[run.state[rows[0][1]]] if rows else "finished"
            if state == "cancelled":
                return
            raise Conflict(f"{target} has ended: it is {state}", target=target, state=state)
        if not name:
            run.cancelled = reason or "cancelled"
            live.reverse()  # heirs first, so that they are cancelled too and not skipped
        for step, row in live:
            flow.end(run, step, row, "cancel", reason, now)
        flow.settle(run, now)
        self._after(run, now)

    def retry(self, run_id: str, now: int) -> int:
        """Run again what failed, was cancelled or skipped; what has finished stays.

        Returns:
            How many tasks were brought back.

        Raises:
            Conflict: There is nothing to run again, or the run still has work.
        """
        run = self._get(run_id)
        if run.live:
            raise Conflict(
                f"run {run_id} is still running", hint=f"wait for it: headway wait {run_id}", run=run_id
            )
        count = flow.rerun(run, now)
        if not count:
            raise Conflict(f"run {run_id} has nothing to run again: it is {run.outcome}", run=run_id)
        self._after(run, now)
        return count

    def pause(self, target: str, by: str, reason: str, stop: bool, now: int) -> None:
        """Let nothing of a run, a task or a map start, see `steering.pause`."""
        run_id, _, name = target.partition("/")
        steering.pause(self._get(run_id), name, by, reason, stop, now)
        self._dirty[run_id] = None

    def resume(self, target: str) -> None:
        """Let it start again, see `steering.resume`."""
        run_id, _, name = target.partition("/")
        steering.resume(self._get(run_id), name)
        self._dirty[run_id] = None

    def edit(self, target: str, changes: dict[str, int], by: str, reason: str, now: int) -> None:
        """Change priority, milli-weight or deadline, see `steering.edit`."""
        run_id, _, name = target.partition("/")
        steering.edit(self._get(run_id), name, changes, by, reason, now)
        self._dirty[run_id] = None

    def approve(self, task: str, yes: bool, by: str, reason: str, now: int) -> None:
        """Answer an approval, see `waits.approve`."""
        run_id, _, name = task.partition("/")
        run = self._get(run_id)
        waits.approve(run, name, yes, by, reason, now)
        self._after(run, now)

    def signal(self, run_id: str, name: str, value: str, by: str, reason: str, now: int) -> int:
        """Give a signal to a run, see `waits.signal`."""
        run = self._get(run_id)
        count = waits.signal(run, name, value, by, reason, now)
        self._after(run, now)
        return count

    def tick(self, now: int) -> None:
        """Time passes: approvals and signals that nobody gave in time."""
        for run in self._asking():
            due = waits.next_expiry(run)
            if due is not None and due <= now:
                waits.expire(run, now)
                self._after(run, now)

    def wake_at(self) -> int | None:
        """When time alone changes something, or None."""
        due = (waits.next_expiry(run) for run in self._asking())
        return min((time for time in due if time is not None), default=None)

    # ── what follows ────────────────────────────────────────────────────────────────────────────────────────

    def drain(self) -> Plan:
        """All offers, withdrawals and ends since the last drain, each once, in the order they came about."""
        plan = Plan()
        self._changes = []
        for run_id in self._dirty:
            run = self._runs[run_id]
            for (number, row), not_before in run.offers.items():
                made = _offer(run, run.steps[number], row, not_before)
                if made is not None:
                    plan.offers.append(made)
            plan.withdraw.extend(run.withdrawn.items())
            if run.notices:
                _notify(run, plan)
            self._changes.append((run_id, list(run.touched)))
            run.offers, run.withdrawn, run.touched = {}, {}, {}
        plan.ended.extend(run_id for run_id in self._ended if self._runs[run_id].ended)
        self._dirty, self._ended = {}, {}
        return plan

    def changes(self) -> list[dict[str, Any]]:
        """What watchers should hear of the last drain: tasks that moved or ended, then their runs."""
        found: list[dict[str, Any]] = []
        for run_id, rows in self._changes:
            run = self._runs.get(run_id)
            if run is None:
                continue
            found.extend({"type": "task", **views.brief(run, run.steps[number], row)} for number, row in rows)
            found.append({"type": "run", **views.run_view(run), "result": None})
        self._changes = []
        return found

    def skip_changes(self) -> None:
        """Nobody wants to hear what the last drain took."""
        self._changes = []

    def call(self, key: str) -> tuple[Workflow, TaskSpec, dict[str, Ref], str]:
        """What all tasks of one node of a graph share: workflow, node, the literals it takes, the bundle."""
        run_id, _, name = key.partition("/")
        run = self._get(run_id)
        spec = run.names[name].spec
        return run.workflow, spec, {value: run.values[value] for value in values_of(spec)}, run.bundle

    def drawn_with(self, key: str) -> tuple[list[TaskSpec], str | None]:
        """The nodes of the graph that came with this one, and which one called them; None if they were submitted."""
        run_id, _, name = key.partition("/")
        run = self._get(run_id)
        owner = run.names[name].owner
        if owner < 0:
            return list(run.workflow.tasks), None
        group = run.groups[owner]
        together = [step.spec for step in run.steps[group.first : group.last]]
        return together, run.steps[group.step].spec.name

    # ── views ───────────────────────────────────────────────────────────────────────────────────────────────

    def __len__(self) -> int:
        return len(self._runs)

    def has(self, run_id: str) -> bool:
        return run_id in self._runs

    def alive(self, run_id: str) -> bool:
        """Whether a run is here and not over."""
        run = self._runs.get(run_id)
        return run is not None and not run.ended

    def submitted(self, run_id: str) -> int:
        """When it was, in microseconds of the service's clock."""
        return self._get(run_id).submitted

    def ids(self) -> list[str]:
        """Runs in order of submission."""
        return list(self._runs)

    def run_view(self, run_id: str) -> dict[str, Any]:
        return views.run_view(self._get(run_id))

    def runs_view(
        self, state: str | None = None, limit: int = 100, after: str | None = None
    ) -> list[dict[str, Any]]:
        """Runs, newest first; `after` is the last id of the page before."""
        found: list[dict[str, Any]] = []
        skipping = after is not None and after in self._runs
        for run in reversed(self._runs.values()):
            if not skipping and (state is None or run.outcome == state):
                if len(found) == limit:
                    break
                found.append(views.run_view(run))
            skipping = skipping and run.id != after
        return found

    def task_view(self, task: str) -> dict[str, Any]:
        run_id, _, name = task.partition("/")
        run = self._get(run_id)
        return views.task_view(run, *run.get(name))

    def tasks_view(
        self, run_id: str, state: str | None = None, limit: int = 100, offset: int = 0
    ) -> list[dict[str, Any]]:
        """Tasks of a run in the graph's order."""
        run = self._get(run_id)
        if state is not None and state not in views.SHOWN:
            raise Invalid(f"no task is ever {state!r}", hint=nearest(state, views.SHOWN))
        found: list[dict[str, Any]] = []
        for step, row in run.all_rows():
            if state is None or views.state_of(run, row) == state:
                if offset:
                    offset -= 1
                elif len(found) == limit:
                    break
                else:
                    found.append(views.brief(run, step, row))
        return found

    def result_tree(self, run_id: str) -> dict[str, Any] | None:
        return views.result_tree(self._get(run_id))

    # ── keeping ─────────────────────────────────────────────────────────────────────────────────────────────

    def snapshot(self) -> dict[str, Any]:
        """Everything, as plain JSON."""
        return {
            "runs": [storage.save(run) for run in self._runs.values()],
            "duplicates": self.duplicates,
            "kept": self.kept.snapshot(),
            "dirty": list(self._dirty),
            "ended": list(self._ended),
        }

    @classmethod
    def restore(cls, tree: Mapping[str, Any]) -> Runs:
        """Runs that go on exactly as those `snapshot` was taken of."""
        runs = cls()
        runs._runs = {saved["id"]: storage.load(saved) for saved in tree["runs"]}
        runs.kept = Kept.restore(tree.get("kept", ()))
        for run in runs._runs.values():
            run.kept = runs.kept
        runs.duplicates = tree["duplicates"]
        runs._dirty = dict.fromkeys(tree["dirty"])
        runs._ended = dict.fromkeys(tree["ended"])
        runs._asked = {run_id: None for run_id, run in runs._runs.items() if run.asked}
        return runs

    def archive(self, run_id: str) -> dict[str, Any]:
        """An ended run for storage: its view, and all of it under `saved`."""
        run = self._get(run_id)
        return {**views.run_view(run), "saved": storage.save(run)}

    def adopt(self, archived: Mapping[str, Any]) -> str:
        """Take a run back from the archive, to look at its tasks or to retry it. Returns its id."""
        run = storage.load(archived["saved"])
        if run.id in self._runs:
            raise Conflict(f"run {run.id} is here already", run=run.id)
        run.kept = self.kept
        self._runs[run.id] = run
        return run.id

    def forget(self, run_id: str) -> None:
        """Drop an ended run from memory."""
        run = self._get(run_id)
        if run.live:
            raise Conflict(f"run {run_id} is still running and cannot be forgotten", run=run_id)
        del self._runs[run_id]
        self._dirty.pop(run_id, None)
        self._ended.pop(run_id, None)

    def check(self) -> None:
        """Invariants of every run; tests call it after each step."""
        for run in self._runs.values():
            run.check()
            assert run.id in self._asked or not run.asked, f"run {run.id}: its time would never be over"
            assert run.id in self._dirty or not (run.offers or run.withdrawn or run.notices), (
                f"run {run.id}: forgotten by drain"
            )

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────

    def _after(self, run: Run, now: int) -> None:
        """After every event: work off what follows, and see whether the run is over."""
        if run.agenda:
            flow.settle(run, now)
        if run.asked:
            self._asked[run.id] = None
        self._dirty[run.id] = None
        if not run.live and not run.ended:
            run.ended = max(now, 1)
            if run.paused:
                steering.resume_all(run)
            self._ended[run.id] = None

    def _asking(self) -> list[Run]:
        """Runs of which something waits for an answer."""
        self._asked = {
            run_id: None for run_id in self._asked if run_id in self._runs and self._runs[run_id].asked
        }
        return [self._runs[run_id] for run_id in self._asked]

    def _find(self, task: str) -> tuple[Run, Step, int] | None:
        run_id, _, name = task.partition("/")
        run = self._runs.get(run_id)
        found = run.find(name) if run is not None else None
        return None if run is None or found is None else (run, *found)

    def _get(self, run_id: str) -> Run:
        run = self._runs.get(run_id)
        if run is None:
            raise NotFound(f"there is no run {run_id!r}", hint="list them with: headway runs", run=run_id)
        return run

    def _targets(self, run: Run, name: str) -> list[tuple[Step, int]]:
        if not name:
            return list(run.all_rows())
        step = run.names.get(name)
        if step is None:
            step, row = run.get(name)
            if not step.spec.gang:
                return [(step, row)]
        return [(step, row) for row in run.rows_of(step)]  # a gang goes as a whole


def _offer(run: Run, step: Step, row: int, not_before: int) -> Offer | None:
    """The row as an offer, or None if it waits for too much by now: it is offered again when it is ready."""
    waits_for = [] if run.is_free(step, row) else run.unfinished(step, row)
    if waits_for is None or not all(run.flags[parent] & OFFERED for _, parent in waits_for):
        run.flags[row] &= ~OFFERED
        return None
    run.flags[row] |= KNOWN
    spec, workflow = step.spec, run.workflow
    task = Task(
        id=run.id_of(step, row),
        kind=spec.kind,
        demand=spec.demand,
        tenant=workflow.tenant,
        priority=spec.priority,
        weight=workflow.weight,
        estimate=spec.estimate,
        # What a task frees is preferred to its siblings: a level further down counts as a microsecond earlier.
        release=max(run.submitted - step.depth, 0),
        deadline=workflow.due(spec, run.submitted),
        after=tuple(run.id_of(*parent) for parent in waits_for),
        at_most_once=spec.at_most_once,
        where=spec.where,
        restart=spec.restart,
        variants=spec.variants,
        gang=_gang(run, step, row),
        beside=spec.beside,
    )
    edit = steering.edit_of(run, step, row) if run.edits else None
    if edit is not None:
        said: dict[str, Any] = {
            name: value for name, value in zip(steering.FIELDS, edit, strict=True) if value is not None
        }
        task = replace(task, **said)
    item = row - step.base if step.plural else None
    return Offer(task, f"{run.id}/{spec.name}", item, run.inputs_of(step, row), not_before, edit)


def _notify(run: Run, plan: Plan) -> None:
    for what, *said in run.notices:
        if what == "pause":
            plan.pauses.append((said[0], said[1], said[2], said[3]))
        elif what == "resume":
            plan.resumes.append(said[0])
        else:
            plan.edits.append((said[0], said[1], said[2], said[3]))
    run.notices = []


def _gang(run: Run, step: Step, row: int) -> Gang | None:
    if not step.spec.gang or step.rows < 2:
        return None
    name = f"{run.id}/{step.spec.name}"
    return Gang(name, row - step.base, step.rows, step.rows - step.left, step.spec.within)


def refuse_impossible(workflow: Workflow, nodes: Iterable[Node]) -> None:
    """Refuse a workflow with a task that no node could hold even when empty, or whose labels no node has.

    Args:
        nodes: Those there are; with none, nothing can be said and nothing is refused.

    Raises:
        Invalid: Names the task, what it asked, and what the largest node has.
    """
    there: Sequence[Node] = sorted(nodes, key=lambda node: node.name)
    fits: dict[Any, bool] = {}
    for spec in workflow.tasks:
        asked = tuple((way.demand, way.where) for way in spec.ways)
        if asked not in fits:
            fits[asked] = not there or not all(node.refuses(*way) for node in there for way in asked)
        if not fits[asked]:
            raise _impossible(spec, there)
        if spec.beside is not None and there:
            check_levels(spec.name, spec.beside, there)


def _impossible(spec: TaskSpec, nodes: Sequence[Node]) -> Invalid:
    large = [node for node in nodes if node.lacks(spec.demand) is None]
    if large:
        return _unlabelled(spec, large)
    best = max(
        nodes,
        key=lambda node: (node.gpus, node.cpu, node.memory) if spec.demand.gpu else (node.cpu, node.memory),
    )
    lacking = best.lacks(spec.demand)
    assert lacking is not None
    name, asked, has = lacking
    return Invalid(
        f"task {spec.name!r} asks for {spec.demand}: no node could ever hold it",
        hint=f"the largest node, {best}, has {show_amount(name, has)} of {name}, not {show_amount(name, asked)}: "
        "ask for less, or add a node",
        task=spec.name,
        resource=name,
        asked=asked,
        largest=has,
        node=best.name,
    )


def _unlabelled(spec: TaskSpec, nodes: Sequence[Node]) -> Invalid:
    """Some nodes are large enough, and none of them has the labels."""
    why = Counter(unmet(spec.where, dict(node.labels)) for node in nodes)
    counts = ", ".join(f"{count} by {term}" for term, count in sorted(why.items(), key=str))
    return Invalid(
        f"task {spec.name!r} wants {' and '.join(spec.where)}: no node could ever hold it",
        hint=f"of {len(nodes)} nodes large enough {counts} are out: see their labels with `headway nodes -o json`",
        task=spec.name,
        where=list(spec.where),
    )
