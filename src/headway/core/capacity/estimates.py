"""Processing times learned per family: one kind of task under one demand.

Integers only, so that a replay learns the same. A quantile is an order statistic of the last `WINDOW`
attempts (nearest rank); the mean is exponentially weighted with weight 1/8, as TCP smooths its round trip
(RFC 6298).
"""

from __future__ import annotations

from typing import Any

from headway.domain.resources import Demand
from headway.domain.units import MILLI, SECOND

#: Attempts a family remembers.
WINDOW = 32
#: Reckoned for a task that nobody said or learned anything about, until anything at all has been learned.
UNKNOWN = 10 * SECOND
#: The longest train, in members.
LONGEST_TRAIN = 256


class Family:
    """What is known of one kind of task under one demand.

    Attributes:
        recent: The last `WINDOW` processing times in microseconds, a ring.
        count: All there ever were.
        mean: Exponentially weighted, microseconds.
        cap: How many of them a train may hold. Starts at one, doubles each time that many in a row were
            short, and falls back to one with a long one (as TCP probes its window, RFC 5681).
        streak: Short ones since the cap last changed.
        resumed: Attempts that went on from a checkpoint and finished. `restart`: microseconds that these took beyond
            what was left, exponentially weighted.
    """

    __slots__ = (
        "_sorted", "cap", "count", "demand", "id", "kind", "mean", "recent", "restart", "resumed", "streak",
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
        self._sorted: list[int] | None = None

    def learn_restart(self, beyond: int) -> None:
        """An attempt that went on from a checkpoint finished, so much later than what was left would have it."""
        beyond = max(beyond, 0)
        self.restart = beyond if not self.resumed else self.restart + (beyond - self.restart) // 8
        self.resumed += 1

    def learn(self, took: int, span: int) -> None:
        """An attempt finished after `took` microseconds; short means no longer than `span`."""
        if len(self.recent) < WINDOW:
            self.recent.append(took)
        else:
            self.recent[self.count % WINDOW] = took
        self.mean = took if not self.count else self.mean + (took - self.mean) // 8
        self.count += 1
        self._sorted = None
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

    def ordered(self) -> list[int]:
        """Recent processing times in microseconds, the shortest first; not to be changed."""
        if self._sorted is None:
            self._sorted = sorted(self.recent)
        return self._sorted

    def tree(self) -> list[Any]:
        """As plain JSON, without its identity."""
        return [
            list(self.recent), self.count, self.mean, self.cap, self.streak, self.restart, self.resumed,
        ]  # fmt: skip

    def fill(self, tree: list[Any]) -> None:
        """The reverse of `tree`."""
        self.recent = list(tree[0])
        self.count, self.mean, self.cap, self.streak, *rest = tree[1:]
        self.restart, self.resumed = rest or (0, 0)  # older snapshots lack them
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

    def learn(self, family: Family, took: int, span: int) -> None:
        """An attempt of the family finished after `took` microseconds of processing."""
        family.learn(took, span)
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
