"""The base class of every error a person may read, and the stable codes callers may test for.

A room's own errors stand beside its code and derive from `HeadwayError`. The text may be reworded; a code never changes.
"""

from __future__ import annotations

from typing import Any


class HeadwayError(Exception):
    """Something went wrong that the reader can act on.

    Args:
        message: What was wrong and where, in one sentence.
        hint: The next step: the right call, the option to try.
        fields: The same facts as data, so that nobody parses the text.
    """

    code = "error"
    #: HTTP status the service answers with.
    status = 400
    #: Exit code of the command line (see `docs/reference/exit-codes.md`).
    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.fields = fields

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class Invalid(HeadwayError):
    """Input that can never be accepted as it stands."""

    code = "invalid"
    status = 422
    exit_code = 2


class NotFound(HeadwayError):
    """A run, task, node or file that does not exist."""

    code = "not_found"
    status = 404
    exit_code = 4


class Conflict(HeadwayError):
    """A request that the present state does not allow."""

    code = "conflict"
    status = 409
    exit_code = 5


class Unavailable(HeadwayError):
    """The service, broker or disk cannot do it now; trying again later may work."""

    code = "unavailable"
    status = 503
    exit_code = 6


class Denied(HeadwayError):
    """No token, a wrong one, or one without the right."""

    code = "denied"
    status = 401
    exit_code = 7
