"""Watches the clock for every schedule: one heap, one timer, and a call to the planner for what is due."""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from headway.core.runs.schedules import Schedules
from headway.errors import HeadwayError
from headway.service.timetable import Timetable

log = logging.getLogger("headway.service")

#: A timer is never set for longer: the machine's clock may be put forward, and a suspended machine wakes late.
LONGEST = 30.0
#: Seconds before a call that failed is made again.
AGAIN = 5.0


class Clockwork:
    """Which schedule is due when. No clock of its own: `due` is told the time, so that a test may say any.

    Args:
        schedules: The planner's.
    """

    def __init__(self, schedules: Callable[[], Schedules]) -> None:
        self._schedules = schedules
        self._seen: tuple[int, int] | None = None
        self._tables: dict[str, tuple[int, Timetable]] = {}
        self._heap: list[tuple[int, str, int]] = []

    def next_at(self) -> int | None:
        """The earliest time at which something is due, in microseconds."""
        self._look()
        return self._heap[0][0] if self._heap else None

    def due(self, now: int) -> list[dict[str, Any]]:
        """Calls to make now: bodies of `schedule_fire`. Each schedule comes back at its next time by itself."""
        self._look()
        bodies = []
        while self._heap and self._heap[0][0] <= now:
            _, name, version = heapq.heappop(self._heap)
            entry = self._schedules().get(name)
            table = self._tables[name][1]
            rows, missed = table.passed(entry.last, now)
            bodies.append({"name": name, "version": version, "upto": now, "rows": rows, "missed": missed})
            self._push(name, version, table, now)
        return bodies

    def _push(self, name: str, version: int, table: Timetable, after: int) -> None:
        due = next(table.after(after), None)
        if due is not None:
            heapq.heappush(self._heap, (due, name, version))

    def _look(self) -> None:
        """Take over what operators changed since the last look."""
        schedules = self._schedules()
        seen = (id(schedules), schedules.revision)
        if seen == self._seen:
            return
        self._seen, self._heap, before = seen, [], self._tables
        self._tables = {}
        for entry in schedules:
            if not entry.schedule.timed or entry.paused is not None:
                continue
            version, table = before.get(entry.name, (0, None))
            if table is None or version != entry.version:
                table = Timetable(entry.schedule, entry.created)
            self._tables[entry.name] = (entry.version, table)
            self._push(entry.name, entry.version, table, entry.last)


class Ticker:
    """Runs a clockwork by the machine's clock.

    Args:
        clockwork: What is due when.
        fire: Hands a body of `schedule_fire` to the planner.
    """

    def __init__(
        self, clockwork: Clockwork, fire: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
    ) -> None:
        self._clockwork, self._fire = clockwork, fire
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """A schedule was set, removed, paused or resumed."""
        self._changed.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            wait = LONGEST
            due = self._clockwork.next_at()
            if due is not None:
                wait = min(LONGEST, max(0.0, (due - _now()) / 1e6))
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                self._changed.clear()
            else:
                self._changed.clear()
                continue
            for body in self._clockwork.due(_now()):
                await self._call(body)

    async def _call(self, body: dict[str, Any]) -> None:
        """The planner knows up to which time it has dealt with a schedule, so saying it again is safe."""
        while True:
            try:
                await self._fire(body)
                return
            except HeadwayError as error:
                log.warning("schedule %s is due, but the planner cannot take it: %s", body["name"], error)
                await asyncio.sleep(AGAIN)


def _now() -> int:
    return time.time_ns() // 1000
