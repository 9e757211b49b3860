"""Published reference cases, one file a set: each reads its files, runs our code on them, and says what was
met.

A set is a module `benchmarks/references/<set>.py` with one function, `run(case: Case) -> Outcome | Absent`.
It is written against the layout of the data folder, not its contents: other instances in the same format must
work. To add a set, add its file and its name in `benchmarks/reference.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.harness import Absent, Figure

__all__ = ["Absent", "Case", "Figure", "Outcome"]

T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """Where a set finds its data, and how much of it to run.

    Attributes:
        data: The folder that holds `exact/`, `cases/`, `gpu_placement/` and `batch_queue/`.
        limit: At most so many instances (or seeds) of each kind, spread over the set; None for all.
    """

    data: Path
    limit: int | None = None

    def files(self, pattern: str) -> list[Path]:
        """The files that match, sorted by name, e.g. `exact/rcpsp_*.tar.gz`."""
        return sorted(self.data.glob(pattern))

    def sample(self, items: Sequence[T]) -> list[T]:
        """At most `limit` of the items, spread evenly, in order: the first few of a set are often its easy
        ones."""
        if self.limit is None or len(items) <= self.limit:
            return list(items)
        return [items[place * len(items) // self.limit] for place in range(self.limit)]

    def seeds(self, count: int) -> range:
        """The seeds 0 … count-1, or fewer under a limit."""
        return range(count if self.limit is None else min(count, self.limit))

    def progress(self, text: str) -> None:
        """A line for the person who waits."""
        print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Outcome:
    """What a set found.

    Attributes:
        cases: How many comparisons were made.
        met: How many of them came out as they should.
        worst: The comparison that is furthest off, in the words or number of the set; None when nothing is
            off.
        detail: Everything else a reader may ask for, as plain JSON.
        figures: The aggregates with their limits.
    """

    cases: int
    met: int
    worst: Any
    detail: dict[str, Any] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()


def all_met(name: str, cases: int, met: int, note: str = "") -> Figure:
    """The figure of a set in which every case must be met."""
    return Figure(f"{name}_met", float(met), "cases", f">= {cases}", "the published values", note)


def first(items: Sequence[T], count: int) -> list[T]:
    """The first few, for `detail`, which should stay readable."""
    return list(islice(items, count))
