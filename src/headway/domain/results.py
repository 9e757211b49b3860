"""A reference to a value: small ones travel inside it, large ones lie in the blob store under their content hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: A value whose pickle is larger than this lies in the blob store and never travels in a message or a journal row.
INLINE_LIMIT = 4096

#: Kind of a reference that stands among the inputs of a task for a result that is not there: None, and so is each part of it.
ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Ref:
    """Where a value is.

    Attributes:
        kind: `json` (plain JSON scalars and containers, readable on the wire), `pickle` (base64) or `blob`.
        data: The JSON value, the base64 text, or the SHA-256 of the blob in hexadecimal.
        size: Bytes of the encoded value.
        items: Its length if it is a list or a tuple, so that a map over it can be expanded without reading it; else None.
        text: A short `repr` for people.
    """

    kind: str
    data: Any
    size: int = 0
    items: int | None = None
    text: str = ""
