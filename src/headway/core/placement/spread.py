"""Spread: the node on which most is left over, so that tasks keep out of one another's way.

Kubernetes' LeastAllocated, in the measure of `best_fit`. A lost node takes fewer tasks with it, and each has
more of what is not counted (caches, memory bandwidth); large tasks find room later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.core.placement import Size
from headway.core.placement.best_fit import free, taken
from headway.domain.units import show_milli

if TYPE_CHECKING:
    from headway.core.placement.space import Space
    from headway.core.queue import Shape


class Spread:
    """The reverse of best fit."""

    name = "spread"

    def level(self, space: Space) -> int:
        """What is free, negative."""
        return -free(space)

    def part(self, shape: Shape, size: Size) -> int:
        """What the shape takes of it, negative."""
        return -taken(shape, size)

    def show(self, score: int) -> str:
        """For a reader."""
        return f"leaves {show_milli(-score // 10)} % free, summed over its resources"


PLACEMENT = Spread()
