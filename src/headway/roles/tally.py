"""What the planner has seen end since this process began, for who watches: counts and lengths. Nothing decides by it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from headway.domain.units import SECOND

#: Upper bounds of the lengths' classes, in microseconds: from 10 ms to a day.
BOUNDS = tuple(
    round(seconds * SECOND)
    for seconds in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10_800, 43_200, 86_400)
)


class Lengths:
    """A histogram. `counts` has one more class than there are bounds; `total` is in microseconds."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0

    def add(self, length: int) -> None:
        """One more, of so many microseconds."""
        self.counts[bisect_left(BOUNDS, length)] += 1
        self.total += length

    def buckets(self) -> list[tuple[str, int]]:
        """(upper bound in seconds as text, how many are not longer), as Prometheus has them."""
        found, seen = [], 0
        for bound, count in zip(
            (*(f"{bound / SECOND:g}" for bound in BOUNDS), "+Inf"), self.counts, strict=True
        ):
            seen += count
            found.append((bound, seen))
        return found


class Tally:
    """Attempts and runs that ended.

    Attributes:
        attempts: By outcome, as executors report them. `took`: how long those ran that finished.
        runs: By state. `spans`: from submission to the end.
    """

    __slots__ = ("attempts", "runs", "spans", "took")

    def __init__(self) -> None:
        self.attempts: Counter[str] = Counter()
        self.runs: Counter[str] = Counter()
        self.took, self.spans = Lengths(), Lengths()

    def attempt(self, outcome: str, took: int) -> None:
        """An attempt has ended."""
        self.attempts[outcome] += 1
        if outcome == "finished":
            self.took.add(took)

    def run(self, state: str, span: int) -> None:
        """A run has ended."""
        self.runs[state] += 1
        self.spans.add(span)
