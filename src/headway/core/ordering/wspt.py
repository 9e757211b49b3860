"""Weighted shortest processing time: most weight per unit of work first.

Smith's rule (1956): sorting by processing time over weight minimises the weighted sum of completion times on
one machine. Like `sjf` it is the pure rule and looks at the whole task; `weighted_remaining` looks at what is
left and ages. A task weighs what waits for it too (`core.behind`).
"""

from __future__ import annotations

from headway.core.ordering import Book
from headway.core.state import Entry
from headway.domain.units import MILLI, show_time


class Wspt:
    """Processing time over weight."""

    name = "wspt"
    classes = False

    def key(self, entry: Entry, book: Book) -> int:
        """Microseconds per unit of weight; a weight of nothing counts as the smallest there is."""
        return book.total(entry) * MILLI // max(entry.task.weight + entry.task.behind, 1)

    def show(self, key: int, now: int) -> str:
        """For a reader."""
        return f"takes {show_time(key)} per weight"


ORDER = Wspt()
