"""A task as the scheduler knows it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headway.domain.beside import Beside
from headway.domain.resources import Demand
from headway.domain.units import MILLI
from headway.domain.where import Where

#: Ways in which one task may run.
MOST_VARIANTS = 8


@dataclass(frozen=True, slots=True)
class Variant:
    """One of several ways in which a task may run.

    Attributes:
        demand: What it holds that way.
        estimate: Its processing time that way in microseconds, or None.
        where: What the labels of its node must say.
    """

    demand: Demand = Demand()
    estimate: int | None = None
    where: Where = ()


@dataclass(frozen=True, slots=True)
class Gang:
    """Which gang a task is a member of: all members start together, or none does.

    Attributes:
        id: `<run>/<name>`, the same for all members.
        index: Of this member, from 0; unique in the gang.
        size: Members of the whole gang, those that have finished included.
        done: How many have finished, as far as who offers the task knows.
        within: Labels of nodes, narrowest first: all members run on nodes that have the same value of the first of
            them for which that is possible. `*` stands for any nodes. Empty: any nodes.
    """

    id: str
    index: int
    size: int
    done: int = 0
    within: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One schedulable unit of a run.

    Attributes:
        id: `<run>/<name>` or `<run>/<name>[3]`, unique for ever.
        kind: What it has in common with tasks of like length (the function): estimates and trains learn per kind and demand.
        demand: What it holds while it runs.
        tenant: Whose it is.
        priority: Higher goes first where the policy says so.
        weight: Milli-weight of its completion time.
        estimate: Processing time in microseconds as its author said it, or None.
        release: When it was submitted, in microseconds of the service's clock.
        deadline: When it should be complete, or None.
        after: Tasks it still waits for; it queues when the last of them has finished.
        at_most_once: Never run again once it may have started.
        where: What the labels of its node must say, in canonical text (`domain.where`).
        restart: Microseconds that an attempt needs before it goes on from a checkpoint, as its author said, or None.
        inputs: Tasks whose results it reads, and how many bytes of each: they lie on the nodes that ran these.
        variants: The ways in which it may run, of which one is chosen when its turn comes. Demand, estimate and `where` are then
            those of the chosen one, of the first until then.
        gang: The gang it is a member of, or None.
        path: Microseconds on the longest way through the tasks of its run that wait for it (`core.behind`).
        behind: Milli-weight of what waits for it.
        beside: Its group, and which others it must be near to, apart from or spread out among; or None.
    """

    id: str
    kind: str = ""
    demand: Demand = Demand()
    tenant: str = "default"
    priority: int = 0
    weight: int = MILLI
    estimate: int | None = None
    release: int = 0
    deadline: int | None = None
    after: tuple[str, ...] = ()
    at_most_once: bool = False
    where: Where = ()
    restart: int | None = None
    inputs: tuple[tuple[str, int], ...] = ()
    variants: tuple[Variant, ...] = ()
    gang: Gang | None = None
    path: int = 0
    behind: int = 0
    beside: Beside | None = None

    def as_variant(self, index: int) -> Task:
        """The task as it runs in that way."""
        chosen = self.variants[index]
        return replace(self, demand=chosen.demand, estimate=chosen.estimate, where=chosen.where)

    @property
    def run(self) -> str:
        """The run it belongs to."""
        return self.id.partition("/")[0]


def reads(task: Task) -> int:
    """Bytes of the results that the task reads, as far as is known."""
    return sum(size for _, size in task.inputs) if task.inputs else 0
