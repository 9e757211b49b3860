"""The life of a task in the engine: the table of its states, and the records that hold it.

A task is *unallocated* (waiting, delayed, held, queued, claiming) or *allocated* (placed, running), and then
it has exactly one `Member`: the present attempt, in a lease. It leaves the engine (`gone`) with every end but
a preemption.

| state    | meaning                                                    | where it is kept                  |
|----------|------------------------------------------------------------|-----------------------------------|
| waiting  | tasks it comes after have not finished                     | `World.waiters`, under each       |
| delayed  | backs off: not before a given time                         | `World.delays`, a heap by time    |
| held     | an override keeps it                                       | nowhere else                      |
| gathering| the rest of its gang is missing, or stands in line with it  | `Band.ready` of its gang          |
| queued   | could start if it fitted somewhere                         | its shape's heap in `World.queue` |
| claiming | a place is being cleared for it (preemption)               | `World.claims`                    |
| placed   | granted to an executor, which has not said that it started | a member of a lease               |
| running  | started                                                    | a member of a lease               |
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from headway.core.decisions import Reason
from headway.core.events import TaskOffered
from headway.domain.task import Task
from headway.errors import Conflict

if TYPE_CHECKING:
    from headway.core.capacity.estimates import Family
    from headway.core.placement.space import Space
    from headway.core.queue import Item, Shape


class State(StrEnum):
    """Where a task stands."""

    WAITING = "waiting"
    DELAYED = "delayed"
    HELD = "held"
    GATHERING = "gathering"
    QUEUED = "queued"
    CLAIMING = "claiming"
    PLACED = "placed"
    RUNNING = "running"
    GONE = "gone"


class Move(StrEnum):
    """What can happen to it."""

    WAIT = "wait"  # something it comes after is unfinished
    DELAY = "delay"  # a back-off
    HOLD = "hold"  # an override
    READY = "ready"  # nothing but a place is missing
    GATHER = "gather"  # nothing but its gang is missing, or a place for all of it
    CLAIM = "claim"  # victims are asked to make room for it
    GRANT = "grant"
    START = "start"
    RETURN = "return"  # called back unstarted
    PREEMPTED = "preempted"  # stopped at our wish
    END = "end"  # finished, failed, cancelled, lost …
    DROP = "drop"  # withdrawn while unallocated


_REST = {
    Move.WAIT: State.WAITING,
    Move.DELAY: State.DELAYED,
    Move.HOLD: State.HELD,
    Move.READY: State.QUEUED,
    Move.GATHER: State.GATHERING,
    Move.DROP: State.GONE,
}

#: A pair that is not here cannot happen: it is refused with `Impossible`, and nothing changes.
TABLE: dict[State, dict[Move, State]] = {
    # A waiting task may be granted on the very train that carries what it waits for.
    State.WAITING: {**_REST, Move.GRANT: State.PLACED},
    State.DELAYED: _REST,
    State.HELD: _REST,
    # The leader claims and is granted from the line, the others from behind it.
    State.GATHERING: {**_REST, Move.CLAIM: State.CLAIMING, Move.GRANT: State.PLACED},
    State.QUEUED: {**_REST, Move.CLAIM: State.CLAIMING, Move.GRANT: State.PLACED},
    State.CLAIMING: {**_REST, Move.GRANT: State.PLACED},
    # An attempt may end without our having heard that it started: reports are coalesced.
    State.PLACED: {
        Move.START: State.RUNNING,
        Move.RETURN: State.QUEUED,
        Move.PREEMPTED: State.QUEUED,
        Move.END: State.GONE,
    },
    State.RUNNING: {Move.PREEMPTED: State.QUEUED, Move.END: State.GONE},
    State.GONE: {},
}


class Impossible(Conflict):
    """An event that the task's state does not allow: a peer broke the protocol. Nothing was changed."""

    code = "impossible_event"


def refuse(entry: Entry, what: str) -> Impossible:
    """The error for an event that cannot happen to this task now, with the task's story."""
    return Impossible(
        f"task {entry.task.id} is {entry.state} (attempt {entry.attempt}): {what} cannot happen to it",
        hint="the sender broke the protocol; the event was refused and nothing changed",
        task=entry.task.id,
        state=str(entry.state),
        attempt=entry.attempt,
        event=what,
    )


class Entry:
    """A live task.

    Attributes:
        seq: Order of arrival, the last tie-breaker; kept through preemptions and returns.
        item: Its element in the shape's heap while queued. Any other element of the heap that names it is
            dead.
        attempt: Number of the last grant.
        unused: That grant came back unstarted: its number is given again.
        done: Milli of the work that a checkpoint keeps.
        attained: Microseconds that its attempts have run so far, whatever came of them.
        waits: Tasks that have not finished yet, of those it comes after.
        boost: How far an override lifts it, 0 if none.
        variant: Which of its variants it runs as or waits for; -1 if none is chosen or it has none.
        until: As long (microseconds) it waits for that one before it chooses anew. `since`: when it began to wait although
            another would have fitted, or -1. `weighed`: of each variant, microseconds to its expected end when the
            choice was made, -1 for one that no node could hold.
        offer: What the planner offered while an attempt was out; taken up when that ends.
        ousted: Who last took its place, and why.
    """

    __slots__ = (
        "attained", "attempt", "boost", "done", "family", "item", "member", "not_before", "offer", "ousted", "preemptions",
        "seq", "shape", "since", "state", "task", "until", "unused", "variant", "waits", "weighed", "withdrawn",
    )  # fmt: skip

    def __init__(self, task: Task, seq: int, family: Family, shape: Shape) -> None:
        self.task = task
        self.seq = seq
        self.family = family
        self.shape = shape
        self.state = State.WAITING
        self.item: Item | None = None
        self.member: Member | None = None
        self.attempt = self.preemptions = self.done = self.attained = self.not_before = self.boost = (
            self.until
        ) = 0
        self.unused = self.withdrawn = False
        self.variant = self.since = -1
        self.weighed: tuple[int, ...] = ()
        self.waits: tuple[str, ...] = ()
        self.offer: TaskOffered | None = None
        self.ousted: Ousted | None = None


class Ousted(NamedTuple):
    """What is kept of a task's last preemption, for `why`.

    Attributes:
        at: When its attempt was asked to leave, microseconds.
    """

    at: int
    node: str
    reason: Reason


class Member:
    """An attempt in a lease.

    Attributes:
        expected: Microseconds it is reckoned to take.
        key: Its place in the policy's order when granted.
        rank: Its priority class when granted; smaller is better.
        started: When we heard that it started, or -1.
        saved: Milli that its last checkpoint keeps; `saved_at` when we heard of it (its start before the
            first).
        paid: The windows of rates that it took from, by number.
        recalled: It has been called back and that is not acknowledged: it still counts against the lease.
    """

    __slots__ = (
        "attempt", "done", "entry", "expected", "granted", "key", "lease", "paid", "position", "rank",
        "reason", "recalled", "saved", "saved_at", "started",
    )  # fmt: skip

    def __init__(
        self, entry: Entry, lease: Lease, attempt: int, position: int, granted: int, expected: int
    ) -> None:
        self.entry = entry
        self.lease = lease
        self.attempt = attempt
        self.position = position
        self.granted = granted
        self.expected = expected
        self.key = 0
        self.rank = 0
        self.started = -1
        self.done = entry.done
        self.saved = entry.done
        self.saved_at = granted
        self.recalled = False
        self.paid: tuple[int, ...] = ()
        self.reason = Reason("")


class Lease:
    """Resources held on one node, and the attempts that run on them one after another.

    Attributes:
        devices: Indices of the GPUs it holds.
        owner: The tenant whose quota it counts against.
        members: Not ended and not returned, in the order they run.
        next: The next position.
        outstanding: Microseconds of work expected in its members.
        recalls: Members called back and not yet acknowledged.
        slow: The running member has outlasted the span: nothing is added until it has ended.
        evicting: Its members are asked to go: the place is being cleared for a claim, or for good (`leaving`).
    """

    __slots__ = (
        "devices",
        "evicting",
        "id",
        "leaving",
        "members",
        "next",
        "outstanding",
        "owner",
        "recalls",
        "shape",
        "slow",
        "space",
    )

    def __init__(
        self, ident: int, space: Space, shape: Shape, devices: tuple[int, ...], owner: str = ""
    ) -> None:
        self.id = ident
        self.owner = owner
        self.space = space
        self.shape = shape
        self.devices = devices
        self.members: list[Member] = []
        self.next = 0
        self.outstanding = 0
        self.recalls = 0
        self.slow = False
        self.evicting = self.leaving = False

    def idle_members(self) -> list[Member]:
        """Members that have not started, as far as we know, and are not called back."""
        return [m for m in self.members if m.started < 0 and not m.recalled]


class Claim:
    """A place that is being cleared for one task. What it needs is taken as it comes free, before anybody
    else.

    Attributes:
        devices: The GPUs it will hold.
        cpu, memory, gpus, other: What is still missing; `gpus` by device in milli, `other` by name.
        victims: Leases asked to leave.
        reclaims: What they hold was borrowed from its tenant.
    """

    __slots__ = ("cpu", "devices", "entry", "gpus", "made", "memory", "other", "reclaims", "space", "victims")

    def __init__(
        self, entry: Entry, space: Space, devices: tuple[int, ...], victims: tuple[int, ...], made: int
    ) -> None:
        shape = entry.shape
        self.entry = entry
        self.space = space
        self.devices = devices
        self.victims = victims
        self.made = made
        self.reclaims = False
        self.cpu = shape.cpu
        self.memory = shape.memory
        self.gpus = dict.fromkeys(devices, space.per_device(shape))
        self.other = dict(shape.other)

    @property
    def ready(self) -> bool:
        """Whether nothing is missing any more."""
        return not (self.cpu or self.memory or any(self.gpus.values()) or any(self.other.values()))


class Reservation(NamedTuple):
    """What backfilling keeps for the head of the line.

    Attributes:
        at: When the node should have room for it, in microseconds.
        others: For a gang: the other nodes that it should then have room on.
    """

    task: str
    space: Space
    at: int
    others: tuple[Space, ...] = ()

    def holds(self, space: Space) -> bool:
        """Whether the node is among those reserved."""
        return space is self.space or space in self.others


class Past(NamedTuple):
    """What is kept of an attempt that ended, for `why`.

    Attributes:
        outcome: How it ended, or `lost`.
    """

    attempt: int
    node: str
    outcome: str
    granted: int
    ended: int
    took: int
    reason: Reason

    def tree(self) -> list[Any]:
        """As plain JSON."""
        facts = [list(pair) for pair in self.reason.facts]
        return [
            self.attempt,
            self.node,
            self.outcome,
            self.granted,
            self.ended,
            self.took,
            self.reason.code,
            facts,
        ]

    @classmethod
    def from_tree(cls, tree: list[Any]) -> Past:
        """The reverse of `tree`."""
        attempt, node, outcome, granted, ended, took, code, facts = tree
        reason = Reason(code, tuple((name, value) for name, value in facts))
        return cls(attempt, node, outcome, granted, ended, took, reason)
