"""Places for all members of a gang at once, or none.

Members are packed onto few nodes, after the best-fit rule of Kueue's topology-aware scheduling (KEP-2724): as long as
no single node holds what is left, the roomiest takes as many as it can; then the one that it fits most tightly takes
the rest. For members that ask for the same this finds places whenever there are any. Where they differ, those that ask
for most are placed first, and a tight cluster may be found too small although another order would have served.

With `within`, levels are tried from the narrowest: of the values of that label, those with the least room that hold the
whole gang come first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from headway.core.placement.space import Imagined, Space
from headway.core.queue import Shape
from headway.domain.units import MILLI

#: The level that stands for any nodes.
ANYWHERE = "*"
_LOWEST = -(1 << 60)
#: What holds so many members that ask for nothing holds any number.
_MOST = 1 << 20
#: A part of a gang: what each of its members asks for, and how many they are.
Part = tuple[Shape, int]


class Places(NamedTuple):
    """Where the members go.

    Attributes:
        nodes: By part, one node a member, those on one node together.
        within: `rack=r1`, or empty for any nodes.
    """

    nodes: tuple[tuple[Space, ...], ...]
    within: str

    @property
    def spaces(self) -> list[Space]:
        """Every node once, in the order of the first member on it."""
        return list({space.index: space for part in self.nodes for space in part}.values())


def places(
    spaces: Sequence[Space],
    parts: Sequence[Part],
    within: tuple[str, ...] = (),
    *,
    room: Callable[[Space], Imagined] = Imagined,
    may: Callable[[Space, Shape], bool],
) -> Places | None:
    """Places for all members, or None.

    Args:
        spaces: The nodes to choose from.
        within: As `domain.task.Gang.within`.
        room: What is free of a node.
        may: Whether a member that asks for this may go to a node at all, whatever is free of it.
    """
    for level in within or (ANYWHERE,):
        for name, group in _groups(spaces, level, parts, room):
            found = _fill(group, parts, room, may)
            if found is not None:
                return Places(found, f"{level}={name}" if name is not None else "")
    return None


def _groups(
    spaces: Sequence[Space], level: str, parts: Sequence[Part], room: Callable[[Space], Imagined]
) -> Iterable[tuple[str | None, Sequence[Space]]]:
    """The sets of nodes that the level allows, those with the least room first."""
    if level == ANYWHERE:
        return [(None, spaces)]
    by_value: dict[str, list[Space]] = {}
    for space in spaces:
        value = dict(space.node.labels).get(level)
        if value is not None:
            by_value.setdefault(value, []).append(space)
    shape, _ = max(parts, key=lambda part: part[1])
    held = {name: sum(most(room(space), shape) for space in group) for name, group in by_value.items()}
    return [(name, by_value[name]) for name in sorted(by_value, key=lambda name: (held[name], name))]


def most(room: Imagined, shape: Shape) -> int:
    """How many that ask for this the room holds."""
    limit = _MOST
    if shape.cpu:
        limit = min(limit, room.cpu // shape.cpu)
    if shape.memory:
        limit = min(limit, room.memory // shape.memory)
    if shape.whole:
        limit = min(limit, room.devices.count(MILLI) // shape.whole)
    elif shape.share:
        per = room.per_device(shape)
        limit = min(limit, sum(free // per for free in room.devices if free > 0))
    for name, amount in shape.other:
        limit = min(limit, room.other.get(name, 0) // amount)
    return max(limit, 0)


def hold(room: Imagined, shape: Shape) -> tuple[int, ...]:
    """Takes what one member asks from the room. Returns the devices."""
    room.cpu -= shape.cpu
    room.memory -= shape.memory
    for name, amount in shape.other:
        room.other[name] -= amount
    devices, per = room.pick(shape), room.per_device(shape)
    for device in devices:
        room.devices[device] -= per
    return devices


def _fill(
    spaces: Sequence[Space],
    parts: Sequence[Part],
    room: Callable[[Space], Imagined],
    may: Callable[[Space, Shape], bool],
) -> tuple[tuple[Space, ...], ...] | None:
    rooms: dict[int, Imagined] = {}  # of nodes that have taken some
    found: list[tuple[Space, ...]] = [()] * len(parts)
    largest = sorted(
        range(len(parts)), key=lambda i: (-parts[i][0].gpu, -parts[i][0].cpu, -parts[i][0].memory, i)
    )
    for index in largest:
        shape, left = parts[index]
        by_index = {space.index: space for space in spaces if may(space, shape)}
        # Of equally roomy nodes the first comes last, so that it is taken as the roomiest.
        open_ = sorted(
            (held, -i) for i, space in by_index.items() if (held := most(rooms.get(i) or room(space), shape))
        )
        if sum(held for held, _ in open_) < left:
            return None
        chosen: list[Space] = []
        while left:
            place = bisect_left(open_, (left, _LOWEST))
            if place < len(open_):  # the tightest of those that hold all that is left
                place = bisect_left(open_, (open_[place][0] + 1, _LOWEST))
            held, minus = open_.pop(place - 1)
            space = by_index[-minus]
            own = rooms.setdefault(space.index, room(space))
            for _ in range(min(held, left)):
                hold(own, shape)
                chosen.append(space)
            left -= min(held, left)
        found[index] = tuple(chosen)
    return tuple(found)
