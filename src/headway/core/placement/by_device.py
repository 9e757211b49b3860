"""Rules over devices (`fgd`, `min_waste`) in the engine: the same rules, scores and ties as `fleet.Placer` has.

The engine's nodes are mirrored as a `Fleet`, a row each, brought up to date from the changed ones when anything is
scored. What a task may run on besides (named resources that a node has or has not, conditions on its labels) stands
for the models of the published rules: nodes that are alike in what the expected tasks ask for are one model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from headway.core.placement.fleet import Ask, Fleet, Ints, Machine, Rule, ranked

if TYPE_CHECKING:
    from headway.core.placement.nodes import Nodes
    from headway.core.placement.space import Space
    from headway.core.queue import Shape

#: Makes a rule for a fleet from the tasks to be expected.
Maker = Callable[[Fleet, Iterable[tuple[Ask, int]]], Rule]
#: So many nodes are scored one by one, where the rule has a quick way to.
FEW = 64
#: Stands for the models of a shape that no node could hold.
_NOWHERE = ("-",)


class ByDevice:
    """A rule on the engine's nodes."""

    def __init__(self, nodes: Nodes, make: Maker) -> None:
        self._nodes = nodes
        self._make = make
        self._built: tuple[int, int] | None = None  # of which nodes and which mix
        self._era = 0
        self._written = -1  # how far in the log of changes
        self._fleet: Fleet
        self._rule: Rule
        self._bad: Ints
        self._models_of: list[int] = []
        self._alike: list[Space] = []
        self._asks: dict[int, Ask] = {}

    def renew(self, deciding: bool) -> int:
        """Brings the rule up to date; for a decision also what it remembers."""
        if self._built != self._of():
            self._build()
        if deciding and self._rule.watches:
            self._write_behind()
            if self._rule.stale(self._fleet):
                self._measure()
        return self._era

    def scores(self, shape: Shape, spaces: list[Space]) -> tuple[Ints, Ints | None]:
        """What the rule thinks of each node, negative, as smaller is better; and the device that a share takes."""
        ask = self._ask(shape)
        found: list[tuple[int, int]] = []
        for space in spaces if len(spaces) <= FEW else ():
            one = self._rule.one(ask, space.cpu, _positive(space), self._models_of[space.index])
            if one is None:
                break
            found.append(one)
        else:
            if found:
                scores = np.array([-score for score, _ in found], np.int64)
                return scores, np.array([device for _, device in found], np.int64) if ask.share else None
        self._write_behind()
        rows = np.array([space.index for space in spaces], np.int64)
        rank, device = ranked(self._rule, ask, self._fleet.rows(rows), self._bad[rows])
        return -rank, device if ask.share else None

    def _write_behind(self) -> None:
        nodes = self._nodes
        changed = nodes.since(self._written)
        if changed:
            for space in changed:
                self._write(space)
            rows = np.array([space.index for space in changed], np.int64)
            self._bad[rows] = self._rule.badness(self._fleet.rows(rows))
            self._written = nodes.end()

    def tree(self) -> Any:
        """What the rule remembers, if it is of the present nodes and mix."""
        return self._rule.tree() if self._built == self._of() else None

    def fill(self, tree: Any) -> None:
        """The reverse of `tree`, once the nodes are there."""
        if tree is not None:
            self._build()
            self._rule.fill(tree)
            self._measure()

    def _of(self) -> tuple[int, int]:
        return self._nodes.reshaped, self._nodes.expected.version

    def _measure(self) -> None:
        self._bad = self._rule.badness(self._fleet.now)
        self._era += 1

    def _build(self) -> None:
        nodes = self._nodes
        mix = nodes.expected.mix
        wheres = tuple(dict.fromkeys(shape.where for shape, _ in mix if shape.where))
        kinds: dict[Any, list[Space]] = {}
        for space in nodes.all:
            met = tuple(space.unmet(where) is None for where in wheres)
            kinds.setdefault((space.node.other, met), []).append(space)
        names = {space.index: _name(number) for number, alike in enumerate(kinds.values()) for space in alike}
        self._alike = [alike[0] for alike in kinds.values()]
        self._fleet = Fleet(
            [Machine(one.cpu_size, one.memory_size, len(one.devices), names[one.index]) for one in nodes.all]
        )
        self._models_of = self._fleet.sizes.model.tolist()
        for space in nodes.all:
            self._write(space)
        self._written = nodes.end()
        self._asks.clear()
        asks = [(self._ask(shape, self._models(shape)), count) for shape, count in mix]
        self._rule = self._make(self._fleet, asks or [(Ask(0), 1)])
        self._measure()
        self._built = self._of()

    def _models(self, shape: Shape) -> tuple[str, ...]:
        """The models that could hold the shape; empty if all could."""
        able = tuple(_name(number) for number, one in enumerate(self._alike) if _could(one, shape))
        return (able if len(able) < len(self._alike) else ()) if able else _NOWHERE

    def _write(self, space: Space) -> None:
        if space.open:
            self._fleet.write(space.index, max(space.cpu, 0), max(space.memory, 0), _positive(space))
        else:
            self._fleet.write(space.index, 0, 0, [0] * len(space.devices))

    def _ask(self, shape: Shape, models: tuple[str, ...] = ()) -> Ask:
        found = self._asks.get(shape.id)
        if found is None:
            demand = shape.demand
            milli = shape.per_device if demand.devices else 0
            found = Ask(demand.cpu, demand.memory, demand.devices, milli, models)
            self._asks[shape.id] = found
        return found


def _positive(space: Space) -> list[int]:
    """Free milli by device, none below zero (a node that shrank under what it runs)."""
    devices = space.devices
    return devices if min(devices, default=0) >= 0 else [max(free, 0) for free in devices]


def _name(number: int) -> str:
    return f"{number:06}"  # sorts as the numbers do


def _could(space: Space, shape: Shape) -> bool:
    """Whether the labels admit the shape and the named resources are there."""
    if shape.where and space.unmet(shape.where) is not None:
        return False
    return shape.vram <= space.vram and all(amount <= space.other_size.get(name, 0) for name, amount in shape.other)
