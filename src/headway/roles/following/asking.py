"""Questions to a follower in another process: one JSON line each way over a socket in the state folder.

Whoever asks never waits long and never fails for it: a follower that is dead, absent, stopped or busy is `Unavailable`
within `PATIENCE`, and one that did not answer in time is left alone for `SULK` seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from headway.errors import HeadwayError, Invalid, NotFound, Unavailable

#: Seconds that an answer may take, and for which a follower that took longer is not asked again.
PATIENCE, SULK = 5.0, 5.0
#: The longest question or answer, bytes.
LONGEST = 8 << 20
#: What `sockaddr_un` holds on every system we know of, less its end.
_NAME_MOST = 100


def socket_of(state: Path) -> Path:
    """Where the follower of a state folder is asked."""
    return state / "run" / "follower.sock"


@contextmanager
def address_of(path: Path) -> Iterator[str]:
    """A name of the socket that is short enough for the kernel; a long one goes by way of its folder's descriptor."""
    if len(os.fsencode(path)) <= _NAME_MOST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def listen(path: Path) -> socket.socket:
    """The follower's end. A socket that a dead one has left is taken over; the folder keeps strangers out."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with address_of(path) as name:
        sock.bind(name)
    path.chmod(0o600)
    sock.listen(16)
    sock.setblocking(False)
    return sock


class Asker:
    """The other end."""

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self._path, self._patience = path, patience
        self._not_before = 0.0

    async def ask(self, duty: str, body: dict[str, Any]) -> dict[str, Any]:
        """The duty's answer.

        Raises:
            Unavailable: There is no follower, or it does not answer now.
            HeadwayError: What the duty answered.
        """
        if time.monotonic() < self._not_before:
            raise Unavailable("the follower did not answer a moment ago", hint="ask again in some seconds")
        try:
            async with asyncio.timeout(self._patience):
                answer = await self._exchange(duty, body)
        except TimeoutError:
            self._not_before = time.monotonic() + SULK
            raise Unavailable(
                f"the follower did not answer within {self._patience:.0f} s", hint="ask again in some seconds"
            ) from None
        except (OSError, ValueError) as error:
            raise Unavailable(
                "the follower is not there", hint="it is being started again; ask again"
            ) from error
        if "error" in answer:
            raise _error(answer["error"])
        found: dict[str, Any] = answer["answer"]
        return found

    async def _exchange(self, duty: str, body: dict[str, Any]) -> dict[str, Any]:
        with address_of(self._path) as name:
            reader, writer = await asyncio.open_unix_connection(name, limit=LONGEST)
        try:
            writer.write(json.dumps({"duty": duty, "body": body}).encode() + b"\n")
            await writer.drain()
            found: dict[str, Any] = json.loads(await reader.readline())
            return found
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def _error(told: dict[str, Any]) -> HeadwayError:
    known: dict[str, type[HeadwayError]] = {kind.code: kind for kind in (Invalid, NotFound, Unavailable)}
    return known.get(told["code"], HeadwayError)(told["message"], hint=told["hint"])
