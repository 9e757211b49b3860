"""Speeds that nobody said: learned from what finished, for each kind of task on each row of `[speeds]` that asks for it.

A sample is the work that a task is reckoned to be over the time that it took on such a node: as its author said, else the
median of its kind on nodes whose speed is said. The median of the last `WINDOW` of a kind counts from `FEW` samples on;
before that the median of all kinds of that row, and before that 1. Integers only.
"""

from __future__ import annotations

from typing import Any

from headway.domain.units import MILLI

#: Samples that are remembered of a kind on a row, and from how many on they count.
WINDOW, FEW = 32, 3
#: Speeds lie between these, in milli: a time that was measured wrongly must not make a node useless.
SLOWEST, FASTEST = MILLI // 100, MILLI * 100
#: Stands for all kinds.
ALL = ""


class Learned:
    """What was seen of the rows that learn.

    Attributes:
        seen: By row and kind: the last speeds in milli, a ring, and how many there ever were.
    """

    __slots__ = ("seen",)

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], tuple[list[int], int]] = {}

    def learn(self, row: str, kind: str, work: int, took: int) -> None:
        """A task of so much work took so many microseconds there, without what had to be brought."""
        speed = max(SLOWEST, min(work * MILLI // max(took, 1), FASTEST))
        for name in dict.fromkeys((kind, ALL)):
            recent, count = self.seen.get((row, name), ([], 0))
            if len(recent) < WINDOW:
                recent.append(speed)
            else:
                recent[count % WINDOW] = speed
            self.seen[row, name] = recent, count + 1

    def speed(self, row: str, kind: str) -> tuple[int, int]:
        """Milli, and from how many samples; 1000 from none as long as there are too few."""
        for name in (kind, ALL):
            recent, _ = self.seen.get((row, name), ([], 0))
            if len(recent) >= FEW:
                return sorted(recent)[(len(recent) - 1) // 2], len(recent)
        return MILLI, 0

    def keep(self, rows: set[str]) -> None:
        """Forgets the rows that are not there any more."""
        self.seen = {key: known for key, known in self.seen.items() if key[0] in rows}

    def tree(self) -> list[Any]:
        """As plain JSON."""
        return [[row, kind, list(recent), count] for (row, kind), (recent, count) in self.seen.items()]

    def fill(self, tree: list[Any]) -> None:
        """The reverse of `tree`."""
        self.seen = {(row, kind): (list(recent), count) for row, kind, recent, count in tree}
