"""As the plan in force says: its tasks in the order of their planned starts, the rest behind them.

The plan weighs all tasks of its window together (`core.joint`); it comes from a solver as an event, so the order of
the engine stays a whole number that stands still. What no plan has weighed yet goes by `weighted_remaining`, the
greedy rule for the same objective, which is also what is left when no plan comes.
"""

from __future__ import annotations

from headway.core.joint.record import MOST_ROWS
from headway.core.ordering import Book
from headway.core.ordering.weighted_remaining import ORDER as BEHIND
from headway.core.state import Entry


class Joint:
    """Rank in the plan; behind all ranks, what is left to do over weight, aged."""

    name = "joint"
    classes = False
    planned = True

    def key(self, entry: Entry, book: Book) -> int:
        """The rank, or the key of `weighted_remaining` moved behind every rank."""
        rank = book.planned(entry)
        return rank if rank >= 0 else MOST_ROWS + BEHIND.key(entry, book)

    def show(self, key: int, now: int) -> str:
        """For a reader."""
        if 0 <= key < MOST_ROWS:
            return f"number {key + 1} of the plan"
        return "not in the plan"


ORDER = Joint()
