"""Best fit: the node on which least is left over, so that large holes stay for large tasks.

The vector form of best fit (Panigrahy et al. 2011, "Heuristics for vector bin packing"): the sum over
resources of what would stay free, each as a share of the node's capacity. A node without GPUs has none to
waste, so tasks that need none go there first.

The sum falls apart into what is free (`level`, kept by the node) and what the shape takes (`part`, the same
on all nodes of one size), so that scoring a node is one subtraction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.domain.units import MILLI

if TYPE_CHECKING:
    from headway.core.placement.space import Space
    from headway.core.queue import Shape

#: The capacity of a node: cpu, memory, number of GPUs, named resources.
Size = tuple[int, int, int, tuple[tuple[str, int], ...]]

#: A resource wholly free scores this much.
WHOLE = 1_000_000


def level(space: Space) -> int:
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


def part(shape: Shape, size: Size) -> int:
    """What the shape takes of a node of that size, in the same measure."""
    taken = shape.parts.get(size)
    if taken is None:
        cpu, memory, gpus, other = size
        taken = shape.cpu * WHOLE // cpu if cpu else 0
        if memory:
            taken += shape.memory * WHOLE // memory
        if gpus:
            taken += shape.gpu * WHOLE // (gpus * MILLI)
        for name, amount in other:
            taken += shape.asks(name) * WHOLE // amount if amount else 0
        shape.parts[size] = taken
    return taken


def score(shape: Shape, space: Space) -> int:
    """What is left over with the shape on the node, summed over its resources; smaller is better."""
    return space.level - part(shape, space.size)
