"""Watches files for the schedules that wait for them. By looking, every second: that works on network file systems too.

A file that appears or changes after its schedule was registered is an event, once it has kept its size and time for one look: so
that none is read while it is written. The event's key is made of path, time and size, so that a restart finds nothing new in what
was seen before it.
"""

from __future__ import annotations

import asyncio
import glob
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from headway.core.runs.schedules import Entry, Schedules
from headway.errors import HeadwayError

log = logging.getLogger("headway.service")

#: Seconds from one look to the next.
EVERY = 1.0
#: Files of one pattern that are looked at.
MOST = 20_000

Stamp = tuple[int, int]  # time of the last change in nanoseconds, size


@dataclass(slots=True)
class _Watched:
    """What was last seen of one schedule's files, and what was told of."""

    version: int
    seen: dict[str, Stamp] = field(default_factory=dict)
    told: dict[str, Stamp] = field(default_factory=dict)


class FileEvents:
    """Tells the planner of files.

    Args:
        schedules: The planner's.
        tell: Takes the name of a schedule, the event's key, and the event.
    """

    def __init__(
        self, schedules: Callable[[], Schedules], tell: Callable[[str, str, Any], Awaitable[Any]]
    ) -> None:
        self._schedules, self._tell = schedules, tell
        self._watched: dict[str, _Watched] = {}

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            entries = [entry for entry in self._schedules() if entry.schedule.file]
            if entries or self._watched:
                await self.look(entries)

    async def look(self, entries: Iterable[Entry]) -> None:
        """Look once at the files of these schedules, and forget those of others."""
        before, self._watched = self._watched, {}
        for entry in entries:
            watched = before.get(entry.name)
            if watched is None or watched.version != entry.version:
                watched = _Watched(entry.version)
            self._watched[entry.name] = watched
            if entry.paused is None:
                found = await asyncio.to_thread(_files, entry.schedule.file, entry.created)
                await self._compare(entry.name, watched, found)

    async def _compare(self, name: str, watched: _Watched, found: dict[str, Stamp]) -> None:
        steady = [path for path, stamp in found.items() if watched.seen.get(path) == stamp]
        watched.seen = found
        watched.told = {path: stamp for path, stamp in watched.told.items() if path in found}
        for path in steady:
            stamp = found[path]
            if watched.told.get(path) == stamp:
                continue
            event = {"path": path, "modified": stamp[0] // 1000, "size": stamp[1]}
            try:
                await self._tell(name, f"{path}\0{stamp[0]}\0{stamp[1]}", event)
            except HeadwayError as error:
                log.warning("schedule %s is not told of %s now: %s", name, path, error)
                return
            watched.told[path] = stamp


def _files(pattern: str, since: int) -> dict[str, Stamp]:
    """Files of a pattern that appeared or changed after a time in microseconds, in order of their names.

    The time of the inode counts: a copy that keeps the old file's time is new all the same.
    """
    found: dict[str, Stamp] = {}
    for path in sorted(islice(glob.iglob(pattern, recursive=True), MOST)):
        try:
            status = os.stat(path)
        except OSError:  # it has gone since, or is not for us to see
            continue
        if status.st_ctime_ns // 1000 > since and not os.path.isdir(path):
            found[path] = (status.st_mtime_ns, status.st_size)
    return found
