"""Least slack first: by the latest moment at which a task can start and still meet its deadline.

Slack is `deadline - now - remaining` (least laxity, Mok 1983). Two waiting tasks lose slack at the same rate,
so `deadline - remaining` orders them the same and stands still. Against `deadline` a long task goes earlier.
Tasks without a deadline come after all that have one.
"""

from __future__ import annotations

from headway.core.ordering import LIMIT, Book
from headway.core.state import Entry
from headway.domain.units import show_time

#: Added so that a latest start before time zero is no negative key: 35 years.
_ZERO = 1 << 50


class Slack:
    """What must start first goes first."""

    name = "slack"
    classes = False

    def key(self, entry: Entry, book: Book) -> int:
        """The latest start in microseconds, moved up by `_ZERO`."""
        due = entry.task.deadline
        return LIMIT if due is None else max(due - book.remaining(entry) + _ZERO, 0)

    def show(self, key: int, now: int) -> str:
        """For a reader."""
        if key == LIMIT:
            return "no deadline"
        slack = key - _ZERO - now
        return (
            f"slack {show_time(slack)}"
            if slack >= 0
            else f"{show_time(-slack)} too late to meet its deadline"
        )


ORDER = Slack()
