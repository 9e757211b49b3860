"""Spreads: the node that would be freest with the task on it, as Kubernetes' LeastAllocated scores it.

Whole per cents of each resource, truncated, so that nodes tie more often than under `spread`; the first one wins. See `scores`.
"""

from __future__ import annotations

from headway.core.placement import Scored
from headway.core.placement.scores import BEST, ByAllocation, least_allocated


def _show(score: int) -> str:
    return f"least allocated {-score} of {BEST}"


PLACEMENT = Scored("least_allocated", lambda _nodes: ByAllocation(least_allocated), _show)
