"""Nodes as columns of integers, and one way to search them: what the device-aware placements share.

A placement here is a `Rule`: it says how bad a state of a node is, and how good a step from one state to the
next. `Placer` asks it about the nodes a task fits on and takes the best (in the engine `by_device` does); ties go
to the first node, then to the first device. That matters more than it looks: scores tie often, and a fixed order
fills nodes one after the other instead of breaking all of them.

What was scored for a demand is kept, and only nodes that changed since are scored again, so a placement costs
what changed, not what there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from headway.domain.units import MILLI
from headway.errors import Invalid

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
#: The score of a node on which a task does not fit.
NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Ask:
    """What one task needs of one node.

    Attributes:
        cpu: Milli-cores.
        memory: Bytes.
        devices: How many GPUs.
        milli: Of each of them: 1000, or less for a share of a single one.
        models: GPU models it runs on, sorted; empty for any.
    """

    cpu: int
    memory: int = 0
    devices: int = 0
    milli: int = 0
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        whole = self.milli == MILLI
        if min(self.cpu, self.memory, self.devices, self.milli) < 0 or (self.devices > 0) != (self.milli > 0):
            raise Invalid(
                f"no task can ask for {self}", hint="give milli where devices are asked for, and only there"
            )
        if self.milli > MILLI or (self.devices > 1 and not whole):
            raise Invalid(f"no node can serve {self}", hint="ask for a share of one device or for whole ones")

    @property
    def gpu(self) -> int:
        """Milli-GPUs in all."""
        return self.devices * self.milli

    @property
    def share(self) -> bool:
        """Whether it takes a part of a single device."""
        return self.devices == 1 and self.milli < MILLI


@dataclass(frozen=True, slots=True)
class Machine:
    """A node as the fleet is made of them: milli-cores, bytes, GPUs and their model."""

    cpu: int
    memory: int
    devices: int
    model: str = ""


class State(NamedTuple):
    """Some nodes, one a row, as they are or as they would be.

    Attributes:
        cpu: Free milli-cores.
        memory: Free bytes.
        devices: Free milli of each GPU, a column each; 0 where there is none.
        model: Index into the fleet's `models`.
        node: Which node of the fleet it is.
    """

    cpu: Ints
    memory: Ints
    devices: Ints
    model: Ints
    node: Ints


class Fleet:
    """All nodes and what of them is free.

    Args:
        machines: In the order in which ties are broken.
    """

    def __init__(self, machines: Sequence[Machine]) -> None:
        if not machines:
            raise Invalid("a fleet needs at least one node")
        self.models = tuple(sorted({machine.model for machine in machines}))
        width = max(1, *(machine.devices for machine in machines))
        self.sizes = State(
            np.array([machine.cpu for machine in machines], dtype=np.int64),
            np.array([machine.memory for machine in machines], dtype=np.int64),
            np.array(
                [[MILLI * (i < machine.devices) for i in range(width)] for machine in machines],
                dtype=np.int64,
            ),
            np.array([self.models.index(machine.model) for machine in machines], dtype=np.int64),
            np.arange(len(machines), dtype=np.int64),
        )
        self.now = State(*(column.copy() for column in self.sizes))
        self.gpu_size = int(self.sizes.devices.sum())
        #: Free milli-GPUs, in all and by model.
        self.gpu_free = self.gpu_size
        self.model_free = [
            int(self.sizes.devices[self.sizes.model == i].sum()) for i in range(len(self.models))
        ]

    def rows(self, nodes: Ints) -> State:
        """These nodes as they are."""
        return State(*(column[nodes] for column in self.now))

    def allowed(self, models: Sequence[str]) -> Bools:
        """For each model of the fleet, whether it is among those; any is, where none is named."""
        return np.array([not models or model in models for model in self.models])

    def fits(self, ask: Ask, nodes: Ints) -> Bools:
        """Which of these nodes have room."""
        state = self.rows(nodes)
        room = (state.cpu >= ask.cpu) & (state.memory >= ask.memory)
        if ask.devices:
            room &= self.allowed(ask.models)[state.model]
            room &= (state.devices >= ask.milli).sum(axis=1) >= ask.devices
        return room

    def change(self, node: int, ask: Ask, devices: Sequence[int], sign: int) -> None:
        """Take (-1) or give back (+1) what a task holds."""
        self.now.cpu[node] += sign * ask.cpu
        self.now.memory[node] += sign * ask.memory
        for device in devices:
            self.now.devices[node, device] += sign * ask.milli
        self.gpu_free += sign * ask.gpu
        self.model_free[int(self.now.model[node])] += sign * ask.gpu

    def write(self, node: int, cpu: int, memory: int, devices: Sequence[int]) -> None:
        """What is free on the node from now on."""
        more = sum(devices) - int(self.now.devices[node].sum())
        self.now.cpu[node] = cpu
        self.now.memory[node] = memory
        self.now.devices[node, : len(devices)] = devices
        self.gpu_free += more
        self.model_free[int(self.now.model[node])] += more


class Rule(Protocol):
    """A placement.

    Attributes:
        fullest: Whether a share goes to the fullest device among those of equal rank, instead of to the
            first.
    """

    fullest: bool
    #: Whether `stale` looks at the fleet.
    watches: bool

    def badness(self, state: State) -> Ints:
        """How bad each row is; smaller is better."""
        ...

    def rank(self, before: Ints, after: Ints) -> Ints:
        """How good it is to go from one badness to another; larger is better."""
        ...

    def stale(self, fleet: Fleet) -> bool:
        """Whether the rule has changed its mind, so that everything must be scored again."""
        ...

    def one(self, ask: Ask, cpu: int, devices: list[int], model: int) -> tuple[int, int] | None:
        """The rank of a single node on which the task fits, and the device that a share takes: what `ranked` gives for
        one row, quicker. None if the rule has no quicker way."""
        ...

    def tree(self) -> Any:
        """What the rule remembers of former states of the fleet, as plain JSON; None if nothing."""
        ...

    def fill(self, tree: Any) -> None:
        """The reverse of `tree`; never called with None."""
        ...


class Memoryless:
    """A rule that never changes its mind."""

    watches = False

    def one(self, ask: Ask, cpu: int, devices: list[int], model: int) -> tuple[int, int] | None:
        """No quicker way."""
        return None

    def stale(self, fleet: Fleet) -> bool:
        """Never."""
        return False

    def tree(self) -> Any:
        """Nothing."""
        return None

    def fill(self, tree: Any) -> None:
        """Nothing."""


@dataclass(slots=True)
class _Scores:
    """What is known of one demand: by node its rank and, for a share, the device; and how much of the log that covers."""

    rank: Ints
    device: Ints
    seen: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a task goes.

    Attributes:
        rank: What the rule thought of it.
        ties: How many other nodes it thought the same of.
    """

    node: int
    devices: tuple[int, ...]
    rank: int
    ties: int


class Placer:
    """Places tasks on a fleet by a rule, one at a time."""

    def __init__(self, fleet: Fleet, rule: Rule) -> None:
        self.fleet = fleet
        self.rule = rule
        self._everyone = fleet.sizes.node
        self._scores: dict[Ask, _Scores] = {}
        self._log: list[int] = []
        self._bad = np.empty(0, dtype=np.int64)
        self._bad_seen = 0

    def place(self, ask: Ask) -> Placed | None:
        """Take the best node and devices for the task, or None if it fits nowhere."""
        if self.rule.stale(self.fleet):
            self._scores.clear()
            self._bad = np.empty(0, dtype=np.int64)
        scores = self._scored(ask)
        node = int(np.argmax(scores.rank))
        rank = int(scores.rank[node])
        if rank == NEVER:
            return None
        if ask.share:
            devices: tuple[int, ...] = (int(scores.device[node]),)
        else:
            idle = np.flatnonzero(self.fleet.now.devices[node] == MILLI)[: ask.devices]
            devices = tuple(int(device) for device in idle)
        self.fleet.change(node, ask, devices, -1)
        self._log.append(node)
        return Placed(node, devices, rank, int((scores.rank == rank).sum()) - 1)

    def release(self, ask: Ask, placed: Placed) -> None:
        """The task is over."""
        self.fleet.change(placed.node, ask, placed.devices, 1)
        self._log.append(placed.node)

    def _scored(self, ask: Ask) -> _Scores:
        self._refresh_badness()
        known = self._scores.get(ask)
        if known is None:
            blank = np.full(len(self._everyone), NEVER, dtype=np.int64)
            known = self._scores[ask] = _Scores(blank, np.zeros_like(blank), len(self._log))
            nodes = self._everyone
        elif known.seen == len(self._log):
            return known
        else:
            nodes = np.unique(np.array(self._log[known.seen :], dtype=np.int64))
            known.seen = len(self._log)
            known.rank[nodes] = NEVER
        nodes = nodes[self.fleet.fits(ask, nodes)]
        if len(nodes):
            known.rank[nodes], known.device[nodes] = ranked(
                self.rule, ask, self.fleet.rows(nodes), self._bad[nodes]
            )
        return known

    def _refresh_badness(self) -> None:
        if not len(self._bad):
            self._bad = self.rule.badness(self.fleet.now)
        elif self._bad_seen < len(self._log):
            nodes = np.unique(np.array(self._log[self._bad_seen :], dtype=np.int64))
            self._bad[nodes] = self.rule.badness(self.fleet.rows(nodes))
        self._bad_seen = len(self._log)


def ranked(rule: Rule, ask: Ask, state: State, bad: Ints) -> tuple[Ints, Ints]:
    """The rank of each row with the task on it, and the device that a share takes there.

    Args:
        state: Rows that have room.
        bad: The badness of each.
    """
    rows = len(bad)
    if not ask.share:
        after = _with_whole(state, ask)
        return rule.rank(bad, rule.badness(after)), np.zeros(rows, dtype=np.int64)
    row, device = np.nonzero((state.devices >= ask.milli) & ~_repeated(state.devices))
    after = State(*(column[row] for column in state))
    after.devices[np.arange(len(row)), device] -= ask.milli
    after = after._replace(cpu=after.cpu - ask.cpu, memory=after.memory - ask.memory)
    rank = rule.rank(bad[row], rule.badness(after))
    second = state.devices[row, device] if rule.fullest else device
    order = np.lexsort((device, second, -rank, row))
    first = order[np.searchsorted(row[order], np.arange(rows))]
    return rank[first], device[first].astype(np.int64)


def _with_whole(state: State, ask: Ask) -> State:
    """The rows with a task on their first idle devices, or on none."""
    idle = state.devices == MILLI
    taken = idle & (np.cumsum(idle, axis=1) <= ask.devices)
    return state._replace(
        cpu=state.cpu - ask.cpu, memory=state.memory - ask.memory, devices=np.where(taken, 0, state.devices)
    )


def _repeated(devices: Ints) -> Bools:
    """Devices that have as much free as an earlier one of the same node: the same choice over again."""
    width = devices.shape[1]
    earlier = np.tri(width, k=-1, dtype=bool)
    same: Bools = (devices[:, :, None] == devices[:, None, :]) & earlier
    repeated: Bools = np.any(same, axis=2)
    return repeated
