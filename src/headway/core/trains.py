"""Trains: a lease holds enough short work that its executor never waits for a round trip to us.

With one task out per slot, throughput is slots over the round trip. So a lease is filled up to `train_span`
of expected work as soon as less than half of that is outstanding, with what the policy would place there next
anyway: the head of its own shape, unless another shape's head ranks before it and would fit once the lease
has ended; or a successor of a member, which could not start earlier anywhere else. Only kinds that have
proved short ride (`Family.cap`), measured by their 90th percentile: with one long task in ten, there is no
train.

What was granted can be wrong a moment later, so it is called back (`Recall`, acknowledged one by one) when
* a member outlasts the span (its mates must not wait for it),
* a head that ranks before them would fit in their place,
* a node elsewhere stands idle and nobody else is in line for it.
"""

from __future__ import annotations

from heapq import heappop, heappush

from headway.core.admission.line import admits
from headway.core.capacity.estimates import LONGEST_TRAIN
from headway.core.decisions import Reason
from headway.core.placement.space import Imagined, Space
from headway.core.queue import Item, Shape, Slot
from headway.core.state import Entry, Lease, Member
from headway.core.world import World, facts

#: A recall costs a round trip; it pays from this share of the span on.
_WORTH = 4


def ride(world: World, entry: Entry, space: Space) -> int | None:
    """Microseconds this task is reckoned to need on a train of that node, or None if it may not ride."""
    if entry.task.at_most_once or entry.boost or entry.task.gang is not None:
        # An unstarted member of a lost node counts as started: at_most_once would end unknown for nothing.
        return None
    learned = entry.family.quantile(900)
    if learned is None:
        return None
    length = max(learned, entry.task.estimate or 0, 1)
    if world.nodes.paces.known:
        length = world.paced(entry, length, space)
    return length if length <= world.settings.train_span else None


def fill(world: World, now: int) -> None:
    """Tops up the leases that run dry. Comes after placing: what could start elsewhere has done so."""
    if not world.settings.train_span or not (world.touched or world.queue.arrived):
        world.touched.clear()
        world.queue.arrived.clear()
        return
    by_shape: dict[int, dict[int, Lease]] = {}
    for lease in world.touched.values():
        by_shape.setdefault(lease.shape.id, {})[lease.id] = lease
    for shape in world.queue.arrived.values():
        for ident in shape.thirsty:
            by_shape.setdefault(shape.id, {})[ident] = world.leases[ident]
    world.touched.clear()
    world.queue.arrived.clear()
    for ident, leases in by_shape.items():
        shape = world.queue.shapes[ident]
        # Every slot of the shape gets its part of what is queued, or one would run it all while others stand
        # idle.
        part = -(-shape.count // max(shape.live, 1))
        for lease in sorted(leases.values(), key=lambda lease: (lease.outstanding, lease.id)):
            _fill_one(world, lease, part, now)
    world.touched.clear()


def _fill_one(world: World, lease: Lease, part: int, now: int) -> None:
    shape, span = lease.shape, world.settings.train_span
    if shape.bond is not None:
        return  # each of its tasks is asked anew who else is there
    shape.thirsty.pop(lease.id, None)
    if lease.recalls or lease.slow or lease.evicting or not lease.space.open or lease.outstanding * 2 > span:
        return
    if lease.members[0].entry.task.gang is not None:
        return  # it may be asked to end with its gang at any time
    kept = world.reservation
    if kept is not None and kept.holds(lease.space):
        return  # topped up again and again, it would never come free for the head of the line
    if world.gates.accounts and (
        (lease.owner in world.gates.accounts and shape.tenant != lease.owner) or world.gates.should_end(lease)
    ):
        return
    followers = _followers(world, lease, lease.members)
    rival: Slot | None = None
    looked = False
    while len(lease.members) < LONGEST_TRAIN:
        entry = _candidate(world, shape, followers, part)
        if entry is None:
            shape.thirsty[lease.id] = None
            return
        if shape.rates and world.gates.out_of_rate(world.queue, shape, now) is not None:
            shape.thirsty[lease.id] = None
            return
        length = ride(world, entry, lease.space)
        if length is None or len(lease.members) >= entry.family.cap or lease.outstanding + length > span:
            return
        if world.policy.strict and world.head is not None and world.head != entry.task.id:
            shape.thirsty[lease.id] = None
            return
        if not looked:
            imagined = Imagined(lease.space, (lease,))
            rival, looked = world.queue.rival(lease.space, imagined, shape, world.policy.strict), True
        key = world.key(entry)
        if rival is not None and (rival[0], rival[1]) < (key, entry.seq):
            shape.thirsty[lease.id] = None
            return
        if world.plan is not None and world.plan.kept_on and _overtakes(world, lease, (key, entry.seq)):
            shape.thirsty[lease.id] = None
            return
        if entry.item is None:
            heappop(followers)
        else:
            part -= 1
        _board(world, lease, entry, length, now)
        for follower in _followers(world, lease, lease.members[-1:]):
            heappush(followers, follower)


def _overtakes(world: World, lease: Lease, place: tuple[int, int]) -> bool:
    """Whether somebody before that place in line still waits for what the plan keeps for him on this node: topped up again and
    again, it would never come free for him."""
    assert world.plan is not None
    for task in world.plan.kept_on.get(lease.space.index, ()):
        other = world.tasks.get(task)
        if other is not None and other.member is None and (world.key(other), other.seq) < place:
            return True
    return False


def _board(world: World, lease: Lease, entry: Entry, length: int, now: int) -> None:
    head = lease.members[0].entry.task.id
    after = "successor" if entry.waits else "train"
    reason = Reason(after, facts(behind=head, expected=length, outstanding=lease.outstanding))
    world.grant(entry, lease, reason, now)
    member = lease.members[-1]
    lease.outstanding += length - member.expected
    member.expected = length
    first = lease.members[0]
    if first.started >= 0 and len(lease.members) == 2:
        watch(world, first)


def _followers(world: World, lease: Lease, members: list[Member]) -> list[Item]:
    """Waiting tasks that may ride behind these members, a heap in the order of the policy."""
    if not world.waiters:
        return []
    found: dict[str, Item] = {}
    for member in members:
        waiting = world.waiters.get(member.entry.task.id, ())
        for entry in waiting[:LONGEST_TRAIN]:
            if entry.task.id not in found and _may_follow(world, lease, entry, len(waiting)):
                found[entry.task.id] = (world.key(entry), entry.seq, entry)
    return sorted(found.values(), key=lambda item: item[:2])


def _candidate(world: World, shape: Shape, followers: list[Item], part: int) -> Entry | None:
    """Who would go next on this lease: the better of the shape's head and the first follower."""
    head = world.queue.head(shape) if part > 0 else None
    if head is None:
        return followers[0][2] if followers else None
    return followers[0][2] if followers and followers[0][:2] < (world.key(head), head.seq) else head


def _may_follow(world: World, lease: Lease, entry: Entry, siblings: int) -> bool:
    """Whether a waiting task may ride behind all that it waits for."""
    if (
        entry.member is not None
        or entry.shape is not lease.shape
        or entry.not_before
        or entry.task.at_most_once
        or entry.task.gang is not None
    ):
        return False
    for task in entry.waits:
        before = world.tasks.get(task)
        if (
            before is None
            or before.member is None
            or before.member.lease is not lease
            or before.member.recalled
        ):
            return False
    if world.overrides.active and world.overrides.on(entry.task)[0]:
        return False
    # A fan-out spreads over idle nodes as soon as its producer has finished; a train would only line it up.
    return siblings == 1 or not lease.shape.in_line or world.nodes.best(lease.shape) is None


# ── calling back ────────────────────────────────────────────────────────────────────────────────────────────


def watch(world: World, running: Member) -> None:
    """Sets the timer on a running member that others wait behind."""
    heappush(world.timers, (running.started + world.settings.train_span, running.lease.id, running.position))


def overdue(world: World, now: int) -> None:
    """Members that outlast the span let their mates go."""
    while (when := next_timer(world)) is not None and when <= now:
        _, ident, _ = heappop(world.timers)
        lease = world.leases[ident]
        slow = lease.members[0]
        lease.slow = True
        slow.entry.family.surprised()
        held_up = lease.idle_members()
        ran = now - slow.started
        world.recall(lease, held_up, Reason("slow_member", facts(ran=ran, slow=slow.entry.task.id)))


def next_timer(world: World) -> int | None:
    """When the next watched member has run too long, or None."""
    timers = world.timers
    while timers:
        when, ident, position = timers[0]
        lease = world.leases.get(ident)
        if lease is not None and len(lease.members) > 1 and not lease.slow:
            first = lease.members[0]
            if first.position == position and first.started >= 0 and lease.idle_members():
                return when
        heappop(timers)
    return None


def call_back(world: World, now: int) -> None:
    """For heads that found no place: members that rank behind them give up theirs. For idle nodes: the
    longest train halves."""
    if not world.trains:
        return
    for shape in list(world.queue.arrived.values()):
        slot = world.queue.slot(shape)
        if slot is not None and shape.shut is None and not (shape.gated and not admits(world, shape, now)):
            _yield_to(world, shape, slot)
    if world.plan is not None and world.plan.kept_on:
        return  # what stands idle may be kept: what came back for it would only ride again
    for ident in list(world.trains):
        shape = world.queue.shapes[ident]
        if (
            not shape.count
            and not shape.parked
            and ident in world.trains
            and world.nodes.best(shape) is not None
        ):
            _share_out(world, list(world.trains[ident].values()))


def _yield_to(world: World, shape: Shape, slot: Slot) -> None:
    """Recalls the train whose place would serve this head, if that gains a better class or more time than it
    costs."""
    entry = world.queue.head(shape)
    assert entry is not None
    rank, key = world.policy.rank(slot[0], entry.boost), slot[0]
    best: tuple[int, int, Lease, list[Member]] | None = None
    for leases in world.trains.values():
        for lease in leases.values():
            if not lease.space.open or lease.evicting or not lease.space.admits(shape):
                continue
            worse = [m for m in lease.idle_members() if m.key > key]
            gain = sum(m.expected for m in worse)
            urgent = entry.boost or any(m.rank > rank for m in worse)
            if not lease.recalls and not (worse and (urgent or gain * _WORTH >= world.settings.train_span)):
                continue
            if lease.shape is not shape and not Imagined(lease.space, (lease,)).fits(shape):
                continue
            if lease.recalls:
                return  # a place is coming free already
            if best is None or (lease.outstanding, lease.id) < best[:2]:
                best = (lease.outstanding, lease.id, lease, worse)
    if best is not None:
        world.recall(best[2], best[3], Reason("better_ranked", facts(key=key, task=entry.task.id)))


def _share_out(world: World, leases: list[Lease]) -> None:
    """Half of the longest train goes back in line, if it is worth a round trip."""
    best: tuple[int, int, Lease, list[Member]] | None = None
    for lease in leases:
        if lease.recalls:
            return
        behind = [
            m for m in lease.idle_members() if m.position != lease.members[0].position and not m.entry.waits
        ]
        expected = sum(m.expected for m in behind)
        if expected * _WORTH >= world.settings.train_span and (
            best is None or (-expected, lease.id) < best[:2]
        ):
            best = (-expected, lease.id, lease, behind)
    if best is not None:
        half = best[3][len(best[3]) // 2 :]
        world.recall(best[2], half, Reason("idle_elsewhere", facts(expected=-best[0])))
