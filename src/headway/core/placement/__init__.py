"""Where it goes: what nodes have free, which of them a shape fits, and which is best.

A placement that the engine can run is one module here with a `PLACEMENT`. Its score of a shape on a node falls
apart into what the node brings (`level`, kept by the node) and what the shape takes (`part`, the same on all
nodes of one size), so that scoring is one subtraction and the nodes of a shape stand in a heap.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING, Protocol

from headway.errors import Invalid

if TYPE_CHECKING:
    from headway.core.placement.space import Space
    from headway.core.queue import Shape

#: The capacity of a node: cpu, memory, number of GPUs, named resources.
Size = tuple[int, int, int, tuple[tuple[str, int], ...]]


class Placement(Protocol):
    """How good a node is for a shape that fits it: `level - part`, the smallest wins, the first node on a tie.

    Attributes:
        name: As users write it.
    """

    name: str

    def level(self, space: Space) -> int:
        """From what is free on the node; asked after each change of it."""
        ...

    def part(self, shape: Shape, size: Size) -> int:
        """From the shape, on nodes of that size; asked once."""
        ...

    def show(self, score: int) -> str:
        """A score for a reader: `leaves 12 % free`."""
        ...


def placement(name: str) -> Placement:
    """The placement of that name. Raises Invalid for one that does not exist."""
    known = placements()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]!r}? known: " if close else "known: "
    raise Invalid(f"no placement {name!r}", hint=hint + ", ".join(sorted(known)))


@cache
def placements() -> dict[str, Placement]:
    """Every placement of this package by name."""
    found: dict[str, Placement] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        one: Placement | None = getattr(importlib.import_module(f"{__name__}.{module}"), "PLACEMENT", None)
        if one is not None:  # else it is what a placement is made of
            found[one.name] = one
    return found
