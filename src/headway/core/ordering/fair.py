"""Dominant resource fairness between tenants: whoever holds least, over its weight, is next.

DRF (Ghodsi et al., NSDI 2011): a tenant's dominant share is the largest part it holds of any resource of all
nodes. `ordering.drf` has the exact arithmetic and its properties; here shares are fixed point, and tenants
that are level take turns, the one that was served longest ago first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.domain.task import Task
from headway.domain.units import MILLI

if TYPE_CHECKING:
    from headway.core.branches import Branch
    from headway.core.ledger import Account, Ledger
    from headway.core.queue import Shape

#: A tenant with weight 1 that holds all there is of something.
WHOLE = 1 << 40


class Fair:
    """By what is held now; nothing is remembered."""

    name = "fair"
    classes = False
    weighted = True
    rescales = True

    def whose(self, task: Task) -> str:
        """The tenant."""
        return task.tenant

    def level(self, account: Account | Branch, ledger: Ledger) -> int:
        """Dominant share over weight."""
        capacity, share = ledger.capacity, 0
        for name, amount in account.used.items():
            if amount:
                size = capacity.get(name, 0)
                part = amount * WHOLE // size if size else WHOLE
                if part > share:
                    share = part
        return share * MILLI // account.weight

    def cost(self, shape: Shape, micros: int, ledger: Ledger, now: int) -> int:
        """Processing time is not counted."""
        return 0

    def show(self, key: int, now: int) -> str:
        """For a reader."""
        return f"its tenant holds {key * 100 / WHOLE:.1f} % over its weight"


ORDER = Fair()
