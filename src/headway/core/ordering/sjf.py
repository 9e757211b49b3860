"""Shortest job first: by the whole processing time, as said or learned.

Optimal for the mean response time among rules that never stop what runs, when all tasks are there at once
(Smith 1956). It is the pure rule: a long task waits as long as shorter ones keep coming; `srpt` ages.
"""

from __future__ import annotations

from headway.core.ordering import Book
from headway.core.state import Entry
from headway.domain.units import show_time


class Sjf:
    """Short ones first, however much of them a checkpoint keeps."""

    name = "sjf"
    classes = False

    def key(self, entry: Entry, book: Book) -> int:
        """Processing time of the whole task in microseconds."""
        return book.total(entry)

    def show(self, key: int, now: int) -> str:
        """For a reader."""
        return f"takes {show_time(key)}"


ORDER = Sjf()
