"""Locality: the node to which least has to be brought, of what the task's inputs hold.

An input lies on the node that ran its producer. Bytes on another node of the same site count once, those on another
site twice. Without inputs, and among equals, it is best fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.core.placement.by_task import ByTask
from headway.core.placement.fleet import Ints
from headway.domain.units import show_bytes

if TYPE_CHECKING:
    from headway.core.placement.nodes import Nodes
    from headway.core.state import Entry


def _away(nodes: Nodes, entry: Entry, at: Ints) -> Ints:
    return nodes.paces.away(nodes.book.sources(entry.task), at)


def _show(score: int) -> str:
    return f"{show_bytes(score)} of its inputs away (another site's twice)"


PLACEMENT = ByTask("locality", _away, _show)
