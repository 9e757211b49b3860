"""The head of the line: once it has been found to fit nowhere, it stays the head until it starts."""

from __future__ import annotations

from headway.core.queue import Shape, Slot
from headway.core.state import Entry
from headway.core.world import World


def head_of_line(world: World, first: Slot | None) -> Entry | None:
    """Who is to be placed before anybody else: the head that waits already, or the first in line where that
    is of a better class or boosted more."""
    if first is None:
        return None
    entry = world.queue.head(first[2])
    assert entry is not None
    kept = world.tasks.get(world.head) if world.head is not None else None
    if kept is None or kept.item is None or kept.shape.shut is not None:
        return entry
    better = (-entry.boost, world.rank(entry)) < (-kept.boost, world.rank(kept))
    return entry if better else kept


def admits(world: World, shape: Shape, now: int) -> bool:
    """Whether the head of a shape with gates may start now, if it finds a node; if not, the shape is shut from now on."""
    return world.gates.admits(world.queue, shape, now, world.policy.strict)
