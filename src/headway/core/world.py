"""All that the engine knows, and the primitive changes to it: each keeps every collection in step with every
task.

`Engine` (what to do when) stands above, `trains`, `preemption` and `switching` (other rules while tasks wait) beside it. The truth
about what must hold is `core.invariants`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any

import numpy as np

from headway.core import beside, claims
from headway.core.admission import gangs
from headway.core.admission.calendar import Windows
from headway.core.admission.gates import Gates
from headway.core.admission.outlook import Outlook
from headway.core.ask import Ask, ask_of
from headway.core.capacity import learning
from headway.core.capacity.estimates import Estimates, Family
from headway.core.decisions import Decision, Dropped, Lost, Reason, Recall, Start
from headway.core.joint.record import Standing
from headway.core.ledger import Ledger
from headway.core.overrides import Overrides
from headway.core.placement.company import Company
from headway.core.placement.nodes import Nodes
from headway.core.placement.paces import Source
from headway.core.placement.space import Space
from headway.core.policy import Policy
from headway.core.preemption.budgets import Disruptions
from headway.core.queue import Queue, Shape
from headway.core.settings import Settings
from headway.core.state import (
    TABLE,
    Claim,
    Entry,
    Lease,
    Member,
    Move,
    Past,
    Reservation,
    State,
    refuse,
)
from headway.core.turns import TurnQueue
from headway.domain.resources import Demand
from headway.domain.task import Task
from headway.domain.where import Where

#: Ended attempts whose reasons are kept for `why`.
KEEP_PAST = 4_096
#: Tasks that left unfinished and whose attempt numbers are kept for their return.
KEEP_FENCES = 50_000
#: Finished tasks whose names are kept, for offers that were sent before the planner heard of it.
KEEP_FINISHED = 20_000


class World:
    """The engine's state."""

    def __init__(self, policy: Policy, settings: Settings) -> None:
        self.policy = policy
        self.settings = settings
        self.estimates = Estimates()
        #: Milli-weights of tenants; who is not named has 1.
        self.weights: dict[str, int] = {}
        #: The tenants that tenants are part of.
        self.parents: dict[str, str] = {}
        #: Under a policy with turns: what each account holds and has been given.
        self.ledger: Ledger | None = None
        self.gates = Gates()
        self.queue = Queue()
        self.nodes = Nodes(policy.placement)
        self.nodes.book = self
        self.company = Company(self.nodes)
        self.overrides = Overrides()
        self.disruptions = Disruptions()
        #: Tasks that were asked to leave for another's sake and do not run again yet.
        self.away: dict[str, Entry] = {}
        self.tasks: dict[str, Entry] = {}
        #: By kind, demand and conditions of tasks without variants, of tenants without limits.
        self._forms: dict[tuple[str, Demand, Where], tuple[Family, Shape]] = {}
        self.leases: dict[int, Lease] = {}
        self.claims: dict[str, Claim] = {}
        self.gangs = gangs.Gangs()
        self.windows = Windows()
        self.waiters: dict[str, list[Entry]] = {}
        #: Of tasks that left but may come back: last attempt, whether it is unused, milli kept, preemptions,
        #: microseconds run.
        self.fences: dict[str, tuple[int, bool, int, int, int]] = {}
        # Ordered: of a plain dict the oldest key is found by passing all the holes that former ones left.
        #: Finished tasks, and the index of the node that ran each.
        self.finished: OrderedDict[str, int] = OrderedDict()
        self.past: OrderedDict[str, Past] = OrderedDict()
        self.delays: list[tuple[int, int, str]] = []
        #: Tasks that wait for one of their variants: (until, order of arrival, task); lazy, as `delays` is.
        self.leanings: list[tuple[int, int, str]] = []
        self.timers: list[tuple[int, int, int]] = []  # (when, lease, position of the running member)
        #: Leases with unstarted members, by shape; leases to look at for more work.
        self.trains: dict[int, dict[int, Lease]] = {}
        self.touched: dict[int, Lease] = {}
        #: Live attempts by rank: whether there is anybody to preempt at all.
        self.ranks: dict[int, int] = {}
        self.counts: dict[State, int] = dict.fromkeys(State, 0)
        self.stale = 0
        self.out: list[Decision] = []
        #: Under all disciplines but `skip`: the head of the line that the last decision found no place for.
        self.head: str | None = None
        #: Under `backfill`: what was kept for the head of the line in the last decision.
        self.reservation: Reservation | None = None
        self.outlook = Outlook()
        #: Under `joint`: the plan in force.
        self.plan: Standing | None = None
        #: Within one decision: when shapes that variants wait for should fit, by shape; see `variants`.
        self.openings: dict[int, list[int]] = {}
        #: Grows with everything that happens but the passing of time: what was in vain at one stamp is in vain for long.
        self.stamp = 0
        self.next_seq = 1
        self.next_lease = 1
        self.line_up()

    def line_up(self) -> None:
        """The ledger and the queue that the policy needs; nothing is queued in it."""
        turns, former = self.policy.turns, self.queue
        self.head, self.reservation, self.outlook = None, None, Outlook()
        if turns is None:
            self.ledger, self.queue = None, Queue(self.policy.coarse)
        else:
            if self.ledger is None or self.ledger.turns is not turns:
                self.ledger = Ledger(turns, self.weights, self.parents, self.policy.depth)
                self.ledger.begin(list(self.members()), self.nodes.all)
            elif self.policy.depth > 1 or self.ledger.depth > 1:
                self.ledger.plant(self.policy.depth)
            self.queue = TurnQueue(self.ledger, self.policy.shift)
        self.queue.adopt(former)
        self.gates.shut.clear()
        self.nodes.stirring = self.policy.backfill

    # ── the life cycle ──────────────────────────────────────────────────────────────────────────────────────

    def move(self, entry: Entry, move: Move) -> None:
        """The only place where a state changes. Raises Impossible for a pair that the table does not have."""
        state = entry.state
        new = TABLE[state].get(move)
        if new is None:
            raise refuse(entry, move)
        counts = self.counts
        counts[state] -= 1
        counts[new] += 1
        entry.state = new

    def remaining(self, entry: Entry) -> int:
        """Processing time left, in microseconds (the policy's `Book`)."""
        left = entry.task.estimate if entry.family.sizes is None else learning.said(entry)
        if left is None or entry.done:
            return self.estimates.remaining(entry.family, left, entry.done)
        return left if left > 1 else 1

    def lasts(self, entry: Entry, space: Space) -> int:
        """Microseconds that what is left takes on that node, with what has to be brought there."""
        left = self.remaining(entry)
        return self.paced(entry, left, space) if self.nodes.paces.known else left

    def paced(self, entry: Entry, work: int, space: Space) -> int:
        """Microseconds that so much of the task's work takes on that node."""
        at = np.array([space.index], np.int64)
        return int(self.nodes.paces.times(entry.task.kind, work, self.sources(entry.task), at)[0])

    def work(self, member: Member, took: int) -> int:
        """The work that an attempt did in so many microseconds where it was."""
        paces, entry = self.nodes.paces, member.entry
        if not paces.known:
            return took
        return paces.work(entry.task.kind, took, self.sources(entry.task), member.lease.space.index)

    def sources(self, task: Task) -> list[Source]:
        """Where the task's inputs lie, as far as is known."""
        inputs = task.inputs
        if not inputs:
            return []
        found = ((self.finished.get(task, -1), size) for task, size in inputs)
        return [(place, size) for place, size in found if place >= 0]

    def total(self, entry: Entry) -> int:
        """Processing time of the whole task, in microseconds (the policy's `Book`)."""
        return max(self.estimates.total(entry.family, learning.said(entry)), 1)

    def restart(self, entry: Entry) -> int:
        """Microseconds that a next attempt of it would need before it goes on: as said, else as learned, else 0."""
        said = entry.task.restart
        return entry.family.restart if said is None else said

    def level(self, entry: Entry) -> int:
        """How far ahead the task's account is (the policy's `Book`)."""
        return self.ledger.level(entry) if self.ledger is not None else 0

    def branches(self, entry: Entry) -> list[tuple[str, int]]:
        """The tenants above the task's account, and how far ahead each is (the policy's `Book`)."""
        return self.ledger.path(entry) if self.ledger is not None else []

    def planned(self, entry: Entry) -> int:
        """The task's rank in the plan in force, or -1 (the policy's `Book`)."""
        found = self.plan.rows.get(entry.task.id) if self.plan is not None else None
        return -1 if found is None else found[0]

    def key(self, entry: Entry) -> int:
        """Where the task stands now, queued or not."""
        key = entry.item[0] if entry.item is not None else self.policy.key(entry, self)
        return self.queue.full(entry, key)

    def rank(self, entry: Entry) -> int:
        """The class of a queued task; smaller is better."""
        assert entry.item is not None
        return self.policy.rank(entry.item[0], entry.boost)

    def shape_of(self, task: Task, pin: str = "") -> Shape:
        """What the task asks for, interned."""
        return self.interned(ask_of(task, pin, self.gates.owner(task)))

    def form_of(self, task: Task) -> tuple[Family, Shape]:
        """The family and the shape of a task; found at once for one that is like another, unless tenants or rules about
        other tasks have shapes of their own."""
        if task.variants or task.beside is not None or self.gates.accounts or self.gates.capped:
            return self.estimates.family(task.kind, task.demand), self.shape_of(task)
        like = (task.kind, task.demand, task.where)
        found = self._forms.get(like)
        if found is None:
            found = self._forms[like] = (self.estimates.family(task.kind, task.demand), self.shape_of(task))
        return found

    def interned(self, ask: Ask) -> Shape:
        """The shape of what is asked."""
        if ask.bonds is not None:
            return beside.shape_of(self, ask)
        known = len(self.queue.shapes)
        shape = self.queue.shape(ask)
        for made in self.queue.shapes[known:]:
            self.gates.know(made)
        return shape

    def admit(self, task: Task, not_before: int, now: int) -> None:
        """A task that is not here comes in; fencing goes on where it left."""
        if task.variants:
            task = task.as_variant(0)
        entry = Entry(task, self.next_seq, *self.form_of(task))
        self.next_seq += 1
        if self.fences and (fence := self.fences.pop(task.id, None)) is not None:
            entry.attempt, entry.unused, entry.done, entry.preemptions, entry.attained = fence
        entry.not_before = not_before
        self.tasks[task.id] = entry
        if self.policy.mixed:
            self.nodes.expected.saw((beside.plain(self, entry.shape),))
        self.counts[State.WAITING] += 1
        if task.gang is not None:
            gangs.join(self, entry)
        if self.windows.active:
            self.windows.heard(task)
        if task.after:
            self._wait_for(entry)
        self.settle(entry, now)

    def replace(self, entry: Entry, task: Task, not_before: int, now: int) -> None:
        """A new offer of an unallocated task: keeps its place of arrival and its attempts."""
        self.unsettle(entry)
        self._wait_for_nothing(entry)
        former = entry.task.gang
        if self.windows.active:
            self.windows.heard(task)
        if task.variants:
            task = task.as_variant(0)
        entry.task, entry.variant, entry.since = task, -1, -1
        if former is not None:
            gangs.part(self, entry, former.id, former.index, finished=False)
        if task.gang is not None:
            gangs.join(self, entry)
        entry.family = self.estimates.family(task.kind, task.demand)
        entry.shape = self.shape_of(task, entry.shape.pin)
        entry.not_before = not_before
        self._wait_for(entry)
        self.settle(entry, now)

    def settle(self, entry: Entry, now: int) -> None:
        """Puts an unallocated task where it belongs: waiting, held, delayed or queued."""
        self.stamp += 1
        hold, pin, entry.boost = False, "", 0
        if self.overrides.active:
            hold, pin, entry.boost = self.overrides.on(entry.task)
        if entry.variant >= 0:
            self._take_form(entry, 0)
            entry.variant = -1
            entry.shape = self.shape_of(entry.task, pin)
        if pin != entry.shape.pin:
            entry.shape = self.shape_of(entry.task, pin)
        if entry.waits:
            self.move(entry, Move.WAIT)
            self._watch_train(entry)
        elif hold:
            self.move(entry, Move.HOLD)
        elif entry.not_before > now:
            self.move(entry, Move.DELAY)
            heappush(self.delays, (entry.not_before, entry.seq, entry.task.id))
        elif entry.task.gang is not None:
            gangs.gather(self, entry)
        else:
            self.move(entry, Move.READY)
            self.queue.push(entry, self.policy.key(entry, self))

    def _take_form(self, entry: Entry, variant: int) -> None:
        entry.task = entry.task.as_variant(variant)
        entry.family = self.estimates.family(entry.task.kind, entry.task.demand)

    def lean(self, entry: Entry, variant: int, until: int, weighed: tuple[int, ...]) -> None:
        """A queued task settles on one of its variants: from now on it stands in line as such, until then."""
        self.unqueue(entry)
        entry.variant, entry.until, entry.weighed = variant, until, weighed
        self._take_form(entry, variant)
        entry.shape = entry.shape.forms[variant]
        heappush(self.leanings, (until, entry.seq, entry.task.id))
        self.queue.push(entry, self.policy.key(entry, self))

    def end_leanings(self, now: int) -> None:
        """Tasks that have waited long enough for one variant choose anew."""
        while (when := self.next_leaning()) is not None and when <= now:
            entry = self.tasks[heappop(self.leanings)[2]]
            self.unsettle(entry)
            self.settle(entry, now)

    def next_leaning(self) -> int | None:
        """When the next of them does, or None."""
        while self.leanings:
            until, seq, task = self.leanings[0]
            entry = self.tasks.get(task)
            if (
                entry is not None
                and entry.item is not None
                and entry.variant >= 0
                and (entry.until, entry.seq) == (until, seq)
            ):
                return until
            heappop(self.leanings)
        return None

    def unsettle(self, entry: Entry) -> None:
        """Takes an unallocated task from where it stands; `settle` or `drop` follows."""
        if entry.item is not None and entry.shape.gated:
            self.gates.gone(entry.shape)
        if entry.task.gang is not None:
            gangs.scatter(self, entry)
        elif entry.item is not None:
            self.unqueue(entry)
        elif entry.state is State.CLAIMING:
            claims.cancel(self, self.claims[entry.task.id])

    def unqueue(self, entry: Entry) -> None:
        """Takes a task out of the line."""
        if entry.shape.shut is not None:
            self.gates.stir(entry.shape)
        self.queue.remove(entry)

    def leave(self, entry: Entry, move: Move, finished: bool = False) -> None:
        """The task leaves. Its attempt number is kept for its return unless it has finished."""
        self.move(entry, move)
        if entry.waits:
            self._wait_for_nothing(entry)
        task = entry.task
        del self.tasks[task.id]
        if self.plan is not None:
            self.plan.rows.pop(task.id, None)
        if self.away:
            self.away.pop(task.id, None)
        gang = task.gang
        if gang is not None:
            gangs.part(self, entry, gang.id, gang.index, finished)
        if entry.attempt and not finished:
            self.fences[task.id] = (
                entry.attempt,
                entry.unused,
                entry.done,
                entry.preemptions,
                entry.attained,
            )
            if len(self.fences) > KEEP_FENCES:
                del self.fences[next(iter(self.fences))]

    def drop(self, entry: Entry) -> None:
        """A withdrawn task that holds nothing is gone, and the planner is told."""
        self.unsettle(entry)
        self.leave(entry, Move.DROP)
        self.out.append(Dropped(entry.task.id))

    # ── waiting for other tasks ─────────────────────────────────────────────────────────────────────────────

    def _wait_for(self, entry: Entry) -> None:
        if not entry.task.after:
            return
        entry.waits = tuple(dict.fromkeys(t for t in entry.task.after if t not in self.finished))
        for task in entry.waits:
            self.waiters.setdefault(task, []).append(entry)

    def _wait_for_nothing(self, entry: Entry) -> None:
        for task in entry.waits:
            waiting = self.waiters[task]
            waiting.remove(entry)
            if not waiting:
                del self.waiters[task]
        entry.waits = ()

    def _watch_train(self, entry: Entry) -> None:
        """A lease that carries all it waits for may take it along."""
        first = self.tasks.get(entry.waits[0])
        if first is not None and first.member is not None and first.shape is entry.shape:
            self.touched[first.member.lease.id] = first.member.lease

    def release_waiters(self, task: str, place: int, now: int) -> None:
        """The task finished on the node of that index: whoever waited only for it goes on."""
        self.finished[task] = place
        if len(self.finished) > KEEP_FINISHED:
            self.finished.popitem(last=False)
        for entry in self.waiters.pop(task, ()) if self.waiters else ():
            entry.waits = tuple(t for t in entry.waits if t != task)
            if not entry.waits and entry.member is None:
                self.settle(entry, now)

    # ── leases ──────────────────────────────────────────────────────────────────────────────────────────────

    def open_lease(self, space: Space, entry: Entry, devices: tuple[int, ...]) -> Lease:
        """A lease for what was just taken on the node."""
        lease = Lease(self.next_lease, space, entry.shape, devices, entry.task.tenant)
        self.next_lease += 1
        self.leases[lease.id] = lease
        space.leases[lease.id] = lease
        entry.shape.live += 1
        if entry.shape.bond is not None:
            beside.count(self, space, entry.shape, 1)
        if self.gates.accounts or self.gates.slots:
            self.gates.hold(lease, 1)
        return lease

    def place(self, entry: Entry, space: Space, reason: Reason, now: int) -> Lease:
        """Takes the room and grants the head of a shape."""
        shape, nodes = entry.shape, self.nodes
        # Sights choose a device by the share; one of a shape that asks for memory of devices is chosen by that.
        sights = nodes.sights if not shape.vram else None
        devices = space.take(shape, None if sights is None else sights.devices(shape, space))
        nodes.changed(space, freed=False)
        lease = self.open_lease(space, entry, devices)
        self.grant(entry, lease, reason, now)
        return lease

    def grant(self, entry: Entry, lease: Lease, reason: Reason, now: int) -> None:
        """Makes the task the last member of the lease and tells its executor."""
        item, ledger, shape, space = entry.item, self.ledger, entry.shape, lease.space
        if item is None:
            key = self.key(entry)
        else:
            key = item[0] if ledger is None else self.queue.full(entry, item[0])
            if shape.shut is not None:
                self.gates.stir(shape)
            self.queue.remove(entry)
        self.move(entry, Move.GRANT)
        if entry.unused:
            entry.unused = False
        else:
            entry.attempt += 1
        expected = self.lasts(entry, space) if self.nodes.paces.known else self.remaining(entry)
        member = Member(entry, lease, entry.attempt, lease.next, now, expected)
        if entry.variant >= 0:
            chosen = (("variant", entry.variant), ("variants", list(entry.weighed)))
            reason = Reason(reason.code, tuple(sorted((*reason.facts, *chosen), key=lambda pair: pair[0])))
            entry.since = -1
        rank = self.policy.rank(key, entry.boost) if self.policy.classes else 0
        member.key, member.rank, member.reason = key, rank, reason
        if shape.gated:
            self.gates.pay(member, now)
        self.ranks[rank] = self.ranks.get(rank, 0) + 1
        entry.member = member
        task, members = entry.task, lease.members
        if task.gang is not None:
            self.gangs.bands[task.gang.id].out += 1
        members.append(member)
        lease.next += 1
        lease.outstanding += expected
        if self.nodes.stirring:
            self.nodes.stirred[space.index] = space
        if ledger is not None:
            ledger.granted(member, now)
        if len(members) > 1:
            self.trains.setdefault(lease.shape.id, {})[lease.id] = lease
        if entry.family.cap > 1:
            self.touched[lease.id] = lease  # its kind may ride on trains
        variant = entry.variant if entry.variant > 0 else 0
        self.out.append(
            Start(
                task.id, entry.attempt, space.name, lease.id, member.position, lease.devices, reason, variant
            )
        )

    def detach(self, member: Member, now: int, ran: int = 0) -> None:
        """The attempt, of which `ran` microseconds were processed, holds nothing any more; with the last member
        the lease's resources come free."""
        lease, entry = member.lease, member.entry
        members = lease.members
        first = members[0] is member
        members.remove(member)
        if self.ledger is not None:
            self.ledger.ended(member, members[0] if members else None, first, ran, now)
        lease.outstanding -= member.expected
        if self.nodes.stirring:
            self.nodes.stirred[lease.space.index] = lease.space
        if member.recalled:
            lease.recalls -= 1
        self.count_rank(member.rank, -1)
        entry.member = None
        if entry.task.gang is not None:
            self.gangs.bands[entry.task.gang.id].out -= 1
        if member.started >= 0:
            lease.slow = False
        if self.trains and len(members) < 2:
            self._no_train(lease)
        if members:
            self.touched[lease.id] = lease
        else:
            self.close_lease(lease)

    def _no_train(self, lease: Lease) -> None:
        of_shape = self.trains.get(lease.shape.id)
        if of_shape is not None and of_shape.pop(lease.id, None) is not None and not of_shape:
            del self.trains[lease.shape.id]

    def close_lease(self, lease: Lease) -> None:
        """Gives the resources back."""
        ident, space, shape = lease.id, lease.space, lease.shape
        del self.leases[ident]
        del space.leases[ident]
        shape.live -= 1
        if shape.bond is not None:
            beside.count(self, space, shape, -1)
        if shape.thirsty:
            shape.thirsty.pop(ident, None)
        if self.touched:
            self.touched.pop(ident, None)
        if self.gates.accounts or self.gates.slots:
            self.gates.hold(lease, -1)
        space.give(shape, lease.devices)
        self.nodes.changed(space, freed=True)

    def rerank(self, member: Member) -> None:
        """The task was edited: its class may be another."""
        self.count_rank(member.rank, -1)
        member.key = self.key(member.entry)
        member.rank = self.policy.rank(member.key, member.entry.boost)
        self.count_rank(member.rank, 1)

    def count_rank(self, rank: int, change: int) -> None:
        """So many more live attempts have the rank."""
        count = self.ranks.get(rank, 0) + change
        if count:
            self.ranks[rank] = count
        else:
            del self.ranks[rank]

    def recall(self, lease: Lease, members: list[Member], reason: Reason) -> None:
        """Calls unstarted members back; until each is acknowledged it stays a member."""
        if not members:
            return
        for member in members:
            member.recalled = True
        lease.recalls += len(members)
        pairs = tuple((m.entry.task.id, m.attempt) for m in members)
        self.out.append(Recall(lease.space.name, lease.id, pairs, reason))

    def recall_dependents(self, member: Member, reason: Reason) -> None:
        """What rides on the same lease and needs a result that will not come must not start."""
        lease = member.lease
        doomed = {member.entry.task.id}
        called = []
        for other in lease.members:
            if other.position > member.position and not doomed.isdisjoint(other.entry.waits):
                doomed.add(other.entry.task.id)
                if other.started < 0 and not other.recalled:
                    called.append(other)
        self.recall(lease, called, reason)

    def lose(self, member: Member, now: int) -> None:
        """The attempt went away with its node. It may have started even if we did not hear of it."""
        entry = member.entry
        offer, node = entry.offer, member.lease.space.name
        self.record(member, "lost", 0, now)
        ran = now - member.started if member.started >= 0 else 0
        entry.attained += ran
        self.detach(member, now, ran)
        gangs.break_up(self, entry, Reason("gang_broken", facts(by=entry.task.id, outcome="lost")), now)
        entry.done = member.saved
        self.leave(entry, Move.END)
        self.out.append(Lost(entry.task.id, member.attempt, node, True))
        if offer is not None:
            self.admit(offer.task, offer.not_before, now)

    def record(self, member: Member, outcome: str, took: int, now: int) -> None:
        """Keeps why an attempt that ends was where it was."""
        task, past, lease = member.entry.task.id, self.past, member.lease
        if task in past:
            del past[task]  # the newest stands last
        past[task] = Past(member.attempt, lease.space.name, outcome, member.granted, now, took, member.reason)
        if len(past) > KEEP_PAST:
            past.popitem(last=False)

    # ── the whole ───────────────────────────────────────────────────────────────────────────────────────────

    def members(self) -> Iterator[Member]:
        """Every present attempt, by lease."""
        for lease in self.leases.values():
            yield from lease.members

    def end_delays(self, now: int) -> None:
        """Tasks whose back-off is over are settled anew."""
        while (when := self.next_delay()) is not None and when <= now:
            self.settle(self.tasks[heappop(self.delays)[2]], now)

    def _stale_delay(self, element: tuple[int, int, str]) -> bool:
        entry = self.tasks.get(element[2])
        return (
            entry is None
            or entry.state is not State.DELAYED
            or (entry.not_before, entry.seq) != (element[0], element[1])
        )

    def next_delay(self) -> int | None:
        """When the next back-off ends, or None."""
        while self.delays and self._stale_delay(self.delays[0]):
            heappop(self.delays)
        return self.delays[0][0] if self.delays else None


def facts(**named: Any) -> tuple[tuple[str, Any], ...]:
    """A reason's facts, sorted by name."""
    return tuple(sorted(named.items()))
