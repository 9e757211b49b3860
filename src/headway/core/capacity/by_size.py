"""Processing times of one family by how much its tasks read: what reads more takes no less time.

Input sizes fall into classes, a power of two each. Each class that has shown `FEW` times or more has an opinion, and
neighbours whose medians fall with size are pooled until none do: isotonic regression by pool-adjacent-violators (Ayer et
al. 1955), of medians (Robertson and Wright 1973). Between two pools the line between them counts; beyond the last
one, the last one: nothing is made up about sizes that nobody has seen.

Integers only, and bounded: `WINDOW` times a class, and a class for each power of two.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from headway.domain.units import MILLI

#: Times that a class remembers.
WINDOW = 32
#: A class with fewer says nothing.
FEW = 3


class Pool(NamedTuple):
    """Neighbouring classes that cannot be told apart.

    Attributes:
        low, high: Their smallest size in bytes, and the size from which on the next class begins.
        times: What they took, in microseconds, the shortest first.
    """

    low: int
    high: int
    times: list[int]


class BySize:
    """What is known of one family by input size."""

    __slots__ = ("_pools", "classes")

    def __init__(self) -> None:
        #: By the number of bits of the size: its last times, a ring, and how many there ever were.
        self.classes: dict[int, tuple[list[int], int]] = {}
        self._pools: list[Pool] | None = None

    def learn(self, size: int, took: int) -> None:
        """A task that read `size` bytes took so many microseconds."""
        recent, count = self.classes.get(size.bit_length(), ([], 0))
        if len(recent) < WINDOW:
            recent.append(took)
        else:
            recent[count % WINDOW] = took
        self.classes[size.bit_length()] = recent, count + 1
        self._pools = None

    def pools(self) -> list[Pool]:
        """The classes that have an opinion, smallest size first, pooled until their medians rise."""
        if self._pools is None:
            found: list[Pool] = []
            for bits, (recent, _) in sorted(self.classes.items()):
                if len(recent) < FEW:
                    continue
                pool = Pool(1 << bits >> 1, 1 << bits, sorted(recent))
                while found and _rank(found[-1].times, 500) > _rank(pool.times, 500):
                    other = found.pop()
                    pool = Pool(other.low, pool.high, sorted(other.times + pool.times))
                found.append(pool)
            self._pools = found
        return self._pools

    def near(self, size: int) -> tuple[Pool, Pool] | None:
        """The pools that such a size lies between, twice the same if it lies in one; None if none has an opinion."""
        pools = self.pools()
        if not pools:
            return None
        above = next((index for index, pool in enumerate(pools) if size < pool.high), len(pools) - 1)
        if above and size < pools[above].low:
            return pools[above - 1], pools[above]
        return pools[above], pools[above]

    def median(self, size: int) -> int | None:
        """The processing time to reckon with, in microseconds, or None if no class has an opinion."""
        found = self.near(size)
        if found is None:
            return None
        below, above = found
        low, high = _rank(below.times, 500), _rank(above.times, 500)
        if below is above:
            return low
        return low + (high - low) * (size - below.high) // max(above.low - below.high, 1)

    def times(self, size: int) -> list[int] | None:
        """The times of the class itself, or of the next larger one that has an opinion, shortest first; not to be changed."""
        found = self.near(size)
        return None if found is None else found[1].times

    def tree(self) -> list[Any]:
        """As plain JSON."""
        return [[bits, list(recent), count] for bits, (recent, count) in sorted(self.classes.items())]

    def fill(self, tree: list[Any]) -> None:
        """The reverse of `tree`."""
        self.classes = {bits: (list(recent), count) for bits, recent, count in tree}
        self._pools = None


def _rank(known: list[int], milli: int) -> int:
    return known[max(-(-len(known) * milli // MILLI), 1) - 1]


def upper(known: list[int], milli: int) -> int:
    """What the next one takes at most, with so much confidence, going by these times (the shortest first, one at least).

    The order statistic of rank (n + 1) q holds for the next of exchangeable times with probability q, whatever they are
    distributed by (conformal prediction: Vovk, Gammerman and Shafer 2005). Where so few are known that the rank lies beyond
    the largest, the tail beyond it is reckoned as a Pareto's with exponent 1, as `sim.experience` has it: with one known
    time, nine in ten take less than five times as long.
    """
    count = len(known)
    rank = -(-(count + 1) * milli // MILLI)
    if rank <= count:
        return known[max(rank, 1) - 1]
    return known[-1] * MILLI // ((count + 1) * max(MILLI - milli, 1))
