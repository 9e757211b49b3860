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
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from headway.errors import Invalid

if TYPE_CHECKING:
    from headway.core.placement.fleet import Ints
    from headway.core.placement.nodes import Nodes
    from headway.core.placement.space import Space
    from headway.core.queue import Shape
    from headway.core.state import Entry
    from headway.domain.task import Task

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


class Stateless:
    """A scorer that remembers nothing: only what changed is ever to be scored anew."""

    def renew(self, deciding: bool) -> int:
        """Nothing to do."""
        return 0

    def tree(self) -> Any:
        """Nothing."""
        return None

    def fill(self, tree: Any) -> None:
        """Nothing."""


class Book(Protocol):
    """What a placement may look up about a task."""

    def remaining(self, entry: Entry) -> int:
        """Work that is left, in microseconds of a node of speed 1."""
        ...

    def sources(self, task: Task) -> list[tuple[int, int]]:
        """Where the task's inputs lie: indices of nodes, and bytes."""
        ...


class Remembering(Protocol):
    """The part of a `Scorer` that a snapshot and a decision's beginning need."""

    def renew(self, deciding: bool) -> int:
        """See `Scorer`."""
        ...

    def tree(self) -> Any:
        """See `Scorer`."""
        ...

    def fill(self, tree: Any) -> None:
        """See `Scorer`."""
        ...


class Finder(Protocol):
    """What finds nodes under a `Scored` placement. A task is given where tasks of a shape may differ."""

    @property
    def scorer(self) -> Remembering:
        """What remembers."""
        ...

    def best(self, shape: Shape, entry: Entry | None) -> Space | None:
        """The best node on which the shape fits, or None."""
        ...

    def best_but(self, shape: Shape, best: Space, entry: Entry | None) -> Space | None:
        """After `best`: the best of all others."""
        ...

    def score(self, shape: Shape, space: Space, entry: Entry | None) -> int:
        """Of a node on which the shape fits; smaller is better."""
        ...

    def scores(self, shape: Shape, spaces: Sequence[Space], entry: Entry | None) -> list[int]:
        """Of several."""
        ...

    def devices(self, shape: Shape, space: Space) -> tuple[int, ...] | None:
        """Those that the shape takes there, where the placement chooses them."""
        ...


class Scored:
    """A placement whose score does not fall apart.

    Args:
        finder: Makes what finds the best of one engine's nodes: `sights.by_shape(scorer)`, mostly.
        show: A score for a reader.
        mixed: It looks at the tasks to be expected (`Nodes.expected`).
    """

    def __init__(
        self,
        name: str,
        finder: Callable[[Nodes], Finder],
        show: Callable[[int], str],
        mixed: bool = False,
    ) -> None:
        self.name = name
        self.finder = finder
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
