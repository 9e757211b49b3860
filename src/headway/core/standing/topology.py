"""`[topology]`: which labels of nodes are levels, the widest first: `levels = ["zone", "rack"]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headway.core.events import Event, LevelsSet
from headway.core.standing.rows import row_of
from headway.domain.beside import NODE
from headway.errors import Invalid

FIELDS = ("levels",)


def read(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Event]:
    """All levels; `node`, which is always the narrowest, may stand last."""
    levels = row_of("[topology]", now, FIELDS, 'levels = ["zone", "rack"]').get("levels", [])
    if not isinstance(levels, list) or not all(isinstance(one, str) and one for one in levels):
        raise Invalid(
            f"[topology] levels = {levels!r} is not a list of labels", hint='write levels = ["zone", "rack"]'
        )
    if len(set(levels)) < len(levels):
        raise Invalid(
            f"[topology] levels = {levels!r} names one twice", hint="name each once, the widest first"
        )
    if NODE in levels[:-1]:
        raise Invalid(f"[topology] levels = {levels!r}: nothing is narrower than node", hint="put it last")
    return [LevelsSet(tuple(one for one in levels if one != NODE))]
