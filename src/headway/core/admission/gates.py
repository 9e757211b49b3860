"""Gates: what a task must pass besides finding a node. A quota of its tenant, the rates it takes from, and pools of slots.

Who would borrow gives way to who only wants its own, as in Kueue: however good its place in line, it does not take the
last of a cohort's quota before one of those has tried.

A shape whose head may not start now is **shut**: taken out of the line like a parked one, but not tried against nodes that come
free. It is opened when what shut it may have changed: somebody of the cohort gave something back, a window has room again,
a limit was edited, another task became its head. Others pass it over, so nobody waits because somebody else is at a limit.

Who takes from one rate does so in line, whatever the discipline: what is short of it holds back what ranks behind and
wants of the same, or many small ones would keep a large one waiting for ever. Under `strict` the same holds between the
tasks of one tenant that are short of quota (Kueue's StrictFIFO); under the others a smaller one may go (BestEffortFIFO).

Tenants with limits of their own have shapes of their own (`Ask.tenant`); everybody else shares shapes as without limits,
and pays one look at `Shape.gated` for all of this.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from headway.core.admission.quota import Account, Pool, ceiling, held_room, short, waiting_lender
from headway.core.admission.rate import Window
from headway.core.admission.slots import Slots
from headway.domain.limits import Quota, Rate
from headway.domain.resources import POOL
from headway.domain.task import Task
from headway.domain.units import MILLI

if TYPE_CHECKING:
    from headway.core.queue import Queue, Shape
    from headway.core.state import Claim, Lease, Member


class Shut(NamedTuple):
    """Why a shape is shut.

    Attributes:
        key: Of the pool or window.
        kind: `quota`, `rate` or `pool`; `lender`: it would borrow what another waits for whose own it is; `never`: it asks for more
            than the limit as it is; `behind`: another that ranks before it is short of the same.
        name: Of the resource, rate or pool; of the lender.
    """

    key: str
    kind: str
    name: str


class Gates:
    """All quotas, rates and pools of slots, what is used of them, and who is shut."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.pools: dict[str, Pool] = {}
        self.rates: dict[str, Rate] = {}
        #: By rate and tenant; the tenant is empty for everybody's.
        self.windows: dict[tuple[str, str], Window] = {}
        #: Pools of slots, by their name in a demand.
        self.slots: dict[str, Slots] = {}
        #: Tenants that a rate names.
        self.capped: dict[str, None] = {}
        #: Shut shapes by key; a shape that has been opened meanwhile may still be named.
        self.shut: dict[str, dict[int, Shape]] = {}
        #: Keys under which something changed since shapes were last looked at.
        self.stirred: dict[str, None] = {}
        self.next_window = 1

    # ── limits ──────────────────────────────────────────────────────────────────────────────────────────────

    def set_quota(self, tenant: str, quota: Quota | None) -> None:
        """The tenant's quota is another; who uses what is to be counted anew (`recount`)."""
        quotas = {name: account.quota for name, account in self.accounts.items()}
        if quota is None:
            quotas.pop(tenant, None)
        else:
            quotas[tenant] = quota
        self._build(quotas)

    def _build(self, quotas: dict[str, Quota]) -> None:
        self.accounts, self.pools = {}, {}
        for name in sorted(quotas):
            one = quotas[name]
            key = f"cohort {one.cohort}" if one.cohort else f"tenant {name}"
            pool = self.pools.get(key)
            if pool is None:
                pool = self.pools[key] = Pool(key, one.cohort)
            account = self.accounts[name] = Account(name, one, pool)
            pool.add(account)

    def set_rate(self, name: str, rate: Rate | None) -> None:
        """The rate is another; what was taken of it stays taken."""
        former = {key: self.windows.pop(key) for key in list(self.windows) if key[0] == name}
        self.rates.pop(name, None)
        if rate is not None:
            self.rates[name] = rate
            for tenant, amount in (("", rate.amount), *rate.tenants):
                window = former.get((name, tenant))
                if window is None:
                    window = Window(self.next_window, amount, rate.per)
                    self.next_window += 1
                window.amount, window.per = amount, rate.per
                self.windows[name, tenant] = window
        self.capped = {tenant: None for one in self.rates.values() for tenant, _ in one.tenants}

    def set_pool(self, name: str, slots: int | None) -> None:
        """The pool has other slots; who holds them is to be counted anew (`recount`)."""
        self.slots.pop(POOL + name, None)
        if slots is not None:
            self.slots[POOL + name] = Slots(name, slots * MILLI)

    def owner(self, task: Task) -> str:
        """The task's tenant, if its tasks have to have shapes of their own, else nothing."""
        tenant = task.tenant
        if tenant in self.accounts:
            return tenant
        if tenant in self.capped and (task.demand.rates or any(one.demand.rates for one in task.variants)):
            return tenant
        return ""

    def recount(self, shapes: list[Shape], leases: list[Lease], claims: list[Claim]) -> None:
        """Counts what is used of the limits as they are now."""
        for account in self.accounts.values():
            account.used, account.held, account.shapes = {}, {}, {}
            account.pool.taken = {}
        for window in self.windows.values():
            window.set_aside = 0
        for pool in self.slots.values():
            pool.used = 0
        for shape in shapes:
            self.know(shape)
        for lease in leases:
            self.hold(lease, 1)
        for claim in claims:
            self.claim(claim.entry.shape, 1)

    def know(self, shape: Shape) -> None:
        """A shape that is new, or whose limits changed."""
        if shape.forms:
            return  # it waits for a choice; what is chosen has gates
        account = self.accounts.get(shape.tenant)
        shape.gated = account is not None or any(
            (name, "") in self.windows or name in self.slots for name, _ in shape.rates
        )
        if account is not None:
            account.shapes[shape.id] = shape

    # ── what is used ────────────────────────────────────────────────────────────────────────────────────────

    def hold(self, lease: Lease, sign: int) -> None:
        """The lease holds what it holds, or does no longer."""
        if self.slots:
            self._hold_slots(lease.shape, sign)
        account = self.accounts.get(lease.owner)
        if account is None:
            return
        for name, amount in lease.shape.amounts:
            if name in account.pool.size:
                account.held[name] = account.held.get(name, 0) + sign * amount
                account.pool.use(account, name, sign * amount)
        if sign < 0:
            self.stirred[account.pool.key] = None

    def claim(self, shape: Shape, sign: int) -> None:
        """A place is being cleared for a task of the shape, or no longer; what it will take counts from now on."""
        if self.slots:
            self._hold_slots(shape, sign)
        account = self.accounts.get(shape.tenant)
        if account is not None:
            for name, amount in shape.amounts:
                if name in account.pool.size:
                    account.pool.use(account, name, sign * amount)
            if sign < 0:
                self.stirred[account.pool.key] = None
        for key, window, amount in self._windows(shape):
            window.set_aside += sign * amount
            if sign < 0:
                self.stirred[key] = None

    def _hold_slots(self, shape: Shape, sign: int) -> None:
        for name, amount in shape.rates:
            pool = self.slots.get(name)
            if pool is not None:
                pool.used += sign * amount
                if sign < 0:
                    self.stirred[pool.key] = None

    def pay(self, member: Member, now: int) -> None:
        """The attempt takes what it takes of rates."""
        paid = []
        for _, window, amount in self._windows(member.entry.shape):
            window.take(amount, now)
            paid.append(window.ident)
        member.paid = tuple(paid)

    def refund(self, member: Member) -> None:
        """The attempt never started: what it took is given back."""
        amounts = dict(member.lease.shape.rates)
        for (rate, tenant), window in self.windows.items():
            if window.ident in member.paid:
                window.give_back(amounts.get(rate, 0), member.granted)
                self.stirred[_key(rate, tenant)] = None
        member.paid = ()

    def _windows(self, shape: Shape) -> Iterator[tuple[str, Window, int]]:
        for rate, amount in shape.rates:
            for tenant in (shape.tenant, "") if shape.tenant else ("",):
                window = self.windows.get((rate, tenant))
                if window is not None:
                    yield _key(rate, tenant), window, amount

    # ── who may go ──────────────────────────────────────────────────────────────────────────────────────────

    def admits(self, queue: Queue, shape: Shape, now: int, strict: bool) -> bool:
        """Whether the shape's head may start now, if it finds a node; a shape that may not is shut."""
        found = self.refusal(queue, shape, now, strict)
        if found is None:
            return True
        self.shut.setdefault(found.key, {})[shape.id] = shape
        queue.close(shape, found)
        return False

    def refusal(self, queue: Queue, shape: Shape, now: int, strict: bool) -> Shut | None:
        """Why the shape's head may not start now, or None."""
        account = self.accounts.get(shape.tenant)
        if account is not None:
            key = account.pool.key
            lack = short(account, shape)
            if lack is not None:
                most = ceiling(account, lack.resource)
                return Shut(
                    key, "never" if most is not None and lack.asked > most else "quota", lack.resource
                )
            if not account.within(shape) and (lender := waiting_lender(account)) is not None:
                return Shut(key, "lender", lender)
            before = self._before(queue, shape, key, shape.tenant) if strict else None
            if before is not None:
                return Shut(key, "behind", before)
        return self.out_of_rate(queue, shape, now) or (
            self._out_of_slots(queue, shape) if self.slots else None
        )

    def _out_of_slots(self, queue: Queue, shape: Shape) -> Shut | None:
        """The first pool of which the shape's head cannot have the slots it wants, or None."""
        for name, amount in shape.rates:
            pool = self.slots.get(name)
            if pool is None:
                continue
            if pool.used + amount > pool.amount:
                return Shut(pool.key, "never" if amount > pool.amount else "pool", pool.name)
            before = self._before(queue, shape, pool.key, None)
            if before is not None:
                return Shut(pool.key, "behind", pool.name)
        return None

    def out_of_rate(self, queue: Queue, shape: Shape, now: int) -> Shut | None:
        """The first rate of which the shape's head cannot have what it takes, or None."""
        for key, window, amount in self._windows(shape):
            if window.used(now) + amount > window.amount:
                return Shut(key, "never" if amount > window.amount else "rate", key)
            before = self._before(queue, shape, key, None)
            if before is not None:
                return Shut(key, "behind", before)
        return None

    def _before(self, queue: Queue, shape: Shape, key: str, tenant: str | None) -> str | None:
        """What is short of the same and ranks before the shape: the name of that resource or rate."""
        others = [
            other
            for other in self.shut.get(key, {}).values()
            if other.shut is not None
            and other.shut.key == key
            and other.shut.kind in ("quota", "rate", "pool")
            and other is not shape
            and tenant in (None, other.tenant)
        ]
        mine = queue.slot(shape) if others else None
        for other in others:
            slot = queue.slot(other)
            if mine is not None and slot is not None and slot[:2] < mine[:2]:
                assert other.shut is not None
                return other.shut.name
        return None

    def may_fulfil(self, claims: list[Claim]) -> bool:
        """Whether what is held lets the tasks of these claims start, all together."""
        needs: dict[str, dict[str, int]] = {}
        for claim in claims:
            shape = claim.entry.shape
            if shape.tenant in self.accounts:
                mine = needs.setdefault(shape.tenant, {})
                for name, amount in shape.needs:
                    mine[name] = mine.get(name, 0) + amount
        return all(held_room(self.accounts[tenant], mine) for tenant, mine in needs.items())

    def spared(self, shape: Shape) -> frozenset[str]:
        """Tenants that a task of the shape may not preempt, because it would borrow and they only hold their own: they
        would reclaim the place at once."""
        account = self.accounts.get(shape.tenant)
        if account is None or account.within(shape):
            return frozenset()
        return frozenset(
            member.name
            for member in account.pool.members
            if member is not account and not any(member.over(name) for name, _ in shape.needs)
        )

    def should_end(self, lease: Lease) -> bool:
        """Whether the lease is borrowed and its lender waits for it: then it is not to be topped up."""
        account = self.accounts.get(lease.owner)
        if account is None or not any(account.over(name) for name, _ in lease.shape.amounts):
            return False
        for shape in self.shut.get(account.pool.key, {}).values():
            other = self.accounts.get(shape.tenant)
            if shape.shut is not None and other is not None and other is not account and other.within(shape):
                return True
        return False

    # ── opening ─────────────────────────────────────────────────────────────────────────────────────────────

    def open(self, queue: Queue, now: int) -> None:
        """Opens the shapes whose gates may have opened: to be called once before placing."""
        for key in list(self.shut):
            if key not in self.stirred:
                wake = self._wake(key)
                if wake is None or wake > now:
                    continue
            shapes = [
                shape for shape in self.shut[key].values() if shape.shut is not None and shape.shut.key == key
            ]
            kept = self.shut[key] = {}
            for shape in shapes:
                assert shape.shut is not None
                if (
                    shape.tenant in self.accounts
                    and key == self.accounts[shape.tenant].pool.key
                    and short(self.accounts[shape.tenant], shape) is not None
                ):
                    kept[shape.id] = shape
                else:
                    queue.reopen(shape)
            if not kept:
                del self.shut[key]
        self.stirred.clear()

    def reconsider(self, queue: Queue) -> bool:
        """After placing: opens what gave way to a lender that has a place now, or found none. Returns whether anything did."""
        found = False
        for shapes in self.shut.values():
            for shape in shapes.values():
                gave_way = shape.shut is not None and shape.shut.kind == "lender"
                if gave_way and waiting_lender(self.accounts[shape.tenant]) is None:
                    queue.reopen(shape)
                    found = True
        return found

    def _wake(self, key: str) -> int | None:
        """When time alone opens something that is short under this key, or None."""
        times = [
            when
            for shape in self.shut[key].values()
            if shape.shut is not None and shape.shut.key == key and shape.shut.kind == "rate"
            for name, window, amount in self._windows(shape)
            if name == key and (when := window.when(amount)) is not None
        ]
        return min(times, default=None)

    def wake_at(self, now: int) -> int | None:
        """When something could open with no new event, or None."""
        if any(key in self.shut for key in self.stirred):
            return now
        times = (self._wake(key) for key in self.shut if key.startswith("rate "))
        return min((time for time in times if time is not None), default=None)

    def gone(self, shape: Shape) -> None:
        """A task of the shape is withdrawn or edited: who gave way to it may go."""
        account = self.accounts.get(shape.tenant)
        if account is not None:
            self.stirred[account.pool.key] = None

    def stir(self, shape: Shape) -> None:
        """The head of a shut shape goes, whoever takes it: what stands behind it may be next."""
        if shape.shut is not None:
            self.stirred[shape.shut.key] = None

    # ── the whole ───────────────────────────────────────────────────────────────────────────────────────────

    def tree(self) -> list[Any]:
        """As plain JSON. What is used follows from leases and claims; what is shut is written with the shapes."""
        return [
            [[name, account.quota.tree()] for name, account in self.accounts.items()],
            [[name, rate.tree()] for name, rate in self.rates.items()],
            [[rate, tenant, *window.tree()] for (rate, tenant), window in self.windows.items()],
            list(self.stirred),
            self.next_window,
            [[pool.name, pool.amount // MILLI] for pool in self.slots.values()],
        ]

    def fill(self, tree: list[Any]) -> None:
        """The reverse of `tree`."""
        quotas, rates, windows, stirred, following, *pools = tree
        self._build({name: Quota.from_tree(row) for name, row in quotas})
        for name, row in rates:
            self.set_rate(name, Rate.from_tree(row))
        self.windows = {(rate, tenant): self.windows[rate, tenant] for rate, tenant, *_ in windows}
        for rate, tenant, ident, sums in windows:
            window = self.windows[rate, tenant]
            window.ident, window.sums = ident, [list(kept) for kept in sums]
        self.stirred, self.next_window = dict.fromkeys(stirred), following
        for name, slots in pools[0] if pools else ():
            self.set_pool(name, slots)


def _key(rate: str, tenant: str) -> str:
    return f"rate {rate} of {tenant}" if tenant else f"rate {rate}"
