"""Everything that can happen to the engine. Times are microseconds handed in from outside.

The engine applies the events of a batch in the order given; whoever makes the batch sorts it by (sender, sequence) first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from headway.core.joint.record import PlanRecord
from headway.core.placement.paces import Site, Speed
from headway.domain.limits import Quota, Rate
from headway.domain.override import Override
from headway.domain.resources import Demand, Node
from headway.domain.task import Task
from headway.domain.units import MILLI
from headway.domain.window import Window


class Outcome(StrEnum):
    """How an attempt ended. Only `FINISHED` lets successors go on."""

    FINISHED = "finished"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    WORKER_DIED = "worker_died"
    #: Stopped at the scheduler's wish; the engine queues it again by itself.
    PREEMPTED = "preempted"
    #: The node or its executor went away: nobody knows how far it came.
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class NodeJoined:
    """A node is there, or is there again.

    A new `incarnation` means a new executor: attempts the engine placed on the node that are not in `holds` are lost. The
    same incarnation again only updates the capacity.

    Attributes:
        holds: (task, attempt) pairs that the executor has, started or not.
    """

    node: Node
    incarnation: str = ""
    holds: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class NodeLost:
    """The node's lease ran out, or it said goodbye. All attempts on it are lost."""

    node: str
    incarnation: str = ""


@dataclass(frozen=True, slots=True)
class NodeCordoned:
    """Nothing new is placed on a cordoned node; what runs there goes on."""

    node: str
    cordoned: bool = True


@dataclass(frozen=True, slots=True)
class TaskOffered:
    """The planner wants this task done. For a known task that waits or queues it replaces what was said before; for one
    that is allocated it is remembered until the present attempt has ended (the planner may hear of a failure first)."""

    task: Task
    #: Not to start before (retry back-off).
    not_before: int = 0


@dataclass(frozen=True, slots=True)
class TaskWithdrawn:
    """The planner wants it no more. If it is allocated, the executor is asked to end it."""

    task: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TaskEdited:
    """Priority, weight (milli) or deadline of a task changed; None leaves as is."""

    task: str
    priority: int | None = None
    weight: int | None = None
    deadline: int | None = None


@dataclass(frozen=True, slots=True)
class InputKnown:
    """A result that the task reads turned out to be of that size; where it lies is known from who made it.

    Attributes:
        producer: The task whose result it is.
        size: Bytes.
    """

    task: str
    producer: str
    size: int


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """The first instruction of the attempt ran, at `at` by the executor's clock."""

    task: str
    attempt: int
    at: int


@dataclass(frozen=True, slots=True)
class AttemptProgressed:
    """The task said how far it is, in milli (0 to 1000)."""

    task: str
    attempt: int
    done: int
    at: int


@dataclass(frozen=True, slots=True)
class AttemptCheckpointed:
    """A checkpoint is safe in the store: a later attempt goes on from `done` (milli, -1 if the task never said)."""

    task: str
    attempt: int
    at: int
    done: int = -1


@dataclass(frozen=True, slots=True)
class AttemptReturned:
    """A member of a train that had not started was called back and is acknowledged: it never will. Queued again, same number."""

    task: str
    attempt: int


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """The attempt is over and holds nothing any more.

    Attributes:
        took: Processing time in microseconds.
    """

    task: str
    attempt: int
    outcome: Outcome
    took: int = 0


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The policy changes from now on, e.g. `priority > srpt` under `skip`, `strict` or `backfill`."""

    order: str
    discipline: str = "skip"
    #: None leaves it as it is.
    placement: str | None = None


@dataclass(frozen=True, slots=True)
class MixSet:
    """The tasks to be expected are known, for placements that keep room for them: nothing is learned from now on.

    Attributes:
        classes: Demands and how many tasks there are of each; empty to learn again.
    """

    classes: tuple[tuple[Demand, int], ...]


@dataclass(frozen=True, slots=True)
class PlanSet:
    """A solver's plan is in force from now on, in place of the one before; None ends that. Only a policy with the order
    `joint` follows one: under any other it comes too late and is ignored."""

    plan: PlanRecord | None


@dataclass(frozen=True, slots=True)
class PreemptionSet:
    """The terms of preemption change from now on; None leaves one as it is. Times in microseconds.

    Attributes:
        preempt: `no`, `classes` (a better class preempts a worse), and with that, within a class: `longer` (what has less
            left preempts what has more) or `attained` (what stands in a lower queue of attained service preempts).
        margin: Thousandths, under `longer`: by how much of what the other has left it must be better.
        budgets: As `core.preemption.budgets` reads them. They begin anew if they differ.
    """

    preempt: str | None = None
    grace: int | None = None
    min_run: int | None = None
    max_preemptions: int | None = None
    cost: int | None = None
    margin: int | None = None
    budgets: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SpeedsSet:
    """How fast nodes are, from now on: all rows."""

    speeds: tuple[Speed, ...]


@dataclass(frozen=True, slots=True)
class SitesSet:
    """How far sites are, from now on: all of them."""

    sites: tuple[Site, ...]


@dataclass(frozen=True, slots=True)
class LevelsSet:
    """Which labels of nodes are levels, from the widest to the narrowest, from now on; empty for none."""

    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TenantSet:
    """What a tenant is due, from now on.

    Attributes:
        weight: Milli-weight under `fair` and `fair_history`: twice the weight, twice the share (of
            what its parent gets).
        parent: The tenant it is part of, or empty.
    """

    tenant: str
    weight: int = MILLI
    parent: str = ""


@dataclass(frozen=True, slots=True)
class WindowSet:
    """Nodes are to be free, for maintenance or for the owner of a reservation; replaces the window of that id. One that is
    over is stale."""

    window: Window


@dataclass(frozen=True, slots=True)
class WindowCleared:
    """The window is no more."""

    window: str


@dataclass(frozen=True, slots=True)
class QuotaSet:
    """What a tenant may hold, from now on; None: it is not limited any more. What it holds already, it keeps."""

    tenant: str
    quota: Quota | None


@dataclass(frozen=True, slots=True)
class RateSet:
    """How much may be taken of a rate-limited resource, from now on; None: it is not limited any more."""

    rate: str
    limit: Rate | None


@dataclass(frozen=True, slots=True)
class PoolSet:
    """How many slots a pool has from now on; None: it is not limited any more."""

    pool: str
    slots: int | None


@dataclass(frozen=True, slots=True)
class OverrideApplied:
    """An override is in force until it expires or is reverted."""

    override: Override


@dataclass(frozen=True, slots=True)
class OverrideReverted:
    """The override ends now."""

    override: str


Event = (
    NodeJoined
    | NodeLost
    | NodeCordoned
    | TaskOffered
    | TaskWithdrawn
    | TaskEdited
    | InputKnown
    | AttemptStarted
    | AttemptProgressed
    | AttemptCheckpointed
    | AttemptReturned
    | AttemptEnded
    | PolicySet
    | MixSet
    | PlanSet
    | PreemptionSet
    | SpeedsSet
    | SitesSet
    | LevelsSet
    | TenantSet
    | WindowSet
    | WindowCleared
    | QuotaSet
    | RateSet
    | PoolSet
    | OverrideApplied
    | OverrideReverted
)
