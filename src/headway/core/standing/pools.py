"""`[pools.NAME]`: how many slots there are of something that the whole cluster shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headway.core.events import Event, PoolSet
from headway.errors import Invalid


def read(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Event]:
    """Pools whose row changed; those no longer named are not limited any more."""
    found: list[Event] = []
    for name, row in now.items():
        slots = _row(name, row)
        if row != before.get(name):
            found.append(PoolSet(name, slots))
    return found + [PoolSet(name, None) for name in before if name not in now]


def _row(name: str, row: Any) -> int:
    where = f"[pools.{name}]"
    if not isinstance(row, Mapping) or set(row) - {"slots"} or "slots" not in row:
        raise Invalid(f"{where} is {row!r}", hint=f"write {where} and slots = 4 below it, and nothing else")
    slots = row["slots"]
    if isinstance(slots, bool) or not isinstance(slots, int) or not 0 <= slots <= 1_000_000:
        raise Invalid(f"{where}: slots = {slots!r} is not a whole number from 0 to 1000000")
    return slots
