"""Following a plan (`core.joint`): its order, its nodes, and the places that it keeps free.

Tasks are looked at in the order of the policy, planned ones by their ranks. Each goes to the node that the plan has for
it; if that has no room, to the best one that has. Nothing waits for its planned start: what fits now may go now, whether
it is planned for later or not planned at all, with one exception: it must not delay what ranks before it. A planned
task that still waits *keeps* its node for its planned start (the conservative backfilling of Feitelson and Weil 1998, with the
plan's starts as the reservations): who ranks behind it may take that room only if he will have ended by then, or if the two
fit side by side.

So a plan that has gone stale costs little: work that ends early is followed up at once, a node that went keeps nothing, a
place that the plan cannot get by its time is not kept, and after `PlanRecord.until` no place is kept at all.

Room at a planned start is reckoned by expected ends, as for backfilling: nothing becomes possible by mere waiting.
"""

from __future__ import annotations

from typing import NamedTuple

from headway.core import variants
from headway.core.admission import gangs
from headway.core.admission.backfill import DEPTH
from headway.core.admission.line import admits
from headway.core.admission.outlook import expected_end
from headway.core.decisions import Reason
from headway.core.joint.record import Row, Standing
from headway.core.placement.space import Imagined, Space
from headway.core.queue import Shape
from headway.core.state import Entry, State
from headway.core.world import World

#: Tasks that are looked at first; only if none of them can go, and no shape of theirs is found to fit nowhere, `DEPTH` are.
FIRST = 64
#: A task in one of these states will come for its place.
_COMING = (State.QUEUED, State.WAITING, State.DELAYED)


class Keep(NamedTuple):
    """A place kept for a planned task.

    Attributes:
        key, seq: Where it stands in line: who stands behind must not delay it.
        start, end: When the plan has it there, microseconds.
    """

    key: int
    seq: int
    start: int
    end: int
    shape: Shape
    task: str


#: By number of the node.
Keeps = dict[int, list[Keep]]


def place(world: World, plan: Standing, now: int) -> None:
    """Grants what fits and delays nobody who ranks before it."""
    queue = world.queue
    for space in world.nodes.freed.values():
        for shape in queue.fitting(space):
            queue.unpark(shape)
    keeps, depth = keeps_of(world, plan), FIRST
    while True:
        shapes = [shape for shape in queue.shapes if shape.count and shape.in_line]
        line = queue.line(shapes, depth) if shapes else []
        moved = _through(world, plan, line, keeps, now)
        if len(line) < depth or (not moved and depth == DEPTH):
            break  # all were looked at, or nobody within reach can go
        if not moved:
            depth = DEPTH
    plan.kept_on = {index: tuple(keep.task for keep in kept) for index, kept in keeps.items() if kept}


def keeps_of(world: World, plan: Standing) -> Keeps:
    """What the plan keeps at this moment, by node, in the order of the ranks.

    For a task that waits for another a place is kept only while that runs, or comes before it in line itself: else the two
    would wait for each other.
    """
    keeps: Keeps = {}
    coming: dict[str, tuple[int, int]] = {}
    for task, (_, row) in plan.rows.items():
        entry = world.tasks[task]
        mine = (world.key(entry), entry.seq)
        if entry.state not in _COMING or not all(_comes(world, coming, one, mine) for one in entry.waits):
            continue
        coming[task] = mine
        space = world.nodes.by_name.get(row.node)
        if space is None or not space.open or not space.admits(entry.shape):
            continue
        end = row.start + world.lasts(entry, space)
        keep = Keep(*mine, row.start, end, entry.shape, task)
        keeps.setdefault(space.index, []).append(keep)
    return keeps


def _comes(world: World, coming: dict[str, tuple[int, int]], task: str, after: tuple[int, int]) -> bool:
    entry = world.tasks.get(task)
    return entry is not None and (entry.member is not None or coming.get(task, after) < after)


def delayed(world: World, keeps: Keeps, entry: Entry, space: Space, now: int) -> str:
    """The planned task before it in line that would start later if it started on the node now, or ''."""
    kept = keeps.get(space.index)
    if not kept:
        return ""
    mine, end = (world.key(entry), entry.seq), now + world.lasts(entry, space)
    ahead = [keep for keep in kept if (keep.key, keep.seq) < mine]
    for keep in ahead:
        if end <= keep.start:
            continue
        room = Imagined(
            space, (lease for lease in space.leases.values() if expected_end(lease) <= keep.start)
        )
        for other in ahead:
            if other is not keep and other.start <= keep.start < other.end:
                _take(room, other.shape)
        if not room.fits(keep.shape):
            continue  # the plan cannot be kept here, whoever waits for it
        _take(room, entry.shape)
        if not room.fits(keep.shape):
            return keep.task
    return ""


def _take(room: Imagined, shape: Shape) -> None:
    if not room.fits(shape):
        return
    room.cpu -= shape.cpu
    room.memory -= shape.memory
    for name, amount in shape.other:
        room.other[name] = room.other.get(name, 0) - amount
    per = room.per_device(shape)
    for device in room.pick(shape):
        room.devices[device] -= per


def _through(world: World, plan: Standing, line: list[Entry], keeps: Keeps, now: int) -> bool:
    """Once through the line. Returns whether anything was placed or parked."""
    queue, nodes, moved = world.queue, world.nodes, False
    #: By shape, and by kind where nodes differ in speed: so long a task, or a longer one, finds no node now.
    failed: dict[tuple[int, str], int] = {}
    paced = nodes.paces.known
    for entry in line:
        shape = entry.shape
        if not shape.in_line:
            continue
        if shape.gated and not admits(world, shape, now):
            moved = True
            continue
        if shape.forms:
            moved = True
            if not variants.choose(world, entry, now):
                queue.park(shape)
                continue
            shape = entry.shape
            if shape.parked:
                continue
        ranked = plan.rows.get(entry.task.id)
        length = world.remaining(entry)
        alike = shape.id, entry.task.kind if paced else ""
        if ranked is None and length >= failed.get(alike, length + 1) and not (paced and entry.task.inputs):
            continue
        best = nodes.best(shape)
        if best is None:
            # A gang is no part of a plan: it goes as soon as all of it has room.
            if not (shape.wide and gangs.try_start(world, entry, now)):
                queue.park(shape)
            moved = True
            continue
        space = _where(world, keeps, entry, best, ranked[1] if ranked is not None else None, now)
        if space is None:
            if not (paced and entry.task.inputs):  # else it may be the way of its inputs that takes so long
                failed[alike] = min(length, failed.get(alike, length))
            continue
        world.place(entry, space, _reason(world, plan, keeps, entry, space, ranked, now), now)
        moved = True
        if ranked is not None:
            _keep_no_more(world, keeps, entry.task.id, ranked[1])
            failed.clear()
    return moved


def _keep_no_more(world: World, keeps: Keeps, task: str, row: Row) -> None:
    space = world.nodes.by_name.get(row.node)
    if space is not None and space.index in keeps:
        keeps[space.index] = [keep for keep in keeps[space.index] if keep.task != task]


def _where(world: World, keeps: Keeps, entry: Entry, best: Space, row: Row | None, now: int) -> Space | None:
    """The planned node, else the best, else any on which it delays nobody."""
    if row is not None:
        planned = world.nodes.by_name.get(row.node)
        if (
            planned is not None
            and planned.fits(entry.shape)
            and not delayed(world, keeps, entry, planned, now)
        ):
            return planned
    if not delayed(world, keeps, entry, best, now):
        return best
    for space in world.nodes.ranked(entry.shape):
        if space is not best and not delayed(world, keeps, entry, space, now):
            return space
    return None


def _reason(
    world: World,
    plan: Standing,
    keeps: Keeps,
    entry: Entry,
    space: Space,
    ranked: tuple[int, Row] | None,
    now: int,
) -> Reason:
    placement, score = world.nodes.placement.name, world.nodes.score(entry.shape, space)
    if ranked is None:
        waiting = sum(map(len, keeps.values()))
        facts = (("placement", placement), ("plan", plan.record.id), ("score", score), ("waiting", waiting))
        return Reason("beside_plan", facts)
    rank, row = ranked
    return Reason(
        "planned",
        (
            ("bound", plan.record.bound),
            ("cost", plan.record.cost),
            ("gap", plan.record.gap),
            ("late", now - row.start),
            ("node", space.name),
            ("objective", plan.record.objective),
            ("of", len(plan.record.rows)),
            ("placement", placement),
            ("plan", plan.record.id),
            ("planned_node", row.node),
            ("rank", rank + 1),
            ("score", score),
        ),
    )
