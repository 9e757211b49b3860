"""Where it goes: what nodes have free, which of them a shape fits, and which is best.

A placement that the engine can run is one module here with a `PLACEMENT`. Of most, the score of a shape on a node
falls apart into what the node brings (`level`, kept by the node) and what the shape takes (`part`, the same on all
nodes of one size), so that scoring is one subtraction and the nodes of a shape stand in a heap. Where it does not
fall apart the placement is a `Scored`: it scores nodes for a shape, and only those that changed are scored again.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from headway.errors import Invalid

if TYPE_CHECKING:
    from headway.core.placement.fleet import Ints
    from headway.core.placement.nodes import Nodes
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


class Scorer(Protocol):
    """What a `Scored` placement keeps for one engine."""

    def renew(self, deciding: bool) -> int:
        """Before anything is scored: takes in what changed.

        Args:
            deciding: A decision looks for a node; an explanation must not change what is remembered.

        Returns:
            The era: another one where everything must be scored anew.
        """
        ...

    def scores(self, shape: Shape, spaces: list[Space]) -> tuple[Ints, Ints | None]:
        """Of nodes on which the shape fits: how good each is, smaller is better; and the device that a share takes
        there, or None to leave it to `space.pick_devices`."""
        ...

    def tree(self) -> Any:
        """What it remembers and could not find out again, as plain JSON."""
        ...

    def fill(self, tree: Any) -> None:
        """The reverse of `tree`, called when the nodes are there."""
        ...


class Scored:
    """A placement whose score does not fall apart.

    Args:
        scorer: Makes what scores the nodes of one engine.
        show: A score for a reader.
        mixed: It looks at the tasks to be expected (`Nodes.expected`).
    """

    def __init__(
        self,
        name: str,
        scorer: Callable[[Nodes], Scorer],
        show: Callable[[int], str],
        mixed: bool = False,
    ) -> None:
        self.name = name
        self.scorer = scorer
        self.mixed = mixed
        self._show = show

    def level(self, space: Space) -> int:
        """Nothing that would count."""
        return 0

    def part(self, shape: Shape, size: Size) -> int:
        """Nothing that would count."""
        return 0

    def show(self, score: int) -> str:
        """For a reader."""
        return self._show(score)


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
