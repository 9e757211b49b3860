"""The tasks to be expected, as classes with weights: what the device-aware placements keep room for.

The mix is taken from history: tasks of one demand are one class, weighted by how many there were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from headway.core.placement.fleet import Ask, Bools, Fleet, Ints, State
from headway.domain.units import MILLI
from headway.errors import Invalid


@dataclass(frozen=True, slots=True)
class Mix:
    """Classes of tasks and how many of each are expected.

    Attributes:
        classes: Their demands, the most frequent first.
        counts: How many there were of each.
    """

    classes: tuple[Ask, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(
        cls, history: Iterable[Ask | tuple[Ask, int]], coverage: int = MILLI, by_memory: bool = True
    ) -> Mix:
        """The mix of past tasks.

        Args:
            history: One demand a task, or a demand and how many there were of it.
            coverage: Milli of the tasks that must be covered; the rarest classes beyond that are dropped.
            by_memory: Whether tasks that differ only in memory are different classes. If not, memory counts
                as zero.
        """
        seen: Counter[Ask] = Counter()
        for one in history:
            ask, count = one if isinstance(one, tuple) else (one, 1)
            seen[ask if by_memory else replace(ask, memory=0)] += count
        total = seen.total()
        if not total:
            raise Invalid("no history to take a mix from", hint="give at least one task that may be expected")
        # On equal counts the larger first, as the published rule has it.
        ranked = sorted(seen.items(), key=lambda item: (item[1], _size(item[0])), reverse=True)
        classes: list[Ask] = []
        counts: list[int] = []
        for ask, count in ranked:
            if sum(counts) * MILLI >= coverage * total:
                break
            classes.append(ask)
            counts.append(count)
        return cls(tuple(classes), tuple(counts))


def _size(ask: Ask) -> tuple[int, int, int, tuple[str, ...], int]:
    return (ask.cpu, ask.milli, ask.devices, ask.models, ask.memory)


class Columns:
    """The classes of a mix that ask for devices, as columns, against one fleet.

    Attributes:
        asks: Those classes.
        counts: How many of each.
        rest: How many tasks of the other classes.
        per: Milli-GPUs one task takes.
    """

    def __init__(self, mix: Mix, fleet: Fleet) -> None:
        pairs = [(ask, count) for ask, count in zip(mix.classes, mix.counts, strict=True) if ask.devices]
        self.asks: Sequence[Ask] = [ask for ask, _ in pairs]
        self.counts = np.array([count for _, count in pairs], dtype=np.int64)
        self.rest = sum(mix.counts) - int(self.counts.sum())
        self.cpu = self._column("cpu")
        self.memory = self._column("memory")
        self.devices = self._column("devices")
        self.per = self._column("gpu")
        self._levels, self._level = np.unique(self._column("milli"), return_inverse=True)
        shape = (len(fleet.models), len(self.asks))
        self.milli = self._column("milli")
        #: By model: which classes may run on it.
        self.allowed: Bools = np.array(
            [fleet.allowed(ask.models) for ask in self.asks], dtype=bool
        ).T.reshape(shape)

    def _column(self, name: str) -> Ints:
        return np.array([getattr(ask, name) for ask in self.asks], dtype=np.int64)

    def usable(self, state: State) -> Ints:
        """For each row and class: the milli on devices that a task of the class could use; 0 if none fits.

        Devices are counted once for each distinct share, then spread over the classes.
        """
        enough = state.devices[:, :, None] >= self._levels
        held = (state.devices[:, :, None] * enough).sum(axis=1)[:, self._level]
        fits = enough.sum(axis=1)[:, self._level] >= self.devices
        fits &= state.cpu[:, None] >= self.cpu
        fits &= state.memory[:, None] >= self.memory
        fits &= self.allowed[state.model]
        usable: Ints = held * fits
        return usable
