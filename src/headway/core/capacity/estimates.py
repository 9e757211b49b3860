"""Processing times learned per family: one kind of task under one demand; by input size where that is known.

Integers only, so that a replay learns the same. A quantile is an order statistic of the last `WINDOW`
attempts (nearest rank), `upper` one that few attempts widen; the mean is exponentially weighted with weight 1/8, as
TCP smooths its round trip (RFC 6298). Where tasks of a family read inputs of known size, `by_size` says more.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any, NamedTuple

from headway.core.capacity.by_size import BySize, upper
from headway.domain.resources import Demand
from headway.domain.units import MILLI, SECOND

#: Attempts a family remembers.
WINDOW = 32
#: Reckoned for a task that nobody said or learned anything about, until anything at all has been learned.
UNKNOWN = 10 * SECOND
#: The longest train, in members.
LONGEST_TRAIN = 256


class Known(NamedTuple):
    """Where a processing time comes from that is reckoned with.

    Attributes:
        micros: What is reckoned with.
        origin: `said` by the author, of the `size` it reads, of the `family`, of `all` families together, or `nothing`.
        samples: Times it goes by.
        most: What nine in ten take at most, the wider the fewer the samples; None where nothing is known.
    """

    micros: int
    origin: str
    samples: int = 0
    most: int | None = None


class Family:
    """What is known of one kind of task under one demand.

    Attributes:
        recent: The last `WINDOW` processing times in microseconds, a ring.
        count: All there ever were.
        mean: Exponentially weighted, microseconds.
        cap: How many of them a train may hold. Starts at one, doubles each time that many in a row were
            short, and falls back to one with a long one (as TCP probes its window, RFC 5681).
        streak: Short ones since the cap last changed.
        sizes: The same by how much the tasks read; None until one read anything of known size.
        resumed: Attempts that went on from a checkpoint and finished. `restart`: microseconds that these took beyond
            what was left, exponentially weighted.
    """

    __slots__ = (
        "_sorted", "cap", "count", "demand", "id", "kind", "mean", "recent", "restart", "resumed", "sizes", "streak",
    )  # fmt: skip

    def __init__(self, ident: int, kind: str, demand: Demand) -> None:
        self.id = ident
        self.kind = kind
        self.demand = demand
        self.recent: list[int] = []
        self.count = 0
        self.mean = 0
        self.cap = 1
        self.streak = 0
        self.restart = self.resumed = 0
        self.sizes: BySize | None = None
        self._sorted: list[int] | None = None

    def learn_restart(self, beyond: int) -> None:
        """An attempt that went on from a checkpoint finished, so much later than what was left would have it."""
        beyond = max(beyond, 0)
        self.restart = beyond if not self.resumed else self.restart + (beyond - self.restart) // 8
        self.resumed += 1

    def learn(self, took: int, span: int) -> None:
        """An attempt finished after `took` microseconds; short means no longer than `span`."""
        recent, known, count = self.recent, self._sorted, self.count
        if len(recent) < WINDOW:
            recent.append(took)
        else:
            if known is not None:
                del known[bisect_left(known, recent[count % WINDOW])]
            recent[count % WINDOW] = took
        if known is not None:
            insort(known, took)
        self.mean = took if not count else self.mean + (took - self.mean) // 8
        self.count = count + 1
        if took > span:
            self.surprised()
            return
        self.streak += 1
        if self.streak >= self.cap:
            self.cap, self.streak = min(self.cap * 2, LONGEST_TRAIN), 0

    def surprised(self) -> None:
        """One of them turned out long: trains start over at one."""
        self.cap, self.streak = 1, 0

    def quantile(self, milli: int) -> int | None:
        """The nearest-rank quantile of recent processing times in microseconds, or None without any."""
        if not self.recent:
            return None
        known = self.ordered()
        rank = -(-len(known) * milli // MILLI)
        return known[max(rank, 1) - 1]

    def upper(self, milli: int) -> int | None:
        """What the next one takes at most, with so much confidence, or None without any; few samples widen it."""
        return upper(self.ordered(), milli) if self.recent else None

    def ordered(self) -> list[int]:
        """Recent processing times in microseconds, the shortest first; not to be changed."""
        if self._sorted is None:
            self._sorted = sorted(self.recent)
        return self._sorted

    def tree(self) -> list[Any]:
        """As plain JSON, without its identity."""
        return [
            list(self.recent), self.count, self.mean, self.cap, self.streak, self.restart, self.resumed,
            *([] if self.sizes is None else [self.sizes.tree()]),
        ]  # fmt: skip

    def fill(self, tree: list[Any]) -> None:
        """The reverse of `tree`."""
        self.recent = list(tree[0])
        self.count, self.mean, self.cap, self.streak, *rest = tree[1:]
        self.restart, self.resumed, *sizes = rest or (0, 0)  # older snapshots lack them
        if sizes:
            self.sizes = BySize()
            self.sizes.fill(sizes[0])
        self._sorted = None


class Estimates:
    """Every family there is, and what all of them together say about a stranger."""

    def __init__(self) -> None:
        self.families: list[Family] = []
        self.overall = 0  # exponentially weighted mean over all families, microseconds
        self._ids: dict[tuple[str, Demand], Family] = {}

    def family(self, kind: str, demand: Demand) -> Family:
        """The family of a task, made on first sight."""
        found = self._ids.get((kind, demand))
        if found is None:
            found = self._ids[kind, demand] = Family(len(self.families), kind, demand)
            self.families.append(found)
        return found

    def learn(self, family: Family, took: int, span: int, size: int = 0) -> None:
        """An attempt of the family that read `size` bytes finished after `took` microseconds of processing."""
        family.learn(took, span)
        if size:
            if family.sizes is None:
                family.sizes = BySize()
            family.sizes.learn(size, took)
        self.overall = took if not self.overall else self.overall + (took - self.overall) // 8

    def total(self, family: Family, said: int | None) -> int:
        """Processing time to reckon with: as the author said, else the learned median, else that of all, else
        `UNKNOWN`."""
        if said is not None:
            return said
        learned = family.quantile(500)
        return learned if learned is not None else self.overall or UNKNOWN

    def remaining(self, family: Family, said: int | None, done: int) -> int:
        """Of the processing time, what is left with `done` milli of it kept; at least a microsecond."""
        return max(self.total(family, said) * (MILLI - done) // MILLI, 1)

    def known(self, family: Family, said: int | None, size: int) -> Known:
        """Where the time comes from that is reckoned with for a whole task that reads `size` bytes."""
        if said is not None:
            return Known(said, "said")
        times = family.sizes.times(size) if size and family.sizes is not None else None
        if times is not None:
            assert family.sizes is not None
            micros = family.sizes.median(size)
            assert micros is not None
            return Known(micros, "size", len(times), upper(times, 900))
        micros = self.total(family, None)
        if family.recent:
            return Known(micros, "family", len(family.recent), family.upper(900))
        return Known(micros, "all" if self.overall else "nothing")

    def tree(self) -> list[Any]:
        """As plain JSON: every family in order of its first sight."""
        rows = []
        for f in self.families:
            d = f.demand
            other = [*([n, a] for n, a in d.other), *([n, a, "rate"] for n, a in d.rates)]
            rows.append([f.kind, d.cpu, d.memory, d.gpu, other, *f.tree()])
        return [self.overall, rows]

    @classmethod
    def from_tree(cls, tree: list[Any]) -> Estimates:
        """The reverse of `tree`."""
        made = cls()
        made.overall = tree[0]
        for kind, cpu, memory, gpu, other, *rest in tree[1]:
            held = tuple((row[0], row[1]) for row in other if len(row) == 2)
            rates = tuple((row[0], row[1]) for row in other if len(row) > 2)
            made.family(kind, Demand(cpu, memory, gpu, held, rates)).fill(rest)
        return made
