"""What changed, for whoever watches: each watcher has a bounded queue, and one that falls behind is told to fetch anew."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Any

#: Changes a watcher may be behind before it is reset.
BACKLOG = 10_000


class Feed:
    """Fans changes out to watchers, without ever waiting for one."""

    def __init__(self) -> None:
        self._count = 0
        self._watchers: set[_Watcher] = set()

    def publish(self, changes: Iterable[dict[str, Any]]) -> None:
        """Number the changes and hand them to every watcher."""
        if not self._watchers:
            return
        numbered = []
        for change in changes:
            self._count += 1
            numbered.append({"n": self._count, **change})
        for watcher in self._watchers:
            watcher.add(numbered)

    async def subscribe(self) -> AsyncIterator[dict[str, Any]]:
        """Changes from now on; `{"type": "reset"}` where some were dropped."""
        watcher = _Watcher()
        self._watchers.add(watcher)
        try:
            while True:
                for change in await watcher.take():
                    yield change
        finally:
            self._watchers.discard(watcher)


class _Watcher:
    def __init__(self) -> None:
        self._queue: deque[dict[str, Any]] = deque()
        self._bell = asyncio.Event()

    def add(self, changes: list[dict[str, Any]]) -> None:
        if len(self._queue) + len(changes) > BACKLOG:
            self._queue.clear()
            self._queue.append({"type": "reset"})
        else:
            self._queue.extend(changes)
        self._bell.set()

    async def take(self) -> list[dict[str, Any]]:
        await self._bell.wait()
        self._bell.clear()
        taken = list(self._queue)
        self._queue.clear()
        return taken
