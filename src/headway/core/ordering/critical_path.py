"""Critical path first: who has the longest way to the end of its graph.

The priority of HEFT (upward rank, Topcuoglu et al., 2002) and of list scheduling since Hu (1961): what is left of a task and
the longest way through what waits for it. With the placement `min_completion` this is HEFT as an online engine can do it: a
task is placed when it is ready, so none is put into an earlier gap.
"""

from __future__ import annotations

from headway.core.ordering import LIMIT, Book
from headway.core.state import Entry
from headway.domain.units import show_time


class CriticalPath:
    """The longest way to the end."""

    name = "critical_path"
    classes = False

    def key(self, entry: Entry, book: Book) -> int:
        """The longer, the smaller."""
        return LIMIT - min(book.remaining(entry) + entry.task.path, LIMIT)

    def show(self, key: int, now: int) -> str:
        """For a reader."""
        return f"{show_time(LIMIT - key)} to the end of its run"


ORDER = CriticalPath()
