"""When a shape should fit on each node, by expected ends: what reservations are made from."""

from __future__ import annotations

from headway.core.placement.nodes import Nodes
from headway.core.placement.space import Imagined, Space
from headway.core.queue import Shape
from headway.core.state import Lease


class Outlook:
    """When the head's shape will fit on each node, kept between decisions for nodes where nothing stirred."""

    def __init__(self) -> None:
        self._shape: Shape | None = None
        self._when: dict[int, int] = {}

    def earliest(self, nodes: Nodes, shape: Shape) -> tuple[int, Space] | None:
        """The expected moment and the node; the first node of those at once, None if it will fit on none."""
        if shape is not self._shape:
            self._shape, self._when = shape, {}
            stirred = nodes.all
        else:
            stirred = list(nodes.stirred.values())
        nodes.stirred.clear()
        for space in stirred:
            when = fits_at(space, shape)
            if when is None:
                self._when.pop(space.index, None)
            else:
                self._when[space.index] = when
        if not self._when:
            return None
        when, index = min((when, index) for index, when in self._when.items())
        return when, nodes.all[index]


def expected_end(lease: Lease) -> int:
    """When the lease should be over, in microseconds; in the past if it takes longer than was expected."""
    first = lease.members[0]
    return (first.started if first.started >= 0 else first.granted) + lease.outstanding


def fits_at(space: Space, shape: Shape) -> int | None:
    """When the shape should fit on the node as leases end one after the other, or None."""
    if not space.open or not space.admits(shape) or space.node.lacks(shape.demand):
        return None
    room, when = Imagined(space), 0
    for lease in sorted(space.leases.values(), key=lambda lease: (expected_end(lease), lease.id)):
        if room.fits(shape):
            break
        when = expected_end(lease)
        room.without(lease)
    return when if room.fits(shape) else None
