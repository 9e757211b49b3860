"""Best fit: the node on which least is left over, so that large holes stay for large tasks.

The vector form of best fit (Panigrahy et al. 2011, "Heuristics for vector bin packing"): the sum over
resources of what would stay free, each as a share of the node's capacity. A node without GPUs has none to
waste, so tasks that need none go there first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headway.core.placement.space import Space
    from headway.core.queue import Shape

#: A resource wholly free scores this much.
WHOLE = 1_000_000


def score(shape: Shape, space: Space) -> int:
    """What is left over with the shape on it, in millionths of the node summed over its resources; smaller is
    better."""
    left = (space.cpu - shape.cpu) * WHOLE // space.cpu_size if space.cpu_size else 0
    if space.memory_size:
        left += (space.memory - shape.memory) * WHOLE // space.memory_size
    if space.gpu_size:
        left += (space.gpu - shape.gpu) * WHOLE // space.gpu_size
    for name, size in space.other_size.items():
        left += (space.other[name] - shape.asks(name)) * WHOLE // size
    return left
