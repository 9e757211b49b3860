"""Shortest remaining processing time first, pure: no aging.

With `preempt_longer`, exact estimates and preemption that costs nothing, no schedule of one machine has a smaller
mean response time, whatever the arrivals (Schrage 1968). Long tasks can starve: `srpt` is the same with a cure.
"""

from __future__ import annotations

from headway.core.ordering import Book
from headway.core.state import Entry
from headway.domain.units import show_time


class Remaining:
    """What is left of the processing time, whatever the task's age."""

    name = "remaining"
    classes = False

    def key(self, entry: Entry, book: Book) -> int:
        """Remaining microseconds."""
        return self.key_of(entry, book.remaining(entry))

    def key_of(self, entry: Entry, left: int) -> int:
        """The same with so much left."""
        return left

    def show(self, key: int, now: int) -> str:
        """For a reader."""
        return f"{show_time(key)} left"


ORDER = Remaining()
