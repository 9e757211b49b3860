"""Who else is where: what tasks that must be near to, apart from or spread out among others ask of a node.

A task with a group or rules (`domain.beside`) stands in a shape of its run with a `Bond`. `Company` counts, by group and place,
what leases and claims hold; a bond is asked about a node with the same function by placing, by preemption and by `why`. The
rules are Kubernetes' required inter-pod affinity, anti-affinity and topology spread, at the time of placing: who has been placed
stays although others leave. As there, who wants to be apart keeps later ones of that group away too; the first of a group may be
near to its own group anywhere; of places only those count for the spread in which some node could hold the task.

When a count changes, the shapes that look at it forget what they know of the nodes and are tried again (`World.count`), and all
others pay nothing. Shapes of runs that are over are lent to new ones that ask the same, so that there are no more of them than
are in use at once, about twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headway.core.ask import Ask, Bonds
from headway.domain.beside import NODE, Rule

if TYPE_CHECKING:
    from headway.core.placement.nodes import Nodes
    from headway.core.placement.space import Space
    from headway.core.queue import Shape
    from headway.core.state import Claim, Lease

#: A group of a run or of a tenant: (scope, whose, name).
Group = tuple[str, str, str]
#: Shapes with bonds before those that nobody needs any more are looked for.
FEW = 64


class Bond:
    """What a shape asks of the others, ready to be asked about nodes.

    Attributes:
        groups: It counts in these.
        rules: With the group that each looks at.
    """

    __slots__ = ("_company", "_shape", "groups", "rules")

    def __init__(self, company: Company, shape: Shape, bonds: Bonds) -> None:
        self._company = company
        self._shape = shape
        beside, whose = bonds.beside, {"run": bonds.run, "tenant": bonds.tenant}
        self.groups: tuple[Group, ...] = (
            tuple((scope, name, beside.group) for scope, name in whose.items()) if beside.group else ()
        )
        self.rules: tuple[tuple[Rule, Group], ...] = tuple(
            (rule, (rule.scope, whose[rule.scope], rule.group or beside.group)) for rule in beside.rules
        )

    def against(self, space: Space) -> str | None:
        """Why the shape may not be on the node as things are, whatever is free there; None if it may.

        Returns:
            The rule in its own words, or of a task that runs there and wants to be apart from this one, that one's.
        """
        company = self._company
        for rule, group in self.rules:
            place = company.place(space, rule.level)
            count = company.counted(group, rule.level).get(place, 0) if place is not None else 0
            if rule.kind == "apart":
                barred = count > 0
            elif place is None:
                barred = True
            elif rule.kind == "near":
                barred = not count and not (group in self.groups and not company.held.get(group))
            else:
                barred = count + 1 - company.least(self._shape, group, rule.level) > rule.most
            if barred:
                return rule.told
        for group in self.groups:
            for level, wards in company.wards.get(group, {}).items():
                place = company.place(space, level)
                if place is not None and wards.get(place):
                    return f"apart {group[2]} within {level}, as one there wants it"
        return None


class Company:
    """The counts behind all bonds of one engine.

    Attributes:
        levels: Labels of nodes from the widest to the narrowest, as `[topology]` has them: nodes with the same value are one
            place only if those of the wider levels are the same too.
        shapes: Those with a bond, by id.
        held: By group, how many of it are on each node (by index).
        wards: By group and level, how many on each place want to be apart from it.
        stirred: Something changed since `place_all` last looked, and a shape may fit where it did not.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self.levels: tuple[str, ...] = ()
        self.shapes: dict[int, Shape] = {}
        self.held: dict[Group, dict[int, int]] = {}
        self.wards: dict[Group, dict[str, dict[str, int]]] = {}
        self.stirred = False
        self._watchers: dict[Group, dict[int, Shape]] = {}
        self._members: dict[Group, dict[int, Shape]] = {}
        self._counts: dict[Group, dict[str, dict[str, int]]] = {}
        self._least: dict[Group, dict[tuple[int, str], int]] = {}
        self._eligible: dict[tuple[int, str], list[str]] = {}
        self._places: dict[tuple[int, str], str | None] = {}
        #: Shapes that nobody needs, by what they ask besides; how many there are before they are looked for.
        self._spare: dict[Ask, list[Shape]] = {}
        self._sweep_at = FEW

    # ── places and counts ───────────────────────────────────────────────────────────────────────────────────

    def place(self, space: Space, level: str) -> str | None:
        """The place of the level that the node is in, or None if it has no such label."""
        if level == NODE:
            return space.name
        key = (space.index, level)
        if key not in self._places:
            labels = dict(space.node.labels)
            wider = self.levels[: self.levels.index(level)] if level in self.levels else ()
            path = [labels.get(one) for one in (*wider, level) if one != NODE]
            self._places[key] = "/".join(map(str, path)) if None not in path else None
        return self._places[key]

    def counted(self, group: Group, level: str) -> dict[str, int]:
        """How many of the group are in each place, without zeros."""
        by_level = self._counts.setdefault(group, {})
        found = by_level.get(level)
        if found is None:
            found = by_level[level] = {}
            for index, count in self.held.get(group, {}).items():
                place = self.place(self._nodes.all[index], level)
                if place is not None:
                    found[place] = found.get(place, 0) + count
        return found

    def known_counts(self) -> Iterable[tuple[Group, str, dict[str, int]]]:
        """Everything counted so far, for the invariants."""
        return [(group, level, one) for group, rows in self._counts.items() for level, one in rows.items()]

    def least(self, shape: Shape, group: Group, level: str) -> int:
        """How many of the group are in the place with fewest, of those where some node could hold the shape."""
        known, key = self._least.setdefault(group, {}), (shape.id, level)
        if key not in known:
            counts = self.counted(group, level)
            known[key] = min((counts.get(one, 0) for one in self._able(shape, level)), default=0)
        return known[key]

    def _able(self, shape: Shape, level: str) -> list[str]:
        key = (shape.id, level)
        if key not in self._eligible:
            places: dict[str, None] = {}
            for space in self._nodes.all:
                place = self.place(space, level)
                if place is None or place in places or space.gone or space.cordoned:
                    continue
                if not space.node.refuses(shape.demand, shape.where):
                    places[place] = None
            self._eligible[key] = list(places)
        return self._eligible[key]

    def count(self, space: Space, shape: Shape, sign: int) -> Iterable[Shape]:
        """A lease or claim of the shape begins (1) or is over (-1) on the node. Returns the shapes to be looked at again."""
        bond = shape.bond
        assert bond is not None
        touched: dict[int, Shape] = {}
        for group in bond.groups:
            _add(self.held, group, space.index, sign)
            touched.update(self._watchers.get(group, {}))
            self._least.pop(group, None)
            for level, counts in self._counts.get(group, {}).items():
                place = self.place(space, level)
                if place is not None:
                    _bump(counts, place, sign)
        for rule, group in bond.rules:
            place = self.place(space, rule.level)
            if rule.kind == "apart" and place is not None:
                wards = self.wards.setdefault(group, {})
                _add(wards, rule.level, place, sign)
                if not wards:
                    del self.wards[group]
                touched.update(self._members.get(group, {}))
        self.stirred = self.stirred or bool(touched)
        return touched.values()

    def recount(self, leases: Iterable[Lease], claims: Iterable[Claim]) -> None:
        """Nodes, labels or levels are others: everything is counted anew."""
        self.held, self.wards = {}, {}
        self.forget()
        for place, shape in [
            *((lease.space, lease.shape) for lease in leases),
            *((claim.space, claim.entry.shape) for claim in claims),
        ]:
            if shape.bond is not None:
                self.count(place, shape, 1)

    def forget(self) -> None:
        """What follows from the nodes and `held` is found out anew when it is asked for."""
        self._counts, self._least, self._eligible, self._places = {}, {}, {}, {}

    # ── shapes ──────────────────────────────────────────────────────────────────────────────────────────────

    def know(self, shape: Shape) -> None:
        """The shape asks something of the others."""
        bonds = shape.ask.bonds
        assert bonds is not None
        bond = shape.bond = Bond(self, shape, bonds)
        self.shapes[shape.id] = shape
        for _, group in bond.rules:
            self._watchers.setdefault(group, {})[shape.id] = shape
        for group in bond.groups:
            self._members.setdefault(group, {})[shape.id] = shape

    def spare(self, ask: Ask, used: Iterable[Shape]) -> Shape | None:
        """A shape that nobody needs any more and that asks the same but for its bond, or None; it is the caller's now.

        Args:
            used: The shapes that somebody needs, asked for now and then only.
        """
        if len(self.shapes) >= self._sweep_at:
            needed = {shape.id for shape in used}
            for shape in [one for one in self.shapes.values() if one.id not in needed]:
                self._retire(shape)
            self._sweep_at = max(2 * len(self.shapes), FEW)
        plain = replace(ask, bonds=None)
        found = self._spare.get(plain)
        if not found:
            return None
        shape = found.pop()
        if not found:
            del self._spare[plain]
        return shape

    def revive(self, shape: Shape) -> None:
        """A shape that nobody needed is needed again, for the very same."""
        plain = replace(shape.ask, bonds=None)
        self._spare[plain].remove(shape)
        if not self._spare[plain]:
            del self._spare[plain]
        self.know(shape)

    def _retire(self, shape: Shape) -> None:
        bond = shape.bond
        assert bond is not None
        del self.shapes[shape.id]
        for _, group in bond.rules:
            _drop(self._watchers, group, shape.id)
            self._counts.pop(group, None)
            self._least.pop(group, None)
        for group in bond.groups:
            _drop(self._members, group, shape.id)
            self._counts.pop(group, None)
            self._least.pop(group, None)
        for key in [key for key in self._eligible if key[0] == shape.id]:
            del self._eligible[key]
        shape.bond = None
        self._spare.setdefault(replace(shape.ask, bonds=None), []).append(shape)

    # ── the whole ───────────────────────────────────────────────────────────────────────────────────────────

    def tree(self) -> list[Any]:
        """As plain JSON: what does not follow from shapes, leases and claims."""
        spare = [[shape.id for shape in shapes] for shapes in self._spare.values()]
        return [list(self.levels), self._sweep_at, spare, int(self.stirred), list(self.shapes)]

    def fill(self, tree: list[Any], shapes: list[Shape]) -> None:
        """The reverse of `tree`, when the shapes are there."""
        levels, self._sweep_at, spare, _, known = tree
        self.levels = tuple(levels)
        for ident in known:
            self.know(shapes[ident])
        for idents in spare:
            self._spare[replace(shapes[idents[0]].ask, bonds=None)] = [shapes[ident] for ident in idents]


def _add(table: dict[Any, dict[Any, int]], first: Any, second: Any, sign: int) -> None:
    row = table.setdefault(first, {})
    _bump(row, second, sign)
    if not row:
        del table[first]


def _bump(row: dict[Any, int], key: Any, sign: int) -> None:
    count = row.get(key, 0) + sign
    if count:
        row[key] = count
    else:
        del row[key]


def _drop(table: dict[Group, dict[int, Shape]], group: Group, ident: int) -> None:
    rows = table.get(group)
    if rows is not None:
        rows.pop(ident, None)
        if not rows:
            del table[group]
