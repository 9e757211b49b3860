"""Least attained service: what has run least so far goes first. Needs no estimate at all.

With lengths unknown and highly variable it comes close to SRPT (Nuyens and Wierman 2008); Tiresias (NSDI
2019) orders training jobs so. What counts is processing time over all attempts of the task, also what was
lost with them; new tasks have had none and go by the next order of the policy.
"""

from __future__ import annotations

from headway.core.ordering import Book
from headway.core.state import Entry
from headway.domain.units import show_time


class Attained:
    """Newcomers before what has been served."""

    name = "attained"
    classes = False

    def key(self, entry: Entry, book: Book) -> int:
        """Microseconds that its attempts have run."""
        return entry.attained

    def show(self, key: int, now: int) -> str:
        """For a reader."""
        return f"has run for {show_time(key)}"


ORDER = Attained()
