"""The executor of a node: takes leases, has workers run their members one after the other, reports what
becomes of each.

It knows no transport: `agent` connects it to the bus, an inline run calls it directly. It decides nothing:
how many leases there are at once, and where, is the scheduler's. All methods are called from one event loop.

    granted ──► queued in its lane ──► sent ahead to the lane's worker ──► begun ──► ended
                     └─ recalled ─► returned ◄─ recalled ─┘                  └─ worker dead: this one
                     `worker_died`,
                                                                               all behind it in the lease
                                                                               `returned`
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headway.authoring.secrets import NOWHERE, Sources
from headway.bus.messages import Call, GrantRow, LeaseBody, ReportRow
from headway.domain.resources import Node
from headway.errors import HeadwayError
from headway.execute import logs
from headway.execute.bundles import Bundles
from headway.execute.crew import Crew, Worker
from headway.execute.death import Death
from headway.execute.environments import Environments, interpreter_of
from headway.execute.failure import describe, said
from headway.execute.files import safe
from headway.execute.member import CallRecord, Lane, Member
from headway.execute.reports import Attempt, Marks, Reports
from headway.execute.results import Results
from headway.execute.roster import Roster

#: Items sent ahead to a worker: enough that it never waits for us, few enough to recall quickly.
_AHEAD = 128
#: Calls a worker keeps.
_KNOWN_CALLS = 256
_ENDS = frozenset(("finished", "failed", "timed_out", "cancelled", "worker_died", "preempted", "returned"))
#: Seconds from SIGTERM to SIGKILL when a worker and its tree are ended by force.
_LAST_WARNING = 0.5


class Executor:
    """Runs what it is granted on this node.

    Args:
        node: Whose executor it is; `cpu` bounds how many idle workers are kept.
        incarnation: New for each executor process.
        state: The state folder.
        report: Takes rows for the scheduler and the planner; called from the loop.
        confirmed_later: Whether `confirm` is called when reports have arrived; until then they are kept in
            the workers, which outlive this process. Else they have arrived when `report` returns.
        stop_grace: Seconds that a task which is to end has for it before it is killed.
        secrets: Where tasks' secrets are found.
    """

    def __init__(
        self,
        node: Node,
        incarnation: str,
        state: Path,
        report: Callable[[list[ReportRow]], None],
        *,
        confirmed_later: bool = False,
        stop_grace: float = 5.0,
        secrets: Sources = NOWHERE,
    ) -> None:
        self.node, self.incarnation = node, incarnation
        self._state, self._grace = state, stop_grace
        self._reports = Reports(report, self._on_confirmed, confirmed_later=confirmed_later)
        self._crew = Crew(state, state / "run" / safe(node.name), node.gpus, self, secrets)
        self._roster = Roster(
            self._crew, self._give_worker, self._cannot_start, keep=max(1, -(-node.cpu // 1000))
        )
        self._bundles = Bundles(state)
        self._environments = Environments(state)
        self._calls: dict[str, CallRecord] = {}
        self._lanes: dict[int, Lane] = {}
        self._members: dict[Attempt, Member] = {}
        self._results = Results()
        self._stopping = False

    # ── what the owner calls ────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Ready to run; the workers of a dead predecessor are adopted, with what they hold. Raises
        Unavailable."""
        await self._crew.open()
        self._roster.begin()

    def handle_lease(self, body: LeaseBody) -> None:
        """Do what the scheduler says. What cannot run is reported as failed, never raised."""
        touched: dict[int, Lane] = {}
        for grant in body.grants:
            if (lane := self._grant(grant, body)) is not None:
                touched[lane.lease] = lane
        for _, attempts in body.recalls:
            self._recall(attempts)
        for task, attempt in body.spares:
            self._spare(task, attempt)
        for task, attempt, grace in body.preempts:
            self._preempt(task, attempt, grace / 1e6)
        for task, attempt, reason in body.stops:
            if (member := self._members.get((task, attempt))) is not None:
                self._stop(member, "cancelled", reason or "cancelled", self._grace)
        for lane in touched.values():
            if lane.lease in self._lanes:
                self._advance(lane)

    def holds(self) -> list[Attempt]:
        """The attempts that are here, started or not, and those whose end nobody has confirmed."""
        return [
            *self._members,
            *(attempt for attempt in self._reports.unconfirmed if attempt not in self._members),
        ]

    def confirm(self, report: int) -> None:
        """All reports up to this one (counted from 1) have arrived for good."""
        self._reports.confirm(report)

    async def stop(self, grace: float) -> None:
        """End everything: what has not begun goes back, what runs is asked to checkpoint and end within
        `grace` seconds."""
        self._stopping = True
        for member in list(self._members.values()):
            self._preempt(member.task, member.attempt, grace)
        loop = asyncio.get_running_loop()
        until = loop.time() + grace + self._grace + 2
        while self._members and loop.time() < until:
            await asyncio.sleep(0.01)
        self._reports.flush()
        await self._environments.close()
        await self._crew.close(grace=2.0)
        self._reports.flush()

    # ── leases ──────────────────────────────────────────────────────────────────────────────────────────────

    def _grant(self, grant: GrantRow, body: LeaseBody) -> Lane | None:
        key = (grant.task, grant.attempt)
        if key in self._members:
            return None  # it is here: adopted from a former executor
        call = self._call(grant.call, body.calls.get(grant.call))
        problem = (
            said("NoCall", f"the scheduler granted {grant.task} without its call")
            if call is None
            else call.problem
        )
        if call is None or problem is not None:
            self._add(grant.task, grant.attempt, "failed", [0, problem], ends=True)
            return None
        if self._stopping:
            self._add(grant.task, grant.attempt, "returned", None, ends=True)
            return None
        lane = self._lanes.get(grant.lease)
        if lane is None:
            lane = self._lanes[grant.lease] = Lane(
                grant.lease, (call.bundle, tuple(grant.devices), call.python)
            )
        member = Member.granted(grant, call, lane)
        if grant.gang is not None:
            rank, together = grant.gang
            member.gang = (rank, tuple(body.gangs.get(together, ())))
        self._members[key] = lane.members[member.task] = member
        lane.queue.append(member)
        return lane

    def _call(self, key: str, call: Call | None) -> CallRecord | None:
        """The call by this key; it comes with each message that needs it, and is the same each time."""
        record = self._calls.get(key)
        if record is not None or call is None:
            return record
        record = CallRecord(key, call)
        record.python = interpreter_of(self._state, record.environment)
        try:
            self._bundles.ensure(call.bundle)
        except HeadwayError as error:
            record.problem = describe(error)
            return record  # not kept: the next message may find the bundle in its place
        if len(self._calls) >= _KNOWN_CALLS:
            del self._calls[next(iter(self._calls))]
        self._calls[key] = record
        return record

    def _advance(self, lane: Lane) -> None:
        """Keep the lane's worker supplied."""
        worker = lane.worker
        if worker is None:
            if lane.queue and self._environments.ready(lane.binding[2]):
                self._roster.want(lane)
            elif lane.queue:
                self._prepare(lane)
            return
        room = _AHEAD - len(worker.sent)
        if room < _AHEAD // 2 and worker.sent:
            return  # enough for now: send in batches
        items: list[tuple[Any, ...]] = []
        orphans: list[Member] = []
        while lane.queue and room > 0:
            member = lane.queue.popleft()
            if self._is_orphan(lane, member):
                orphans.append(member)
            else:
                items.append(self._item(worker, lane, member))
                room -= 1
        if items:
            worker.tell("run", items)
        for member in orphans:  # only now: an end may send the next ones
            self._end(member, "returned", None)

    def _prepare(self, lane: Lane) -> None:
        """Its worker's Python has to be made first, or looked at. The lane waits; what of it is not wanted meanwhile goes back."""
        call = next((member.call for member in lane.queue if member.call is not None), None)
        if call is None or call.environment is None or lane.preparing:
            return
        lane.preparing = True

        def made(problem: HeadwayError | None) -> None:
            lane.preparing = False
            if self._lanes.get(lane.lease) is not lane:
                return
            if problem is None:
                self._advance(lane)
                return
            for member in list(lane.members.values()):
                self._end(member, "failed", [0, describe(problem)])

        self._environments.make(lane.binding[2], call.environment, made)

    def _is_orphan(self, lane: Lane, member: Member) -> bool:
        """Whether it waits for a member that ended without a result. Results that are known are filled in."""
        for name, ref in member.inputs.items():
            if ref is None:
                producer = f"{member.run}/{name}"
                known = member.inputs[name] = self._results.get(lane.lease, producer)
                if known is None and producer not in lane.members:
                    return True
        return False

    def _item(self, worker: Worker, lane: Lane, member: Member) -> tuple[Any, ...]:
        """The member as its worker gets it."""
        assert member.call is not None, "only adopted members have no call, and those are sent"
        index = worker.calls.get(member.call.key)
        if index is None:
            index = self._teach(worker, member.call)
        worker.last += 1
        member.number, member.worker = worker.last, worker
        member.since = time.monotonic()
        worker.sent[member.number] = member
        return (
            member.number, member.task, member.attempt, lane.lease,
            index, member.item, member.inputs, member.devices, member.variant, member.gang,
        )  # fmt: skip

    def _teach(self, worker: Worker, call: CallRecord) -> int:
        """Send a call to a worker that does not know it; drop an old one for which nothing is out."""
        if len(worker.calls) >= _KNOWN_CALLS:
            used = {member.call.key for member in worker.sent.values() if member.call is not None}
            old = next((key for key in worker.calls if key not in used), None)
            if old is not None:
                worker.tell("forget", worker.calls.pop(old))
        # The number of the first item that needs it: a worker may know calls of former executors, and still has to
        # run items of theirs, so an index must never come again.
        index = worker.last + 1
        worker.calls[call.key] = index
        worker.tell("call", index, call.message)
        return index

    def _leave_if_done(self, lane: Lane) -> None:
        """A lane without members is over; if the lease goes on it is made again."""
        if lane.members or self._lanes.get(lane.lease) is not lane:
            return
        del self._lanes[lane.lease]
        self._results.close(lane.lease)
        self._roster.unwant(lane)
        worker, lane.worker = lane.worker, None
        if worker is not None:
            worker.lane = None
            self._roster.free(worker)

    # ── recall, stop, preempt ───────────────────────────────────────────────────────────────────────────────

    def _recall(self, attempts: list[tuple[str, int]]) -> None:
        """What is still here goes back at once; what is in a worker goes back if it has not begun there."""
        out: dict[Worker, list[int]] = {}
        for key in attempts:
            member = self._members.get((key[0], key[1]))
            if member is None:
                continue
            if member.worker is None:
                self._end(member, "returned", None)
            else:
                out.setdefault(member.worker, []).append(member.number)
        for worker, numbers in out.items():
            worker.tell("recall", numbers)

    def _preempt(self, task: str, attempt: int, grace: float) -> None:
        """Ask for a checkpoint; when the grace is over it is stopped."""
        member = self._members.get((task, attempt))
        if member is None or member.stopping:
            return
        if member.worker is None:
            self._end(member, "returned", None)
            return
        member.worker.tell("preempt", member.number)
        loop = asyncio.get_running_loop()
        why = "preempted: its grace was over before it kept a checkpoint"
        member.arm(
            loop.call_later(max(0.0, grace), self._stop, member, "preempted", why, min(self._grace, 1.0))
        )

    def _spare(self, task: str, attempt: int) -> None:
        """It was asked to checkpoint and end, and need not: unless it already does, it runs on."""
        member = self._members.get((task, attempt))
        if member is None or member.stopping or member.worker is None:
            return
        member.arm(None)
        self._time(member)  # the request had taken the place of its time-out
        member.worker.tell("spare", member.number)

    def _stop(self, member: Member, outcome: str, reason: str, grace: float) -> None:
        """End an attempt: first it is asked, after the grace its worker is killed with all it started."""
        if member.ended or member.stopping:
            return
        if member.worker is None:
            self._end(member, outcome, [0, said(outcome.capitalize(), reason)])
            return
        member.stopping, member.reason = outcome, reason
        member.worker.tell("stop", member.number, outcome, reason, grace)
        member.arm(asyncio.get_running_loop().call_later(grace, self._force, member))

    def _force(self, member: Member) -> None:
        """The grace is over."""
        worker = member.worker
        if member.ended or worker is None:
            return
        if worker.spool.current == member.number:
            self._crew.kill(worker, gently=_LAST_WARNING)
        else:  # it has not begun, or its end is on the way: another must not die for it
            member.arm(asyncio.get_running_loop().call_later(0.2, self._force, member))

    # ── what workers say (`crew.Owner`) ─────────────────────────────────────────────────────────────────────

    def on_hello(self, worker: Worker, last: int, held: list[tuple[Any, ...]]) -> None:
        """A worker is here: a new one, an adopted one with what it holds, or one whose connection broke."""
        if worker.adopted:
            worker.last = last
            for number, task, attempt, lease, _ in held:
                self._adopt(worker, number, task, attempt, lease)
        elif worker.sent:
            missing = [member for number, member in worker.sent.items() if number > last]
            if missing:  # lost with the old connection
                for member in reversed(missing):
                    del worker.sent[member.number]
                    member.number, member.worker = 0, None
                    member.lane.queue.appendleft(member)
                worker.last = last
                worker.calls.clear()
                self._advance(missing[0].lane)
        if worker.lane is None:
            self._roster.free(worker)

    def _adopt(self, worker: Worker, number: int, task: str, attempt: int, lease: int) -> None:
        lane = self._lanes.get(lease)
        if lane is None:
            lane = self._lanes[lease] = Lane(lease, worker.binding or ("", (), ""))
            lane.worker, worker.lane = worker, lane
        member = Member(task, attempt, lane)
        member.number, member.worker, member.since = number, worker, time.monotonic()
        self._members[task, attempt] = lane.members[task] = member
        worker.sent[number] = member

    def on_row(self, worker: Worker, row: tuple[Any, ...]) -> None:
        """A worker says what became of an item."""
        _, sequence, number, task, attempt, what, at, value = row
        member = worker.sent.get(number)
        ends = what in _ENDS
        if what == "finished" and member is not None:
            self._results.put(member.lane.lease, task, value[1])
        if what == "started" and member is not None:
            member.since = time.monotonic()
            self._time(member)
        rides = what == "finished" and member is not None and len(member.lane.members) > 1
        self._reports.add(ReportRow(task, attempt, what, at, value), ends=ends, rides=rides)
        self._reports.mark(worker.name, sequence, rides=rides)
        if ends and member is not None:
            self._forget(member)
            for following in worker.sent.values():
                following.since = time.monotonic()
                break

    def _time(self, member: Member) -> None:
        """An attempt with a time-out runs; what it has run already counts."""
        timeout = member.call.timeout if member.call is not None else None
        if timeout is None or member.stopping or member.timer is not None:
            return
        seconds = timeout / 1e6
        rest = max(seconds - (time.monotonic() - member.since), 0.0)
        why = f"it ran longer than its timeout of {seconds:g} s"
        member.arm(
            asyncio.get_running_loop().call_later(rest, self._stop, member, "timed_out", why, self._grace)
        )

    def on_death(self, worker: Worker, death: Death) -> None:
        """One attempt is lost with it, at most; the rest of the lease goes back."""
        lane, at = worker.lane, worker.spool.current
        if lane is not None:
            lane.worker = worker.lane = None
        self._roster.gone(worker, death)
        victim = worker.sent.get(at)
        if victim is not None:
            logs.settle(self._state, worker.name, victim.task, victim.attempt, worker.pid)
            took = round((time.monotonic() - victim.since) * 1e6)
            if victim.stopping:
                outcome, error = (
                    victim.stopping,
                    said(victim.stopping.capitalize(), f"{victim.reason} (by force)"),
                )
            else:
                outcome, error = (
                    "worker_died",
                    said("WorkerDied", f"the worker process {worker.pid} {death.cause}"),
                )
            self._end(victim, outcome, [took, error])
        for member in list(worker.sent.values()):
            self._give_back(member)
        if lane is not None:
            for member in list(lane.members.values()):
                self._give_back(member)

    def _give_back(self, member: Member) -> None:
        """It has certainly not begun: back to the scheduler, unless it was to be ended anyway."""
        if member.stopping:
            self._end(member, member.stopping, [0, said(member.stopping.capitalize(), member.reason)])
        else:
            self._end(member, "returned", None)

    # ── ends and workers ────────────────────────────────────────────────────────────────────────────────────

    def _end(self, member: Member, what: str, value: Any) -> None:
        """The executor itself says how an attempt ended."""
        if not member.ended:
            self._add(member.task, member.attempt, what, value, ends=True)
            self._forget(member)

    def _add(self, task: str, attempt: int, what: str, value: Any, *, ends: bool) -> None:
        self._reports.add(ReportRow(task, attempt, what, time.time_ns() // 1000, value), ends=ends)

    def _forget(self, member: Member) -> None:
        """The attempt is over: nothing here refers to it any more."""
        member.ended = True
        member.arm(None)
        lane = member.lane
        self._members.pop((member.task, member.attempt), None)
        if lane.members.get(member.task) is member:
            del lane.members[member.task]
        if member.worker is not None:
            member.worker.sent.pop(member.number, None)
        elif member in lane.queue:
            lane.queue.remove(member)
        if not lane.members:
            self._leave_if_done(lane)
        elif lane.queue and lane.worker is not None:
            self._advance(lane)

    def _give_worker(self, lane: Lane, worker: Worker) -> None:
        """The roster has found a worker for a lane that waited."""
        lane.worker, worker.lane = worker, lane
        self._advance(lane)

    def _cannot_start(self, lanes: list[Lane], cause: str) -> None:
        """Workers die before they come up: say so instead of trying for ever."""
        error = said(
            "WorkerDied", f"no worker can be started here: the last one {cause}; see the executor's log"
        )
        for lane in lanes:
            for member in list(lane.members.values()):
                self._end(member, "worker_died", [0, error])

    def _on_confirmed(self, marks: Marks) -> None:
        for name, sequence in marks.items():
            if (worker := self._crew.workers.get(name)) is not None:
                worker.tell("ack", sequence)
