"""Reads what a task printed, and follows it until the task is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from headway.execute.logs import path_of
from headway.service.state import Shared

_CHUNK = 64 * 1024
#: A task's output is a file that other processes write: it is looked at so often while it is followed
# (seconds).
_LOOK_EVERY = 0.2
_OVER = ("finished", "failed", "cancelled", "skipped", "unknown", "cached")


async def read(ports: Shared, run: str, name: str, *, follow: bool, tail: int | None) -> AsyncIterator[bytes]:
    """The log in chunks. A task that has printed nothing has no file and yields nothing.

    Args:
        ports: For the task's state.
        run: Its run.
        name: The task in the run.
        follow: Go on until the task is over.
        tail: Begin so many bytes before the end.
    """
    path = path_of(ports.settings.state, f"{run}/{name}")
    position: int | None = None
    while True:
        # Look at the state first: what was printed before the end is in the file by then.
        over = (await ports.planner.task(f"{run}/{name}"))["state"] in _OVER
        while chunk := await asyncio.to_thread(_chunk, path, position, tail):
            position, data = chunk
            yield data
        if not follow or over or ports.hub.closing:
            return
        await asyncio.sleep(_LOOK_EVERY)


def _chunk(path: Path, position: int | None, tail: int | None) -> tuple[int, bytes] | None:
    """The next piece and the position after it, or None at the end."""
    try:
        with path.open("rb") as file:
            if position is None:
                position = max(0, file.seek(0, 2) - tail) if tail is not None else 0
            file.seek(position)
            data = file.read(_CHUNK)
    except FileNotFoundError:
        return None
    return (position + len(data), data) if data else None
