"""`[windows.NAME]`: maintenance and advance reservations that stand in a file.

`from` and `to` are dates with times, in quotes (`"2026-11-25T02:00Z"`); or lengths of time (`"2h"`), which are on the clock of
the engine: of a trace, in a simulation.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from headway.core.events import Event, WindowCleared, WindowSet
from headway.domain.units import parse_time
from headway.domain.window import ASSUMED, Window
from headway.errors import Invalid

FIELDS = (
    "nodes",
    "count",
    "cpu",
    "memory",
    "gpu",
    "from",
    "to",
    "tenant",
    "run",
    "preempt",
    "assume",
    "reason",
)


def read(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Event]:
    """Windows whose row changed; those no longer named are no more."""
    rows = {name: _row(name, row) for name, row in now.items()}
    gone = [WindowCleared(name) for name in before if name not in now]
    return [*gone, *(WindowSet(rows[name]) for name in now if now[name] != before.get(name))]


def _row(name: str, row: Any) -> Window:
    where = f"[windows.{name}]"
    if not isinstance(row, Mapping):
        raise Invalid(f"{where} is {row!r}, not a table", hint=f"write {where} and its keys below it")
    for key in row:
        if key not in FIELDS:
            close = difflib.get_close_matches(key, FIELDS, 1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(FIELDS)}"
            raise Invalid(f"{where} has no key {key!r}", hint=hint)
    nodes = row.get("nodes")
    if not isinstance(nodes, list) or not nodes or not all(isinstance(node, str) and node for node in nodes):
        raise Invalid(f"{where} nodes = {nodes!r} is not a list of names", hint='write nodes = ["gpu-1"]')
    said = {key: row.get(key, "") for key in ("tenant", "run", "reason")}
    for key, text in said.items():
        if not isinstance(text, str):
            raise Invalid(f"{where} {key} = {text!r} is not a text", hint="write it in quotes")
    preempt = row.get("preempt", False)
    if not isinstance(preempt, bool):
        raise Invalid(f"{where} preempt = {preempt!r} is not true or false")
    start, end = (_moment(row.get(key), f"{where} {key}") for key in ("from", "to"))
    if end <= start:
        raise Invalid(f"{where} ends before it begins", hint="to comes after from")
    return Window(
        name,
        "reservation" if said["tenant"] or said["run"] else "maintenance",
        tuple(nodes),
        start,
        end,
        preempt=preempt,
        assume=parse_time(row["assume"], f"{where} assume") if "assume" in row else ASSUMED,
        by="settings",
        **said,
    )


def _moment(value: Any, where: str) -> int:
    """Microseconds of the engine's clock."""
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            return parse_time(value, where)
        if found.tzinfo is None:
            raise Invalid(f"{where} = {value!r} says no time zone", hint='write "2026-11-25T02:00Z"')
        since = found - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if value is None:
        raise Invalid(
            f"{where} is missing", hint='write "2026-11-25T02:00Z", or "2h" on the clock of a trace'
        )
    return parse_time(value, where)
