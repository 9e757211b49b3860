"""Tenants that are part of a tenant: what a branch of the tree holds, and how its members stand.

Hierarchical DRF (Bhattacharya et al., SoCC 2013): shares are compared between siblings, level by level from the root. What a
branch holds is summed over its members *after* scaling those that still want something down to the one of them that is
furthest behind; else a member with nothing left to ask for would keep its siblings back for what it holds. `ordering.drf`
has the same in exact arithmetic; here it is fixed point.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from headway.core.ordering import LIMIT, WIDTH

if TYPE_CHECKING:
    from headway.core.ledger import Account, Ledger

#: Bits of a level; of a standing: the level, when it was last served, and the number of the account.
LEVEL = 2 * WIDTH
STANDING = LEVEL + 2 * WIDTH
HIGHEST = (1 << LEVEL) - 1


class Branch:
    """A tenant with others below it. What it submits itself is a member of weight 1, of its own name.

    Attributes:
        number, weight, used, service, served, level: As of an account.
        above: The branch it is part of, or None.
        members: Branches and accounts, in the order they were met.
        growing: Something below it waits.
    """

    __slots__ = (
        "above",
        "growing",
        "level",
        "members",
        "name",
        "number",
        "served",
        "service",
        "used",
        "weight",
    )

    def __init__(self, name: str, number: int, weight: int, above: Branch | None) -> None:
        self.name = name
        self.number = number
        self.weight = weight
        self.above = above
        self.members: list[Branch | Account] = []
        self.used: dict[str, int] = {}
        self.service = 0
        self.served = 0
        self.level = 0
        self.growing = False

    def accounts(self) -> Iterator[Account]:
        """All accounts below it."""
        for member in self.members:
            if isinstance(member, Branch):
                yield from member.accounts()
            else:
                yield member

    def sum_up_all(self, ledger: Ledger) -> None:
        """The same, after all branches below it."""
        for member in self.members:
            if isinstance(member, Branch):
                member.sum_up_all(ledger)
        self.sum_up(ledger)

    def sum_up(self, ledger: Ledger) -> None:
        """Brings what it holds up to date with its members."""
        last = 0
        if ledger.turns.rescales:
            last = min((m.level for m in self.members if m.growing and m.level), default=0)
        used: dict[str, int] = {}
        for member in self.members:
            level = member.level if last and member.growing else 0
            for name, amount in member.used.items():
                used[name] = used.get(name, 0) + (amount * last // level if level else amount)
        self.used = used
        self.service = sum(member.service for member in self.members)
        self.growing = any(member.growing for member in self.members)
        self.level = level_of(self, ledger)


def level_of(one: Branch | Account, ledger: Ledger) -> int:
    """How far ahead it is, within its bits."""
    level = ledger.turns.level(one, ledger)
    return level if level < HIGHEST else HIGHEST


def packed(one: Branch | Account) -> int:
    """Its place among its siblings: who is least ahead, then who was served longest ago."""
    served = one.served
    return (one.level << WIDTH | (served if served < LIMIT else LIMIT)) << WIDTH | one.number


def depth_of(parents: dict[str, str]) -> int:
    """How many levels a standing has under these parents; 1 if nobody has one."""
    longest = 1
    for name in parents:
        count = 2
        while (name := parents.get(name, "")) in parents:
            count += 1
        longest = max(longest, count)
    return longest
