"""Packs: the node that would be fullest with the task on it, as Kubernetes' MostAllocated scores it.

Whole per cents of each resource, truncated, so that nodes tie more often than under `best_fit`; the first one wins. See `scores`.
"""

from __future__ import annotations

from headway.core.placement import Scored
from headway.core.placement.scores import BEST, ByAllocation, most_allocated
from headway.core.placement.sights import by_shape


def _show(score: int) -> str:
    return f"most allocated {-score} of {BEST}"


PLACEMENT = Scored("most_allocated", by_shape(lambda _nodes: ByAllocation(most_allocated)), _show)
