"""The engine's state as a tree of plain JSON, and back.

`load(take(world))` decides for ever as `world` does, to the byte: so whatever an order of iteration could
decide is written in its order, and what a key or a reason was made from (learned estimates move on) is
written as it was. Heaps are not: their elements are unique, so any heap of the same elements yields the same.
Sums and counts are made anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from headway.core import decisions
from headway.core.admission.gates import Shut
from headway.core.ask import Ask, Bonds, Wide
from headway.core.capacity.estimates import Estimates
from headway.core.decisions import Decision, Reason
from headway.core.events import TaskOffered
from headway.core.joint.record import Standing
from headway.core.placement.expected import Expected
from headway.core.placement.space import Space
from headway.core.policy import Policy
from headway.core.preemption.budgets import Disruptions
from headway.core.settings import Settings
from headway.core.state import Claim, Entry, Lease, Member, Ousted, Past, Reservation, State
from headway.core.world import World
from headway.domain.beside import Beside
from headway.domain.override import Override
from headway.domain.resources import Demand, Node
from headway.domain.task import Gang, Task, Variant

Tree = dict[str, Any]


def take(world: World) -> Tree:
    """The tree of a world."""
    return {
        "settings": world.settings.tree(),
        "policy": [
            world.policy.text,
            world.policy.discipline,
            world.policy.placement.name,
            world.policy.depth,
        ],
        "estimates": world.estimates.tree(),
        "shapes": [
            [
                _ask(s.ask),
                int(s.parked),
                list(s.thirsty),
                s.search.tree(),
                s.longer.tree(),
                s.reclaim_at,
                list(s.shut) if s.shut is not None else None,
            ]
            for s in world.queue.shapes
        ],
        "gates": world.gates.tree(),
        "arrived": list(world.queue.arrived),
        "nodes": [_space(space) for space in world.nodes.all],
        "company": world.company.tree(),
        "freed": list(world.nodes.freed),
        "paces": world.nodes.paces.tree(),
        "expected": world.nodes.expected.tree(),
        "scorer": world.nodes.sights.scorer.tree() if world.nodes.sights is not None else None,
        "overrides": [_fields(override) for override in world.overrides.active.values()],
        "tasks": [_entry(entry) for entry in world.tasks.values()],
        "waiters": [[task, [entry.task.id for entry in waiting]] for task, waiting in world.waiters.items()],
        "leases": [_lease(lease) for lease in world.leases.values()],
        "claims": [_claim(claim) for claim in world.claims.values()],
        "gangs": world.gangs.tree(),
        "windows": world.windows.tree(),
        "fences": [[task, *fence] for task, fence in world.fences.items()],
        "finished": [list(pair) for pair in world.finished.items()],
        "past": [[task, past.tree()] for task, past in world.past.items()],
        "delays": [list(element) for element in world.delays],
        "leanings": [list(element) for element in world.leanings],
        "timers": [list(element) for element in world.timers],
        "trains": [[shape, list(leases)] for shape, leases in world.trains.items()],
        "touched": list(world.touched),
        "out": [_decision(decision) for decision in world.out],
        "stale": world.stale,
        "weights": [list(pair) for pair in world.weights.items()],
        "parents": [list(pair) for pair in world.parents.items()],
        "ledger": world.ledger.tree() if world.ledger is not None else None,
        "head": world.head,
        "reservation": _reservation(kept) if (kept := world.reservation) else None,
        "plan": world.plan.tree() if world.plan is not None else None,
        "disruptions": world.disruptions.tree(),
        "away": list(world.away),
        "next": [world.next_seq, world.next_lease, world.stamp],
    }


def load(tree: Tree) -> World:
    """The world of a tree."""
    world = World(Policy(*tree["policy"]), Settings.from_tree(tree["settings"]))
    world.estimates = Estimates.from_tree(tree["estimates"])
    world.stale = tree["stale"]
    world.weights.update(_pairs(tree["weights"]))
    world.parents.update(_pairs(tree["parents"]))
    for row in tree["overrides"]:
        override = Override(*row)
        world.overrides.active[override.id] = override
    if "gates" in tree:  # older snapshots lack it
        world.gates.fill(tree["gates"])
    for row in tree["shapes"]:
        asked, parked, thirsty, search, longer, *gate = row
        shape = world.queue.shape(_unask(asked))
        shape.parked = bool(parked)
        shape.thirsty = dict.fromkeys(thirsty)
        shape.search.fill(search)
        shape.longer.fill(longer)
        shape.reclaim_at = gate[0] if gate else 0
        if gate and gate[1] is not None:
            shape.shut = Shut(*gate[1])
            world.gates.shut.setdefault(shape.shut.key, {})[shape.id] = shape
    for row in tree["nodes"]:
        _unspace(world, row)
    world.nodes.freed = {index: world.nodes.all[index] for index in tree["freed"]}
    if "company" in tree:  # older snapshots lack it
        world.company.fill(tree["company"], world.queue.shapes)
    world.nodes.paces.fill(tree.get("paces", [[], []]))
    if "expected" in tree:  # older snapshots lack it
        world.nodes.expected = Expected.from_tree(tree["expected"], world.queue.shapes)
        if world.nodes.sights is not None:
            world.nodes.sights.scorer.fill(tree["scorer"])
    for row in tree["tasks"]:
        _unentry(world, row)
    world.waiters = {task: [world.tasks[one] for one in waiting] for task, waiting in tree["waiters"]}
    for row in tree["leases"]:
        _unlease(world, row)
    for row in tree["claims"]:
        _unclaim(world, row)
    if "gangs" in tree:
        world.gangs.fill(tree["gangs"], world.tasks, world.queue.shapes)
    world.disruptions = Disruptions.from_tree(tree.get("disruptions", [[], []]))
    world.away = {task: world.tasks[task] for task in tree.get("away", ())}
    if "windows" in tree:
        world.windows.fill(tree["windows"])
    world.head = tree.get("head")
    kept = tree.get("reservation")
    if kept:
        task, first, at, *others = kept
        world.reservation = Reservation(
            task, world.nodes.all[first], at, tuple(world.nodes.all[i] for i in others)
        )
    world.plan = Standing.from_tree(tree["plan"]) if tree.get("plan") else None
    world.fences = {
        task: (attempt, bool(unused), done, times, rest[0] if rest else 0)
        for task, attempt, unused, done, times, *rest in tree["fences"]
    }
    world.finished = OrderedDict(_pairs(tree["finished"]))
    world.past = OrderedDict((task, Past.from_tree(row)) for task, row in tree["past"])
    world.delays = [(when, seq, task) for when, seq, task in tree["delays"]]
    world.leanings = [(when, seq, task) for when, seq, task in tree.get("leanings", ())]
    world.timers = [(when, lease, position) for when, lease, position in tree["timers"]]
    world.trains = {shape: {i: world.leases[i] for i in leases} for shape, leases in tree["trains"]}
    world.touched = {ident: world.leases[ident] for ident in tree["touched"]}
    world.out = [_undecision(row) for row in tree["out"]]
    world.company.recount(world.leases.values(), world.claims.values())
    if "company" in tree:
        world.company.stirred = bool(tree["company"][3])
    world.gates.recount(world.queue.shapes, list(world.leases.values()), list(world.claims.values()))
    if world.ledger is not None:
        world.ledger.fill(tree["ledger"], list(world.members()), world.nodes.all)
    world.queue.reload([entry for entry in world.tasks.values() if entry.item is not None])
    world.next_seq, world.next_lease, world.stamp = tree["next"]
    world.queue.arrived = {ident: world.queue.shapes[ident] for ident in tree["arrived"]}
    return world


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────


def _pairs(rows: Any) -> tuple[tuple[Any, Any], ...]:
    return tuple((name, value) for name, value in rows)


def _demand(demand: Demand) -> list[Any]:
    plain = [demand.cpu, demand.memory, demand.gpu, [list(pair) for pair in demand.other]]
    return [*plain, [list(pair) for pair in demand.rates]] if demand.rates else plain


def _undemand(row: list[Any]) -> Demand:
    return Demand(row[0], row[1], row[2], *(_pairs(pairs) for pairs in row[3:]))


def _ask(ask: Ask) -> list[Any]:
    row: list[Any] = [_demand(ask.demand), ask.pin]
    wide = ask.wide
    if wide is not None or ask.tenant or ask.bonds is not None:
        members = (
            [[[_ask(part), n] for part, n in wide.parts], list(wide.within)] if wide is not None else None
        )
        row = [*row, list(ask.where), [_ask(form) for form in ask.forms], members, ask.tenant]
        bonds = ask.bonds
        return (
            row
            if bonds is None
            else [*row, [bonds.run, bonds.tenant, [_lists(value) for value in _fields(bonds.beside)]]]
        )
    if ask.forms:
        return [*row, list(ask.where), [_ask(form) for form in ask.forms]]
    return [*row, list(ask.where)] if ask.where else row


def _unask(row: list[Any]) -> Ask:
    where = tuple(row[2]) if len(row) > 2 else ()
    forms = tuple(_unask(form) for form in row[3]) if len(row) > 3 else ()
    wide = None
    if len(row) > 4 and row[4] is not None:
        parts, within = row[4]
        wide = Wide(tuple((_unask(part), n) for part, n in parts), tuple(within))
    bonds = Bonds(row[6][0], row[6][1], Beside(*_tuples(row[6][2]))) if len(row) > 6 else None
    return Ask(_undemand(row[0]), row[1], where, forms, wide, row[5] if len(row) > 5 else "", bonds)


def _reservation(kept: Reservation) -> list[Any]:
    return [kept.task, kept.space.index, kept.at, *(space.index for space in kept.others)]


def _fields(value: Any) -> list[Any]:
    return [getattr(value, field.name) for field in fields(value)]


def _reason(reason: Reason) -> list[Any]:
    return [reason.code, [list(pair) for pair in reason.facts]]


def _unreason(row: list[Any]) -> Reason:
    return Reason(row[0], _pairs(row[1]))


def _decision(decision: Decision) -> list[Any]:
    values = [_reason(value) if isinstance(value, Reason) else _lists(value) for value in decision]
    return [type(decision).__name__, *values]


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _undecision(row: list[Any]) -> Decision:
    kind: Callable[..., Decision] = getattr(decisions, row[0])
    names = kind._fields  # type: ignore[attr-defined]
    values = {
        name: _unreason(value) if name == "reason" else _tuples(value)
        for name, value in zip(names, row[1:], strict=True)
    }
    return kind(**values)


# ── nodes ───────────────────────────────────────────────────────────────────────────────────────────────────


def _space(space: Space) -> list[Any]:
    node = space.node
    return [
        node.name, node.cpu, node.memory, node.gpus, _lists(node.other), _lists(node.labels),
        space.incarnation,
        int(space.cordoned) + 2 * int(space.closing), int(space.gone), space.cpu, space.memory, list(space.devices), list(space.sizes),
        [list(pair) for pair in space.other.items()],
    ]  # fmt: skip


def _unspace(world: World, row: list[Any]) -> None:
    name, cpu, memory, gpus, other, labels, incarnation = row[:7]
    space = world.nodes.join(Node(name, cpu, memory, gpus, _pairs(other), _pairs(labels)), incarnation)
    space.cordoned, space.closing, space.gone = bool(row[7] & 1), bool(row[7] & 2), bool(row[8])
    space.cpu, space.memory, space.devices, space.sizes = row[9], row[10], list(row[11]), list(row[12])
    space.other = dict(_pairs(row[13]))
    space.changed()


# ── tasks ───────────────────────────────────────────────────────────────────────────────────────────────────


#: Fields of a task that few tasks have: how each is written and read. What has its default is left out.
_RARE: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "where": (list, tuple),
    "restart": (int, int),
    "inputs": (lambda inputs: [list(pair) for pair in inputs], lambda rows: _pairs(rows)),
    "variants": (
        lambda variants: [[_demand(one.demand), one.estimate, list(one.where)] for one in variants],
        lambda rows: tuple(Variant(_undemand(held), length, tuple(terms)) for held, length, terms in rows),
    ),
    "gang": (lambda gang: [_lists(value) for value in _fields(gang)], lambda row: Gang(*_tuples(row))),
    "path": (int, int),
    "behind": (int, int),
    "beside": (
        lambda beside: [_lists(value) for value in _fields(beside)],
        lambda row: Beside(*_tuples(row)),
    ),
}

_DEFAULTS = {one.name: one.default for one in fields(Task) if one.name in _RARE}


def _task(task: Task) -> list[Any]:
    # Kind and demand are the family's, given by its number beside this.
    rare = {
        name: write(value)
        for name, (write, _) in _RARE.items()
        if (value := getattr(task, name)) != _DEFAULTS[name]
    }
    return [
        task.id, task.tenant, task.priority, task.weight, task.estimate, task.release, task.deadline,
        list(task.after), int(task.at_most_once), *([rare] if rare else []),
    ]  # fmt: skip


def _untask(row: list[Any], kind: str, demand: Demand) -> Task:
    ident, tenant, priority, weight, estimate, release, deadline, after, once, *rest = row
    rare = {name: _RARE[name][1](value) for name, value in (rest[0] if rest else {}).items()}
    return Task(
        ident, kind, demand, tenant, priority, weight, estimate, release, deadline, tuple(after), bool(once), **rare
    )  # fmt: skip


def _entry(entry: Entry) -> list[Any]:
    offer = entry.offer
    return [
        _task(entry.task), entry.family.id, entry.shape.id, entry.seq, str(entry.state),
        entry.item[0] if entry.item is not None else None, entry.attempt, int(entry.unused),
        entry.preemptions,
        entry.done, entry.not_before, entry.boost, list(entry.waits), int(entry.withdrawn),
        [_task(offer.task), offer.task.kind, _demand(offer.task.demand), offer.not_before] if offer else None,
        entry.attained,
        [entry.ousted.at, entry.ousted.node, _reason(entry.ousted.reason)] if entry.ousted else None,
        *([[entry.variant, entry.until, entry.since, list(entry.weighed)]] if entry.task.variants else []),
    ]  # fmt: skip


def _unentry(world: World, row: list[Any]) -> None:
    family, shape = world.estimates.families[row[1]], world.queue.shapes[row[2]]
    entry = Entry(_untask(row[0], family.kind, family.demand), row[3], family, shape)
    entry.state = State(row[4])
    if row[5] is not None:
        entry.item = (row[5], entry.seq, entry)
    entry.attempt, entry.unused, entry.preemptions, entry.done = row[6], bool(row[7]), row[8], row[9]
    entry.not_before, entry.boost, entry.waits, entry.withdrawn = (
        row[10],
        row[11],
        tuple(row[12]),
        bool(row[13]),
    )
    if row[14] is not None:
        task, kind, demand, not_before = row[14]
        entry.offer = TaskOffered(_untask(task, kind, _undemand(demand)), not_before)
    entry.attained = row[15] if len(row) > 15 else 0  # older snapshots lack it
    if len(row) > 16 and row[16] is not None:
        entry.ousted = Ousted(row[16][0], row[16][1], _unreason(row[16][2]))
    if len(row) > 17:
        entry.variant, entry.until, entry.since = row[17][:3]
        entry.weighed = tuple(row[17][3])
    world.tasks[entry.task.id] = entry
    world.counts[entry.state] += 1


# ── what is held ────────────────────────────────────────────────────────────────────────────────────────────


def _lease(lease: Lease) -> list[Any]:
    members = [
        [
            m.entry.task.id, m.attempt, m.position, m.granted, m.expected, m.key, m.rank, m.started, m.done,
            m.saved,
            m.saved_at, int(m.recalled), _reason(m.reason), list(m.paid),
        ]
        for m in lease.members
    ]  # fmt: skip
    return [
        lease.id, lease.space.index, lease.shape.id, list(lease.devices), lease.next, int(lease.slow),
        int(lease.evicting) + 2 * int(lease.leaving), members, lease.owner,
    ]  # fmt: skip


def _unlease(world: World, row: list[Any]) -> None:
    ident, index, shape, devices, following, slow, evicting, members, *owner = row
    space = world.nodes.all[index]
    lease = Lease(ident, space, world.queue.shapes[shape], tuple(devices))
    lease.next, lease.slow = following, bool(slow)
    lease.evicting, lease.leaving = bool(evicting & 1), bool(evicting & 2)
    for task, attempt, position, granted, expected, *rest in members:
        entry = world.tasks[task]
        member = Member(entry, lease, attempt, position, granted, expected)
        member.key, member.rank, member.started, member.done, member.saved, member.saved_at = rest[:6]
        member.recalled, member.reason = bool(rest[6]), _unreason(rest[7])
        member.paid = tuple(rest[8]) if len(rest) > 8 else ()
        entry.member = member
        lease.members.append(member)
        lease.outstanding += expected
        lease.recalls += member.recalled
        world.ranks[member.rank] = world.ranks.get(member.rank, 0) + 1
    lease.owner = owner[0] if owner else lease.members[0].entry.task.tenant  # older snapshots lack it
    world.leases[ident] = space.leases[ident] = lease
    lease.shape.live += 1


def _claim(claim: Claim) -> list[Any]:
    return [
        claim.entry.task.id, claim.space.index, list(claim.devices), list(claim.victims), claim.made,
        claim.cpu,
        claim.memory, [list(pair) for pair in claim.gpus.items()],
        [list(pair) for pair in claim.other.items()], int(claim.reclaims),
    ]  # fmt: skip


def _unclaim(world: World, row: list[Any]) -> None:
    task, index, devices, victims, made, cpu, memory, gpus, other, *reclaims = row
    space = world.nodes.all[index]
    claim = Claim(world.tasks[task], space, tuple(devices), tuple(victims), made)
    claim.cpu, claim.memory, claim.gpus, claim.other = cpu, memory, dict(_pairs(gpus)), dict(_pairs(other))
    claim.reclaims = bool(reclaims and reclaims[0])
    world.claims[task] = claim
    space.claims.append(claim)
