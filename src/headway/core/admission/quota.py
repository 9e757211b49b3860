"""Quotas in cohorts: what each tenant holds, what it may still take, and who borrows from whom.

The arithmetic is Kueue's (`resource_node.go`). What a tenant does not lend is *guaranteed* to it; the rest of its nominal quota
is in the pool of its cohort, from which everybody takes what goes beyond the own guarantee:

    may take = unused guarantee + min(left in the pool, own share of the pool still unused + borrow limit)

Both places that are held and places that are being cleared (claims) count. A cleared place is only taken up when what is *held*
allows it, so that nobody ever holds more than this, also while victims are still leaving.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from headway.domain.limits import Quota

if TYPE_CHECKING:
    from headway.core.queue import Shape


class Account:
    """A tenant that has a quota, or is in a cohort.

    Attributes:
        used: Held or claimed, by resource. `held`: held by leases.
        shapes: What its tasks ask for, by shape.
    """

    __slots__ = ("borrow", "held", "lend", "name", "nominal", "pool", "quota", "shapes", "used")

    def __init__(self, name: str, quota: Quota, pool: Pool) -> None:
        self.name = name
        self.quota = quota
        self.pool = pool
        self.nominal = dict(quota.nominal)
        self.borrow = dict(quota.borrow)
        self.lend = dict(quota.lend)
        self.used: dict[str, int] = {}
        self.held: dict[str, int] = {}
        self.shapes: dict[int, Shape] = {}

    def guaranteed(self, resource: str) -> int:
        """What of its own nobody else may hold."""
        if not self.quota.cohort or resource not in self.lend:
            return 0
        return max(self.nominal.get(resource, 0) - self.lend[resource], 0)

    def over(self, resource: str) -> int:
        """How much it borrows."""
        return max(self.used.get(resource, 0) - self.nominal.get(resource, 0), 0)

    def within(self, shape: Shape) -> bool:
        """Whether it would still be within its nominal quota with one more of the shape."""
        return all(
            self.used.get(name, 0) + amount <= self.nominal.get(name, 0)
            for name, amount in shape.needs
            if name in self.pool.size
        )


class Pool:
    """A cohort, or a tenant on its own: what may be borrowed of it, and what is.

    Attributes:
        key: Tells pools and windows apart wherever both are named.
        size: What is not guaranteed to anybody, by resource; what is not in it is not limited.
        taken: What members use beyond their guarantees.
    """

    __slots__ = ("key", "members", "name", "size", "taken")

    def __init__(self, key: str, name: str) -> None:
        self.key = key
        self.name = name
        self.members: list[Account] = []
        self.size: dict[str, int] = {}
        self.taken: dict[str, int] = {}

    def add(self, account: Account) -> None:
        """A member with nothing used yet."""
        self.members.append(account)
        for name, nominal in account.nominal.items():
            self.size[name] = self.size.get(name, 0) + nominal - account.guaranteed(name)

    def use(self, account: Account, resource: str, change: int) -> None:
        """The member uses more, or less."""
        sure, before = account.guaranteed(resource), account.used.get(resource, 0)
        account.used[resource] = before + change
        beyond = max(before + change - sure, 0) - max(before - sure, 0)
        self.taken[resource] = self.taken.get(resource, 0) + beyond


class Short(NamedTuple):
    """Of which resource a tenant may not take as much as is asked: how much was asked, and how much it may take."""

    resource: str
    asked: int
    room: int


def room(account: Account, resource: str, used: Mapping[str, int], taken: int) -> int:
    """How much more the tenant may take, if that is what it uses and what is taken of its pool."""
    mine, sure = used.get(resource, 0), account.guaranteed(resource)
    beyond = max(mine - sure, 0)
    left = account.pool.size[resource] - taken
    most = account.borrow.get(resource)
    if most is not None:
        left = min(left, account.nominal.get(resource, 0) - sure - beyond + most)
    return max(sure - mine, 0) + max(left, 0)


def short(account: Account, shape: Shape) -> Short | None:
    """What keeps the tenant from taking one more of the shape, or None."""
    pool = account.pool
    for name, amount in shape.needs:
        if name in pool.size:
            free = room(account, name, account.used, pool.taken.get(name, 0))
            if amount > free:
                return Short(name, amount, free)
    return None


def waiting_lender(account: Account) -> str | None:
    """Another of the cohort that waits for no more than its own, and not for a node: its name."""
    for member in account.pool.members:
        if member is not account:
            for shape in member.shapes.values():
                tried = shape.parked or (shape.shut is not None and shape.shut.kind != "quota")
                if shape.count and not tried and member.within(shape):
                    return member.name
    return None


def held_room(account: Account, needs: Mapping[str, int]) -> bool:
    """Whether what leases hold leaves room for so much more: then claims may be fulfilled."""
    for name, amount in needs.items():
        if name in account.pool.size:
            taken = sum(max(m.held.get(name, 0) - m.guaranteed(name), 0) for m in account.pool.members)
            if amount > room(account, name, account.held, taken):
                return False
    return True


def ceiling(account: Account, resource: str) -> int | None:
    """The most the tenant could ever hold, or None if that is not limited."""
    if resource not in account.pool.size:
        return None
    sure = account.guaranteed(resource)
    most = account.pool.size[resource]
    if resource in account.borrow:
        most = min(most, account.nominal.get(resource, 0) - sure + account.borrow[resource])
    return sure + most
