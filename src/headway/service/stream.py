"""One subscription to the planner, shared by all who watch or wait. Nobody polls.

A watcher has a bounded queue. One that is behind gets `{"type": "reset"}` and fetches the present state
again, rather than a backlog that grows in the service's memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager, suppress
from typing import Any

from headway.service.ports import PlannerPort, View

log = logging.getLogger("headway.service")

RESET: View = {"type": "reset"}
QUEUE_LIMIT = 1000
#: After a broken subscription, before the next: seconds.
_AGAIN_AFTER = 0.2


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
    """Hands every change on to the watchers. Started by the first of them."""

    def __init__(self, planner: PlannerPort) -> None:
        self._planner = planner
        self._watchers: set[Watcher] = set()
        self._pump: asyncio.Task[None] | None = None
        self._subscribed = asyncio.Event()
        self._closing = asyncio.Event()

    @property
    def closing(self) -> bool:
        """The service stops: streams should end."""
        return self._closing.is_set()

    @contextmanager
    def watch(self, wanted: Callable[[View], bool], limit: int = QUEUE_LIMIT) -> Any:
        """A watcher for as long as the block lasts."""
        watcher = Watcher(wanted, limit)
        self._watchers.add(watcher)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run(), name="changes")
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    async def ready(self) -> None:
        """Wait until the subscription stands, so that no change after this call is missed."""
        async with asyncio.timeout(5):
            await self._subscribed.wait()

    async def _run(self) -> None:
        while True:
            try:
                changes = aiter(self._planner.subscribe())
                while True:
                    # A subscription stands once its generator runs: it is asked for its first change before
                    # anybody is told.
                    upcoming = asyncio.ensure_future(anext(changes))
                    if not self._subscribed.is_set():
                        await asyncio.sleep(0)
                        self._subscribed.set()
                    try:
                        change = await upcoming
                    finally:
                        upcoming.cancel()
                    self._publish(RESET if change.get("type") == "reset" else change)
            except StopAsyncIteration:
                log.warning("the planner ended its stream of changes")
            except Exception:
                log.exception("the stream of changes broke")
            self._subscribed.clear()
            self._publish(RESET)
            await asyncio.sleep(_AGAIN_AFTER)

    def _publish(self, change: View) -> None:
        for watcher in tuple(self._watchers):
            watcher.put(change)

    async def close(self) -> None:
        """End all streams and the pump."""
        self._closing.set()
        self._publish(RESET)
        if self._pump is not None:
            self._pump.cancel()
            with suppress(asyncio.CancelledError):
                await self._pump
            self._pump = None


async def changes_of(
    hub: Hub, wanted: Callable[[View], bool], heartbeat: float, *, first: bool = False
) -> AsyncIterator[View | None]:
    """Changes as they come; None when nothing came for `heartbeat` seconds. Ends when the service stops.

    With `first` the subscription's standing is told by one None at once: what is read then misses nothing
    that follows.
    """
    with hub.watch(wanted) as watcher:
        await hub.ready()
        if first:
            yield None
        while not hub.closing:
            yield await watcher.next(heartbeat)
