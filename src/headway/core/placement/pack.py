"""Pack: a node that is in use before one that is empty, however well the empty one would fit.

Kubernetes' MostAllocated drives autoscalers so: what stays empty can be switched off or given back. Among
nodes in use, and among empty ones, `best_fit` decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.core.placement import Size
from headway.core.placement.best_fit import free, taken
from headway.domain.units import show_milli

if TYPE_CHECKING:
    from headway.core.placement.space import Space
    from headway.core.queue import Shape

#: More than anything that can be left over: a million resources wholly free.
_EMPTY = 1_000_000_000_000


class Pack:
    """Best fit, empty nodes last."""

    name = "pack"

    def level(self, space: Space) -> int:
        """What is free, and much more where nothing is in use."""
        empty = (
            space.cpu == space.cpu_size
            and space.memory == space.memory_size
            and space.gpu == space.gpu_size
            and all(space.other[name] == size for name, size in space.other_size.items())
        )
        return free(space) + _EMPTY if empty else free(space)

    def part(self, shape: Shape, size: Size) -> int:
        """What the shape takes of it."""
        return taken(shape, size)

    def show(self, score: int) -> str:
        """For a reader."""
        if score >= _EMPTY // 2:
            return f"opens an empty node and {self.show(score - _EMPTY)}"
        return f"leaves {show_milli(score // 10)} % free, summed over its resources"


PLACEMENT = Pack()
