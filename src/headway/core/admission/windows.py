"""Maintenance windows and advance reservations: nothing is placed that would still run when one begins.

A node is *closing* while a window on it is so near that some task might overrun its start, and until it ends. Shapes
and heaps know nothing of it: whether a task ends in time depends on the task. So a closing node is shut to ordinary
placing, and tasks are tried on it one by one, in line, after everything else has been placed (`place`): those that by
their estimate end before the start, and those whose reservation it is. Of several closing nodes the one that closes
first is taken. What finds no place blocks nobody behind it, except under `strict`, where only the head is tried.

A task's length is what its author said, else the 90th percentile of its kind, else what the window says (`assume`); of
a task with a checkpoint what is left of that. The rule is Slurm's for jobs and reservations that overlap, with the learned
quantile in place of a time limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from headway.core.admission import gangs
from headway.core.admission.line import admits, head_of_line
from headway.core.admission.outlook import expected_end
from headway.core.capacity import learning
from headway.core.decisions import Reason
from headway.core.placement.space import Space
from headway.core.preemption.search import evict
from headway.core.state import Entry
from headway.domain.units import MILLI, show_time
from headway.domain.window import Window
from headway.errors import Conflict, Invalid

if TYPE_CHECKING:
    from headway.core.queue import Shape
    from headway.core.world import World

#: Tasks in line that are looked at in one decision.
DEPTH = 512
#: Gangs among them for which places are sought.
GANGS = 16


# ── what is set ─────────────────────────────────────────────────────────────────────────────────────────────


def apply(world: World, window: Window, now: int) -> Window:
    """Sets a window, or replaces the one of the same id. Returns it with its nodes.

    Raises:
        Invalid: It means nothing, or cannot be kept.
        Conflict: Another window has one of the nodes at that time.
    """
    if not window.id:
        raise Invalid("a window needs an id")
    if window.end <= window.start or window.end <= now:
        what = "ends before it begins" if window.end <= window.start else "is over already"
        raise Invalid(f"{window.kind} {window.id} {what}", hint="give a time in the future to end at")
    if window.kind == "reservation" and not (window.tenant or window.run):
        raise Invalid(f"reservation {window.id} is nobody's", hint="name a tenant or a run")
    if window.kind == "maintenance" and (window.tenant or window.run):
        raise Invalid(f"maintenance {window.id} has an owner", hint="leave tenant and run out, or reserve")
    if window.assume < 0:
        raise Invalid(f"{window.kind} {window.id} assumes a negative time")
    if not window.nodes:
        window = _chosen(world, window, now)
    for name in window.nodes:
        other = _taken(world, window, name)
        if other is not None:
            raise Conflict(
                f"{name} has {other.kind} {other.id} at that time",
                hint="choose another time, or clear that first",
            )
        late = None if window.kind == "maintenance" or window.preempt else _late(world, window, name)
        if late is not None:
            raise Invalid(
                f"{name} cannot be free in time: {late[1]} is expected to run until {show_time(late[0] - now)} from now",
                hint="begin later, name other nodes, or preempt what runs there",
            )
    if window.id in world.windows.active:
        world.windows.begun.pop(window.id, None)
    world.windows.active[window.id] = window
    world.windows.longest = max((said for e in world.tasks.values() if (said := e.task.estimate)), default=0)
    world.windows.looked = None
    return window


def clear(world: World, ident: str) -> bool:
    """Ends a window now. Returns False if there is none of that id."""
    world.windows.looked = None
    world.windows.begun.pop(ident, None)
    return world.windows.active.pop(ident, None) is not None


def _taken(world: World, window: Window, name: str) -> Window | None:
    for other in world.windows.active.values():
        if (
            other.id != window.id
            and name in other.nodes
            and other.start < window.end
            and window.start < other.end
        ):
            return other
    return None


def _late(world: World, window: Window, name: str) -> tuple[int, str] | None:
    """Until when somebody else's task is expected to run there, if that is after the start, and which."""
    space = world.nodes.by_name.get(name)
    found = None
    for lease in space.leases.values() if space is not None else ():
        task = lease.members[0].entry.task
        end = expected_end(lease)
        if (
            end > window.start
            and not window.owns(task.tenant, task.run)
            and (found is None or end > found[0])
        ):
            found = (end, task.id)
    return found


def _chosen(world: World, window: Window, now: int) -> Window:
    """The wish with its nodes: of those that hold what is asked, the smallest, those free soonest first."""
    from dataclasses import replace

    if window.count < 1 or window.demand is None:
        raise Invalid(
            f"{window.kind} {window.id} names no nodes", hint="name them, or say how many and how large"
        )
    able = [
        space
        for space in world.nodes.all
        if not space.gone and not space.cordoned and space.node.lacks(window.demand) is None
    ]
    free = [
        space
        for space in able
        if _taken(world, window, space.name) is None
        and (window.preempt or _late(world, window, space.name) is None)
    ]
    if len(free) < window.count:
        raise Invalid(
            f"{window.kind} {window.id} asks for {window.count} nodes with {window.demand}: "
            f"of {len(able)} that have it {len(free)} can be free from then on",
            hint="ask for fewer, or begin later",
        )
    free.sort(
        key=lambda s: (
            max(map(expected_end, s.leases.values()), default=now),
            s.cpu_size,
            s.gpu_size,
            s.index,
        )
    )
    return replace(window, nodes=tuple(space.name for space in free[: window.count]))


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────


def tick(world: World, now: int) -> list[Space]:
    """Windows begin and end, nodes close and open. Returns the nodes that have just closed."""
    windows = world.windows
    for window in list(windows.active.values()):
        if window.end <= now:
            clear(world, window.id)
        elif window.start <= now and window.id not in windows.begun:
            windows.begun[window.id] = None
            if window.preempt:
                _vacate(world, window, now)
    learned = max((q for f in world.estimates.families if (q := f.upper(900)) is not None), default=0)
    longest = max(windows.longest, learned)
    close: dict[str, None] = {}
    for window in windows.active.values():
        if window.start - now <= max(window.assume, longest):
            close |= dict.fromkeys(window.nodes)
    closed = []
    for space in world.nodes.all:
        if space.closing != (space.name in close):
            space.closing = not space.closing
            space.changed()
            world.nodes.changed(space, freed=not space.closing)
            if space.closing:
                closed.append(space)
    return closed


def _vacate(world: World, window: Window, now: int) -> None:
    reason = Reason(window.kind, (("reason", window.reason), ("window", window.id)))
    for name in window.nodes:
        space = world.nodes.by_name.get(name)
        for lease in list(space.leases.values()) if space is not None else ():
            task = lease.members[0].entry.task
            if not window.owns(task.tenant, task.run):
                lease.leaving = True  # whatever becomes of a claim to the place
                evict(world, lease, reason, now)


# ── placing ─────────────────────────────────────────────────────────────────────────────────────────────────


def length(world: World, entry: Entry, window: Window, space: Space | None = None) -> int:
    """How long the task is taken to run from now on, in microseconds: on that node, or at speed 1."""
    known = learning.known(world, entry)
    said = known.micros if known.origin == "said" else known.most
    if said is None:
        return window.assume
    left = max(said * (MILLI - entry.done) // MILLI, 1)
    return left if space is None or not world.nodes.paces.known else world.paced(entry, left, space)


def blocking(world: World, entry: Entry, space: Space, now: int) -> Window | None:
    """The window that keeps the task off the node, or None."""
    for window in world.windows.on(space):
        if (
            not window.owns(entry.task.tenant, entry.task.run)
            and now + length(world, entry, window, space) > window.start
        ):
            return window
    return None


def fits_closing(space: Space, shape: Shape) -> bool:
    """Whether the shape would fit if the node were not closing."""
    if not space.closing:
        return space.fits(shape)
    space.open = not (space.gone or space.cordoned)
    reach, space.reach = space.reach, space.reach
    try:
        return space.fits(shape)
    finally:
        space.open, space.reach = False, reach


def place(world: World, now: int) -> bool:
    """Places on closing nodes what ends in time or is theirs. Returns whether anything was placed."""
    closing = [s for s in world.nodes.all if s.closing and not s.gone and not s.cordoned]
    here = (world.next_seq, world.queue.size, world.nodes.changes, len(closing))
    if not closing or not world.queue.size or world.windows.looked == here:
        return False
    placed = False
    room: dict[int, list[Space]] = {}
    looks = GANGS
    for entry in _candidates(world):
        shape = entry.shape
        if shape.shut is not None or (shape.gated and not admits(world, shape, now)):
            continue
        if shape.wide:
            if looks:
                looks -= 1
                placed = _gang(world, entry, now) or placed
            continue
        if shape.id not in room:
            room[shape.id] = [space for space in closing if fits_closing(space, shape)]
        space = _first_to_close(world, entry, room[shape.id], now)
        if space is None:
            continue
        world.place(entry, space, _reason(world, entry, space, now), now)
        placed = True
        if shape.bond is not None:
            room.clear()  # also elsewhere others may be barred by it, or let in
        for shape_id, spaces in room.items():
            if space in spaces and not fits_closing(space, world.queue.shapes[shape_id]):
                spaces.remove(space)
    here = (world.next_seq, world.queue.size, world.nodes.changes, len(closing))
    world.windows.looked = None if placed else here
    return placed


def _candidates(world: World) -> Iterable[Entry]:
    queue = world.queue
    if world.policy.strict:
        head = head_of_line(world, queue.first_open())
        return [head] if head is not None else []
    shapes = [shape for shape in queue.shapes if shape.count]
    return queue.line(shapes, DEPTH)


def _first_to_close(world: World, entry: Entry, spaces: list[Space], now: int) -> Space | None:
    able = [space for space in spaces if blocking(world, entry, space, now) is None]
    return min(able, key=lambda space: (world.windows.on(space)[0].start, space.index), default=None)


def _reason(world: World, entry: Entry, space: Space, now: int) -> Reason:
    window = world.windows.on(space)[0]
    if window.owns(entry.task.tenant, entry.task.run):
        return Reason("reserved", (("until", window.end - now), ("window", window.id)))
    facts = (
        ("expected", length(world, entry, window, space)),
        ("starts_in", window.start - now),
        ("window", window.id),
    )
    return Reason("before_window", facts)


def _gang(world: World, leader: Entry, now: int) -> bool:
    def may(space: Space, shape: Shape) -> bool:
        return fits_closing(space, shape) and (
            not space.closing or blocking(world, leader, space, now) is None
        )

    found = gangs.look(world, leader.shape, may=may)
    if found is None:
        return False
    gangs.start(world, leader, found, now, Reason("gang", ()))
    return True


# ── keeping ─────────────────────────────────────────────────────────────────────────────────────────────────


def view(window: Window) -> dict[str, Any]:
    """For a listing, as plain JSON; times in microseconds of the engine's clock."""
    return {
        "id": window.id,
        "kind": window.kind,
        "nodes": list(window.nodes),
        "start": window.start,
        "end": window.end,
        "tenant": window.tenant,
        "run": window.run,
        "preempt": window.preempt,
        "assume": window.assume,
        "by": window.by,
        "reason": window.reason,
    }
