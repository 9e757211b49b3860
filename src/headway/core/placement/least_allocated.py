"""Spreads: the node that would be freest with the task on it, as Kubernetes' LeastAllocated scores it.

Whole per cents of each resource, truncated, so that nodes tie more often than under `spread`; the first one wins. See `scores`.
"""

from __future__ import annotations

from headway.core.placement import Scored
from headway.core.placement.scores import BEST, ByAllocation, least_allocated
from headway.core.placement.sights import by_shape


def _show(score: int) -> str:
    return f"least allocated {-score} of {BEST}"


PLACEMENT = Scored("least_allocated", by_shape(lambda _nodes: ByAllocation(least_allocated)), _show)
