"""What every table's reader asks of a row."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from headway.errors import Invalid


def row_of(where: str, row: Any, fields: Sequence[str], example: str) -> Mapping[str, Any]:
    """The row as a table with no other keys than these.

    Args:
        where: `[table.NAME]`, for errors.
        example: A key with a value.
    """
    if not isinstance(row, Mapping):
        raise Invalid(
            f"{where} is {row!r}, not a table", hint=f"write {where} and keys such as {example} below it"
        )
    for key in row:
        if key not in fields:
            close = difflib.get_close_matches(key, fields, 1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(fields)}"
            raise Invalid(f"{where} has no key {key!r}", hint=hint)
    return row
