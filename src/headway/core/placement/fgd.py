"""Fragmentation gradient descent: place each task where it breaks up the least room others could use.

Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent"
(USENIX ATC 2023), as its published code has it. A *fragment* of a node for a class of tasks is free GPU that
one task of the class cannot use; the fragmentation of a node is the mean over the expected mix. The score is
that of the paper's plug-in, `floor(100 * sigmoid(drop in GPUs))`, a coarse integer on purpose: nodes that are
about as good tie, and the fixed order of nodes then fills them one by one.
"""

from __future__ import annotations

from bisect import bisect_right
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
#: States of nodes, each with what a task asks for, of which the score is remembered.
KEEP = 50_000


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
        self._cores: list[int] = sorted(set(self._columns.cpu.tolist()))
        self._known: dict[tuple[int, ...], tuple[int, tuple[int, ...]]] = {}

    def badness(self, state: State) -> Ints:
        """Fragmentation in milli, times the weight of the whole mix."""
        free: Ints = state.devices.sum(axis=1)
        usable: Ints = self._columns.usable(state) @ self._columns.counts
        return free * self.total - usable

    def one(self, ask: Ask, cpu: int, devices: list[int], model: int) -> tuple[int, int] | None:
        """Nodes with as much free on their devices, in whatever order, and cores enough for the same classes are alike: what was found
        for one is remembered."""
        cores = self._cores
        alike = (
            ask.milli, ask.devices, bisect_right(cores, cpu), bisect_right(cores, cpu - ask.cpu), model, *sorted(devices),
        )  # fmt: skip
        found = self._known.get(alike)
        if found is None:
            if len(self._known) >= KEEP:
                self._known.clear()
            found = self._known[alike] = self._score(ask, cpu, devices, model)
        score, amounts = found
        if amounts:
            for index, free in enumerate(devices):
                if free in amounts:
                    return score, index
        return score, 0

    def _score(self, ask: Ask, cpu: int, devices: list[int], model: int) -> tuple[int, tuple[int, ...]]:
        """The best score, and how much is free on the devices where a share has it. A device's part is looked up, so a node is a few sums
        over the classes."""
        columns, table = self._columns, self._table
        width = len(columns.counts)
        has = np.add.reduce(table[devices], axis=0)
        weights = self._weights[model]
        usable = has[:width] * (has[width:] >= columns.devices)
        before = int(usable @ (weights * (cpu >= columns.cpu)))
        chosen: list[int] = []
        if ask.share:
            chosen = sorted({free for free in devices if free >= ask.milli})
            was = np.array(chosen, np.int64)
            has = has - table[was] + table[was - ask.milli]
        elif ask.devices:
            has = has - ask.devices * table[MILLI]
        usable = has[..., :width] * (has[..., width:] >= columns.devices)
        after = usable @ (weights * (cpu - ask.cpu >= columns.cpu))
        drops = ask.gpu * self.total + after - before  # what is free shrinks by what is taken
        scores = self._steps.searchsorted(drops, side="right")
        if not chosen:
            return int(scores), ()
        best = int(scores.max())
        return best, tuple(free for free, score in zip(chosen, scores.tolist(), strict=True) if score == best)

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
