"""`[rates.NAME]`: how much may be taken of a rate-limited resource in a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headway.core.events import Event, RateSet
from headway.domain.limits import Rate
from headway.errors import Invalid


def read(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Event]:
    """Rates whose row changed; those no longer named are not limited any more."""
    found: list[Event] = []
    for name, row in now.items():
        limit = _row(name, row)
        if row != before.get(name):
            found.append(RateSet(name, limit))
    return found + [RateSet(name, None) for name in before if name not in now]


def _row(name: str, row: Any) -> Rate:
    where = f"[rates.{name}]"
    if not isinstance(row, Mapping):
        raise Invalid(
            f"{where} is {row!r}, not a table", hint=f'write {where} and amount = 2000, per = "1min" below it'
        )
    try:
        return Rate.parse(row)
    except Invalid as error:
        raise Invalid(f"{where}: {error.message}", hint=error.hint) from None
