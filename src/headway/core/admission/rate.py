"""A rate-limited resource: never more than so much in any stretch of time, wherever it begins.

An exact sliding window would remember every grant. Here grants of one 64th of the window are kept as one sum, which counts
until all of it is over: so at most 66 sums are kept, the limit is never exceeded in any window, and what was taken comes back
at most a 64th of the window late.
"""

from __future__ import annotations

from typing import Any

#: Parts of a window whose grants are kept as one sum.
PARTS = 64


class Window:
    """What was taken of one rate, by everybody or by one tenant.

    Attributes:
        ident: A number of its own: what was taken is given back only to the window that it was taken from.
        amount: Milli that may be taken in any `per` microseconds.
        set_aside: Milli that claims will take when they are fulfilled.
        sums: (first grant, end of its part, milli), oldest first.
    """

    __slots__ = ("amount", "ident", "per", "set_aside", "sums")

    def __init__(self, ident: int, amount: int, per: int) -> None:
        self.ident = ident
        self.amount = amount
        self.per = per
        self.set_aside = 0
        self.sums: list[list[int]] = []

    def used(self, now: int) -> int:
        """Milli that count at this moment."""
        return self.set_aside + sum(milli for _, end, milli in self.sums if end + self.per > now)

    def when(self, need: int) -> int | None:
        """When so much can be taken if nothing happens, or None if time alone does not help."""
        left = self.set_aside + sum(milli for _, _, milli in self.sums)
        when = 0
        for _, end, milli in self.sums:
            if left + need <= self.amount:
                break
            left -= milli
            when = end + self.per
        return when if left + need <= self.amount else None

    def take(self, milli: int, now: int) -> None:
        """Takes so much; the caller has seen that it may."""
        sums = self.sums
        while sums and sums[0][1] + self.per <= now:
            del sums[0]
        if sums and now < sums[-1][1]:
            sums[-1][2] += milli
        else:
            part = max(self.per // PARTS, 1)
            sums.append([now, (now // part + 1) * part, milli])

    def give_back(self, milli: int, taken: int) -> None:
        """What was taken at that time was not used."""
        for kept in self.sums:
            if kept[0] <= taken < kept[1]:
                kept[2] -= milli
                if not kept[2]:
                    self.sums.remove(kept)
                return

    def tree(self) -> list[Any]:
        """As plain JSON; what claims set aside follows from the claims."""
        return [self.ident, [list(kept) for kept in self.sums]]
