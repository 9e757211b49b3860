"""The rolling horizon: from the engine's state to a problem, and from a solver's answer to a plan of the engine's tasks.

A plan looks at the first tasks in line, at what waits for nothing but them or what runs, and at the nodes that have room
soonest. When its half is placed, when somebody new stands among the first, when it has drifted from what really
happened or its time is over, the next one is *due*. All of it is bounded: by `Aim.jobs` and `MOST_PLACES`, whatever the
length of the line and the number of nodes.

Two things are made explicit that the problem itself does not know. What has waited counts for more (`_weight`), at the
rate of `srpt`'s aging, or a long light task might be planned for later forever. And a better class counts sixteen times the
next, so that under `priority > joint` plan and order pull the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest

from headway.core.admission.outlook import expected_end, fits_at
from headway.core.joint.plan import cost, faults
from headway.core.joint.port import Answer, Budget
from headway.core.joint.problem import PPM, Edge, Held, Job, Objective, Place, Problem
from headway.core.joint.reasons import reason
from headway.core.joint.record import Change, PlanRecord, Row
from headway.core.ordering.srpt import AGING
from headway.core.ordering.weighted_remaining import ORDER as FALLBACK
from headway.core.placement.space import Space
from headway.core.queue import Shape
from headway.core.state import Entry, State
from headway.core.world import World
from headway.domain.resources import Demand, Node
from headway.domain.units import SECOND
from headway.domain.where import unmet
from headway.errors import Invalid

#: Nodes that one plan looks at.
MOST_PLACES = 64
#: Shapes that are asked when each node will have room, where there are more nodes than that.
_ASKING = 8
#: A class counts so many times the next one, over so many classes.
_CLASS, _CLASSES = 16, 3
#: Bytes in the problem's unit of memory: sums stay within 64 bits for CP-SAT.
_MEMORY = 1 << 20
HOUR = 3_600 * SECOND
#: Solvers that an aim may name; `cpsat` needs the extra `solver`.
SOLVERS = ("search", "lists", "cpsat")


@dataclass(frozen=True, slots=True)
class Aim:
    """What a plan is to reach, and how hard it is thought about.

    Attributes:
        objective: What is made small.
        floor: Least mean utilisation over the horizon, millionths; 0 for none.
        horizon: Microseconds that a plan keeps places for, at least (else until the last of it should have started), and over
            which utilisation is measured.
        jobs: Tasks that one plan looks at.
        every: Microseconds from one plan to the next, at least.
        steps, seed: The solver's budget (`port.Budget`).
        solver: `search`, `lists` or `cpsat`.
    """

    objective: Objective = Objective.WEIGHTED_COMPLETION
    floor: int = 0
    horizon: int = 600 * SECOND
    jobs: int = 48
    every: int = 2 * SECOND
    steps: int = 400
    seed: int = 0
    solver: str = "search"

    def __post_init__(self) -> None:
        if not 0 <= self.floor <= PPM or self.horizon < 1 or self.every < 0:
            raise Invalid(
                f"u_min={self.floor} horizon={self.horizon} every={self.every} is no aim of a plan",
                hint="a floor from 0 to 1, a horizon above zero",
            )
        if not 1 <= self.jobs <= 256:
            raise Invalid(f"a plan of {self.jobs} tasks", hint="let it look at 1 to 256")
        if self.solver not in SOLVERS:
            raise Invalid(f"no solver {self.solver!r}", hint=f"one of: {', '.join(SOLVERS)}")
        Budget(self.steps, self.seed)

    @property
    def budget(self) -> Budget:
        """For the solver's port."""
        return Budget(self.steps, self.seed)


@dataclass(frozen=True, slots=True)
class Offer:
    """A node that a plan may add to what there is, or let go.

    Attributes:
        ready: Microseconds until it could take tasks.
        rate: What an hour of it costs, in the objective's own unit (for `weighted_completion`: weighted seconds).
        present: It is there already, holds nothing, and may be closed.
    """

    node: Node
    ready: int = 0
    rate: int = 0
    present: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """What a plan is made from.

    Attributes:
        made: The moment of the state. `seen`: tasks that arrived later are newcomers.
        tasks: Their ids, in the order of the problem's jobs.
        left_out: Tasks in line that it does not look at.
    """

    problem: Problem
    tasks: tuple[str, ...]
    made: int
    seen: int
    left_out: int


def due(world: World, now: int, aim: Aim) -> bool:
    """Whether it is time for another plan. A cheap question, asked after every decision."""
    queue, plan = world.queue, world.plan
    if not world.policy.planned or not queue.size:
        return False
    if plan is None or plan.over:
        return True
    coming = late = 0
    rows = plan.record.rows
    slack = max(SECOND, (rows[-1].start - plan.record.made) // 8) if rows else SECOND
    for task, (_, row) in plan.rows.items():
        entry = world.tasks[task]
        if entry.member is None:
            coming += 1
            late += entry.item is not None and row.start + slack < now
            space = world.nodes.by_name.get(row.node)
            if space is None or not space.open:
                return True
    if late or 2 * coming <= min(len(rows), queue.size):
        return True
    return any(entry.seq >= plan.record.seen for entry in _line(world, aim.jobs))


def look(world: World, now: int, aim: Aim, offers: Sequence[Offer] = ()) -> Look | None:
    """The problem of this moment; None if nothing waits or nothing could hold what does.

    Args:
        offers: Nodes that may be added or closed; each costs its price for the whole horizon if it is used.
    """
    closable = {offer.node.name: offer for offer in offers if offer.present}
    entries = _line(world, aim.jobs)
    spaces = _spaces(world, entries)
    new = [offer for offer in offers if not offer.present]
    nodes = [space.node for space in spaces] + [offer.node for offer in new]
    entries = [entry for entry in entries if any(_could(node, entry) for node in nodes)]
    entries += _behind(world, entries, nodes, aim.jobs)
    if not entries:
        return None
    names = _resources(entries, spaces)
    places = [_place(space, names, now, _price(closable.get(space.name), aim)) for space in spaces]
    places += [
        Place(offer.node.name, _amounts(_whole(offer.node), names, -1), offer.ready, (), _price(offer, aim))
        for offer in new
    ]
    ids = {entry.task.id: index for index, entry in enumerate(entries)}
    classes = sorted({_class(world, entry) for entry in entries})
    jobs = tuple(_job(world, entry, names, spaces, nodes, classes, now) for entry in entries)
    edges = tuple(
        Edge(ids[earlier], index)
        for index, entry in enumerate(entries)
        for earlier in entry.waits
        if earlier in ids
    )
    # With what is held, a floor and utilisation are measured up to a horizon (see `Problem`).
    horizon = aim.horizon if aim.floor or aim.objective is Objective.UTILISATION else 0
    problem = Problem(names, tuple(places), jobs, edges, (), aim.objective, horizon, aim.floor)
    return Look(
        problem, tuple(ids), now, world.next_seq, world.queue.size - sum(e.item is not None for e in entries)
    )


def record(seen: Look, answer: Answer, aim: Aim, ident: str, changes: tuple[Change, ...] = ()) -> PlanRecord:
    """The answer in the engine's terms.

    Raises:
        Invalid: The answer is no sound plan of that problem.
    """
    problem, plan = seen.problem, answer.plan
    _sound(problem, answer)
    by_start = sorted(range(len(seen.tasks)), key=lambda job: (plan.starts[job], _depth(problem, job), job))
    rows = tuple(
        Row(
            seen.tasks[job],
            problem.places[plan.places[job]].name,
            seen.made + plan.starts[job],
            reason(problem, plan, job),
        )
        for job in by_start
    )
    floor = None if answer.floor is None else (answer.floor.asked, answer.floor.reached, answer.floor.limit)
    return PlanRecord(
        id=ident, made=seen.made, until=seen.made + max(aim.horizon, *plan.starts), objective=str(aim.objective), cost=answer.cost,
        bound=answer.bound, gap=answer.gap, steps=answer.steps, solver=answer.solver, seed=aim.seed,
        detail=answer.detail, rows=rows, seen=seen.seen, floor=floor, left_out=seen.left_out, changes=changes,
    )  # fmt: skip


def _sound(problem: Problem, answer: Answer) -> None:
    plan = answer.plan
    count, places = len(problem.jobs), range(len(problem.places))
    if len(plan.starts) != count or len(plan.places) != count or any(at not in places for at in plan.places):
        raise Invalid(f"the answer is not a start and a place for each of {count} jobs")
    if not 0 <= answer.bound <= answer.cost == cost(problem, plan):
        raise Invalid(f"the answer says that its plan costs {answer.cost}, and nothing below {answer.bound}")
    wrong = faults(problem, plan)
    if wrong:
        raise Invalid(f"the answer is not a sound plan: {wrong[0]}", hint="the plan in force stays")


def _depth(problem: Problem, job: int) -> int:
    """How many jobs are before it: what takes no time starts with what waits for it."""
    before, found = [job], 0
    known = {job}
    while before:
        one = before.pop()
        for edge in problem.edges:
            if edge.after == one and edge.before not in known:
                known.add(edge.before)
                before.append(edge.before)
                found += 1
    return found


# ── which tasks ─────────────────────────────────────────────────────────────────────────────────────────────


def _line(world: World, count: int) -> list[Entry]:
    """The first in line, better classes first and then by the fallback: those of the plan in force and newcomers alike."""
    shapes = [shape for shape in world.queue.shapes if shape.count]
    # What a former plan ranks stands in front of all others, so twice as many reach behind it.
    line = world.queue.line(shapes, 2 * count) if shapes else []
    line.sort(key=lambda e: (-e.boost, world.rank(e), FALLBACK.key(e, world), e.seq))
    return line[:count]


def _behind(world: World, chosen: Sequence[Entry], nodes: Sequence[Node], count: int) -> list[Entry]:
    """Tasks that wait only for chosen ones and for what runs, and back-offs that end, while there is room in the plan."""
    here = {entry.task.id for entry in chosen}
    found: list[Entry] = []
    for _, _, task in nsmallest(count - len(here), world.delays):
        entry = world.tasks.get(task)
        fresh = entry is not None and entry.state is State.DELAYED and task not in here
        if fresh and entry is not None and any(_could(node, entry) for node in nodes):
            here.add(task)
            found.append(entry)
    reached = list(_running(world, count)) + [entry.task.id for entry in (*chosen, *found)]
    running = set(reached) - here
    for task in reached:
        for entry in world.waiters.get(task, ()):
            known = all(one in here or one in running for one in entry.waits)
            fresh = entry.member is None and entry.task.id not in here and len(here) < count
            if known and fresh and any(_could(node, entry) for node in nodes):
                here.add(entry.task.id)
                found.append(entry)
                reached.append(entry.task.id)
    return found


def _running(world: World, count: int) -> Iterator[str]:
    """Running tasks that others wait for."""
    found = 0
    for task in world.waiters:
        entry = world.tasks.get(task)
        if entry is not None and entry.member is not None:
            yield task
            found += 1
            if found == 4 * count:
                return


def _class(world: World, entry: Entry) -> tuple[int, int]:
    return -entry.boost, world.policy.rank(world.policy.key(entry, world), entry.boost)


def _job(
    world: World,
    entry: Entry,
    names: tuple[str, ...],
    spaces: Sequence[Space],
    nodes: Sequence[Node],
    classes: list[tuple[int, int]],
    now: int,
) -> Job:
    length = world.remaining(entry)
    takes = [length] * len(nodes)
    if world.nodes.paces.known:  # of nodes that are not there yet no speed is known
        takes[: len(spaces)] = [world.lasts(entry, space) for space in spaces]
    durations = tuple(time if _could(node, entry) else None for time, node in zip(takes, nodes, strict=True))
    level = max(0, _CLASSES - classes.index(_class(world, entry))) if len(classes) > 1 else 0
    release = max(entry.not_before - now, 0)
    for task in entry.waits:
        before = world.tasks.get(task)
        if before is not None and before.member is not None:
            release = max(release, _left(expected_end(before.member.lease), before.member.granted, now))
    weight = _weight(entry, length, now) * _CLASS**level
    return Job(entry.task.id, durations, _amounts(entry.task.demand, names, 1), release, weight)


def _weight(entry: Entry, length: int, now: int) -> int:
    """Weight, and as much again for every 64 times its own length that it has waited."""
    weight = max(entry.task.weight, 1)
    return weight + weight * max(now - entry.task.release, 0) // (AGING * length)


def _left(end: int, began: int, now: int) -> int:
    """Until something ends: as expected, and if it is over that, as much again as it is over (predictions that proved too
    short are raised step by step, Tsafrir, Etsion and Feitelson 2007)."""
    return end - now if end > now else max(1, min(now - end, now - began))


# ── which nodes ─────────────────────────────────────────────────────────────────────────────────────────────


def _could(node: Node, entry: Entry) -> bool:
    shape = entry.shape
    if shape.pin not in ("", node.name) or node.lacks(shape.demand) is not None:
        return False
    return not shape.where or unmet(shape.where, dict(node.labels)) is None


def _spaces(world: World, entries: Sequence[Entry]) -> list[Space]:
    spaces = [space for space in world.nodes.all if space.open]
    if len(spaces) <= MOST_PLACES:
        return spaces
    shapes = list({entry.shape.id: entry.shape for entry in entries}.values())[:_ASKING]
    soonest = [(when, space.index) for space in spaces if (when := _room(space, shapes)) is not None]
    return [world.nodes.all[index] for _, index in nsmallest(MOST_PLACES, soonest)]


def _room(space: Space, shapes: Sequence[Shape]) -> int | None:
    times = [when for shape in shapes if (when := fits_at(space, shape)) is not None]
    return min(times, default=None)


def _place(space: Space, names: tuple[str, ...], now: int, price: int) -> Place:
    held = [
        Held(
            0,
            _left(expected_end(lease), lease.members[0].granted, now),
            _amounts(lease.shape.demand, names, 1),
        )
        for lease in space.leases.values()
    ]
    for claim in space.claims:
        length = claim.entry.task.estimate or SECOND
        held.append(Held(0, length, _amounts(claim.entry.task.demand, names, 1)))
    return Place(space.name, _amounts(_whole(space.node), names, -1), 0, tuple(held), price)


def _price(offer: Offer | None, aim: Aim) -> int:
    """Of keeping the node for the horizon, in the unit that the objective's cost is counted in."""
    if offer is None:
        return 0
    unit = {Objective.WEIGHTED_COMPLETION: 1000 * SECOND, Objective.MAKESPAN: SECOND}.get(
        aim.objective, PPM * SECOND
    )
    return -(-offer.rate * unit * aim.horizon // HOUR)


def _whole(node: Node) -> Demand:
    return Demand(node.cpu, node.memory, node.gpus * 1000, node.named)


def _resources(entries: Sequence[Entry], spaces: Sequence[Space]) -> tuple[str, ...]:
    """What anybody asks for or holds: utilisation is a mean over these."""
    asked: dict[str, None] = {}
    shapes = [entry.shape for entry in entries]
    shapes += [lease.shape for space in spaces for lease in space.leases.values()]
    for shape in shapes:
        asked |= dict.fromkeys(name for name, _ in shape.amounts)
    return tuple(sorted(asked)) or ("cpu",)


def _amounts(demand: Demand, names: tuple[str, ...], sign: int) -> tuple[int, ...]:
    """By resource; memory in MiB, rounded up for a demand (sign 1) and down for a capacity (-1)."""
    memory = sign * -(sign * -demand.memory // _MEMORY)
    named = {"cpu": demand.cpu, "memory": memory, "gpu": demand.gpu}
    named |= dict(demand.named)
    return tuple(named.get(name, 0) for name in names)
