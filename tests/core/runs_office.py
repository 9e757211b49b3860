"""A scheduler and executors in miniature, for `core.runs`: they place what is offered and report.

Each executor has a stream of its own, and the planner hears the streams interleaved at random, so an end may
come before a start and a successor's end before its parent's; some reports come twice.
"""

from __future__ import annotations

import json
import random
import re
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from headway.core.runs import Offer, Plan, Runs
from headway.domain.growth import Growth
from headway.domain.results import Ref
from headway.domain.rules import RULES
from headway.domain.task import Task
from headway.domain.waits import Wait
from headway.domain.workflow import ListOf, Output, Retry, TaskSpec, Value, When, Workflow, outputs_of

EXECUTORS = 3
BAD = ("failed", "timed_out", "worker_died", "preempted", "lost")


def spec(name: str, *args: Any, mapped: int = 0, retries: int = 0, **fields: Any) -> TaskSpec:
    """A node whose function is called like it."""
    return TaskSpec(name, f"m:{name}", args=args, mapped=mapped, retry=Retry(retries), **fields)


def listing(count: int) -> Ref:
    return Ref("json", list(range(count)), 2 * count, count, "a list")


ONE = Ref("json", 1, 1, None, "1")


@dataclass
class Placed:
    """What the scheduler knows of a task."""

    task: Task
    node: str
    attempt: int = 0
    running: bool = False
    again: Task | None = None
    stop: bool = False
    stream: int = 0


@dataclass
class Office:
    """Scheduler and executors over one `Runs`, driven by a seed."""

    seed: int
    workflow: Workflow
    values: dict[str, Ref] = field(default_factory=dict)
    trouble: float = 0.3
    runs: Runs = field(default_factory=Runs)
    now: int = 1

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.placed: dict[str, Placed] = {}
        self.numbers: dict[str, int] = {}  # last attempt, kept while the task may come again
        self.streams: list[deque[tuple[Any, ...]]] = [deque() for _ in range(EXECUTORS + 1)]
        self.finished: dict[str, None] = {}  # as the scheduler knows it
        self.recorded: dict[str, int] = {}
        self.ended: list[str] = []
        self.runs.submit("r", self.workflow, self.values, "b" * 64, self.now)

    # ── the planner's side ──────────────────────────────────────────────────────────────────────────────────

    def plan(self) -> Plan:
        """One drain; sometimes the planner is restored from JSON before it, which must not show."""
        self.runs.check()
        if self.chance.random() < 0.15:
            saved = json.loads(json.dumps(self.runs.snapshot()))
            copied = Runs.restore(saved)
            copied.check()
            assert json.loads(json.dumps(copied.snapshot())) == saved, f"seed {self.seed}: saved otherwise"
            plan = self.runs.drain()
            assert copied.drain() == plan, f"seed {self.seed}: the restored planner plans otherwise"
            self.runs = copied
        else:
            plan = self.runs.drain()
        self.runs.changes()
        for offer in plan.offers:
            self.check_offer(offer)
        self.ended.extend(plan.ended)
        return plan

    def check_offer(self, offer: Offer) -> None:
        """Every parent has finished, or is named in `after`; inputs are there for exactly the former."""
        mine = self.node(offer.call.partition("/")[2])
        assert offer.item is None or offer.task.id.endswith(f"[{offer.item}]")
        wanted = {f"r/{name}" for name in self.needs(mine, offer.item)}
        states = {name: self.runs.task_view(name)["state"] for name in wanted}
        ready = {name for name in wanted if states[name] in ("finished", "cached")}
        if mine.when is not None:
            flag = self.runs.task_view(f"r/{mine.when.task}")["result"]
            assert flag["data"] is mine.when.be, f"seed {self.seed}: {offer.task.id}"
        if mine.rule != "all_success":  # what is not there is given as None
            live = [name for name in wanted if states[name] in ("waiting", "queued", "running")]
            assert not live or mine.rule == "one_failed", f"seed {self.seed}: {offer.task.id}"
            wanted = ready = {f"r/{name}" for name in offer.inputs}
        assert wanted - ready == set(offer.task.after), f"seed {self.seed}: {offer.task.id}"
        assert {f"r/{name}" for name in offer.inputs} == ready, f"seed {self.seed}: {offer.task.id}"
        assert len(offer.task.after) <= 4

    def needs(self, mine: TaskSpec, item: int | None) -> list[str]:
        """Names of the tasks a task needs, worked out anew from the workflow."""
        found: list[str] = []
        for name in (*mine.after, *((mine.when.task,) if mine.when else ())):
            found += self.rows(name)
        for position, arg in enumerate((*mine.args, *(arg for _, arg in mine.kwargs))):
            each = position < mine.mapped and item is not None
            if each and isinstance(arg, ListOf):
                found += [row for output in outputs_of(arg.items[item]) for row in self.rows(output.task)]
            elif each and isinstance(arg, Output) and self.node(arg.task).mapped:
                found.append(f"{arg.task}[{item}]")
            else:
                found += [row for output in outputs_of(arg) for row in self.rows(output.task)]
        return found

    def node(self, name: str) -> TaskSpec:
        """A node of the graph, submitted or grown."""
        return self.runs.call(f"r/{name}")[1]

    def rows(self, name: str) -> list[str]:
        """All tasks of a node, as the planner lists them."""
        everything = [view["name"] for view in self.runs.tasks_view("r", limit=10_000)]
        item = re.compile(re.escape(name) + r"\[\d+\]")
        return [row for row in everything if row == name or item.fullmatch(row)]

    # ── the scheduler's side ────────────────────────────────────────────────────────────────────────────────

    def take(self, plan: Plan) -> None:
        for offer in plan.offers:
            known = self.placed.get(offer.task.id)
            if known is not None and known.running:
                known.again = offer.task
            else:
                self.placed[offer.task.id] = Placed(offer.task, offer.call.partition("/")[2])
        for task, _ in plan.withdraw:
            known = self.placed.get(task)
            if known is None:
                continue
            if known.running:
                known.stop, known.again = True, None
            else:
                del self.placed[task]
                self.numbers.pop(task, None)
                self.streams[-1].append(("dropped", task))

    def work(self) -> bool:
        """Start or end one attempt. False if nothing can move."""
        asked = [view["id"] for view in self.runs.tasks_view("r", "waiting", limit=10_000)]
        asked = [one for one in asked if (wait := self.runs.task_view(one)["wait"]) and wait["since"]]
        if asked and self.chance.random() < 0.5:
            self.runs.approve(asked[0], self.chance.random() < 0.5, "ada", "", self.now)
            return True
        can = [p for p in self.placed.values() if p.running or all(a in self.finished for a in p.task.after)]
        if not can and asked:
            return True
        if not can:
            return False
        placed = self.chance.choice(can)
        if placed.running:
            self.end(placed)
        else:
            placed.running = True
            placed.attempt = self.numbers[placed.task.id] = self.numbers.get(placed.task.id, 0) + 1
            placed.stream = self.chance.randrange(EXECUTORS)
            self.tell(placed, "started", 4711)
            if self.chance.random() < 0.3:
                self.tell(placed, "progress", 500)
        return True

    def tell(self, placed: Placed, what: str, value: Any) -> None:
        stream = self.streams[placed.stream]
        stream.append(("report", placed.task.id, placed.attempt, what, self.now, value))
        if self.chance.random() < 0.1:
            stream.append(stream[-1])

    def end(self, placed: Placed) -> None:
        task = placed.task.id
        what = "finished"
        if placed.stop and self.chance.random() < 0.8:
            what = "cancelled"
        elif self.chance.random() < self.trouble:
            what = self.chance.choice(BAD)
        placed.running = False
        if what == "lost":
            self.streams[-1].append(("lost", task, placed.attempt, True))
        else:
            flag = Ref("json", self.chance.random() < 0.5, 4)
            result = (
                flag
                if task.endswith("flag")
                else listing(self.chance.choice((2, 2, 2, 0, 3)))
                if task.endswith("list")
                else ONE
            )
            if what == "finished" and self.node(placed.node).dynamic and self.chance.random() < 0.7:
                result = self.called(task.removeprefix("r/"))
            self.tell(placed, what, [7, result if what == "finished" else {"type": "E", "message": what}])
        if what == "preempted" and not placed.stop:
            return
        if what == "finished":
            self.finished[task] = None
            self.numbers.pop(task, None)
        if placed.again is not None and what != "finished":
            self.placed[task] = Placed(placed.again, placed.node)
        else:
            del self.placed[task]

    def called(self, name: str) -> Growth | Ref:
        """What a dynamic task calls: a graph like any other, not too deep."""
        if name.count(".") > 2:
            return ONE
        workflow, values = random_workflow(self.chance.randrange(2**40), most=4)
        plain = [spec.name for spec in workflow.tasks if not spec.mapped]
        result = Output(self.chance.choice(plain)) if plain else Value("v0")
        return Growth(name, replace(workflow, result=result), values)

    def deliver(self) -> bool:
        """One letter of one stream reaches the planner. False if there is none."""
        streams = [stream for stream in self.streams if stream]
        if not streams:
            return False
        kind, task, *rest = self.chance.choice(streams).popleft()
        if kind == "dropped":
            self.runs.dropped(task, self.now)
        elif kind == "lost":
            self.runs.lost(task, *rest, self.now)
        else:
            fresh = self.runs.report(task, *rest, self.now)
            refused = (
                rest[1] == "finished"
                and isinstance(rest[3][1], Growth)
                and self.runs.task_view(task)["state"] == "failed"
            )
            if fresh and rest[1] == "finished" and not refused:
                self.recorded[task] = self.recorded.get(task, 0) + 1
        return True

    def until_over(self, limit: int = 20_000) -> dict[str, Any]:
        """Run until nothing moves; returns the run's view."""
        for _ in range(limit):
            self.now += 1
            self.runs.tick(self.now)
            if self.chance.random() < 0.5:
                self.take(self.plan())
            if not (self.work() if self.chance.random() < 0.5 else self.deliver()):
                self.take(self.plan())
                if not self.work() and not self.deliver():
                    self.take(self.plan())
                    if not self.work() and not self.deliver():
                        break
        self.runs.check()
        self.check_histories()
        return self.runs.run_view("r")

    def check_histories(self) -> None:
        """No attempt stands twice in a task's history, a finish comes last, and tries are bounded."""
        for task in self.runs.tasks_view("r", limit=10_000):
            node = self.node(re.sub(r"\[\d+\]$", "", task["name"]))
            if node.dynamic:
                continue  # what it calls may be refused: to the scheduler it has finished then, and is forgotten
            attempts = self.runs.task_view(task["id"])["attempts"]
            numbers = [attempt["attempt"] for attempt in attempts]
            assert len(numbers) == len(set(numbers)), f"seed {self.seed}: {task['id']} {attempts}"
            outcomes = [attempt["outcome"] for attempt in attempts]
            assert "finished" not in outcomes[:-1]
            limit = node.retry.limit
            assert outcomes.count("failed") + outcomes.count("timed_out") <= limit + 1, f"seed {self.seed}"
            assert outcomes.count("worker_died") <= max(limit, 2) + 1, f"seed {self.seed}"


def random_workflow(seed: int, most: int = 8) -> tuple[Workflow, dict[str, Ref]]:
    """A graph of plain and dynamic tasks, tasks that give lists, and maps over lists, literals, results and maps."""
    chance = random.Random(seed)
    specs: list[TaskSpec] = []
    values = {f"v{n}": listing(n) for n in range(4)}
    for number in range(chance.randrange(1, most + 1)):
        kind = chance.choice(("plain", "plain", "list", "map", "map", "zip", "wait"))
        names = [known.name for known in specs]
        lists = [name for name in names if name.endswith("list")]
        maps = [known.name for known in specs if known.mapped]
        some = [Output(name) for name in chance.sample(names, min(len(names), chance.randrange(4)))]
        extra: dict[str, Any] = {"retries": chance.randrange(3)}
        if kind == "map" and (lists or maps):
            source: Any = Output(chance.choice(lists + maps))
        elif kind == "zip" and maps:
            source = Output(chance.choice(maps))
        elif kind == "zip" and names:
            source = ListOf(
                tuple(chance.choice((Output(chance.choice(names)), Value("v1"))) for _ in range(3))
            )
        else:
            source = Value(f"v{chance.randrange(4)}")
        if kind in ("map", "zip"):
            other = Output(chance.choice(lists)) if lists and chance.random() < 0.5 else source
            sources = (source, other) if kind == "zip" else (source,)
            made = spec(f"t{number}", *sources, *some[:1], mapped=len(sources), **extra)
        else:
            extra = extra if chance.random() < 0.8 else {"at_most_once": True}
            made = spec(f"t{number}{'list' if kind == 'list' else ''}", *some, **extra)
        if chance.random() < 0.3:
            flags = [name for name in names if name.endswith("flag")]
            made = replace(
                made,
                rule=chance.choice(RULES),
                after=tuple(chance.sample(names, min(len(names), chance.randrange(3)))),
                when=When(chance.choice(flags), chance.random() < 0.5) if flags else None,
            )
        if kind == "wait":
            timeout = chance.choice((None, 40))
            wait = Wait("approval", "?", timeout, chance.choice((None, "true")) if timeout else None)
            after = tuple(chance.sample(names, min(len(names), 2)))
            made = TaskSpec(f"t{number}flag", after=after, rule=made.rule, when=made.when, wait=wait)
        if not made.mapped and made.name == f"t{number}" and chance.random() < 0.4:
            made = replace(made, name=f"t{number}flag")
        specs.append(replace(made, dynamic=chance.random() < 0.2))
    result = ListOf(tuple(Output(known.name) for known in specs))
    return Workflow("random", tuple(specs), result), values
