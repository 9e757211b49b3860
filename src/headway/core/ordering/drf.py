"""Dominant resource fairness: who is furthest behind, when tenants want different resources.

A tenant's *dominant share* is the largest share it holds of any resource. DRF (Ghodsi et al., NSDI 2011)
always serves the tenant whose dominant share, over its weight, is smallest: max-min fairness for vectors. No
tenant is better off with an equal part of the cluster, envies another, or gains by lying about what it needs,
and nothing usable is left over.

Trees of queues follow hierarchical DRF (Bhattacharya et al., SoCC 2013): a queue's share is taken of its
children's use *after* scaling the children that can still grow down to the one furthest behind, so that a
child with nothing left to ask for does not hold its siblings back. `borrowed_share` is Kueue's measure for
queues with quotas of their own: only what exceeds the quota counts.

Shares are exact fractions: equal shares are equal, and ties go to the smaller name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import heapify, heappop, heappush

from headway.errors import Invalid

#: Amounts by resource; what is not named is zero.
Amounts = Mapping[str, int]
ZERO = Fraction(0)


@dataclass(frozen=True, slots=True)
class Tenant:
    """Who wants tasks of one demand.

    Attributes:
        demand: What each of its tasks takes.
        weight: Twice the weight, twice the share.
        tasks: How many it wants; None for as many as it can get.
    """

    name: str
    demand: Amounts
    weight: int = 1
    tasks: int | None = None


@dataclass(frozen=True, slots=True)
class Filling:
    """Whole tasks handed out one by one.

    Attributes:
        tasks: How many each tenant got.
        picks: Who was served, in order.
    """

    tasks: dict[str, int]
    picks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """A moment of filling with divisible tasks: the water stops rising for some.

    Attributes:
        share: Dominant share over weight of all who were still rising.
        full: The resources that ran out.
        stopped: Tenants that stopped here: they need one of those, or have all they want.
    """

    share: Fraction
    full: tuple[str, ...]
    stopped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Water:
    """Divisible tasks: the fair allocation itself.

    Attributes:
        shares: Dominant share of each tenant.
        tasks: How many tasks that is, fractions included.
        levels: Where the water stopped, in order.
    """

    shares: dict[str, Fraction]
    tasks: dict[str, Fraction]
    levels: tuple[Level, ...]


def dominant_share(used: Mapping[str, int | Fraction], capacity: Amounts) -> tuple[Fraction, str]:
    """The largest share held of any resource, and of which: the first by name on a tie, empty if none.

    A resource there is nothing of counts only where it is asked for: then the share is infinite, which is
        refused.
    """
    best, which = ZERO, ""
    for name in sorted(used):
        if not used[name]:
            continue
        if not capacity.get(name):
            raise Invalid(
                f"there is no {name}, but {used[name]} of it is asked for", hint="add it to the capacity"
            )
        share = Fraction(used[name]) / capacity[name]
        if share > best:
            best, which = share, name
    return best, which


def fill(capacity: Amounts, tenants: Iterable[Tenant]) -> Filling:
    """Hand out whole tasks until nobody's next one fits: progressive filling.

    Args:
        capacity: All there is.
        tenants: Who wants what. One whose next task does not fit is retired: nothing comes back, so it never
            will.

    Raises:
        Invalid: A tenant whose tasks ask for nothing and are without number, or a weight below one.
    """
    free = dict(capacity)
    known = {tenant.name: tenant for tenant in _checked(tenants)}
    steps = {
        name: dominant_share(tenant.demand, capacity)[0] / tenant.weight for name, tenant in known.items()
    }
    got = dict.fromkeys(known, 0)
    picks = []
    heap = [(ZERO, name) for name in known]
    heapify(heap)
    while heap:
        share, name = heappop(heap)
        tenant = known[name]
        if got[name] == tenant.tasks or not _take(free, tenant.demand):
            continue
        got[name] += 1
        picks.append(name)
        heappush(heap, (share + steps[name], name))
    return Filling(got, tuple(picks))


def water_fill(capacity: Amounts, tenants: Iterable[Tenant]) -> Water:
    """The fair allocation of divisible tasks: all dominant shares rise together until something runs out.

    Each rises by its weight. Those who need what ran out, or have all they want, stop; the others go on.

    Raises:
        Invalid: As `fill`.
    """
    rising = {tenant.name: tenant for tenant in _checked(tenants)}
    pace = {
        name: dominant_share(tenant.demand, capacity)[0] / tenant.weight for name, tenant in rising.items()
    }
    tasks = {name: Fraction(tenant.tasks or 0) if not pace[name] else ZERO for name, tenant in rising.items()}
    shares = dict.fromkeys(rising, ZERO)
    rising = {name: tenant for name, tenant in rising.items() if pace[name]}
    left = {name: Fraction(amount) for name, amount in capacity.items()}
    level, levels = ZERO, []
    while rising:
        flow: dict[str, Fraction] = {}
        for name, tenant in rising.items():
            for resource, amount in tenant.demand.items():
                if amount:
                    flow[resource] = flow.get(resource, ZERO) + amount / pace[name]
        until = min(left[resource] / rate for resource, rate in flow.items())
        ends = {n: t.tasks * pace[n] for n, t in rising.items() if t.tasks is not None}
        rise = min([until, *(end - level for end in ends.values())])
        level += rise
        for resource, rate in flow.items():
            left[resource] -= rate * rise
        for name, tenant in rising.items():
            shares[name], tasks[name] = level * tenant.weight, level / pace[name]
        full = tuple(sorted(resource for resource in flow if not left[resource]))
        stopped = tuple(
            name
            for name, tenant in sorted(rising.items())
            if ends.get(name) == level or any(tenant.demand.get(resource) for resource in full)
        )
        levels.append(Level(level, full, stopped))
        for name in stopped:
            del rising[name]
    return Water(shares, tasks, tuple(levels))


@dataclass(slots=True)
class _Queue:
    """A node of the tree while it is filled. A leaf stands for one tenant.

    Attributes:
        used: What it holds; for an inner node after scaling its children.
        done: Nothing below it can grow any more.
    """

    name: str
    weight: int
    parent: _Queue | None
    tenant: Tenant | None = None
    children: list[_Queue] = field(default_factory=list)
    used: dict[str, Fraction] = field(default_factory=dict)
    share: Fraction = ZERO
    got: int = 0
    done: bool = False


def fill_tree(
    capacity: Amounts, weights: Mapping[str, Mapping[str, int]], tenants: Sequence[tuple[str, Tenant]]
) -> Filling:
    """Hand out whole tasks through a tree of queues: hierarchical DRF.

    Args:
        capacity: All there is.
        weights: For each inner queue by its path (`root`, `root/eng`), the weights of its children by name.
        tenants: (path of its queue, tenant); tenants of one queue share it by their weights.

    Raises:
        Invalid: A path that the weights do not name, a weight below one, or a tenant as in `fill`.
    """
    _checked(tenant for _, tenant in tenants)
    leaves, root = _tree(weights, tenants)
    free = dict(capacity)
    picks = []
    while not root.done:
        queue = root
        while queue.tenant is None:
            queue = min((c for c in queue.children if not c.done), key=lambda c: (c.share / c.weight, c.name))
        tenant = queue.tenant
        if queue.got != tenant.tasks and _take(free, tenant.demand):
            queue.got += 1
            picks.append(tenant.name)
            queue.used = {name: Fraction(amount * queue.got) for name, amount in tenant.demand.items()}
            queue.share = dominant_share(queue.used, capacity)[0]
        else:
            queue.done = True
        above = queue.parent
        while above is not None:
            _sum_up(above, capacity)
            above = above.parent
    return Filling({leaf.name: leaf.got for leaf in leaves}, tuple(picks))


@dataclass(frozen=True, slots=True)
class Borrowed:
    """How far a queue lives beyond its quota.

    Attributes:
        share: Largest excess over what can be lent, in thousandths, over the weight; None is infinite (weight
            0).
        resource: Of which resource; empty if nothing is borrowed.
    """

    share: Fraction | None
    resource: str

    @property
    def shown(self) -> int | None:
        """As Kueue reports it: rounded up, so that borrowing a little is never nothing."""
        return None if self.share is None else -(-self.share.numerator // self.share.denominator)


def borrowed_share(used: Amounts, quota: Amounts, lendable: Amounts, weight: Fraction | int = 1) -> Borrowed:
    """Kueue's dominant resource share: use above the queue's own quota, against all that can be lent.

    Args:
        used: What the queue holds.
        quota: Its nominal quota.
        lendable: What all queues together can lend.
        weight: Its fair weight; 0 means that it should borrow only where nobody else wants to.
    """
    best, which = ZERO, ""
    for name in sorted(used):
        excess = used[name] - quota.get(name, 0)
        if excess <= 0 or not lendable.get(name):
            continue
        share = Fraction(excess * 1000, lendable[name])
        if share > best:
            best, which = share, name
    if weight < 0:
        raise Invalid(f"weight {weight} is negative", hint="give a weight of zero or more")
    if not which:
        return Borrowed(ZERO, "")
    return Borrowed(best / weight if weight else None, which)


def _checked(tenants: Iterable[Tenant]) -> list[Tenant]:
    found = list(tenants)
    names = [tenant.name for tenant in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(f"tenant {twice!r} is named twice", hint="give each tenant one demand, or two names")
    for tenant in found:
        if tenant.weight < 1:
            raise Invalid(
                f"tenant {tenant.name!r} has weight {tenant.weight}", hint="weights are whole numbers from 1"
            )
        if any(amount < 0 for amount in tenant.demand.values()) or (
            tenant.tasks is not None and tenant.tasks < 0
        ):
            raise Invalid(
                f"tenant {tenant.name!r} asks for less than nothing", hint="amounts are zero or more"
            )
        if tenant.tasks is None and not any(tenant.demand.values()):
            raise Invalid(
                f"tenant {tenant.name!r} wants tasks without number that take nothing", hint="say how many"
            )
    return found


def _take(free: dict[str, int], demand: Amounts) -> bool:
    if any(amount > free.get(name, 0) for name, amount in demand.items()):
        return False
    for name, amount in demand.items():
        if amount:
            free[name] -= amount
    return True


def _tree(
    weights: Mapping[str, Mapping[str, int]], tenants: Sequence[tuple[str, Tenant]]
) -> tuple[list[_Queue], _Queue]:
    """The leaves, one a tenant, and the root."""
    inner: dict[str, _Queue] = {}
    for path, children in sorted(weights.items()):
        if path not in inner:
            if inner:
                raise Invalid(
                    f"no queue above {path!r} gives it a weight", hint="name every inner queue, from the root"
                )
            inner[path] = _Queue(path, 1, None)
        for name, weight in sorted(children.items()):
            if weight < 1:
                raise Invalid(
                    f"queue {path}/{name} has weight {weight}", hint="weights are whole numbers from 1"
                )
            inner[f"{path}/{name}"] = _Queue(name, weight, inner[path])
            inner[path].children.append(inner[f"{path}/{name}"])
    leaves = []
    for path, tenant in tenants:
        if path not in inner:
            raise Invalid(f"tenant {tenant.name!r} is in queue {path!r}, which is not in the tree")
        leaves.append(_Queue(tenant.name, tenant.weight, inner[path], tenant))
        inner[path].children.append(leaves[-1])
    for queue in reversed(list(inner.values())):
        queue.done = all(child.done for child in queue.children)
    if not inner:
        raise Invalid("a tree without queues", hint="give at least the root: {'root': {}}")
    return leaves, next(iter(inner.values()))


def _sum_up(queue: _Queue, capacity: Amounts) -> None:
    """A queue's use and share from its children's: those that can still grow count as if all were as far as the last of them."""
    growing = [child for child in queue.children if not child.done and child.share]
    last = min((child.share / child.weight for child in growing), default=ZERO)
    total: dict[str, Fraction] = {}
    for child in queue.children:
        scale = last * child.weight / child.share if child.share and not child.done else Fraction(1)
        for name, amount in child.used.items():
            total[name] = total.get(name, ZERO) + amount * scale
    queue.used = total
    queue.share = dominant_share(total, capacity)[0]
    queue.done = all(child.done for child in queue.children)
