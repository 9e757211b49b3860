"""Fragmentation gradient descent: place each task where it breaks up the least room others could use.

Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent"
(USENIX ATC 2023), as its published code has it. A *fragment* of a node for a class of tasks is free GPU that
one task of the class cannot use; the fragmentation of a node is the mean over the expected mix. The score is
that of the paper's plug-in, `floor(100 * sigmoid(drop in GPUs))`, a coarse integer on purpose: nodes that are
about as good tie, and the fixed order of nodes then fills them one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, Context, Decimal, localcontext

import numpy as np

from headway.core.placement import Scored
from headway.core.placement.by_device import ByDevice
from headway.core.placement.fleet import Ask, Fleet, Ints, Memoryless, State
from headway.core.placement.mix import Columns, Mix
from headway.core.placement.sights import by_shape
from headway.domain.units import MILLI

#: The share of past tasks, in milli, whose classes make up the mix.
COVERAGE = 950
#: The highest score.
TOP = 100


class Fgd(Memoryless):
    """The published rule, in integers.

    Args:
        fleet: Where tasks are placed.
        history: Past tasks, each alone or with how many there were, from which the mix is taken once and for all.
    """

    fullest = False

    def __init__(self, fleet: Fleet, history: Iterable[Ask | tuple[Ask, int]]) -> None:
        mix = Mix.of(history, COVERAGE, by_memory=False)
        self.total = sum(mix.counts)
        self._columns = Columns(mix, fleet)
        self._steps = _steps(self.total)
        # For `one`: what a device with so much free has for each class, and behind these whether it counts as one of
        # its devices; and by model the weights of the classes.
        free = np.arange(MILLI + 1, dtype=np.int64)[:, None]
        counts = (free >= self._columns.milli).astype(np.int64)
        self._table = np.concatenate([free * counts, counts], axis=1)
        self._weights = self._columns.counts * self._columns.allowed

    def badness(self, state: State) -> Ints:
        """Fragmentation in milli, times the weight of the whole mix."""
        free: Ints = state.devices.sum(axis=1)
        usable: Ints = self._columns.usable(state) @ self._columns.counts
        return free * self.total - usable

    def one(self, ask: Ask, cpu: int, devices: list[int], model: int) -> tuple[int, int] | None:
        """A device's part is looked up, so a node is a few sums over the classes."""
        columns, table = self._columns, self._table
        width = len(columns.counts)
        has = np.add.reduce(table[devices], axis=0)
        weights = self._weights[model]
        usable = has[:width] * (has[width:] >= columns.devices)
        before = int(usable @ (weights * (cpu >= columns.cpu)))
        chosen: list[int] = []
        if ask.share:  # of devices with as much free, the first
            chosen = [i for i, free in enumerate(devices) if free >= ask.milli and free not in devices[:i]]
            was = np.array([devices[i] for i in chosen], np.int64)
            has = has - table[was] + table[was - ask.milli]
        elif ask.devices:
            has = has - ask.devices * table[MILLI]
        usable = has[..., :width] * (has[..., width:] >= columns.devices)
        after = usable @ (weights * (cpu - ask.cpu >= columns.cpu))
        drops = ask.gpu * self.total + after - before  # what is free shrinks by what is taken
        scores = self._steps.searchsorted(drops, side="right")
        if not chosen:
            return int(scores), 0
        best = int(scores.argmax())
        return int(scores[best]), chosen[best]

    def rank(self, before: Ints, after: Ints) -> Ints:
        """The plug-in's score, 0 to 100; 50 changes nothing."""
        return np.searchsorted(self._steps, before - after, side="right").astype(np.int64)


def _steps(total: int) -> Ints:
    """The drops of fragmentation, in milli times `total`, from which on the score is 1, 2, … 99.

    `floor(100 / (1 + exp(-d / 1000))) >= k` says `d >= 1000 * ln(k / (100 - k))`. Decimal's logarithm is
    correctly rounded, hence the same on every machine, which `math.exp` is not.
    """
    with localcontext(Context(prec=28)):
        odds = [Decimal(score) / (TOP - score) for score in range(1, TOP)]
        exact = [each.ln() * MILLI * total for each in odds]
        return np.array([int(value.to_integral_value(ROUND_CEILING)) for value in exact], dtype=np.int64)


def _show(score: int) -> str:
    return f"fragmentation score {-score} of {TOP} (50 breaks up nothing)"


PLACEMENT = Scored("fgd", by_shape(lambda nodes: ByDevice(nodes, Fgd)), _show, mixed=True)
