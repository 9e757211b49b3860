"""`[preemption]`: who may be preempted, and within what bounds.

[preemption]
preempt = "longer"        # no, classes, longer or attained
grace = "30s"
min_run = "1s"
max_preemptions = 3
cost = "30s"              # what a preemption under `longer` is reckoned to cost
margin = 0.1              # and by how much of what the other has left it must be better besides
budgets = ["run 1 at once", "tenant 20 per 1h"]
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from headway.core.events import Event, PreemptionSet
from headway.core.preemption.terms import kind
from headway.domain.budget import Budget
from headway.domain.units import MILLI, SECOND, parse_milli, parse_time
from headway.errors import Invalid


def read(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Event]:
    """One event with the keys that changed; those no longer named get the defaults back."""
    changed = [key for key in FIELDS if now.get(key) != before.get(key)]
    for key in now:
        if key not in FIELDS:
            close = difflib.get_close_matches(key, FIELDS, 1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(FIELDS)}"
            raise Invalid(f"[preemption] has no key {key!r}", hint=hint)
    values = {key: FIELDS[key][0](value, f"[preemption] {key}") for key, value in now.items()}
    return [PreemptionSet(**{key: values.get(key, FIELDS[key][1]) for key in changed})] if changed else []


def _kind(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{what} = {value!r} is not a text", hint='write preempt = "classes"')
    kind(value)
    return value


def _count(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1_000_000:
        raise Invalid(f"{what} = {value!r} is not a count", hint="write a whole number such as 3")
    return value


def _share(value: Any, what: str) -> int:
    share = parse_milli(value, what)
    if share >= MILLI:
        raise Invalid(f"{what} = {value!r} is no share", hint="write margin = 0.1 for a tenth")
    return share


def _budgets(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise Invalid(f"{what} = {value!r} is not a list of texts", hint='write budgets = ["run 1 at once"]')
    for text in value:
        Budget.parse(text)
    return tuple(value)


#: Key -> how it is read, and what holds without it.
FIELDS: dict[str, tuple[Callable[[Any, str], Any], Any]] = {
    "preempt": (_kind, "classes"),
    "grace": (parse_time, 30 * SECOND),
    "min_run": (parse_time, SECOND),
    "max_preemptions": (_count, 3),
    "cost": (parse_time, 0),
    "margin": (_share, 0),
    "budgets": (_budgets, ()),
}
