"""Priority that grows with waiting: one class more for every ten minutes, so that no class starves.

`priority + waited / STEP` orders tasks the same as `release - priority * STEP`, which stands still while they
wait. With one number for class and age there are no classes that may preempt one another: where that is
wanted, write `priority`.
"""

from __future__ import annotations

from headway.core.ordering import Book
from headway.core.state import Entry
from headway.domain.units import SECOND

#: Microseconds of waiting that are worth one class.
STEP = 600 * SECOND
#: Priorities beyond this are one class, so that no key is negative or too large for a component.
_SPAN = 1 << 16


class Aging:
    """The task's own priority and its age."""

    name = "aging"
    classes = False

    def key(self, entry: Entry, book: Book) -> int:
        """Release time, earlier by `STEP` for each class."""
        return entry.task.release + (_SPAN - max(-_SPAN, min(entry.task.priority, _SPAN))) * STEP

    def show(self, key: int, now: int) -> str:
        """For a reader: the class it has come up to, rounded down."""
        return f"priority {(now - key) // STEP + _SPAN} with age"


ORDER = Aging()
