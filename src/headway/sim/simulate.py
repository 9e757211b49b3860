"""The production engine under a virtual clock.

The engine is the service's own, reasons and all: this file only plays what surrounds it. It is the planner (offers
what is ready, and what is one step behind, with what that waits for; offers again what a lost node took), the executors
(members of a lease run one after another, recalls are acknowledged, a preempted attempt checkpoints within its grace
and stops) and the nodes (which may fail).

Time jumps from event to event: everything that happens at one moment is applied, then the engine decides, and what it
decides is carried out, until it has nothing more to say. Nothing polls: when the engine could do something without
an event, `wake_at` says when.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from typing import Any

import numpy as np

from headway.core import standing
from headway.core.behind import Behind, behind
from headway.core.decisions import Decision, Dropped, Lost, Preempt, Recall, Spare, Start, Stop
from headway.core.engine import Engine
from headway.core.events import (
    AttemptCheckpointed,
    AttemptEnded,
    AttemptReturned,
    AttemptStarted,
    Event,
    MixSet,
    NodeJoined,
    NodeLost,
    Outcome,
    TaskOffered,
    TaskWithdrawn,
)
from headway.domain.units import MILLI
from headway.errors import Invalid
from headway.sim.choice import Choice
from headway.sim.cluster import Cluster
from headway.sim.injected import Injected
from headway.sim.planning import Planning, Solvers, own
from headway.sim.records import Attempt, Machine, Record, Result, Rules, Span
from headway.sim.trace import Trace


def simulate(
    trace: Trace,
    cluster: Cluster,
    choice: Choice | str,
    *,
    rules: Rules | None = None,
    injected: Injected | None = None,
    solvers: Solvers = own,
) -> Result:
    """Runs a trace on a cluster under a policy.

    Args:
        choice: As `Choice.parse` reads it.
        rules: How tasks behave while they run.
        injected: What is added to the trace. The same is added under every policy.
        solvers: Who makes the plans under `joint`, by the name in the choice.

    Raises:
        Invalid: An unknown policy, or nothing in the trace fits any node.
    """
    choice = Choice.parse(choice) if isinstance(choice, str) else choice
    injected = injected or Injected()
    trace = injected.on(trace)
    return Simulation(trace, cluster.equipped(trace), choice, rules or Rules(), injected, solvers).run()


class Simulation:
    """What surrounds the engine, played: see the module. `sim.future` begins one in the middle."""

    def __init__(
        self,
        trace: Trace,
        cluster: Cluster,
        choice: Choice,
        rules: Rules,
        injected: Injected,
        solvers: Solvers = own,
    ) -> None:
        self.trace, self.cluster, self.choice, self.rules, self.injected = (
            trace,
            cluster,
            choice,
            rules,
            injected,
        )
        self.engine: Engine = choice.engine()
        planned = self.engine.world.policy.planned
        self.planning = Planning(choice.aim, solvers(choice.aim.solver)) if planned else None
        self.records = [Record(index, job) for index, job in enumerate(trace.jobs)]
        self.by_id = {record.job.task.id: record for record in self.records}
        self.machines = {node.name: Machine(index) for index, node in enumerate(cluster.nodes)}
        self.lies: list[Behind] = []  # what lies behind each, if anything depends on anything
        self.attempts: dict[str, Attempt] = {}  # the present one by task
        self.spans: list[Span] = []
        self.outages: list[tuple[int, int, int]] = []
        self.heap: list[tuple[int, int, Callable[[Any], object], Any]] = []
        self.order = count()
        self.now = trace.jobs[0].task.release
        self.open = len(self.records)
        self.failing = 0  # elements of the heap that are outages
        self.wake = self.plan_at = -1
        self.decisions = 0
        self.stirred: dict[int, Machine] = {}  # leases that may begin their next member
        self.carriers: dict[type[Any], Callable[[Any], None]] = {
            Recall: self._recall, Preempt: self._preempt, Stop: self._stop, Lost: self._lost,
            Dropped: self._dropped, Spare: self._spare,
        }  # fmt: skip

    # ── the clock ───────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> Result:
        start = self.now
        unfit = self._refuse()
        if unfit == len(self.records):
            job = self.records[0].job
            raise Invalid(
                f"no task of {self.trace.name} fits any node of {self.cluster.name}: "
                f"{job.task.id} asks for {job.task.demand}",
                hint="give the cluster larger nodes",
            )
        self._link()
        if self.choice.known:
            mix = Counter(record.job.task.demand for record in self.records)
            self.engine.apply(MixSet(tuple(mix.items())), self.now)
        for event in standing.events(self.cluster.tables):
            self.engine.apply(event, self.now)
        for node in self.cluster.nodes:
            self.engine.apply(NodeJoined(node, "1"), self.now)
        for name, machine in self.machines.items():
            self._next_outage(name, machine, self.injected.outages(machine.index, start))
        self._play([record for record in self.records if not record.failed])
        return Result(
            self.choice, self.trace, self.cluster, self.records, self.spans, self.outages, start, self.now, unfit,
            self.decisions, tuple(self.planning.plans) if self.planning is not None else (),
        )  # fmt: skip

    def _play(self, arriving: list[Record]) -> None:
        """Until nothing is open, or nothing can happen any more."""
        place, idle, heap = 0, 0, self.heap
        while self.open:
            arrival = arriving[place].job.task.release if place < len(arriving) else -1
            if arrival < 0 and not heap:
                break  # nothing can happen any more: what is left is unfinished
            if arrival < 0 and len(heap) == self.failing:
                idle += 1  # nodes go and come back, and it helps nobody
                if idle > 2 * self.failing:
                    break
            else:
                idle = 0
            self.now = now = heap[0][0] if heap and (arrival < 0 or heap[0][0] < arrival) else arrival
            while place < len(arriving) and arriving[place].job.task.release == now:
                self._arrive(arriving[place])
                place += 1
                if not self.rules.together:
                    self._decide(now)
            while heap and heap[0][0] == now:
                _, _, happen, what = heappop(heap)
                happen(what)
                if not self.rules.together:
                    self._decide(now)
            self._decide(now)

    def _at(self, time: int, happen: Callable[[Any], object], what: Any) -> None:
        heappush(self.heap, (time, next(self.order), happen, what))

    def _decide(self, now: int) -> None:
        """Until the engine has nothing more to say about this moment.

        That what it just granted has begun leads to no decision, so after nothing but grants it is not asked again.
        """
        engine = self.engine
        if self.stirred:
            self._go_on()
        self._settle(now)
        if self.planning is not None:
            if self.planning.renew(engine, now):
                self._settle(now)
            if self.planning.again > self.plan_at:
                self.plan_at = self.planning.again
                self._at(self.plan_at, self._nothing, None)
        wake = engine.wake_at()
        if wake is not None:
            wake = max(wake, now + 1)
            if self.wake <= now or wake < self.wake:
                self.wake = wake
                self._at(wake, self._nothing, None)

    def _settle(self, now: int) -> None:
        engine, more = self.engine, True
        while more:
            decisions = engine.decide(now)
            if not decisions:
                break
            self.decisions += len(decisions)
            if self.rules.latency:
                self._at(now + self.rules.latency, self._carry_out, decisions)
                break
            more = self._carry_out(decisions)
            if self.stirred:
                self._go_on()

    def _nothing(self, _: None) -> None:
        """The engine wanted to be asked at this time."""

    def _tell(self, event: Event) -> None:
        if self.rules.latency:
            self._at(self.now + self.rules.latency, self._hear, event)
        else:
            self.engine.apply(event, self.now)

    def _hear(self, event: Event) -> None:
        self.engine.apply(event, self.now)

    # ── the planner's part ──────────────────────────────────────────────────────────────────────────────────

    def _refuse(self) -> int:
        """Marks what fits on no node. Returns how many it is, with those that depend on them."""
        fits: dict[Any, bool] = {}
        doomed = []
        for record in self.records:
            task = record.job.task
            asked = tuple((v.demand, v.where) for v in task.variants) or ((task.demand, task.where),)
            fit = fits.get(asked)
            if fit is None:
                fit = fits[asked] = any(self.cluster.holds(*way) for way in asked)
            if not fit:
                doomed.append(record)
        if not doomed:
            return 0
        for record in self.records:
            for parent in set(record.job.task.after):
                self.by_id[parent].below.append(record)
        before = self.open
        for record in doomed:
            self._give_up(record)
        for record in self.records:
            record.below.clear()
        return before - self.open

    def _give_up(self, record: Record) -> None:
        """The task will not be done, nor what needs its result."""
        doomed = [record]
        while doomed:
            one = doomed.pop()
            if one.failed:
                continue
            one.failed = True
            self.open -= 1
            doomed += one.below
            if one.offered:
                self.engine.apply(TaskWithdrawn(one.job.task.id), self.now)

    def _link(self) -> None:
        for record in self.records:
            for parent in dict.fromkeys(record.job.task.after):
                above = self.by_id[parent]
                record.after.append(above)
                above.below.append(record)
            record.missing = record.unready = len(record.after)
        if any(record.after for record in self.records):
            jobs = [record.job for record in self.records]
            self.lies = behind(
                [[parent.index for parent in record.after] for record in self.records],
                [job.duration if job.task.estimate is None else job.task.estimate for job in jobs],
                [job.task.weight for job in jobs],
            )

    def _arrive(self, record: Record) -> None:
        record.arrived = True
        if not record.unready:
            self._offer(record)

    def _offer(self, record: Record) -> None:
        """Tells the engine of a task that is ready, or one step behind."""
        task = record.job.task
        if self.lies:
            path, weight = self.lies[record.index]
            task = replace(task, path=path, behind=weight)
        if record.after:
            task = replace(task, after=tuple(one.job.task.id for one in record.after if one.ended < 0))
        record.offered = True
        self.engine.apply(TaskOffered(task), self.now)
        if not record.missing:
            self._ready(record)

    def _ready(self, record: Record) -> None:
        """Nothing it depends on is unfinished, so that what depends on it is one step behind."""
        for child in record.below:
            child.unready -= 1
            if not child.unready and child.arrived and not child.failed:
                self._offer(child)

    def _finished(self, record: Record) -> None:
        record.ended = self.now
        self.open -= 1
        for child in record.below:
            child.missing -= 1
            if not child.missing and child.offered:
                self._ready(child)

    def _lost(self, decision: Lost) -> None:
        record = self.by_id[decision.task]
        if record.failed:
            return
        record.losses += 1
        if record.losses > self.rules.losses:
            self._give_up(record)
        else:
            self.engine.apply(TaskOffered(replace(record.job.task, after=())), self.now)

    def _dropped(self, decision: Dropped) -> None:
        """What was withdrawn while it waited is gone: nothing is to be done about it."""

    # ── the executors' part ─────────────────────────────────────────────────────────────────────────────────

    def _carry_out(self, decisions: list[Decision]) -> bool:
        """What was decided together arrives together; after that, what can begin begins. Returns whether there was
        anything but grants."""
        more = False
        for decision in decisions:
            if type(decision) is Start:
                self._start(decision)
            else:
                self.carriers[type(decision)](decision)
                more = True
        return more

    def _start(self, decision: Start) -> None:
        machine = self.machines[decision.node]
        if not machine.up:
            return  # it went meanwhile: the engine will hear of it
        record = self.by_id[decision.task]
        if record.job.durations:
            before = record.job.duration
            record.job = record.job.as_variant(decision.variant)
            record.kept = record.kept * record.job.duration // before if before else 0
        attempt = Attempt(record, decision.attempt, machine, decision.lease, decision.devices)
        attempt.variant = decision.variant
        self.attempts[decision.task] = attempt
        machine.trains.setdefault(decision.lease, deque()).append(attempt)
        self.stirred[decision.lease] = machine

    def _go_on(self) -> None:
        """On each lease that may, the next member begins."""
        stirred, self.stirred = self.stirred, {}
        for lease, machine in stirred.items():
            train = machine.trains.get(lease)
            if train is not None and train[0].began < 0:
                self._begin(train[0])

    def _begin(self, attempt: Attempt) -> None:
        now, record, rules = self.now, attempt.record, self.rules
        attempt.began = now
        attempt.kept = kept = record.kept
        if record.started < 0:
            record.started = now
        if self.engine.world.nodes.paces.known:
            self._pace(attempt)
        takes = attempt.setup + attempt.time(record.job.duration - kept)
        if rules.checkpoint is not None:
            if rules.every:
                takes += (takes - attempt.setup - 1) // rules.every * rules.checkpoint
                self._expect_checkpoint(attempt, 1)
            if kept:
                takes += rules.restart
        self._at(now + takes, self._finish, attempt)
        self._tell(AttemptStarted(record.job.task.id, attempt.number, now))

    def _pace(self, attempt: Attempt) -> None:
        """How fast it goes where it is: as the tables of the cluster say."""
        world, task, index = self.engine.world, attempt.record.job.task, attempt.node.index
        setups = world.nodes.paces.setups(world.sources(task), np.array([index], np.int64))
        attempt.setup = int(setups[0])
        attempt.speed = world.nodes.paces.speed(task.kind, index)

    def _done(self, attempt: Attempt) -> tuple[int, int]:
        """Processing time that an attempt has done by now, and how much of that its own checkpoints keep; both with what
        was kept before."""
        rules, kept = self.rules, attempt.kept
        ran = max(self.now - attempt.began - attempt.setup - (rules.restart if kept else 0), 0)
        if not rules.every:
            return kept + attempt.work(ran), kept
        assert rules.checkpoint is not None
        rounds, rest = divmod(ran, rules.every + rules.checkpoint)
        safe = rounds * rules.every
        return kept + attempt.work(safe + min(rest, rules.every)), kept + attempt.work(safe)

    def _expect_checkpoint(self, attempt: Attempt, number: int) -> None:
        rules, record = self.rules, attempt.record
        if number * rules.every >= attempt.time(record.job.duration - attempt.kept):
            return  # it is complete before
        assert rules.checkpoint is not None
        restart = attempt.setup + (rules.restart if attempt.kept else 0)
        time = attempt.began + restart + number * (rules.every + rules.checkpoint)
        self._at(time, self._checkpointed, (attempt, number))

    def _checkpointed(self, what: tuple[Attempt, int]) -> None:
        attempt, number = what
        if attempt.over or attempt.frozen >= 0:
            return
        self._say_checkpoint(attempt, attempt.kept + attempt.work(number * self.rules.every))
        self._expect_checkpoint(attempt, number + 1)

    def _say_checkpoint(self, attempt: Attempt, kept: int) -> None:
        job = attempt.record.job
        done = kept * MILLI // job.duration if job.duration else MILLI
        self._tell(AttemptCheckpointed(job.task.id, attempt.number, self.now, done))

    def _finish(self, attempt: Attempt) -> None:
        if attempt.over or attempt.frozen >= 0:
            return  # it was stopped before, or is about to be
        record = attempt.record
        ran = self.now - attempt.began
        record.overhead += ran - attempt.time(record.job.duration - attempt.kept)
        self._leave(attempt, "finished")
        self._finished(record)
        self._tell(AttemptEnded(record.job.task.id, attempt.number, Outcome.FINISHED, ran))

    def _leave(self, attempt: Attempt, outcome: str) -> None:
        """The attempt holds nothing any more; whoever rides behind it may begin."""
        attempt.over = True
        record, machine = attempt.record, attempt.node
        del self.attempts[record.job.task.id]
        train = machine.trains[attempt.lease]
        train.remove(attempt)
        if train:
            self.stirred[attempt.lease] = machine
        else:
            del machine.trains[attempt.lease]
        if attempt.began >= 0:
            self.spans.append(
                Span(
                    record.index,
                    machine.index,
                    attempt.began,
                    self.now,
                    attempt.devices,
                    outcome,
                    attempt.variant,
                )
            )

    def _stopped(self, attempt: Attempt) -> None:
        """The end of a preempted attempt: after its checkpoint, or when its grace is over."""
        if attempt.over:
            return
        record = attempt.record
        if attempt.frozen >= 0:
            done = kept = attempt.frozen
            self._say_checkpoint(attempt, kept)
        else:
            done, kept = self._done(attempt)
        record.preemptions += 1
        self._interrupted(attempt, done, kept, "preempted")
        ran = self.now - attempt.began
        self._tell(AttemptEnded(record.job.task.id, attempt.number, Outcome.PREEMPTED, ran))

    def _interrupted(self, attempt: Attempt, done: int, kept: int, outcome: str) -> None:
        record = attempt.record
        if attempt.began >= 0:
            record.overhead += self.now - attempt.began - attempt.time(done - attempt.kept)
            record.lost += done - kept
            record.kept = kept
        self._leave(attempt, outcome)

    def _preempt(self, decision: Preempt) -> None:
        attempt = self.attempts.get(decision.task)
        if attempt is None or attempt.number != decision.attempt or attempt.began < 0 or attempt.asked >= 0:
            return
        attempt.asked = self.now
        cost = self.rules.checkpoint
        if cost is None or cost > decision.grace:
            self._at(self.now + decision.grace, self._grace_over, (attempt, self.now))
            return
        attempt.frozen = self._done(attempt)[0]
        if cost:
            self._at(self.now + cost, self._stopped, attempt)
        else:
            self._stopped(attempt)

    def _grace_over(self, what: tuple[Attempt, int]) -> None:
        attempt, asked = what
        if attempt.asked == asked:  # else it was spared meanwhile
            self._stopped(attempt)

    def _spare(self, decision: Spare) -> None:
        """It runs on, unless it has begun to write its checkpoint."""
        attempt = self.attempts.get(decision.task)
        if attempt is not None and attempt.number == decision.attempt and attempt.frozen < 0:
            attempt.asked = -1

    def _recall(self, decision: Recall) -> None:
        for task, number in decision.attempts:
            attempt = self.attempts.get(task)
            if attempt is not None and attempt.number == number and attempt.began < 0:
                self._leave(attempt, "returned")
                self._tell(AttemptReturned(task, number))

    def _stop(self, decision: Stop) -> None:
        attempt = self.attempts.get(decision.task)
        if attempt is not None and attempt.number == decision.attempt:
            self._interrupted(attempt, *self._done(attempt), "cancelled")
            self._tell(AttemptEnded(decision.task, decision.attempt, Outcome.CANCELLED))

    # ── the nodes ───────────────────────────────────────────────────────────────────────────────────────────

    def _next_outage(self, name: str, machine: Machine, outages: Iterator[tuple[int, int]]) -> None:
        outage = next(outages, None)
        if outage is not None:
            self.failing += 1
            self._at(outage[0], self._fail, (name, machine, outage[1], outages))

    def _fail(self, what: tuple[str, Machine, int, Iterator[tuple[int, int]]]) -> None:
        name, machine, up, outages = what
        # A node is not back before all that was sent to it before its failure was known has come to nothing.
        up = max(up, self.now + 2 * self.rules.latency + 1)
        machine.up = False
        for train in list(machine.trains.values()):
            for attempt in list(train):
                self._interrupted(attempt, *self._done(attempt), "lost")
        self.outages.append((machine.index, self.now, up))
        self._tell(NodeLost(name, str(machine.incarnation)))
        self._at(up, self._repair, (name, machine, outages))

    def _repair(self, what: tuple[str, Machine, Iterator[tuple[int, int]]]) -> None:
        name, machine, outages = what
        machine.up = True
        machine.incarnation += 1
        self._tell(NodeJoined(self.cluster.nodes[machine.index], str(machine.incarnation)))
        self.failing -= 1
        self._next_outage(name, machine, outages)
