"""`[tenants.NAME]`: what a tenant is due."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from headway.core.events import Event, TenantSet
from headway.domain.units import parse_milli
from headway.errors import Invalid

FIELDS = ("weight",)


def read(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Event]:
    """Tenants whose row changed; those no longer named get the defaults back."""
    found: list[Event] = []
    rows = {name: _row(name, row) for name, row in now.items()}
    for name in (*now, *(name for name in before if name not in now)):
        row = rows.get(name, TenantSet(name))
        if now.get(name) != before.get(name):
            found.append(row)
    return found


def _row(name: str, row: Any) -> TenantSet:
    where = f"[tenants.{name}]"
    if not isinstance(row, Mapping):
        raise Invalid(
            f"{where} is {row!r}, not a table", hint=f"write {where} and keys such as weight = 2 below it"
        )
    for key in row:
        if key not in FIELDS:
            close = difflib.get_close_matches(key, FIELDS, 1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(FIELDS)}"
            raise Invalid(f"{where} has no key {key!r}", hint=hint)
    weight = parse_milli(row.get("weight", 1), f"{where} weight")
    if weight < 1:
        raise Invalid(
            f"{where} weight = {row['weight']} gives it nothing", hint="give a weight above zero, such as 0.1"
        )
    return TenantSet(name, weight)
