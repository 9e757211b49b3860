"""Kubernetes' two node scores: spread by LeastAllocated, pack by MostAllocated.

After the plugin `noderesources` of kube-scheduler: each resource scores 0 to 100, the node scores the
weighted mean of them, both truncated to integers. A resource that would be overdrawn scores nothing either
way; one the node has none of does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from headway.core.placement import Stateless
from headway.core.placement.fleet import Ints
from headway.domain.units import MILLI
from headway.errors import Invalid

if TYPE_CHECKING:
    from headway.core.placement.space import Space
    from headway.core.queue import Shape

#: The score of a resource that is wholly free (least allocated) or wholly used (most allocated).
BEST = 100


def least_allocated(
    capacity: Sequence[int], used: Sequence[int], asked: Sequence[int], weights: Sequence[int] = ()
) -> int:
    """How free the node would be with the task on it; larger is better when spreading.

    Args:
        capacity: What the node has of each resource; units may differ between resources.
        used: What is already taken.
        asked: What the task adds.
        weights: How much each resource counts; all the same by default.

    Returns:
        0 to 100.
    """
    return _mean(capacity, used, asked, weights, lambda size, taken: (size - taken) * BEST // size)


def most_allocated(
    capacity: Sequence[int], used: Sequence[int], asked: Sequence[int], weights: Sequence[int] = ()
) -> int:
    """How full the node would be with the task on it; larger is better when packing. Arguments as `least_allocated`."""
    return _mean(capacity, used, asked, weights, lambda size, taken: taken * BEST // size)


def _mean(
    capacity: Sequence[int],
    used: Sequence[int],
    asked: Sequence[int],
    weights: Sequence[int],
    score: Callable[[int, int], int],
) -> int:
    weights = weights or [1] * len(capacity)
    if not len(capacity) == len(used) == len(asked) == len(weights):
        raise Invalid(
            f"{len(capacity)} capacities, {len(used)} used, {len(asked)} asked and {len(weights)} weights do not belong together",
            hint="give one of each per resource, in the same order",
        )
    total = counted = 0
    for size, has, more, weight in zip(capacity, used, asked, weights, strict=True):
        if size:
            counted += weight
            total += score(size, has + more) * weight if has + more <= size else 0
    return total // counted if counted else 0


class ByAllocation(Stateless):
    """One of the two on the engine's nodes: over cpu, memory, GPUs and the named resources that the task asks for.

    A better node has the larger score there and the smaller, negative one here.
    """

    def __init__(self, score: Callable[[Sequence[int], Sequence[int], Sequence[int]], int]) -> None:
        self._score = score

    def scores(self, shape: Shape, spaces: list[Space]) -> tuple[Ints, Ints | None]:
        """Of each node, negative."""
        return np.array([-self._one(shape, space) for space in spaces], np.int64), None

    def _one(self, shape: Shape, space: Space) -> int:
        node = space.node
        sizes = [node.cpu, node.memory, node.gpus * MILLI]
        free = [space.cpu, space.memory, space.gpu]
        asked = [shape.cpu, shape.memory, shape.gpu]
        for name, amount in shape.other:
            sizes.append(space.other_size.get(name, 0))
            free.append(space.other.get(name, 0))
            asked.append(amount)
        return self._score(sizes, [size - left for size, left in zip(sizes, free, strict=True)], asked)
