"""Backfill: nothing delays the head of the line, and what does not delay it may go.

The first task that does not fit gets a *reservation*: the node and the moment at which by all expectations it
will have room. It stays the head until it starts; only a better class or a boost overtakes it. Tasks behind it
may start on any other node, and on that one if they will have ended by then. `easy` also lets go what the head
would still fit beside: that is EASY to the letter (Lifka 1995; Feitelson and Weil 1998). `backfill` leaves it
out, as the simulator behind the published tables does (Zhang et al., SC 2020): long tasks beside the head make
the next head wait. A task that no node could hold even when empty is passed over, or everything would wait for
ever.

Expected ends are those of the estimates: a start and what its members were reckoned to take, also if that is
over. So nothing becomes possible by mere waiting, and what an event did not change need not be tried again.
"""

from __future__ import annotations

from headway.core import variants
from headway.core.admission import gangs
from headway.core.admission.line import admits, head_of_line
from headway.core.admission.outlook import expected_end
from headway.core.decisions import Reason
from headway.core.placement.nodes import Nodes
from headway.core.placement.space import Imagined, Space
from headway.core.queue import Shape, Slot
from headway.core.state import Entry, Reservation
from headway.core.world import World

#: Tasks behind the head that are looked at in one decision (Slurm's `bf_max_job_test` is 500).
DEPTH = 1_024


def place(world: World, now: int) -> None:
    """Grants in order while it fits, reserves for the first that does not, and backfills."""
    queue, nodes = world.queue, world.nodes
    for space in nodes.freed.values():
        for shape in queue.fitting(space):
            queue.unpark(shape)
    world.reservation = None
    while (entry := head_of_line(world, _first(world))) is not None:
        if entry.shape.forms:
            variants.choose(world, entry, now, must=True)
        shape = entry.shape
        if shape.gated and not admits(world, shape, now):
            continue
        best = None if shape.parked else nodes.best(shape, entry)
        if best is None:
            if shape.wide and not shape.parked and gangs.try_start(world, entry, now):
                continue
            queue.park(shape)
            if not _possible(world, shape):
                world.head = None  # a node shrank or left; `_first` passes it over from now on
                continue
            world.head = entry.task.id
            break
        world.place(
            entry, best, Reason(nodes.placement.name, (("score", nodes.score(shape, best, entry)),)), now
        )
    if entry is None:
        world.head = None
        return
    if entry.shape.wide:
        then = gangs.earliest(world, entry.shape)
        if then is not None:
            first, *others = then[1].spaces
            world.reservation = Reservation(entry.task.id, first, then[0], tuple(others))
    else:
        found = world.outlook.earliest(nodes, entry.shape)
        if found is not None:
            world.reservation = Reservation(entry.task.id, found[1], found[0])
    _behind(world, entry.shape, now)


def _possible(world: World, shape: Shape) -> bool:
    """Whether some node could hold the shape if it were empty; for a gang: whether all nodes together could."""
    nodes = world.nodes
    if shape.wide:
        return gangs.possible(world, shape)
    if shape.forms:
        return any(_possible(world, form) for form in shape.forms)
    return any(
        space.open and space.admits(shape) and not space.node.lacks(shape.demand) for space in nodes.all
    )


def _first(world: World) -> Slot | None:
    """The first in line, without those that no node could hold."""
    queue = world.queue
    first = queue.first_open()
    for slot in queue.parked_heads():
        if first is not None and first < slot:
            break
        if _possible(world, slot[2]):
            return slot
    return first


def _behind(world: World, head: Shape, now: int) -> None:
    """Starts what does not delay the reservation: better classes first, and of one class who came first."""
    queue, nodes = world.queue, world.nodes
    shapes = [shape for shape in queue.shapes if shape.count and shape.in_line]
    line = queue.line(shapes, DEPTH) if shapes else []
    line.sort(key=lambda entry: (-entry.boost, world.rank(entry), entry.task.release, entry.seq))
    only_reserved: dict[int, None] = {}  # shapes that fit on nodes of a gang's reservation alone
    for entry in line:
        shape = entry.shape
        if not shape.in_line or (shape.gated and not admits(world, shape, now)):
            continue
        if shape.forms:
            if not variants.choose(world, entry, now):
                queue.park(shape)
                continue
            shape = entry.shape
            if shape.parked:
                continue
        best = nodes.best(shape, entry)
        if best is None:
            if not (shape.wide and _gang_behind(world, entry, now)):
                queue.park(shape)
            continue
        kept = world.reservation
        if kept is not None and kept.holds(best) and not harmless(world, entry, head, now):
            if not kept.others:
                best = nodes.best_but_one(shape, best, entry)
            else:
                best = None if shape.id in only_reserved else _elsewhere(nodes, kept, shape)
            if best is None:
                only_reserved[shape.id] = None
                continue
        facts = () if kept is None else (("for", kept.task),)
        world.place(
            entry,
            best,
            Reason(
                "backfill",
                (*facts, ("placement", nodes.placement.name), ("score", nodes.score(shape, best, entry))),
            ),
            now,
        )


def _elsewhere(nodes: Nodes, kept: Reservation, shape: Shape) -> Space | None:
    """The best node that is not reserved for a gang."""
    reserved = {space.index for space in (kept.space, *kept.others)}
    found = (s for s in nodes.all if s.index not in reserved and s.fits(shape))
    return min(found, key=lambda space: (nodes.score(shape, space), space.index), default=None)


def _gang_behind(world: World, entry: Entry, now: int) -> bool:
    """Starts a gang behind the head where it delays nobody. Returns whether it started, or could but for the head."""
    if world.queue.head(entry.shape) is not entry:
        return True  # not the first of its shape that was seen: that one did not start
    kept = world.reservation
    if kept is None or now + world.remaining(entry) < kept.at:
        found = gangs.look(world, entry.shape)
    else:
        reserved = {space.index for space in (kept.space, *kept.others)}
        found = gangs.look(
            world, entry.shape, may=lambda space, part: space.index not in reserved and space.fits(part)
        )
    if found is not None:
        said = () if kept is None else (("for", kept.task),)
        gangs.start(world, entry, found, now, Reason("gang", said))
        return True
    return kept is not None and gangs.look(world, entry.shape) is not None


def harmless(world: World, entry: Entry, head: Shape, now: int) -> bool:
    """Whether a task that fits on the reserved node may start there: it will be gone in time, or (`easy`) the
    head fits beside it."""
    kept = world.reservation
    assert kept is not None
    if now + world.lasts(entry, kept.space) < kept.at:
        return True
    if not world.policy.beside or head.wide:
        return False
    space, shape = kept.space, entry.shape
    room = Imagined(space, (lease for lease in space.leases.values() if expected_end(lease) <= kept.at))
    room.cpu -= shape.cpu
    room.memory -= shape.memory
    for name, amount in shape.other:
        room.other[name] = room.other.get(name, 0) - amount
    for device in world.nodes.devices(shape, space):
        room.devices[device] -= space.per_device(shape)
    return room.fits(head)
