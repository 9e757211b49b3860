"""Placing: the queue's heads, best first, each on its best node, until nothing fits any more.

Two streams are merged in the order of the policy: heads of shapes that may fit anywhere, tried against all
nodes, and heads of parked shapes, tried only against nodes freed since the last decision. Both give the very
node and order that trying every task against every node would give.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from headway.core import variants
from headway.core.admission import backfill, gangs, planned, windows
from headway.core.admission.line import admits, head_of_line
from headway.core.beside import barred
from headway.core.decisions import Reason
from headway.core.placement.space import Space
from headway.core.queue import Shape, Slot
from headway.core.state import Entry
from headway.core.turns import TurnQueue
from headway.core.world import World

#: (key, order of arrival, score, node, its version, head) of the best parked head for a freed node.
Try = tuple[int, int, int, int, int, Slot]


def place_all(world: World, now: int) -> None:
    """Grants everything that fits, under the policy's discipline; on closing nodes what will have ended in time."""
    if world.queue.undecided:
        variants.begin(world)
    world.company.stirred = False
    _place_open(world, now)
    if world.windows.active:
        # Who went to a closing node may have been the head of the line.
        while windows.place(world, now) and (world.policy.strict or world.policy.backfill):
            _place_open(world, now)
    world.nodes.freed.clear()


def _place_open(world: World, now: int) -> None:
    if world.queue.wide and world.nodes.freed:
        gangs.look_again(world)
    policy = world.policy
    if policy.strict:
        _strict(world, now)
    elif policy.backfill:
        backfill.place(world, now)
    elif isinstance(world.queue, TurnQueue):
        _by_turns(world, world.queue, now)
    elif world.plan is not None and not world.plan.over:
        planned.place(world, world.plan, now)
    else:
        _skip(world, now)


def _strict(world: World, now: int) -> None:
    """Nothing overtakes the head of the line, whatever it asks for."""
    while (entry := head_of_line(world, world.queue.first_open())) is not None:
        if entry.shape.forms:
            variants.choose(world, entry, now, must=True)
        if entry.shape.gated and not admits(world, entry.shape, now):
            continue
        space = world.nodes.best(entry.shape, entry)
        if space is None:
            if entry.shape.wide and gangs.try_start(world, entry, now):
                continue
            if entry.shape.bond is not None and barred(world, entry.shape):
                world.queue.park(entry.shape)  # whom it waits for may be behind it
                world.head = None
                continue
            world.head = entry.task.id
            return
        _on_best(world, entry, space, now)
    world.head = None


def _skip(world: World, now: int) -> None:
    """What fits nowhere is parked, and the next one has its chance."""
    queue, nodes = world.queue, world.nodes
    if len(nodes.freed) < 2:
        _skip_one(world, next(iter(nodes.freed.values()), None), now)
        return
    tries: list[Try] = []
    for space in nodes.freed.values():
        _try(world, space, tries)
    heapify(tries)
    while True:
        slot = queue.first_open()
        found = _first_try(world, tries)
        if slot is not None and (found is None or (slot[0], slot[1]) < (found[0], found[1])):
            _open_head(world, slot[2], now)
        elif found is not None:
            heappop(tries)
            space = nodes.all[found[3]]
            if not found[5][2].gated or admits(world, found[5][2], now):
                _on_freed(world, found[5][2], space, found[2], now)
            _try(world, space, tries)
        else:
            return


def _skip_one(world: World, space: Space | None, now: int) -> None:
    """The same with one freed node, or none, as mostly."""
    queue = world.queue
    parked, version = (queue.first_parked(space), space.version) if space is not None else (None, 0)
    while True:
        slot = queue.first_open()
        if parked is not None:
            assert space is not None
            if parked[2].slot is not parked or not parked[2].parked or space.version != version:
                parked, version = queue.first_parked(space), space.version
        if slot is not None and (parked is None or (slot[0], slot[1]) < (parked[0], parked[1])):
            _open_head(world, slot[2], now)
        elif parked is not None and space is not None:
            shape = parked[2]
            if not shape.gated or admits(world, shape, now):
                _on_freed(world, shape, space, None, now)
            parked, version = queue.first_parked(space), space.version
        else:
            return


def _open_head(world: World, shape: Shape, now: int) -> None:
    """Places the head of a shape that may fit anywhere, or parks the shape."""
    queue = world.queue
    head = queue.head(shape)
    assert head is not None
    if shape.forms and variants.choose(world, head, now):
        shape = head.shape
    if shape.gated and not admits(world, shape, now):
        return
    best = world.nodes.best(shape, head)
    if best is not None:
        _on_best(world, head, best, now)
    elif not (shape.wide and gangs.try_head(world, shape, now)):
        queue.park(shape)


def _on_freed(world: World, shape: Shape, space: Space, score: int | None, now: int) -> None:
    """Places the head of a parked shape on a freed node that has room for it."""
    nodes, head = world.nodes, world.queue.head(shape)
    assert head is not None
    if score is None:
        score = nodes.score(shape, space, head)
    reason = Reason(nodes.placement.name, (("freed_nodes", len(nodes.freed)), ("score", score)))
    world.place(head, space, reason, now)


def _by_turns(world: World, queue: TurnQueue, now: int) -> None:
    """The same where every placement may change who is next."""
    nodes = world.nodes
    #: Freed nodes, each with the parked shapes that fit it, and all of these; a bit a shape.
    freed = {space.index: bits for space in nodes.freed.values() if (bits := queue.fitting_bits(space))}
    tried = _union(freed)
    while (bits := queue.open_bits | tried) and (found := queue.next_of(bits)) is not None:
        (_, _, shape), head = found
        chosen = bool(shape.forms) and variants.choose(world, head, now)
        if chosen:
            shape = head.shape
        if shape.gated and not admits(world, shape, now):
            tried &= queue.closed_bits
            freed = {index: bits & tried for index, bits in freed.items()}
            continue
        if shape.parked and not chosen:
            spaces = [nodes.all[index] for index, fitting in freed.items() if fitting >> shape.id & 1]
            if len(spaces) == 1:
                space = spaces[0]
                left = nodes.score(shape, space, head)
            else:
                scores = nodes.scores(shape, spaces, head)
                left, index = min(zip(scores, (one.index for one in spaces), strict=True))
                space = nodes.all[index]
            reason = Reason(nodes.placement.name, (("freed_nodes", len(nodes.freed)), ("score", left)))
            world.place(head, space, reason, now)
        else:
            best = nodes.best(shape, head)
            if best is None:
                if shape.wide and gangs.try_start(world, head, now):
                    freed = {i: bits & queue.fitting_bits(nodes.all[i]) for i, bits in freed.items()}
                    tried = _union(freed)
                else:
                    queue.park(shape)
                    if shape.bond is not None and tried >> shape.id & 1:
                        # It fitted there until another's coming was against it.
                        freed = {index: bits & ~(1 << shape.id) for index, bits in freed.items()}
                        tried = _union(freed)
                continue
            _on_best(world, head, best, now)
            space = best
        if space.index in freed:
            freed[space.index] &= queue.fitting_bits(space)
            tried = _union(freed)


def _union(sets: dict[int, int]) -> int:
    found = 0
    for bits in sets.values():
        found |= bits
    return found


def _on_best(world: World, entry: Entry, space: Space, now: int) -> None:
    shape = entry.shape
    left = world.nodes.score(shape, space, entry)
    name, other = world.nodes.placement.name, world.nodes.runner_up(shape, space, entry)
    if other is None:
        reason = Reason(name, (("score", left),))
    else:
        reason = Reason(name, (("alternative", other[0]), ("alternative_score", other[1]), ("score", left)))
    world.place(entry, space, reason, now)


def _try(world: World, space: Space, tries: list[Try]) -> None:
    slot = world.queue.first_parked(space)
    if slot is not None:
        score = world.nodes.score(slot[2], space, world.queue.head(slot[2]))
        heappush(tries, (slot[0], slot[1], score, space.index, space.version, slot))


def _first_try(world: World, tries: list[Try]) -> Try | None:
    """The best parked head on a freed node that still is what it was when tried."""
    while tries:
        found = tries[0]
        slot = found[5]
        if slot[2].slot is slot and slot[2].parked and world.nodes.all[found[3]].version == found[4]:
            return found
        heappop(tries)
        _try(world, world.nodes.all[found[3]], tries)
    return None
