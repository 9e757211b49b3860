"""First come, first served: by release time."""

from __future__ import annotations

from headway.core.ordering import Book
from headway.core.state import Entry
from headway.domain.units import show_time


class Fcfs:
    """Fair by age, bad for the mean: a short task waits behind a long one."""

    name = "fcfs"
    classes = False

    def key(self, entry: Entry, book: Book) -> int:
        """Release time in microseconds."""
        return entry.task.release

    def show(self, key: int, now: int) -> str:
        """For a reader."""
        return f"came {show_time(now - key)} ago" if key <= now else f"{self.name} {key}"


ORDER = Fcfs()
