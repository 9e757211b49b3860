"""The near future of an engine: its snapshot goes on under the virtual clock, with drawn processing times.

What is simulated is `simulate.Simulation`, begun in the middle: attempts that run have run so far, trains have their
members, victims have been asked. A scenario is a seed: it fixes how long everything takes, by task and not by order, so
that two futures that differ in one change share their chances (common random numbers) and their difference is the
change's.

What has not been offered to the engine yet is not in its future, except `newcomers`; nodes do not fail; under `joint`
the plan there is goes on and no other is made; a preempted task keeps its work if any task of the snapshot has ever
written a checkpoint.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from headway.core.decisions import Decision, Lost, Recall, Stop
from headway.core.engine import Engine
from headway.core.state import Entry, Lease, Member
from headway.domain.resources import Demand
from headway.domain.task import Task, reads
from headway.domain.units import MILLI
from headway.sim.chance import Chance
from headway.sim.choice import Choice
from headway.sim.cluster import Cluster
from headway.sim.experience import Experience
from headway.sim.injected import Injected
from headway.sim.records import Attempt, Machine, Record, Rules
from headway.sim.simulate import Simulation
from headway.sim.trace import Job, Trace

#: Moments (and rounds of decisions) after which a future is not followed any further.
MOMENTS = 20_000
_FOREVER = 1 << 40


class Future(Simulation):
    """One scenario, from a snapshot on.

    Args:
        tree: `Engine.snapshot()`. It is not changed.
        now: Microseconds: the time of the snapshot or later.
        experience: What processing times are drawn from.
        seed: Which scenario.
        until: Stop when all of these have started, or are gone; None: when all there is has ended.
        newcomers: Tasks that arrive later, in order of their release.
        change: What is done to the engine first, at `now`.
        moments: Follow it no longer than so many.
    """

    def __init__(
        self,
        tree: dict[str, Any],
        now: int,
        experience: Experience,
        seed: int,
        *,
        until: Iterable[str] | None = None,
        newcomers: Iterable[Task] = (),
        change: Callable[[Engine, int], None] | None = None,
        moments: int = MOMENTS,
    ) -> None:
        engine = Engine.restore(tree)
        if change is not None:
            change(engine, now)
        world = engine.world
        jobs = [_present(engine, experience, seed, entry, now) for entry in world.tasks.values()]
        coming = [_drawn(engine, experience, seed, task) for task in newcomers]
        nodes = tuple(space.node for space in world.nodes.all if not space.gone)
        saved = any(entry.done or (entry.member and entry.member.saved) for entry in world.tasks.values())
        super().__init__(
            Trace("the future", (*jobs, *coming) or (Job(Task("~", release=now), 0),)),
            Cluster("the nodes", nodes),
            Choice(world.policy.text, world.policy.discipline),
            Rules(checkpoint=0 if saved else None),
            Injected(),
        )
        self.engine = engine
        self.planning = None  # a plan is followed as far as it goes, and no other is made
        self.now = now
        self.open = _FOREVER
        self.present = len(jobs)
        self.coming = self.records[self.present : self.present + len(coming)]
        self.present_ended = 0
        self.moments = moments
        #: When each of those asked about started for the first time from now on, microseconds.
        self.starts: dict[str, int] = {}
        self.awaited = None if until is None else {task for task in until if task in world.tasks}
        self._take_over()

    def run_on(self) -> Future:
        """Follows it to its end. Returns itself."""
        self._play(self.coming)
        return self

    # ── what there is ───────────────────────────────────────────────────────────────────────────────────────

    def _take_over(self) -> None:
        """Executors as they are at the snapshot: attempts that run go on, the others stand behind them."""
        world = self.engine.world
        for task, entry in world.tasks.items():
            record = self.by_id[task]
            record.arrived = record.offered = True
            record.kept = record.job.duration * entry.done // MILLI
            record.started = entry.member.started if entry.member is not None else -1
        for lease in world.leases.values():
            for member in lease.members:
                self._resume(lease, member)
        # The first moment is now, even if nothing is due.
        self._at(self.now, self._nothing, None)

    def _resume(self, lease: Lease, member: Member) -> None:
        record = self.by_id[member.entry.task.id]
        machine: Machine = self.machines[lease.space.name]
        attempt = Attempt(record, member.attempt, machine, lease.id, lease.devices)
        attempt.variant = max(member.entry.variant, 0)
        self.attempts[record.job.task.id] = attempt
        machine.trains.setdefault(lease.id, deque()).append(attempt)
        self.stirred[lease.id] = machine
        if member.started >= 0:
            attempt.began, attempt.kept = member.started, record.kept
            self._pace(attempt)
            left = record.job.duration - record.kept
            ends = member.started + attempt.setup - (-left * MILLI // attempt.speed)
            self._at(max(ends, self.now), self._finish, attempt)
        # What the engine has asked for is on its way: the executor does it now.
        if member.entry.withdrawn:
            self._at(self.now, self._cancelled, attempt)
        elif member.recalled and member.started < 0:
            self._at(self.now, self._called_back, attempt)
        elif lease.evicting and member.started >= 0:
            attempt.asked = self.now
            grace = self.engine.world.settings.grace
            self._at(self.now + grace, self._grace_over, (attempt, self.now))

    def _cancelled(self, attempt: Attempt) -> None:
        if not attempt.over:
            self._stop(Stop(attempt.record.job.task.id, attempt.number, ""))

    def _called_back(self, attempt: Attempt) -> None:
        if not attempt.over:
            self._recall(Recall("", attempt.lease, ((attempt.record.job.task.id, attempt.number),)))

    # ── how far ─────────────────────────────────────────────────────────────────────────────────────────────

    def _decide(self, now: int) -> None:
        self.moments -= 1
        if self.moments <= 0:
            self.open = 0
        super()._decide(now)

    def _carry_out(self, decisions: list[Decision]) -> bool:
        """Each round of decisions counts as a moment: an engine that never came to rest would be left alone too."""
        self.moments -= 1
        return super()._carry_out(decisions) and self.moments > 0

    def _begin(self, attempt: Attempt) -> None:
        super()._begin(attempt)
        task = attempt.record.job.task.id
        if task not in self.starts:
            self.starts[task] = self.now
            if self.awaited is not None:
                self._heard_of(task)

    def _lost(self, decision: Lost) -> None:
        if decision.task in self.by_id:  # else it had left the engine before the snapshot, with its node
            super()._lost(decision)

    def _finished(self, record: Record) -> None:
        super()._finished(record)
        if self.awaited is None and record.index < self.present:
            self.present_ended += 1
            if self.present_ended == self.present:
                self.open = 0

    def _heard_of(self, task: str) -> None:
        assert self.awaited is not None
        self.awaited.discard(task)
        if not self.awaited:
            self.open = 0


def _present(engine: Engine, experience: Experience, seed: int, entry: Entry, now: int) -> Job:
    """A task of the snapshot: its whole processing time is longer than what is kept of it and what it has run since."""
    member, world = entry.member, engine.world
    job = _drawn(engine, experience, seed, entry.task)
    if member is None or member.started < 0:
        return job
    ran = world.work(member, now - member.started)
    chance = Chance(seed, entry.task.id)
    size = reads(entry.task)
    total = experience.draw(chance, world.estimates, entry.family, entry.task.estimate, ran, size)
    if entry.done:  # so much of it is kept, and this attempt has the rest to do
        total = max(total, ran * MILLI // max(MILLI - entry.done, 1) + 1)
    ways = tuple(total if way == entry.variant else time for way, time in enumerate(job.durations))
    return Job(entry.task, total, ways)


def _drawn(engine: Engine, experience: Experience, seed: int, task: Task) -> Job:
    """A task that has not run, with its processing time in each of its variants."""
    estimates = engine.world.estimates

    def time(demand: Demand, said: int | None) -> int:
        family = estimates.family(task.kind, demand)
        return experience.draw(Chance(seed, task.id), estimates, family, said, 0, reads(task))

    ways = tuple(time(way.demand, way.estimate) for way in task.variants)
    return Job(task, time(task.demand, task.estimate), ways)
