"""Minimum completion time: the node on which the task is done first, of those with room now.

The rule MCT of Maheswaran et al., "Dynamic mapping of a class of independent tasks onto heterogeneous computing systems"
(JPDC 59, 1999), and the second half of HEFT (`heft`), without waiting for a node that is busy. What a task takes on
a node is `paces`' to say; where nothing was said of speeds and sites, all nodes are equal and it is best fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.core.placement.by_task import ByTask
from headway.core.placement.fleet import Ints
from headway.domain.units import show_time

if TYPE_CHECKING:
    from headway.core.placement.nodes import Nodes
    from headway.core.state import Entry


def _times(nodes: Nodes, entry: Entry, at: Ints) -> Ints:
    book = nodes.book
    return nodes.paces.times(entry.task.kind, book.remaining(entry), book.sources(entry.task), at)


def _show(score: int) -> str:
    return f"done in {show_time(score)}"


PLACEMENT = ByTask("min_completion", _times, _show)
