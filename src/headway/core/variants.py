"""Tasks that may run in several ways: "one GPU for ten minutes, or 16 cores for two hours".

Such a task stands in line in a shape of its own that fits nowhere. When its turn comes it settles on the variant by
which it should be complete first, and stands in line as that one, where everything treats it like any other task. A
variant with room now is complete after its processing time. One without is complete so much later as it is expected
to wait: leases end when they are reckoned to, and whoever stands in line for that variant already goes first.

To wait for a quick variant while a slow one has room is a wager, and bounded as in the ski rental problem (Karlin et
al. 1988): it chooses anew after twice the expected wait, and never waits longer for it than the time it would save,
so it is complete in at most twice the time of the variant it could have had. A lease that is over its time is
reckoned to need as long again as it is over.
"""

from __future__ import annotations

from headway.core.admission.outlook import expected_end
from headway.core.placement.space import Imagined, Space
from headway.core.queue import Shape
from headway.core.state import Entry
from headway.core.world import World
from headway.domain.task import reads
from headway.domain.units import SECOND

#: Places for one shape that are counted on one node.
MOST = 256


def begin(world: World) -> None:
    """Before placing: what came free may have room for a variant of those that found none."""
    world.openings.clear()
    if world.nodes.freed:
        for shape in world.queue.undecided:
            world.queue.unpark(shape)


def choose(world: World, entry: Entry, now: int, must: bool = False) -> bool:
    """Settles a queued task on one of its variants.

    Args:
        must: Also if none of them has room now.

    Returns:
        False if it stays undecided, because none has room (or no node could hold any).
    """
    shape = entry.shape
    lengths = [_length(world, entry, index) for index in range(len(shape.forms))]
    open_now = []
    for index, form in enumerate(shape.forms):
        space = world.nodes.best(form)
        if space is not None:
            open_now.append(index)
            if world.nodes.paces.known:
                lengths[index] = world.paced(entry, lengths[index], space)
    here = min(open_now, key=lambda index: (lengths[index], index), default=-1)
    if here < 0 and not (must or _may_preempt(world, entry)):
        return False
    waits = [
        0
        if index in open_now
        else None
        if here >= 0 and lengths[index] >= lengths[here]
        else _wait(world, form, now)
        for index, form in enumerate(shape.forms)
    ]
    ends = [-1 if wait is None else wait + length for wait, length in zip(waits, lengths, strict=True)]
    if here >= 0:
        # Not worth a wait; as a reader of the reason wants it, complete after its time once it has a place.
        ends = [
            length if wait is None else end for end, wait, length in zip(ends, waits, lengths, strict=True)
        ]
    possible = [index for index, wait in enumerate(waits) if wait is not None]
    if not possible:
        return False
    best = min(possible, key=lambda index: (ends[index], index != here, index))
    wait = waits[best] or 0
    until = now + max(2 * wait, SECOND)
    if here >= 0 and best != here:
        saves = lengths[here] - lengths[best]
        entry.since = now if entry.since < 0 else entry.since
        if now - entry.since >= saves:
            best = here
        else:
            until = min(until, entry.since + saves)
    world.lean(entry, best, until, tuple(ends))
    return True


def _length(world: World, entry: Entry, index: int) -> int:
    """Microseconds that the variant still takes."""
    variant = entry.task.variants[index]
    family, said = world.estimates.family(entry.task.kind, variant.demand), variant.estimate
    if said is None and family.sizes is not None and entry.task.inputs:
        said = family.sizes.median(reads(entry.task))
    return world.estimates.remaining(family, said, entry.done)


def _may_preempt(world: World, entry: Entry) -> bool:
    """Whether somebody of a worse class runs: settled on a variant, the task may have room made for it."""
    return (
        world.settings.preempt
        and bool(world.policy.classes)
        and bool(world.ranks)
        and world.rank(entry) < max(world.ranks)
    )


def _wait(world: World, form: Shape, now: int) -> int | None:
    """Microseconds until one more of the shape should fit somewhere, behind those that wait already; None if it
    never will."""
    times = world.openings.get(form.id)
    if times is None:
        times = sorted(time for space in world.nodes.all for time in openings(space, form, now))
        world.openings[form.id] = times
    if not times:
        return None
    rounds, place = divmod(form.count, len(times))
    head = world.queue.head(form) if rounds else None
    return abs(times[place] - now) + (rounds * world.remaining(head) if head is not None else 0)


def openings(space: Space, form: Shape, now: int) -> list[int]:
    """When one more of the shape should fit on the node, again and again until it is full of them."""
    if not space.open or not space.admits(form) or space.node.lacks(form.demand):
        return []
    room, when = Imagined(space), now
    found: list[int] = []
    leases = sorted(space.leases.values(), key=lambda lease: (expected_end(lease), lease.id))
    for lease in (None, *leases):
        if lease is not None:
            room.without(lease)
            when = expected_end(lease)
        while len(found) < MOST and room.fits(form):
            found.append(when)
            room.take(form)
    return found
