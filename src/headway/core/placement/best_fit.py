"""Best fit: the node on which least is left over, so that large holes stay for large tasks.

The vector form of best fit (Panigrahy et al. 2011, "Heuristics for vector bin packing"): the sum over
resources of what would stay free, each as a share of the node's capacity. A node without GPUs has none to
waste, so tasks that need none go there first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.core.placement import Size
from headway.domain.units import MILLI, show_milli

if TYPE_CHECKING:
    from headway.core.placement.space import Space
    from headway.core.queue import Shape

#: A resource wholly free scores this much.
WHOLE = 1_000_000


def free(space: Space) -> int:
    """What is free, in millionths of the node summed over its resources."""
    cpu, memory, gpu = space.cpu_size, space.memory_size, space.gpu_size
    left = space.cpu * WHOLE // cpu if cpu else 0
    if memory:
        left += space.memory * WHOLE // memory
    if gpu:
        left += space.gpu * WHOLE // gpu
    for name, size in space.other_size.items():
        left += space.other[name] * WHOLE // size
    return left


def taken(shape: Shape, size: Size) -> int:
    """What the shape takes of a node of that size, in the same measure."""
    cpu, memory, gpus, other = size
    found = shape.cpu * WHOLE // cpu if cpu else 0
    if memory:
        found += shape.memory * WHOLE // memory
    if gpus:
        found += shape.gpu * WHOLE // (gpus * MILLI)
    for name, amount in other:
        found += shape.asks(name) * WHOLE // amount if amount else 0
    return found


class BestFit:
    """What is left over with the shape on the node, summed over its resources; smaller is better."""

    name = "best_fit"

    level = staticmethod(free)

    def part(self, shape: Shape, size: Size) -> int:
        """What the shape takes of it."""
        return taken(shape, size)

    def show(self, score: int) -> str:
        """For a reader."""
        return f"leaves {show_milli(score // 10)} % free, summed over its resources"


PLACEMENT = BestFit()
