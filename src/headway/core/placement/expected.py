"""The tasks to be expected, learned from those that came: what `fgd` and `min_waste` keep room for.

Counts by shape. The mix in force is taken anew whenever half as many more have come, so that few tasks are learned
from at once and many seldom (each taking means scoring everything anew). Beyond `MOST` all counts are halved: what
came long ago fades. Integers and events only, so a replay learns the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.core.queue import Shape

#: Tasks counted before all counts are halved.
MOST = 1 << 17


class Expected:
    """How many tasks there were of each shape.

    Args:
        given: A known mix: nothing is learned then.

    Attributes:
        mix: What is in force: shapes and how many there were of each.
        version: Counts the times that `mix` changed.
    """

    __slots__ = ("_counts", "_next", "_total", "given", "mix", "version")

    def __init__(self, given: tuple[tuple[Shape, int], ...] = ()) -> None:
        self.given = given
        self.mix = given
        self.version = 0
        self._counts: dict[Shape, int] = {}
        self._total = 0
        self._next = 1

    def replaced(self, given: tuple[tuple[Shape, int], ...]) -> Expected:
        """What follows when a mix is given, or (empty) when it is to be learned anew."""
        made = Expected(given)
        made.version = self.version + 1
        return made

    def saw(self, shapes: Iterable[Shape]) -> None:
        """These came in."""
        if self.given:
            return
        for shape in shapes:
            self._counts[shape] = self._counts.get(shape, 0) + 1
            self._total += 1
        if self._total >= self._next:
            self._take()

    def _take(self) -> None:
        if self._total > MOST:
            halved = ((shape, count // 2) for shape, count in self._counts.items())
            self._counts = {shape: count for shape, count in halved if count}
            self._total = sum(self._counts.values())
        self.mix = tuple(self._counts.items())
        self._next = self._total * 3 // 2 + 1
        self.version += 1

    def tree(self) -> list[Any]:
        """As plain JSON; shapes by number."""
        counts = [[shape.id, count] for shape, count in self._counts.items()]
        mix = [[shape.id, count] for shape, count in self.mix]
        return [counts, mix, self._next, self.version, int(bool(self.given))]

    @classmethod
    def from_tree(cls, tree: list[Any], shapes: list[Shape]) -> Expected:
        """The reverse of `tree`."""
        counts, mix, following, version, given = tree
        taken = tuple((shapes[ident], count) for ident, count in mix)
        made = cls(taken if given else ())
        made._counts = {shapes[ident]: count for ident, count in counts}
        made._total = sum(made._counts.values())
        made.mix, made._next, made.version = taken, following, version
        return made
