"""Which nodes to add for a demand, and which can go.

The greedy rule of Ray's autoscaler (`resource_demand_scheduler.py`), in our own words: as long as something
has no room, add one node of the kind that would be used best by what is left. Kinds are compared by, in this
order: no GPU node unless something asks for a GPU; the number of its resources that are asked for at all; its
least used resource; the mean use of all. Use is cubed, so that a node filled to the brim beats two half full
ones, and weighted by size, so that large nodes are preferred when they fill up.

Equal demands are packed as one row with a count, so a queue of a million tasks in fifty shapes costs fifty
rows. All amounts are integers and comparisons exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from headway.errors import Invalid

#: Amounts by resource, in milli-units or bytes; what is not named is zero.
Amounts = Mapping[str, int]
#: The resource whose nodes are spared for those who ask for it.
GPU = "gpu"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of node that can be had.

    Attributes:
        name: Unique among the kinds.
        has: What an empty node of it offers.
        most: How many there may be in all, those that exist included.
    """

    name: str
    has: Amounts
    most: int


@dataclass(frozen=True, slots=True)
class Want:
    """So many tasks of one demand."""

    demand: Amounts
    count: int = 1


@dataclass(frozen=True, slots=True)
class Growth:
    """What to add, and what stays without room all the same.

    Attributes:
        add: (kind, count), in the order in which each kind was first chosen.
        unmet: Demands that fit on no kind or for which the limits left no node.
    """

    add: tuple[tuple[str, int], ...]
    unmet: tuple[Want, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A node as it stands.

    Attributes:
        free: What is left of it.
        idle: Nothing runs on it.
        pool: What it belongs to, for the least number that must stay.
    """

    name: str
    free: Amounts
    idle: bool
    pool: str = ""


def nodes_to_add(
    wants: Iterable[Want],
    kinds: Sequence[Kind],
    existing: Mapping[str, int] | None = None,
    free: Iterable[Amounts] = (),
    limit: int | None = None,
) -> Growth:
    """The nodes that make room for all that is wanted, as far as the limits allow.

    Args:
        wants: The demands.
        kinds: What can be added.
        existing: How many there are of each kind, which counts against its `most`.
        free: What is left on the nodes there are: demands go there first.
        limit: How many nodes may be added in all.

    Raises:
        Invalid: A negative amount or count.
    """
    left = _ordered(wants)
    for room in free:
        left, _ = _fill(room, left)
    counts = dict(existing or {})
    added: dict[str, int] = {}
    while left and (limit is None or sum(added.values()) < limit):
        open_kinds = [kind for kind in kinds if counts.get(kind.name, 0) < kind.most]
        scored = [
            (score, kind.name, kind) for kind in open_kinds if (score := _score(kind.has, left)) is not None
        ]
        if not scored:
            break
        chosen = max(scored, key=lambda item: item[:2])[2]
        counts[chosen.name] = counts.get(chosen.name, 0) + 1
        added[chosen.name] = added.get(chosen.name, 0) + 1
        left, _ = _fill(chosen.has, left)
    return Growth(tuple(added.items()), tuple(left))


def nodes_to_release(
    nodes: Sequence[Held], wants: Iterable[Want], keep: Mapping[str, int] | None = None
) -> tuple[str, ...]:
    """The idle nodes without which everything that is wanted still has as much room as with them.

    Args:
        nodes: All there are; the last ones are tried first.
        wants: What waits now or is expected soon.
        keep: How many nodes of each pool must stay, busy ones included.

    Returns:
        Names, in the order in which they can go.
    """
    wanted = _ordered(wants)
    staying = list(nodes)
    unmet = _unmet(staying, wanted)
    pools: dict[str, int] = {}
    for node in nodes:
        pools[node.pool] = pools.get(node.pool, 0) + 1
    going = []
    for node in reversed(nodes):
        if not node.idle or pools[node.pool] <= (keep or {}).get(node.pool, 0):
            continue
        without = [other for other in staying if other is not node]
        if _unmet(without, wanted) > unmet:
            continue
        staying = without
        pools[node.pool] -= 1
        going.append(node.name)
    return tuple(going)


def _unmet(nodes: Iterable[Held], left: list[Want]) -> int:
    for node in nodes:
        left, _ = _fill(node.free, left)
    return sum(want.count for want in left)


def _ordered(wants: Iterable[Want]) -> list[Want]:
    """Equal demands together, the more complex first, then the larger, then by name: first-fit decreasing."""
    counts: dict[tuple[tuple[str, int], ...], int] = {}
    for want in wants:
        key = tuple(sorted((name, amount) for name, amount in want.demand.items() if amount))
        if want.count < 0 or any(amount < 0 for _, amount in key):
            raise Invalid(
                f"a demand cannot be negative: {want}", hint="give counts and amounts of zero or more"
            )
        counts[key] = counts.get(key, 0) + want.count
    rows = sorted(counts, key=lambda key: (len(key), sum(amount for _, amount in key), key), reverse=True)
    return [Want(dict(key), counts[key]) for key in rows if counts[key]]


def _fill(room: Amounts, wants: Sequence[Want]) -> tuple[list[Want], dict[str, int]]:
    """Pack in order whatever fits.

    Returns:
        What did not fit, and what is left of the room.
    """
    rest = dict(room)
    left = []
    for want in wants:
        fit = min([want.count, *(rest.get(name, 0) // amount for name, amount in want.demand.items())])
        for name, amount in want.demand.items() if fit > 0 else ():
            rest[name] -= fit * amount
        if want.count > max(fit, 0):
            left.append(Want(want.demand, want.count - max(fit, 0)))
    return left, rest


def _score(has: Amounts, wants: Sequence[Want]) -> tuple[bool, int, Fraction, Fraction] | None:
    """How well a node would be used by what is left, larger is better; None if nothing fits on it."""
    left, rest = _fill(has, wants)
    if sum(want.count for want in left) == sum(want.count for want in wants):
        return None
    asked = {name for want in wants for name in want.demand}
    used = [Fraction((size - rest[name]) ** 3, size**2) for name, size in has.items() if size > 0]
    if not used:
        return None
    spared = bool(has.get(GPU)) and GPU not in asked
    matching = sum(1 for name, size in has.items() if size > 0 and name in asked)
    return (not spared, matching, min(used), sum(used, Fraction(0)) / len(used))
