"""`[sites.NAME]`: how far a site is, and how fast data travels to it and inside it. A node's label `site` says where it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headway.core.events import Event, SitesSet
from headway.core.placement.paces import Site
from headway.core.standing.rows import row_of
from headway.domain.units import parse_bytes, parse_time

FIELDS = ("latency", "bandwidth", "inside")


def read(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Event]:
    """All rows."""
    return [SitesSet(tuple(_row(name, row) for name, row in now.items()))]


def _row(name: str, given: Any) -> Site:
    where = f"[sites.{name}]"
    row = row_of(where, given, FIELDS, 'latency = "40ms"')
    return Site(
        name,
        parse_time(row.get("latency", 0), f"{where} latency"),
        parse_bytes(row.get("bandwidth", 0), f"{where} bandwidth"),
        parse_bytes(row.get("inside", 0), f"{where} inside"),
    )
