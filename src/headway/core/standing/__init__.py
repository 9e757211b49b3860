"""Standing orders: the tables of `headway.toml` and of a cluster file that the engine must know, as its events.

A table is one module here with a reader: from what stands in the file now, and what stood there at the last start, to the
events that make the difference. The service journals them, the simulator applies them at its beginning, so both have the
same. Reading refuses what makes no sense, before anything is applied.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from headway.core.events import Event
from headway.core.standing.pools import read as read_pools
from headway.core.standing.preemption import read as read_preemption
from headway.core.standing.rates import read as read_rates
from headway.core.standing.sites import read as read_sites
from headway.core.standing.speeds import read as read_speeds
from headway.core.standing.tenants import read as read_tenants
from headway.core.standing.topology import read as read_topology
from headway.core.standing.windows import read as read_windows
from headway.errors import Invalid

#: A table as the file has it: plain JSON, by name.
Table = Mapping[str, Any]

#: In the order in which their events are applied. `settings.TABLES` names the same ones.
READERS: dict[str, Callable[[Table, Table], list[Event]]] = {
    "tenants": read_tenants,
    "preemption": read_preemption,
    "speeds": read_speeds,
    "sites": read_sites,
    "topology": read_topology,
    "windows": read_windows,
    "rates": read_rates,
    "pools": read_pools,
}


def events(tables: Mapping[str, Table], before: Mapping[str, Table] | None = None) -> list[Event]:
    """What brings an engine from the tables before to these.

    Raises:
        Invalid: A table or something in it makes no sense; the error says where.
    """
    former = before or {}
    unknown = [name for name in tables if name not in READERS]
    if unknown:
        raise Invalid(f"there is no table [{unknown[0]}]", hint=nearest(unknown[0], READERS))
    found: list[Event] = []
    for name, reader in READERS.items():
        now, then = tables.get(name, {}), former.get(name, {})
        if now != then:
            found += reader(now, then)
    return found


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean "weight"?`, or all there are."""
    names = list(known)
    close = difflib.get_close_matches(word, names, 1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
