"""One listener at the planner, shared by all who watch or wait. Nobody polls.

A watcher has a bounded queue. One that is behind gets `{"type": "reset"}` and fetches the present state
again, rather than a backlog that grows in the service's memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress

from headway.service.ports import PlannerPort, View

RESET: View = {"type": "reset"}
QUEUE_LIMIT = 1000


class Watcher:
    """The queue of one watcher: takes what its filter lets through."""

    def __init__(self, wanted: Callable[[View], bool], limit: int) -> None:
        self._wanted = wanted
        self._limit = limit
        self._queue: deque[View] = deque()
        self._wake = asyncio.Event()

    def put(self, change: View) -> None:
        """Never waits. When the queue is full all of it is replaced by one reset."""
        if change is not RESET and not self._wanted(change):
            return
        if change is RESET or len(self._queue) >= self._limit:
            self._queue.clear()
            change = RESET
        self._queue.append(change)
        self._wake.set()

    async def next(self, timeout: float) -> View | None:
        """The next change, or None after `timeout` seconds without one."""
        if not self._queue:
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
        return self._queue.popleft() if self._queue else None


class Hub:
    """Hands every change on to the watchers. It listens only while there are any: a run nobody watches pays nothing."""

    def __init__(self, planner: PlannerPort) -> None:
        self._planner = planner
        self._watchers: set[Watcher] = set()
        self._leave: Callable[[], None] | None = None
        self._closing = False

    @property
    def closing(self) -> bool:
        """The service stops: streams should end."""
        return self._closing

    @contextmanager
    def watch(self, wanted: Callable[[View], bool], limit: int = QUEUE_LIMIT) -> Iterator[Watcher]:
        """A watcher for as long as the block lasts; no change after its beginning is missed."""
        watcher = Watcher(wanted, limit)
        self._watchers.add(watcher)
        if self._leave is None:
            self._leave = self._planner.listen(self._publish)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if not self._watchers and self._leave is not None:
                self._leave()
                self._leave = None

    def _publish(self, changes: list[View]) -> None:
        for watcher in tuple(self._watchers):
            for change in changes:
                watcher.put(change)

    async def close(self) -> None:
        """End all streams."""
        self._closing = True
        self._publish([RESET])


async def changes_of(
    hub: Hub, wanted: Callable[[View], bool], heartbeat: float, *, first: bool = False
) -> AsyncIterator[View | None]:
    """Changes as they come; None when nothing came for `heartbeat` seconds. Ends when the service stops.

    With `first` the subscription's standing is told by one None at once: what is read then misses nothing
    that follows.
    """
    with hub.watch(wanted) as watcher:
        if first:
            yield None
        while not hub.closing:
            yield await watcher.next(heartbeat)
