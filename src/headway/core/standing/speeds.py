"""`[speeds.NAME]`: how fast the nodes are that meet a condition, and at which kinds of task faster or slower."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headway.core.events import Event, SpeedsSet
from headway.core.placement.paces import Speed
from headway.core.standing.rows import row_of
from headway.domain.units import parse_milli
from headway.domain.where import parse_where
from headway.errors import Invalid

FIELDS = ("where", "speed", "kinds")


def read(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Event]:
    """All rows, in their order: the first that a node meets counts."""
    return [SpeedsSet(tuple(_row(name, row) for name, row in now.items()))]


def _row(name: str, given: Any) -> Speed:
    where = f"[speeds.{name}]"
    row = row_of(where, given, FIELDS, 'where = "gpu_type == a100"')
    if "where" not in row:
        raise Invalid(f"{where} does not say which nodes", hint='write e.g. where = "gpu_type == a100"')
    kinds = row.get("kinds", {})
    if not isinstance(kinds, Mapping):
        raise Invalid(f"{where} kinds is {kinds!r}, not a table", hint="write kinds = { train = 4 }")
    learn = row.get("speed") == "learn"
    return Speed(
        name,
        parse_where(row["where"], f"{where} where"),
        _speed(1 if learn else row.get("speed", 1), f"{where} speed"),
        tuple((kind, _speed(one, f"{where} kinds.{kind}")) for kind, one in sorted(kinds.items())),
        learn,
    )


def _speed(value: Any, what: str) -> int:
    speed = parse_milli(value, what)
    if speed < 1:
        raise Invalid(
            f"{what} = {value} would never finish anything", hint="give a speed above zero, such as 2.5"
        )
    return speed
