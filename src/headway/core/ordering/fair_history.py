"""Fair share that remembers: whoever was given least lately, over its weight, is next.

What counts is dominant share times processing time, and half as much for every `HALF_LIFE` since: the fair
share of batch systems (Kay and Lauder 1988; Slurm's multifactor priority). Forgetting is turned round so that
nothing must be brought up to date: instead of halving the past, what is given now counts double what was given
a half-life ago (forward decay, Cormode et al., ICDE 2009). Comparisons stay the same and no clock is asked.
"""

from __future__ import annotations

from functools import cache
from math import isqrt
from typing import TYPE_CHECKING

from headway.domain.task import Task
from headway.domain.units import MILLI, SECOND

if TYPE_CHECKING:
    from headway.core.branches import Branch
    from headway.core.ledger import Account, Ledger
    from headway.core.queue import Shape

#: Microseconds after which what was given counts half.
HALF_LIFE = 24 * 3600 * SECOND
#: Fixed point of shares and of growth; steps of growth within a half-life.
_SHARE = 20
_GROWTH = 16
_STEPS = 256
#: Half-lives after which the past is really halved, so that numbers stay small.
_RENEW = 16


@cache
def _powers() -> tuple[int, ...]:
    """`2 ** (i / 256)` in fixed point, by integer square roots: 256 is 2 to the eighth."""
    found = []
    for step in range(_STEPS):
        root = 1 << (_GROWTH * _STEPS + step)
        for _ in range(8):
            root = isqrt(root)
        found.append(root)
    return tuple(found)


def growth(ledger: Ledger, now: int) -> int:
    """What counts now against what counted at the landmark, in fixed point."""
    whole, part = divmod(max(now - ledger.landmark * HALF_LIFE, 0), HALF_LIFE)
    if whole > _RENEW:
        ledger.halve(whole)
        ledger.landmark += whole
        whole = 0
    return _powers()[part * _STEPS // HALF_LIFE] << whole


class FairHistory:
    """By what was given, fading."""

    name = "fair_history"
    classes = False
    weighted = True
    rescales = False

    def whose(self, task: Task) -> str:
        """The tenant."""
        return task.tenant

    def level(self, account: Account | Branch, ledger: Ledger) -> int:
        """What it was given over its weight."""
        return account.service * MILLI // account.weight

    def cost(self, shape: Shape, micros: int, ledger: Ledger, now: int) -> int:
        """Dominant share of the shape times processing time, as it counts now."""
        share = 0
        for name, amount in shape.amounts:
            size = ledger.capacity.get(name, 0)
            share = max(share, (amount << _SHARE) // size if size else 1 << _SHARE)
        return share * micros * growth(ledger, now)

    def show(self, key: int, now: int) -> str:
        """For a reader: only comparisons mean anything."""
        return f"its tenant was given {key >> (_SHARE + _GROWTH)} lately over its weight"


ORDER = FairHistory()
