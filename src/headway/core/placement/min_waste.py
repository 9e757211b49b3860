"""Least waste: place each task where it spoils the least room for the tasks to be expected.

It starts from fragmentation gradient descent (see `fgd`) and cures what makes that leave room idle:

* **Memory and cores run out before devices do.** Room counts as usable by a class only if a task of it fits
  in every dimension, memory too. And devices that one task could use, but for which there are not the cores
  and the memory to fill them all with such tasks, are *stranded*: they count as wasted for a part. So tasks
  that need many cores per device go to nodes that have them.
* **Some tasks run on few models only.** Room on a model counts more for a class that has nowhere else to go,
  by the *pressure* on its models: the part of all free devices they make up, against the part of the demand
  that needs them. It is taken anew whenever a twentieth of the fleet has been filled or freed, so a model is
  spared as it becomes scarce, not before.
* **Rare tasks are tasks.** All classes count, not those of 95 % of the tasks.

Against the published rule on its own traces (10 seeds) it places about half a point more of all GPUs on
`default`, a quarter of a point more on `multigpu50`, and more on every other mix we tried; see
`benchmarks/references/openb.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from headway.core.placement import Scored
from headway.core.placement.by_device import ByDevice
from headway.core.placement.fleet import Ask, Fleet, Ints, State
from headway.core.placement.mix import Columns, Mix
from headway.core.placement.sights import by_shape
from headway.domain.units import MILLI

#: One part in so many of stranded room counts as wasted. It may yet be used, by tasks that need less than the
#: class.
STRANDED = 5
#: Changes of waste that differ by less, in milli-GPUs, are equal: the first node in order is filled, as with
#: `fgd`.
STEP = 40
#: So many parts of the fleet filled or freed make the pressure be taken anew.
EPOCHS = 20
#: Weights of all classes add up to this.
PARTS = 1_000_000
#: The most that pressure can multiply a weight by.
SCARCEST = 1000
#: Fixed point of the milli-GPUs that a core or a MiB can feed.
_BITS = 20
_MIB = 20


class MinWaste:
    """Our own placement for devices, in integers.

    Args:
        fleet: Where tasks are placed.
        history: Past tasks, each alone or with how many there were, from which the mix is taken.
    """

    fullest = False
    watches = True

    def __init__(self, fleet: Fleet, history: Iterable[Ask | tuple[Ask, int]]) -> None:
        mix = Mix.of(history)
        self._columns = columns = Columns(mix, fleet)
        total = sum(mix.counts)
        self._base = np.maximum(columns.counts * PARTS // total, 1)
        self._total = int(self._base.sum()) + columns.rest * PARTS // total
        self._feeds_cpu = (columns.per << _BITS) // np.maximum(columns.cpu, 1)
        self._feeds_memory = (columns.per << _BITS) // np.maximum(-(-columns.memory >> _MIB), 1)
        self._pressure = _Pressure(columns, fleet)
        self._weights = self._base * MILLI
        self._epoch: int | None = None

    def badness(self, state: State) -> Ints:
        """Waste in milli-GPUs, times `STRANDED`, a thousand, and the weight of the mix."""
        usable = self._columns.usable(state)
        fed = np.minimum(
            state.cpu[:, None] * self._feeds_cpu, (state.memory >> _MIB)[:, None] * self._feeds_memory
        )
        stranded = np.maximum(usable - (fed >> _BITS), 0)
        kept: Ints = (usable * STRANDED - stranded) @ self._weights
        free: Ints = state.devices.sum(axis=1)
        return free * (STRANDED * MILLI * self._total) - kept

    def rank(self, before: Ints, after: Ints) -> Ints:
        """How much waste goes away, in whole steps."""
        return (before - after) // (STEP * STRANDED * MILLI * self._total)

    def stale(self, fleet: Fleet) -> bool:
        """Take the pressure anew where enough has changed; whether that changed any weight."""
        epoch = fleet.gpu_free * EPOCHS // max(fleet.gpu_size, 1)
        if epoch == self._epoch:
            return False
        self._epoch = epoch
        weights = self._base * self._pressure.factors(fleet)
        if np.array_equal(weights, self._weights):
            return False
        self._weights = weights
        return True

    def one(self, ask: Ask, cpu: int, devices: list[int], model: int) -> tuple[int, int] | None:
        """No quicker way."""
        return None

    def tree(self) -> Any:
        """The epoch and the weights taken in it: the fleet has changed since."""
        return None if self._epoch is None else [self._epoch, self._weights.tolist()]

    def fill(self, tree: Any) -> None:
        """The reverse of `tree`."""
        self._epoch, weights = tree
        self._weights = np.array(weights, dtype=np.int64)


class _Pressure:
    """How scarce the models of each class are."""

    def __init__(self, columns: Columns, fleet: Fleet) -> None:
        groups = sorted({ask.models for ask in columns.asks})
        self._group = np.array([groups.index(ask.models) for ask in columns.asks], dtype=np.int64)
        allowed = [fleet.allowed(models) for models in groups]
        self._models = [np.flatnonzero(each).tolist() for each in allowed]
        demand = [0] * len(groups)
        for group, count, per in zip(
            self._group.tolist(), columns.counts.tolist(), columns.per.tolist(), strict=True
        ):
            demand[group] += count * per
        #: Of each group, the demand that has only its models to run on.
        self._bound = [
            sum(amount for other, amount in zip(allowed, demand, strict=True) if not (other & ~mine).any())
            for mine in allowed
        ]
        self._demand = sum(demand)

    def factors(self, fleet: Fleet) -> Ints:
        """What multiplies the weight of each class, in milli; 1000 where nothing is scarce."""
        found = [
            self._factor(fleet.gpu_free, sum(fleet.model_free[i] for i in models), bound)
            for models, bound in zip(self._models, self._bound, strict=True)
        ]
        return np.array(found, dtype=np.int64)[self._group]

    def _factor(self, free: int, mine: int, bound: int) -> int:
        """`free / mine`, times the pressure up to one: the part of demand that needs these models over their part of what is free."""
        if mine <= 0:
            return MILLI
        scarcity = free * MILLI // mine
        pressed = free * free * MILLI * bound // (mine * mine * self._demand)
        return max(MILLI, min(scarcity, pressed, SCARCEST * MILLI))


def _show(score: int) -> str:
    return f"spoils {score} steps of {STEP} milli-GPUs of room for the tasks to be expected"


PLACEMENT = Scored("min_waste", by_shape(lambda nodes: ByDevice(nodes, MinWaste)), _show, mixed=True)
