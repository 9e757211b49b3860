"""Shortest remaining processing time first, aged so that nothing starves.

SRPT is optimal for the mean response time on one machine whatever the arrivals (Schrage 1968), but long tasks
can starve. Linear aging cures that: `remaining - waited / AGING` orders tasks the same as `AGING * remaining
+ release`, which does not change while a task waits, so the heap stays right without being touched. A task
overtakes every newcomer once it has waited `AGING` times its own remaining time; two tasks change places
against pure SRPT only if their lengths differ by less than a 64th of the difference of their release times.
"""

from __future__ import annotations

from headway.core.ordering import Book
from headway.core.state import Entry

#: Microseconds of waiting that count as one microsecond less to do.
AGING = 64


class Srpt:
    """Short ones first; an unknown length is learned, see `core.capacity.estimates`."""

    name = "srpt"
    classes = False

    def key(self, entry: Entry, book: Book) -> int:
        """Remaining processing time, aged."""
        return self.key_of(entry, book.remaining(entry))

    def key_of(self, entry: Entry, left: int) -> int:
        """The same with so much left, in microseconds."""
        return left * AGING + entry.task.release


ORDER = Srpt()
