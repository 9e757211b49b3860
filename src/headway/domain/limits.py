"""What a tenant may hold (quotas) and how much may be taken of something in a time (rates), as an operator sets them.

Quotas are Kueue's: a tenant has a *nominal* quota by resource. Tenants of one *cohort* may use what the others do not, up
to their own *borrow* limit; of what is its own, a tenant lends at most its *lend* limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headway.domain.units import parse_amount, parse_milli, parse_time, show_milli, show_time
from headway.errors import Invalid

#: Whether a tenant that wants its own back may preempt who borrowed it: nobody, those of a worse class, anybody.
RECLAIM = ("never", "lower_priority", "any")

_QUOTA_FIELDS = ("quota", "borrow", "lend", "cohort", "reclaim")
_RATE_FIELDS = ("amount", "per", "tenants")

Amounts = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Quota:
    """What a tenant may hold at a time, by resource, in the units of `domain.resources`; sorted by name.

    Attributes:
        nominal: Its own. What is named neither here nor in a quota of its cohort is not limited.
        borrow: The most it may hold beyond its own; what is not named may be borrowed without limit.
        lend: The most of its own that others may hold; what is not named is lent whole.
        cohort: Whom it borrows from and lends to; empty for nobody.
        reclaim: One of `RECLAIM`.
    """

    nominal: Amounts = ()
    borrow: Amounts = ()
    lend: Amounts = ()
    cohort: str = ""
    reclaim: str = "any"

    def __post_init__(self) -> None:
        if self.reclaim not in RECLAIM:
            raise Invalid(f"reclaim = {self.reclaim!r}", hint=f"one of: {', '.join(RECLAIM)}")
        for name, amount in (*self.nominal, *self.borrow, *self.lend):
            if amount < 0:
                raise Invalid(f"a quota of {name} cannot be negative", hint="give zero or more")
        if (self.borrow or self.lend) and not self.cohort:
            raise Invalid("borrow and lend need a cohort", hint='write cohort = "…", or leave them out')
        if not self.nominal and not self.cohort:
            raise Invalid(
                "the quota limits nothing", hint="write quota = {gpu = 8}, or a cohort to borrow from"
            )

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Quota:
        """From what a person writes: `quota = {gpu = 8}, borrow = {gpu = 4}, cohort = "research"`."""
        unknown = [name for name in given if name not in _QUOTA_FIELDS]
        if unknown:
            raise Invalid(f"no field {unknown[0]!r}", hint=f"known: {', '.join(_QUOTA_FIELDS)}")
        cohort, reclaim = given.get("cohort", ""), given.get("reclaim", "any")
        if not isinstance(cohort, str) or not isinstance(reclaim, str):
            raise Invalid("cohort and reclaim are texts", hint='write cohort = "research"')
        nominal, borrow, lend = (_amounts(given.get(name, {}), name) for name in ("quota", "borrow", "lend"))
        return cls(nominal, borrow, lend, cohort, reclaim)

    def tree(self) -> list[Any]:
        """As plain JSON."""
        lists = [[list(pair) for pair in pairs] for pairs in (self.nominal, self.borrow, self.lend)]
        return [*lists, self.cohort, self.reclaim]

    @classmethod
    def from_tree(cls, tree: list[Any]) -> Quota:
        """The reverse of `tree`."""
        nominal, borrow, lend, cohort, reclaim = tree
        return cls(_pairs(nominal), _pairs(borrow), _pairs(lend), cohort, reclaim)


@dataclass(frozen=True, slots=True)
class Rate:
    """How much of a rate-limited resource may be taken in any stretch of time.

    Attributes:
        amount: Milli-units in every `per` microseconds, wherever these begin.
        tenants: Milli-units that tenants, by name, may take of it; who is not named has no limit of its own.
    """

    amount: int
    per: int
    tenants: Amounts = ()

    def __post_init__(self) -> None:
        if self.amount < 1 or self.per < 1 or any(amount < 1 for _, amount in self.tenants):
            raise Invalid(
                f"a rate of {show_milli(self.amount)} in {show_time(self.per)}",
                hint='give an amount and a time above zero, e.g. amount = 2000, per = "1min"',
            )

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Rate:
        """From what a person writes: `amount = 90000, per = "1min", tenants = {research = 60000}`."""
        unknown = [name for name in given if name not in _RATE_FIELDS]
        if unknown:
            raise Invalid(f"no field {unknown[0]!r}", hint=f"known: {', '.join(_RATE_FIELDS)}")
        if "amount" not in given:
            raise Invalid("a rate needs an amount", hint='write amount = 90000, per = "1min"')
        tenants = given.get("tenants", {})
        if not isinstance(tenants, Mapping):
            raise Invalid(f"tenants = {tenants!r} is no table", hint="write tenants = {research = 60000}")
        caps = sorted((name, parse_milli(amount, name)) for name, amount in tenants.items())
        return cls(
            parse_milli(given["amount"], "amount"), parse_time(given.get("per", "1min"), "per"), tuple(caps)
        )

    def tree(self) -> list[Any]:
        """As plain JSON."""
        return [self.amount, self.per, [list(pair) for pair in self.tenants]]

    @classmethod
    def from_tree(cls, tree: list[Any]) -> Rate:
        """The reverse of `tree`."""
        return cls(tree[0], tree[1], _pairs(tree[2]))


def _amounts(given: Any, what: str) -> Amounts:
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and name for name in given):
        raise Invalid(f"{what} = {given!r} is no table of amounts", hint=f"write {what} = {{gpu = 8}}")
    return tuple(sorted((name, parse_amount(name, amount)) for name, amount in given.items()))


def _pairs(rows: Any) -> Amounts:
    return tuple((name, amount) for name, amount in rows)
