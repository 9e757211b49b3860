"""What a client does when the connection breaks: the service may be restarting, and what is safe to repeat is
repeated.
"""

from __future__ import annotations

import time
from contextlib import suppress

from headway.client.address import START, Address, find
from headway.client.calls import Request
from headway.errors import HeadwayError, Unavailable

PATIENCE = 20.0
"""Seconds that a service which answered before may be away: a restart with its journal takes a few."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5


class Attempts:
    """The attempts of one request.

    Args:
        request: What is asked.
        met: This client has had an answer before, so the service is known to be there.
        patience: Seconds to go on trying.
    """

    def __init__(self, request: Request, *, met: bool, patience: float) -> None:
        self._request = request
        self._met = met
        self._until = time.monotonic() + patience
        self._next = _FIRST_PAUSE

    def pause(self, address: Address, error: Exception) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            Unavailable: There should be none.
        """
        refused = isinstance(error, (ConnectionRefusedError, FileNotFoundError))
        if refused and not self._met:
            raise Unavailable(f"no service answers at {address.url}", hint=START, url=address.url) from error
        if not refused and not self._request.repeatable:
            raise Unavailable(
                f"the connection to {address.url} broke before the answer ({_words(error)}): "
                "it may or may not have been done",
                hint="look before you send it again: `headway runs`",
            ) from error
        if time.monotonic() + self._next > self._until:
            raise Unavailable(
                f"the service at {address.url} is gone ({_words(error)})",
                hint="see `headway status`, or start it: `headway up`",
            ) from error
        pause, self._next = self._next, min(_LONGEST_PAUSE, self._next * 2)
        return pause


def found_again(address: Address) -> Address:
    """The address as the state folder says now: a restarted service may listen on another port."""
    if address.state is not None:
        with suppress(HeadwayError):
            return find(state=address.state)
    return address


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
