"""`[tenants.NAME]`: what a tenant is due, and what it may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headway.core.events import Event, QuotaSet, TenantSet
from headway.core.standing.rows import row_of
from headway.domain.limits import Quota
from headway.domain.units import parse_milli
from headway.errors import Invalid

LIMITS = ("quota", "borrow", "lend", "cohort", "reclaim")
FIELDS = ("weight", "parent", *LIMITS)


def read(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Event]:
    """Tenants whose row changed; those no longer named get the defaults back."""
    rows = {name: _row(name, row) for name, row in now.items()}
    for name, row in rows.items():
        above, seen = row.parent, {name}
        while above in rows and above not in seen:
            seen.add(above)
            above = rows[above].parent
        if above in seen:
            raise Invalid(
                f"[tenants.{name}] is below itself: {' < '.join([*seen, above])}",
                hint="let one of them have no parent",
            )
    changed = [
        name
        for name in (*now, *(name for name in before if name not in now))
        if now.get(name) != before.get(name)
    ]
    # Who leaves a parent leaves it first: two may change places.
    left = [name for name in changed if name in now and name in before and before[name].get("parent")]
    found = [TenantSet(name, rows[name].weight) for name in left]
    found += [rows.get(name, TenantSet(name)) for name in changed]
    return [*found, *_quotas(now, before)]


def _quotas(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Event]:
    """Quotas that changed; those no longer there are lifted."""
    quotas = {name: _quota(name, row) for name, row in now.items()}
    return [
        QuotaSet(name, quotas.get(name))
        for name in (*now, *(name for name in before if name not in now))
        if _limits(now.get(name, {})) != _limits(before.get(name, {}))
    ]


def _limits(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key in LIMITS}


def _quota(name: str, row: Mapping[str, Any]) -> Quota | None:
    said = _limits(row)
    try:
        return Quota.parse(said) if said else None
    except Invalid as error:
        raise Invalid(f"[tenants.{name}]: {error.message}", hint=error.hint) from None


def _row(name: str, row: Any) -> TenantSet:
    where = f"[tenants.{name}]"
    row = row_of(where, row, FIELDS, "weight = 2")
    weight = parse_milli(row.get("weight", 1), f"{where} weight")
    if weight < 1:
        raise Invalid(
            f"{where} weight = {row['weight']} gives it nothing", hint="give a weight above zero, such as 0.1"
        )
    parent = row.get("parent", "")
    if not isinstance(parent, str):
        raise Invalid(f"{where} parent = {parent!r} is not a name", hint='write parent = "research"')
    return TenantSet(name, weight, parent)
