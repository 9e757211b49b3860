"""Gangs: sets of tasks that start together, or none of them does (Ousterhout 1982; Volcano's and Kueue's all or nothing).

Members that could start gather. When the last one that has not finished is there, the gang stands in line as one: its
**leader**, the member that ranks first, queues under a shape of the whole gang (`ask.Wide`), the others stand behind it.
When its turn comes, places for all are sought on a trial copy of what is free (`placement.together`), and all are granted
in one decision. So between two decisions a gang holds places for all of its members or for none, and two gangs cannot
each hold half of what both need.

When one member goes away without having finished (it failed, it was preempted, its node was lost), the others are
asked to checkpoint and end. They gather again, and start again when the one that went is back, or go as the planner
says. Members that have finished stay finished: a gang that starts again is those that remain.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headway.core import claims
from headway.core.admission.outlook import expected_end
from headway.core.ask import Ask, Wide
from headway.core.decisions import Reason, Start
from headway.core.placement.space import Imagined, Space
from headway.core.placement.together import Part, Places, places
from headway.core.state import Entry, Lease, Move, State
from headway.domain.task import Task
from headway.errors import Invalid

if TYPE_CHECKING:
    from headway.core.queue import Shape
    from headway.core.world import World

#: Gangs without a member here of which it is kept who has finished, for offers that were sent before the planner knew.
KEEP_PARTED = 1_000


class Band:
    """A gang with members in the engine.

    Attributes:
        size, said, within: As the last offer of a member had them: `Gang.size`, `done`, `within`.
        members: By index, in whatever state.
        ready: Those that gather, the leader among them.
        done: Indices of those that have finished.
        out: Members that are allocated.
        leader: Who stands in line for all, or claims places with all; None while somebody is missing. `own`: the
            shape of what it asks for itself.
    """

    __slots__ = ("done", "id", "leader", "members", "out", "own", "ready", "said", "size", "within")

    def __init__(self, ident: str) -> None:
        self.id = ident
        self.size = self.said = self.out = 0
        self.within: tuple[str, ...] = ()
        self.members: dict[int, Entry] = {}
        self.ready: dict[int, Entry] = {}
        self.done: dict[int, None] = {}
        self.leader: Entry | None = None
        self.own: Shape | None = None

    @property
    def missing(self) -> int:
        """Members that have not finished and do not gather."""
        return self.size - max(self.said, len(self.done)) - len(self.ready)

    def in_order(self) -> list[Entry]:
        """Who gathers, by index."""
        return [self.ready[index] for index in sorted(self.ready)]

    def tree(self) -> list[Any]:
        """As plain JSON."""
        leader = (
            [self.leader.task.id, self.own.id] if self.leader is not None and self.own is not None else None
        )
        return [
            self.id, self.size, self.said, list(self.within), list(self.members), list(self.ready), list(self.done),
            leader,
        ]  # fmt: skip


class Gangs:
    """Every gang with a member in the engine, and what is kept of others."""

    def __init__(self) -> None:
        self.bands: dict[str, Band] = {}
        self.parted: OrderedDict[str, list[int]] = OrderedDict()

    def of(self, entry: Entry) -> Band | None:
        """The gang of a task, or None."""
        gang = entry.task.gang
        return self.bands.get(gang.id) if gang is not None else None

    def tree(self) -> list[Any]:
        """As plain JSON."""
        return [[band.tree() for band in self.bands.values()], [[i, done] for i, done in self.parted.items()]]

    def fill(self, tree: list[Any], tasks: dict[str, Entry], shapes: list[Shape]) -> None:
        """The reverse of `tree`."""
        by_place = {(e.task.gang.id, e.task.gang.index): e for e in tasks.values() if e.task.gang is not None}
        for ident, size, said, within, members, ready, done, leader in tree[0]:
            band = self.bands[ident] = Band(ident)
            band.size, band.said, band.within = size, said, tuple(within)
            band.members = {index: by_place[ident, index] for index in members}
            band.ready = {index: by_place[ident, index] for index in ready}
            band.done = dict.fromkeys(done)
            band.out = sum(entry.member is not None for entry in band.members.values())
            if leader is not None:
                band.leader, band.own = tasks[leader[0]], shapes[leader[1]]
        self.parted = OrderedDict((ident, list(done)) for ident, done in tree[1])


# ── who is in it ────────────────────────────────────────────────────────────────────────────────────────────


def refuse_nonsense(world: World, task: Task) -> None:
    """Refuses an offer of a member that no gang could have. Raises Invalid."""
    gang = task.gang
    assert gang is not None
    band = world.gangs.bands.get(gang.id)
    other = band.members.get(gang.index) if band is not None else None
    wrong = ""
    if not 0 <= gang.index < gang.size:
        wrong = f"is member {gang.index} of {gang.size}"
    elif other is not None and other.task.id != task.id:
        wrong = f"has the place of {other.task.id}, {gang.index}"
    elif task.variants:
        wrong = "has variants"
    if wrong:
        raise Invalid(
            f"task {task.id} of gang {gang.id} {wrong}",
            hint="members have one place each, and one way to run",
        )


def join(world: World, entry: Entry) -> None:
    """A member was offered, or offered anew."""
    gang = entry.task.gang
    assert gang is not None
    band = world.gangs.bands.get(gang.id)
    if band is None:
        band = world.gangs.bands[gang.id] = Band(gang.id)
        band.done = dict.fromkeys(world.gangs.parted.pop(gang.id, ()))
    band.size, band.said, band.within = gang.size, gang.done, gang.within
    band.done.pop(gang.index, None)  # the planner wants it again
    band.members[gang.index] = entry


def part(world: World, entry: Entry, gang: str, index: int, finished: bool) -> None:
    """A member left the engine, or is of another gang now; it holds nothing any more."""
    band = world.gangs.bands[gang]
    if band.members.get(index) is not entry:
        return
    del band.members[index]
    if finished:
        band.done[index] = None
    if not band.members:
        del world.gangs.bands[gang]
        if band.done and len(band.done) < band.size:
            world.gangs.parted[gang] = list(band.done)
            if len(world.gangs.parted) > KEEP_PARTED:
                world.gangs.parted.popitem(last=False)
    elif finished:
        _line_up(world, band)


# ── gathering ───────────────────────────────────────────────────────────────────────────────────────────────


def gather(world: World, entry: Entry) -> None:
    """Nothing but its gang is missing to the member: with the last one the gang stands in line."""
    gang = entry.task.gang
    assert gang is not None
    world.move(entry, Move.GATHER)
    band = world.gangs.bands[gang.id]
    band.ready[gang.index] = entry
    _line_up(world, band)


def _line_up(world: World, band: Band) -> None:
    if band.leader is not None or band.out or not band.ready or band.missing > 0:
        return
    members = band.in_order()
    keys = {entry.task.id: world.policy.key(entry, world) for entry in members}
    leader = min(members, key=lambda entry: (keys[entry.task.id], entry.seq))
    counts: dict[Ask, int] = {}
    for entry in members:
        counts[entry.shape.ask] = counts.get(entry.shape.ask, 0) + 1
    band.leader, band.own = leader, leader.shape
    wide = Wide(tuple(counts.items()), band.within)
    leader.shape = world.interned(Ask(leader.task.demand, wide=wide, tenant=leader.shape.tenant))
    world.move(leader, Move.READY)
    world.queue.push(leader, keys[leader.task.id])


def scatter(world: World, entry: Entry) -> None:
    """A member that gathers is taken from there: the gang is not complete, and gives up its place in line or its claims.
    The member itself is the caller's to move."""
    gang = entry.task.gang
    assert gang is not None
    band = world.gangs.bands[gang.id]
    if band.ready.get(gang.index) is not entry:
        return
    if band.leader is not None:
        claimed = band.leader.state is State.CLAIMING
        leave_line(world, band)
        for member in band.ready.values():
            if claimed:
                claims.cancel(world, world.claims[member.task.id])
            if member is not entry and member.state is not State.GATHERING:
                world.move(member, Move.GATHER)
    del band.ready[gang.index]


def leave_line(world: World, band: Band) -> None:
    """The gang is not in line any more: its leader asks for itself only."""
    leader, own = band.leader, band.own
    assert leader is not None
    assert own is not None
    if leader.item is not None:
        if leader.shape.gated:
            world.gates.gone(leader.shape)
        world.unqueue(leader)
    leader.shape = own
    band.leader = band.own = None


# ── starting ────────────────────────────────────────────────────────────────────────────────────────────────


def parts_of(world: World, wide: Wide) -> list[Part]:
    """What its members ask for, as shapes."""
    return [(world.queue.shape(ask), count) for ask, count in wide.parts]


def look(
    world: World,
    shape: Shape,
    *,
    room: Callable[[Space], Imagined] = Imagined,
    may: Callable[[Space, Shape], bool] | None = None,
) -> Places | None:
    """Places for the whole gang as things are, or as they would be with other room.

    Args:
        may: Whether a node may be used for a member; without it: whether one would fit there now.
    """
    wide = shape.ask.wide
    assert wide is not None
    parts = parts_of(world, wide)
    if may is not None:
        spaces = world.nodes.all
    else:
        may, spaces = fits_now, world.nodes.roomy(parts[0][0]) if len(parts) == 1 else world.nodes.all
    return places(spaces, parts, wide.within, room=room, may=may)


def fits_now(space: Space, shape: Shape) -> bool:
    """Whether one member would fit on the node now."""
    return space.fits(shape)


def look_again(world: World) -> None:
    """Something came free: gangs that a member of could use it are tried again."""
    for shape in world.queue.wide:
        wide = shape.ask.wide
        if shape.parked and wide is not None:
            parts = [part for part, _ in parts_of(world, wide)]
            if any(space.fits(part) for space in world.nodes.freed.values() for part in parts):
                world.queue.unpark(shape)


def try_head(world: World, shape: Shape, now: int) -> bool:
    """Starts the first gang in line that asks this, if there are places for all of it."""
    leader = world.queue.head(shape)
    assert leader is not None
    return try_start(world, leader, now)


def try_start(world: World, leader: Entry, now: int) -> bool:
    """Starts a gang in line, if there are places for all of it."""
    found = look(world, leader.shape)
    if found is None:
        return False
    start(world, leader, found, now, Reason("gang", ()))
    return True


def assigned(world: World, leader: Entry, found: Places) -> list[tuple[Shape, Space]]:
    """What each member asks for and the node it gets, in order of the members' indices."""
    band = world.gangs.of(leader)
    wide = leader.shape.ask.wide
    assert band is not None
    assert band.own is not None
    assert wide is not None
    to_go = {ask: iter(nodes) for (ask, _), nodes in zip(wide.parts, found.nodes, strict=True)}
    shapes = [band.own if entry is leader else entry.shape for entry in band.in_order()]
    return [(shape, next(to_go[shape.ask])) for shape in shapes]


def start(world: World, leader: Entry, found: Places, now: int, why: Reason) -> None:
    """Grants every member its place.

    All get the same attempt number, one that none of them had, so that the number tells one start from another.
    """
    band = world.gangs.of(leader)
    assert band is not None
    chosen = assigned(world, leader, found)
    leave_line(world, band)
    leases = []
    for entry, (shape, space) in zip(band.in_order(), chosen, strict=True):
        devices = space.take(shape)
        world.nodes.changed(space, freed=False)
        leases.append(world.open_lease(space, entry, devices))
    facts = (("gang", band.id), ("nodes", len(found.spaces)), ("size", len(chosen)), ("within", found.within))
    grant(world, band, leases, Reason(why.code, tuple(sorted((*why.facts, *facts)))), now)


def grant(world: World, band: Band, leases: list[Lease], reason: Reason, now: int) -> None:
    """Makes every member that is ready the first of its lease, by index."""
    members = band.in_order()
    attempt = max(entry.attempt for entry in members)
    first = len(world.out)
    for entry, lease in zip(members, leases, strict=True):
        entry.attempt, entry.unused = attempt, False
        world.grant(entry, lease, reason, now)
    band.ready.clear()
    nodes = tuple(lease.space.name for lease in leases)
    for rank, decision in enumerate(world.out[first:]):
        assert isinstance(decision, Start)
        world.out[first + rank] = decision._replace(gang=(rank, nodes))


def possible(world: World, shape: Shape) -> bool:
    """Whether the nodes there are could hold the whole gang if they were empty."""
    return look(world, shape, room=_empty, may=may_ever) is not None


def earliest(world: World, shape: Shape) -> tuple[int, Places] | None:
    """When by expected ends there should be places for the whole gang, in microseconds, and where; or None."""
    ends = sorted({expected_end(lease) for lease in world.leases.values()})

    def places_at(when: int) -> Places | None:
        def room(space: Space) -> Imagined:
            return Imagined(space, (lease for lease in space.leases.values() if expected_end(lease) <= when))

        return look(world, shape, room=room, may=may_ever)

    first = bisect_left(ends, True, key=lambda when: places_at(when) is not None)
    if first == len(ends):
        return None
    found = places_at(ends[first])
    return (ends[first], found) if found is not None else None


def may_ever(space: Space, shape: Shape) -> bool:
    """Whether a member might run on the node as far as it is itself concerned."""
    return space.open and space.admits(shape) and space.node.lacks(shape.demand) is None


def _empty(space: Space) -> Imagined:
    room = Imagined(space)
    room.cpu, room.memory = space.cpu_size, space.memory_size
    room.devices, room.other = list(space.sizes), dict(space.other_size)
    return room


# ── claims ──────────────────────────────────────────────────────────────────────────────────────────────────


def claim(
    world: World, leader: Entry, to: list[tuple[Space, tuple[int, ...], tuple[int, ...]]], now: int
) -> None:
    """Every member claims its place: all places are being cleared, or are free and kept.

    Args:
        to: By member in order of its index: the node, its devices there, the leases asked to leave that node.
    """
    band = world.gangs.of(leader)
    assert band is not None
    own = band.own
    members = band.in_order()
    assert own is not None
    world.unqueue(leader)
    leader.shape = own
    for entry, (space, devices, victims) in zip(members, to, strict=True):
        claims.make(world, entry, space, devices, victims, now)


def fulfil(world: World, entry: Entry, now: int) -> None:
    """A member's place is clear: when all are, the gang starts."""
    band = world.gangs.of(entry)
    assert band is not None
    cleared = [world.claims.get(member.task.id) for member in band.in_order()]
    leases = []
    if any(claim is None or not claim.ready for claim in cleared):
        return
    if world.gates.accounts and not world.gates.may_fulfil([claim for claim in cleared if claim is not None]):
        return
    victims: dict[int, None] = {}
    made = now
    for claim in cleared:
        assert claim is not None
        del world.claims[claim.entry.task.id]
        if claim.entry.shape.gated:
            world.gates.claim(claim.entry.shape, -1)
        claim.space.claims.remove(claim)
        leases.append(world.open_lease(claim.space, claim.entry, claim.devices))
        victims |= dict.fromkeys(claim.victims)
        made = min(made, claim.made)
    band.leader = band.own = None
    said = (("gang", band.id), ("size", len(leases)), ("victims", list(victims)), ("waited", now - made))
    grant(world, band, leases, Reason("preempts", said), now)
    for claim in cleared:
        assert claim is not None
        claims.spare(world, claim)


# ── ending ──────────────────────────────────────────────────────────────────────────────────────────────────


def break_up(world: World, entry: Entry, reason: Reason, now: int) -> None:
    """A task went without having finished, or is going: what is allocated of its gang is asked to checkpoint and end."""
    band = world.gangs.of(entry)
    if band is None or not band.out:
        return
    for index in sorted(band.members):
        member = band.members[index].member
        if member is None or member.lease.space.gone:  # what is on a node that went is lost with it
            continue
        lease = member.lease
        lease.leaving = True
        if not lease.evicting:
            lease.evicting = True
            world.recall(lease, lease.idle_members(), reason)
            if member.started >= 0:
                claims.oust(world, member, reason, now)
