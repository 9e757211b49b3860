"""What came back: JSON, a problem document turned into its error, or events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from headway import errors
from headway.errors import HeadwayError, Unavailable

#: By code; a code that is not here takes the class of its status.
_BY_CODE: dict[str, type[HeadwayError]] = {
    cls.code: cls
    for cls in (
        errors.Invalid,
        errors.NotFound,
        errors.Conflict,
        errors.Unavailable,
        errors.Denied,
        errors.HeadwayError,
    )
}
_BY_STATUS: dict[int, type[HeadwayError]] = {
    400: errors.Invalid,
    401: errors.Denied,
    403: errors.Denied,
    404: errors.NotFound,
    405: errors.Invalid,
    409: errors.Conflict,
    413: errors.Invalid,
    422: errors.Invalid,
    503: errors.Unavailable,
    507: errors.Unavailable,
}


def error_of(status: int, body: bytes) -> HeadwayError:
    """The error that a refusal stands for, with the service's own words, code and status."""
    try:
        document = json.loads(body)
        code, detail = str(document["code"]), str(document["detail"])
    except (ValueError, KeyError, TypeError):
        return Unavailable(
            f"what answered is no Headway service (HTTP {status})", hint="look at the URL and the port"
        )
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, HeadwayError)
    fields = document.get("fields")
    error = kind(detail, hint=document.get("hint"), **(fields if isinstance(fields, dict) else {}))
    error.code = code
    error.status = status
    return error


def json_of(status: int, body: bytes) -> Any:
    """The content of an answer.

    Raises:
        HeadwayError: It is a refusal.
    """
    if status >= 400:
        raise error_of(status, body)
    try:
        return json.loads(body) if body else None
    except ValueError:
        raise Unavailable(
            "what answered is no Headway service: the answer is not JSON", hint="look at the URL"
        ) from None


class EventParser:
    """Server-sent events out of pieces of a stream (HTML Living Standard 9.2, as much of it as our service
    writes).
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """The events that the piece completes: their data, with the event's name as `event`."""
        *whole, self._rest = (self._rest + piece).split(b"\n\n")
        for block in whole:
            name, data = "message", b""
            for line in block.split(b"\n"):
                if line.startswith(b"event: "):
                    name = line[7:].decode()
                elif line.startswith(b"data: "):
                    data += line[6:]
            if data:
                yield {"event": name, **json.loads(data)}
