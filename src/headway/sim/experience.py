"""How long tasks really take, as far as it is known: what futures are drawn from. Integers only.

Where the author said a processing time, what is learned is the *ratio* of the real one to the one said (users of
batch systems are wrong by factors, and each in their own way: Tsafrir, Etsion and Feitelson 2007), apart for each kind
and size of what was said: the longest ones said are mostly said too long. Where nobody said one, it is the times
themselves that the engine keeps per family (`core.capacity.estimates`). A task that runs is drawn from those that ran
longer than it has by now. What outran everything known is drawn from a Pareto tail: it runs twice as long as it has with
probability one half.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import OrderedDict, deque

from headway.core.capacity.estimates import UNKNOWN, Estimates, Family
from headway.domain.units import MILLI
from headway.sim.chance import Chance

#: Outcomes that are remembered of a kind, and of all kinds together.
WINDOW = 512
#: Kinds and sizes that are remembered; the one heard of longest ago goes.
KINDS = 2_000
#: With so many outcomes a kind of one size speaks for itself; with fewer the kind does, else that size, else all.
ENOUGH = 20
#: Ratios (milli) before anything was learned: nine quantiles of a lognormal with a standard deviation of 0.8.
PRIOR = (278, 437, 599, 783, 1_000, 1_278, 1_669, 2_286, 3_597)
_PARETO_STEPS = 64


class Pool:
    """The last `WINDOW` numbers, in order of size as well."""

    __slots__ = ("line", "sorted")

    def __init__(self) -> None:
        self.line: deque[int] = deque()
        self.sorted: list[int] = []

    def add(self, number: int) -> None:
        """One more; the oldest goes when there are too many."""
        self.line.append(number)
        insort(self.sorted, number)
        if len(self.line) > WINDOW:
            oldest = self.line.popleft()
            del self.sorted[bisect_right(self.sorted, oldest) - 1]


class Experience:
    """What finished attempts have taught."""

    def __init__(self) -> None:
        self.overall = Pool()
        self.kinds: OrderedDict[tuple[str, int], Pool] = OrderedDict()

    def learn(self, kind: str, said: int | None, took: int) -> None:
        """A task finished after `took` microseconds of processing; its author had said `said`, or nothing."""
        if said is None or said <= 0:
            return
        ratio = took * MILLI // said
        self.overall.add(ratio)
        for name in _names(kind, said):
            pool = self.kinds.get(name)
            if pool is None:
                pool = self.kinds[name] = Pool()
                if len(self.kinds) > KINDS:
                    self.kinds.popitem(last=False)
            self.kinds.move_to_end(name)
            pool.add(ratio)

    def draw(
        self,
        chance: Chance,
        estimates: Estimates,
        family: Family,
        said: int | None,
        ran: int,
        size: int = 0,
    ) -> int:
        """A processing time in microseconds of a task that reads `size` bytes, longer than the `ran` that it has run so far."""
        if said is not None and said > 0:
            known = self.overall
            for name in _names(family.kind, said):
                pool = self.kinds.get(name)
                if pool is not None and len(pool.line) >= ENOUGH:
                    known = pool
                    break
            return _drawn(chance, known.sorted, MILLI, said, ran)
        if said == 0:
            return max(ran + 1, 1)
        if family.recent:
            alike = family.sizes.times(size) if size and family.sizes is not None else None
            return _drawn(chance, alike or family.ordered(), 1, 1, ran)
        return _drawn(chance, (), MILLI, estimates.overall or UNKNOWN, ran)


def _names(kind: str, said: int) -> tuple[tuple[str, int], ...]:
    """Whom to ask about it, the closest first; sizes are powers of four."""
    size = said.bit_length() // 2
    return (kind, size), (kind, -1), ("", size)


def _drawn(chance: Chance, known: list[int] | tuple[int, ...], unit: int, scale: int, ran: int) -> int:
    """One of the known numbers, times `scale` over `unit`, that is above `ran`.

    The fewer are known, the more often a prior is asked instead: once in n + 1 times.
    """
    count = len(known)
    if chance.below(count + 1) == count:
        if count and unit == 1:  # times, not ratios: the prior lies around their median
            scale = known[count // 2]
        known, unit, count = PRIOR, MILLI, len(PRIOR)
    first = bisect_right(known, ran * unit // scale) if ran > 0 and scale > 0 else 0
    if first == count:
        return ran * _PARETO_STEPS // (1 + chance.below(_PARETO_STEPS)) + 1
    return max(known[first + chance.below(count - first)] * scale // unit, ran + 1)
