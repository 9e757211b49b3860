"""Earliest deadline first.

Where all deadlines can be met on one machine that may preempt, EDF meets them (Dertouzos 1974). Tasks without
a deadline come after all that have one, and among themselves by the next order of the policy.
"""

from __future__ import annotations

from headway.core.ordering import LIMIT, Book
from headway.core.state import Entry
from headway.domain.units import show_time


class Deadline:
    """What is due first goes first, however long it takes."""

    name = "deadline"
    classes = False

    def key(self, entry: Entry, book: Book) -> int:
        """The deadline in microseconds."""
        due = entry.task.deadline
        return LIMIT if due is None else due

    def show(self, key: int, now: int) -> str:
        """For a reader."""
        if key == LIMIT:
            return "no deadline"
        return f"due in {show_time(key - now)}" if key >= now else f"{show_time(now - key)} overdue"


ORDER = Deadline()
