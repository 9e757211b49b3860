"""Priority classes: higher first, and a higher class may preempt a lower."""

from __future__ import annotations

from headway.core.ordering import Book
from headway.core.state import Entry

#: As a component behind another one a key must not be negative: priorities beyond this are one class.
_SPAN = 1 << 31


class Priority:
    """The task's own priority, whatever its length or age."""

    name = "priority"
    classes = True

    def key(self, entry: Entry, book: Book) -> int:
        """Smaller for a higher priority."""
        return _SPAN - max(-_SPAN, min(entry.task.priority, _SPAN))

    def show(self, key: int, now: int) -> str:
        """For a reader: as the task was given it."""
        return f"priority {_SPAN - key}"


ORDER = Priority()
