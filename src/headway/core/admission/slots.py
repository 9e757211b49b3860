"""Pools: so many slots of something the whole cluster shares, such as connections to a database, whatever the nodes have.

A slot is held with the lease: taken when a place is granted or cleared, given back when it is left. What waits for a full
pool is shut (see `gates`), so that nobody else waits behind it, and who wants of one pool goes in line: many small ones do
not keep one waiting that wants several slots.

In a demand a pool stands among the rates, by the name `pool:NAME`, in milli-slots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.domain.resources import POOL

if TYPE_CHECKING:
    from headway.core.world import World


class Slots:
    """One pool.

    Attributes:
        name: As people call it.
        amount: Milli-slots there are.
        used: Milli-slots that leases hold, and claims will. More than `amount` only after that was lowered.
    """

    __slots__ = ("amount", "name", "used")

    def __init__(self, name: str, amount: int) -> None:
        self.name = name
        self.amount = amount
        self.used = 0

    @property
    def key(self) -> str:
        """Under which those who wait for it are shut."""
        return f"pool {self.name}"


def pools_view(world: World) -> list[dict[str, Any]]:
    """Every pool, how many of its slots are used and how many tasks wait that want of it, as plain JSON, by name."""
    waiting: dict[str, int] = {}
    for shape in world.queue.shapes:
        for name, _ in shape.rates if shape.count else ():
            waiting[name] = waiting.get(name, 0) + shape.count
    return [
        {"pool": one.name, "slots": one.amount, "used": one.used, "waiting": waiting.get(POOL + one.name, 0)}
        for _, one in sorted(world.gates.slots.items())
    ]
