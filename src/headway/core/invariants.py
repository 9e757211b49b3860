"""What must hold between any two events, as code. Every test of the engine runs it at its end.

A failure is a bug of the engine, never of its input, and tells the story of what does not agree.
"""

from __future__ import annotations

from headway.core.admission.quota import short
from headway.core.admission.rate import PARTS
from headway.core.joint.record import Standing
from headway.core.placement.company import Company
from headway.core.placement.space import Space
from headway.core.state import Entry, State
from headway.core.turns import TurnQueue
from headway.core.world import World
from headway.domain.units import MILLI

_ALLOCATED = (State.PLACED, State.RUNNING)


def check(world: World) -> None:
    """Raises AssertionError with the story."""
    for entry in world.tasks.values():
        _check_entry(world, entry)
    _check_counts(world)
    _check_leases(world)
    _check_claims(world)
    for space in world.nodes.all:
        _check_space(space)
    _check_queue(world)
    if isinstance(world.queue, TurnQueue):
        _check_turns(world.queue, world)
    _check_gates(world)
    _check_parked(world)
    if world.plan is not None:
        _check_plan(world, world.plan)
    _check_gangs(world)
    _check_company(world)


def story(entry: Entry) -> str:
    """A task in one line."""
    member = entry.member
    where = (
        f", attempt {member.attempt} in lease {member.lease.id} on {member.lease.space.name}"
        if member
        else ""
    )
    return f"task {entry.task.id} ({entry.state}, {entry.task.demand}{where})"


def _check_entry(world: World, entry: Entry) -> None:
    told = story(entry)
    allocated = entry.state in _ALLOCATED
    assert allocated == (entry.member is not None), f"{told}: state and member disagree"
    assert (entry.state is State.QUEUED) == (entry.item is not None), f"{told}: state and queue disagree"
    assert (entry.state is State.CLAIMING) == (entry.task.id in world.claims), (
        f"{told}: state and claim disagree"
    )
    if entry.state is State.WAITING:
        assert entry.waits, f"{told}: waits for nothing"
    if entry.state in (State.QUEUED, State.HELD, State.DELAYED, State.CLAIMING):
        assert not entry.waits, f"{told}: does not wait for {entry.waits}"
    for task in entry.waits:
        assert entry in world.waiters.get(task, ()), f"{told}: {task} does not know that it waits"
        assert task not in world.finished, f"{told}: waits for {task}, which has finished"
    if entry.member is not None:
        member = entry.member
        assert member.entry is entry, f"{told}: its member is another's"
        assert member in member.lease.members, f"{told}: its lease does not have it"
        assert world.leases.get(member.lease.id) is member.lease, f"{told}: its lease is over"
        assert member.attempt == entry.attempt, (
            f"{told}: attempt {member.attempt} is out, {entry.attempt} was given"
        )
        assert (member.started >= 0) == (entry.state is State.RUNNING), f"{told}: started at {member.started}"
        assert not entry.unused, f"{told}: its attempt is out and unused"
        assert not (member.recalled and member.started >= 0), f"{told}: runs and is recalled"
    if entry.task.variants:
        _check_variant(world, entry, told)
    assert entry.task.id not in world.fences, f"{told}: is here and remembered as away"


def _check_variant(world: World, entry: Entry, told: str) -> None:
    """It is what the variant it settled on says, or the first, and knows until when."""
    task, index = entry.task, entry.variant
    assert task == task.as_variant(max(index, 0)), f"{told}: is not as its variant {index}"
    assert (index < 0) == bool(entry.shape.forms), f"{told}: variant {index}, forms {entry.shape.forms}"
    assert index >= 0 or entry.member is None, f"{told}: runs undecided"
    if index >= 0 and entry.item is not None:
        leans = (entry.until, entry.seq, task.id)
        assert leans in world.leanings, f"{told}: waits for variant {index} for ever"


def _check_counts(world: World) -> None:
    counted: dict[State, int] = dict.fromkeys(State, 0)
    for entry in world.tasks.values():
        counted[entry.state] += 1
    for state in State:
        if state is not State.GONE:
            assert counted[state] == world.counts[state], (
                f"{state}: {world.counts[state]} said, {counted[state]} are"
            )
    ranks: dict[int, int] = {}
    for member in world.members():
        ranks[member.rank] = ranks.get(member.rank, 0) + 1
    assert ranks == world.ranks, f"ranks {world.ranks} said, {ranks} are"


def _check_leases(world: World) -> None:
    live: dict[int, int] = {}
    for ident, lease in world.leases.items():
        told = f"lease {ident} on {lease.space.name}"
        assert lease.id == ident, f"{told}: calls itself {lease.id}"
        assert lease.members, f"{told}: holds resources for nobody"
        assert lease.space.leases.get(ident) is lease, f"{told}: its node does not know it"
        assert lease.outstanding == sum(m.expected for m in lease.members), (
            f"{told}: outstanding {lease.outstanding}"
        )
        assert lease.recalls == sum(m.recalled for m in lease.members), f"{told}: recalls {lease.recalls}"
        positions = [m.position for m in lease.members]
        assert positions == sorted(set(positions)), f"{told}: positions {positions}"
        assert len(lease.devices) == lease.shape.demand.devices, f"{told}: devices {lease.devices}"
        for member in lease.members:
            assert member.entry.member is member, f"{told}: {story(member.entry)} is not in it"
        in_trains = ident in world.trains.get(lease.shape.id, {})
        assert in_trains == (len(lease.members) > 1), (
            f"{told}: {len(lease.members)} members, train: {in_trains}"
        )
        live[lease.shape.id] = live.get(lease.shape.id, 0) + 1
    for shape in world.queue.shapes:
        assert shape.live == live.get(shape.id, 0), f"shape {shape.demand}: {shape.live} leases said"
        for ident in shape.thirsty:
            assert ident in world.leases, f"shape {shape.demand}: lease {ident} is over and thirsty"


def _check_claims(world: World) -> None:
    """Exactly the victims of live claims are on their way out, on the node that is being cleared; and who was asked to
    leave is remembered until it runs again."""
    victims: dict[int, str] = {}
    for task, claim in world.claims.items():
        assert claim.entry.task.id == task, f"claim of {claim.entry.task.id} stands under {task}"
        assert claim in claim.space.claims, f"claim of {task}: its node does not know it"
        for ident in claim.victims:
            assert ident not in victims, f"lease {ident} makes room for {victims.get(ident)} and {task}"
            victims[ident] = task
            lease = world.leases.get(ident)
            assert lease is None or claim.reclaims or lease.space is claim.space, (
                f"claim of {task}: lease {ident} is elsewhere"
            )
        space = claim.space
        missing = [("cpu", claim.cpu, space.cpu), ("memory", claim.memory, space.memory)]
        missing += [(f"gpu {index}", much, space.devices[index]) for index, much in claim.gpus.items()]
        missing += [(name, much, space.other.get(name, 0)) for name, much in claim.other.items()]
        for name, much, free in missing:
            # What came free is the preemptor's and nobody else's.
            assert much == 0 or free <= 0, f"claim of {task}: {name} is {much} short, and {free} is free"
    for ident, lease in world.leases.items():
        assert lease.evicting == (ident in victims or lease.leaving), (
            f"lease {ident}: evicting {lease.evicting}"
        )
        running = lease.members[0]
        if lease.evicting and running.started >= 0:
            assert running.entry.task.id in world.away, f"{story(running.entry)}: leaves, and is not away"
    for task, entry in world.away.items():
        assert world.tasks.get(task) is entry, f"{task} is away and not here"
        assert entry.ousted is not None, f"{story(entry)}: away, nobody knows why"
        member = entry.member
        assert member is None or member.started < 0 or member.lease.evicting, (
            f"{story(entry)}: runs and is away"
        )


def _check_space(space: Space) -> None:
    """What is free, held and claimed adds up to what the node has, on every device."""
    told = f"node {space.name}"
    cpu, memory = space.cpu, space.memory
    devices = list(space.devices)
    other = dict(space.other)
    held = [(lease.shape, lease.devices) for lease in space.leases.values()]
    held += [(claim.entry.shape, claim.devices) for claim in space.claims]
    for shape, indices in held:
        cpu += shape.cpu
        memory += shape.memory
        for index in indices:
            devices[index] += space.per_device(shape)
        for name, amount in shape.other:
            other[name] = other.get(name, 0) + amount
    for claim in space.claims:  # not gathered yet
        cpu -= claim.cpu
        memory -= claim.memory
        for index, missing in claim.gpus.items():
            devices[index] -= missing
        for name, missing in claim.other.items():
            other[name] -= missing
    for index, free in enumerate(space.devices):
        here = [one.shape.vram for one in space.leases.values() if index in one.devices]
        shrank = free < 0 or any(vram > space.vram for vram in here)
        assert shrank or sum(here) <= space.vram, f"{told}: {here} bytes of gpu {index}, it has {space.vram}"
    assert cpu == space.cpu_size, f"{told}: cpu adds up to {cpu}, it has {space.cpu_size}"
    assert memory == space.memory_size, f"{told}: memory adds up to {memory}, it has {space.memory_size}"
    assert devices == space.sizes, f"{told}: devices add up to {devices}, it has {space.sizes}"
    assert sum(space.sizes) == space.node.gpus * MILLI, (
        f"{told}: {space.sizes} are not {space.node.gpus} devices"
    )
    named = {name: amount for name, amount in other.items() if amount}
    assert named == space.other_size, f"{told}: other adds up to {named}, it has {space.other_size}"
    assert space.gpu == sum(space.devices), f"{told}: gpu {space.gpu} of {space.devices}"
    assert space.idle == space.devices.count(MILLI), f"{told}: idle {space.idle} of {space.devices}"
    assert space.open == (not space.gone and not space.cordoned and not space.closing), (
        f"{told}: open {space.open}"
    )
    assert not (space.gone and (space.leases or space.claims)), f"{told}: is gone and holds something"


def _check_queue(world: World) -> None:
    queue = world.queue
    for shape in queue.shapes:
        items = queue.in_order(shape)
        told = f"shape {shape.demand} {shape.pin}"
        assert len(items) == shape.count, f"{told}: {shape.count} said, {len(items)} queued"
        if isinstance(queue, TurnQueue):
            lined = queue.closed if shape.parked else queue.open
            assert (shape.id in lined) == (bool(items) and shape.shut is None), (
                f"{told}: {len(items)} queued, in line: {shape.id in lined}"
            )
            bits = queue.closed_bits if shape.parked else queue.open_bits
            assert bool(bits >> shape.id & 1) == (bool(items) and shape.shut is None), (
                f"{told}: {len(items)} queued, bits {bits:b}"
            )
            slot = queue.slot(shape)
            assert (slot[:2] if slot else None) == (items[0][:2] if items else None), f"{told}: head {slot}"
        elif items:
            assert shape.slot is not None, f"{told}: its head does not compete"
            assert shape.slot[:2] == items[0][:2], (
                f"{told}: head {items[0][:2]}, competes as {shape.slot[:2]}"
            )
            held = queue.parked if shape.parked else queue.heads
            assert shape.shut or any(slot is shape.slot for slot in held), (
                f"{told}: parked {shape.parked}, but its head is not there"
            )
        else:
            assert shape.slot is None, f"{told}: is empty and competes"
            assert not shape.parked, f"{told}: is empty and parked"
        if not isinstance(queue, TurnQueue):
            assert queue.parked_bits >> shape.id & 1 == queue.in_column(shape) == shape.parked, (
                f"{told}: parked {shape.parked}, bits or column say not so"
            )
        assert not shape.shut or (items and not shape.parked), (
            f"{told}: is shut, parked {shape.parked}, of {len(items)}"
        )
        for item in items:
            assert item[2].shape is shape, f"{told}: {story(item[2])} is of another"
    assert queue.size == sum(shape.count for shape in queue.shapes), f"queue of {queue.size}"
    assert queue.parked == sorted(queue.parked), "parked heads are out of order"


def _check_turns(queue: TurnQueue, world: World) -> None:
    """What the accounts hold is what leases hold, and the groups stand in the order of their standings."""
    groups = queue.groups()
    places = [(group.prefix, group.account.standing) for group in groups]
    assert places == sorted(set(places)), "the groups are out of order"
    assert sum(lane.count for group in groups for lane in group.lanes.values()) == queue.size
    assert all(lane.count for group in groups for lane in group.lanes.values()), "a lane is empty"
    for group in groups:
        assert group.bits == sum(1 << ident for ident in group.lanes), (
            f"bits {group.bits:b}: {sorted(group.lanes)}"
        )
    used: dict[str, dict[str, int]] = {}
    members: dict[str, int] = {}
    for lease in world.leases.values():
        for member in lease.members:
            name = queue.ledger.turns.whose(member.entry.task)
            members[name] = members.get(name, 0) + 1
        mine = used.setdefault(queue.ledger.turns.whose(lease.members[0].entry.task), {})
        for resource, amount in lease.shape.amounts:
            mine[resource] = mine.get(resource, 0) + amount
    for name, account in queue.ledger.accounts.items():
        held = {resource: amount for resource, amount in account.used.items() if amount}
        assert held == used.get(name, {}), f"account {name}: {held} said, {used.get(name)} held"
        assert account.members == members.get(name, 0), f"account {name}: {account.members} members said"
        level = queue.ledger.turns.level(account, queue.ledger)
        assert account.level == level, f"account {name}: stands at {account.level}, is at {level}"
    for name, branch in queue.ledger.branches.items():
        holds = branch.used
        branch.sum_up(queue.ledger)
        assert branch.used == holds, f"branch {name}: {holds} said, its members have {branch.used}"
    assert set(used) <= set(queue.ledger.accounts), "somebody without an account holds something"


def _check_gangs(world: World) -> None:
    """A gang holds places for all of its members, or for none, or is being ended."""
    for ident, band in world.gangs.bands.items():
        told = f"gang {ident}"
        assert band.members, f"{told}: has no member"
        out = [entry.member for entry in band.members.values() if entry.member is not None]
        assert len(out) == band.out, f"{told}: {band.out} members said to be allocated, {len(out)} are"
        rest = [entry for entry in band.members.values() if entry.member is None]
        if out and rest:
            assert all(member.lease.evicting for member in out), (
                f"{told}: is half held, and is not being ended"
            )
        elif out:
            ending = {member.lease.evicting for member in out}
            assert len(ending) == 1, f"{told}: some of its members are being ended, others not"
        for index, entry in band.members.items():
            gang = entry.task.gang
            assert gang is not None, f"{told}: {story(entry)} is of no gang"
            assert (gang.id, gang.index) == (ident, index), f"{told}: {story(entry)} is of {gang}"
            leads = entry is band.leader
            assert entry.shape.wide == (leads and entry.state is State.QUEUED), f"{told}: {story(entry)}"
            gathers = entry.state is State.GATHERING or entry.state is State.CLAIMING or leads
            assert (index in band.ready) == gathers, f"{told}: {story(entry)}, ready {index in band.ready}"
        claiming = [entry for entry in band.ready.values() if entry.state is State.CLAIMING]
        assert not claiming or len(claiming) == len(band.ready), f"{told}: only some of it claims places"
        complete = bool(band.ready) and not band.out and band.missing <= 0
        assert (band.leader is not None) == complete, f"{told}: is complete {complete}, leader {band.leader}"
    members = sum(len(band.members) for band in world.gangs.bands.values())
    in_gangs = sum(entry.task.gang is not None for entry in world.tasks.values())
    assert members == in_gangs, f"{in_gangs} tasks are in gangs, the gangs have {members}"


def _check_gates(world: World) -> None:
    """What tenants hold is what leases hold, what they use is that and what is claimed, and who is shut is known."""
    gates = world.gates
    held: dict[str, dict[str, int]] = {name: {} for name in gates.accounts}
    used: dict[str, dict[str, int]] = {name: {} for name in gates.accounts}
    aside = dict.fromkeys(gates.windows, 0)
    slots = dict.fromkeys(gates.slots, 0)
    for shape in [lease.shape for lease in world.leases.values()] + [
        claim.entry.shape for claim in world.claims.values()
    ]:
        for name, amount in shape.rates:
            if name in slots:
                slots[name] += amount
    for name, shared in gates.slots.items():
        assert shared.used == slots[name], f"{shared.key}: {shared.used} used, {slots[name]} are"
    for lease in world.leases.values():
        for name, amount in lease.shape.amounts if lease.owner in gates.accounts else ():
            held[lease.owner][name] = held[lease.owner].get(name, 0) + amount
            used[lease.owner][name] = used[lease.owner].get(name, 0) + amount
    for claim in world.claims.values():
        shape = claim.entry.shape
        for name, amount in shape.amounts if shape.tenant in gates.accounts else ():
            used[shape.tenant][name] = used[shape.tenant].get(name, 0) + amount
        for key in aside:
            if key[1] in ("", shape.tenant):
                aside[key] += dict(shape.rates).get(key[0], 0)
    for tenant, account in gates.accounts.items():
        for name in account.pool.size:
            told = f"tenant {tenant}, {name}"
            assert account.held.get(name, 0) == held[tenant].get(name, 0), (
                f"{told}: {account.held} held, {held[tenant]} are"
            )
            assert account.used.get(name, 0) == used[tenant].get(name, 0), (
                f"{told}: {account.used} used, {used[tenant]} are"
            )
    for pool in gates.pools.values():
        for name in pool.size:
            taken = sum(max(m.used.get(name, 0) - m.guaranteed(name), 0) for m in pool.members)
            assert pool.taken.get(name, 0) == taken, f"{pool.key}, {name}: {pool.taken} taken, {taken} are"
    for key, window in gates.windows.items():
        assert window.set_aside == aside[key], f"rate {key}: {window.set_aside} set aside, {aside[key]} are"
        assert all(kept[2] > 0 and kept[0] < kept[1] for kept in window.sums), f"rate {key}: {window.sums}"
        assert len(window.sums) <= PARTS + 2, f"rate {key}: {len(window.sums)} sums"
    for entry in world.tasks.values():
        tenant = gates.owner(entry.task)
        assert entry.shape.tenant == tenant, f"{story(entry)}: has a shape of {entry.shape.tenant!r}"
    for shape in world.queue.shapes:
        told = f"shape {shape.demand} of {shape.tenant!r}"
        rated = any((name, "") in gates.windows or name in gates.slots for name, _ in shape.rates)
        limited = not shape.forms and (shape.tenant in gates.accounts or rated)
        assert shape.gated == limited, f"{told}: gated {shape.gated}"
        if shape.shut is not None:
            assert shape.gated, f"{told}: is shut without a gate"
            assert shape.id in gates.shut.get(shape.shut.key, {}), f"{told}: nobody knows that it is shut"
            if shape.shut.kind == "quota" and shape.shut.key not in gates.stirred:
                assert short(gates.accounts[shape.tenant], shape) is not None, f"{told}: is shut and may go"


def _check_parked(world: World) -> None:
    """A parked shape fits only where something was freed since the last decision."""
    for shape in world.queue.shapes:
        if shape.parked:
            for space in world.nodes.all:
                if space.index not in world.nodes.freed:
                    assert not space.fits(shape), f"shape {shape.demand} is parked and fits {space.name}"


def _check_plan(world: World, plan: Standing) -> None:
    """The plan ranks tasks that are here, each once, as its record does."""
    told = f"plan {plan.record.id}"
    assert world.policy.planned, f"{told}: {world.policy.text} follows none"
    for task, (rank, row) in plan.rows.items():
        assert task in world.tasks, f"{told}: {task} has left"
        assert plan.record.rows[rank] is row, f"{told}: {task} is not number {rank}"
    assert not (plan.over and plan.kept_on), f"{told}: is over and keeps places"


def _check_company(world: World) -> None:
    """Who is where, counted anew; every shape that asks something of others is known, and only those."""
    company = world.company
    fresh = Company(world.nodes)
    fresh.levels = company.levels
    fresh.recount(world.leases.values(), world.claims.values())
    assert fresh.held == company.held, f"company {company.held}, {fresh.held} are"
    assert fresh.wards == company.wards, f"wards {company.wards}, {fresh.wards} are"
    for group, level, counts in company.known_counts():
        assert counts == fresh.counted(group, level), f"{group} by {level}: {counts} said"
    for entry in world.tasks.values():
        asks = entry.task.beside is not None
        assert asks == (entry.shape.bond is not None), f"{story(entry)}: bond {entry.shape.bond}"
    for shape in world.queue.shapes:
        told = f"shape {shape.id} of {shape.ask.bonds}"
        assert (shape.bond is not None) == (shape.id in company.shapes), f"{told}: nobody knows its bond"
        assert shape.bond is not None or not (shape.ask.bonds and (shape.count or shape.live)), f"{told}: given up"
