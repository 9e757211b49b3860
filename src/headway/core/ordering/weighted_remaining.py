"""Weighted shortest remaining processing time, aged so that nothing starves.

Smith's rule on what is left: remaining time over weight, the usual heuristic for the weighted sum of
completion times when tasks arrive over time. Aged as `srpt` is: `AGING * remaining / weight + release` orders
the same as `remaining / weight - waited / AGING` and stands still while a task waits. A task weighs what waits for it too (`core.behind`).
"""

from __future__ import annotations

from headway.core.ordering import Book
from headway.core.ordering.srpt import AGING
from headway.core.state import Entry
from headway.domain.units import MILLI


class WeightedRemaining:
    """What is left to do over weight."""

    name = "weighted_remaining"
    classes = False

    def key(self, entry: Entry, book: Book) -> int:
        """Remaining microseconds per unit of weight, aged."""
        return self.key_of(entry, book.remaining(entry))

    def key_of(self, entry: Entry, left: int) -> int:
        """The same with so many microseconds left."""
        return left * MILLI * AGING // max(entry.task.weight + entry.task.behind, 1) + entry.task.release


ORDER = WeightedRemaining()
