"""What HTTP and the ticker see of the schedules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from headway.core.runs.schedules import Entry, Schedules, run_of_event, run_of_time, view
from headway.roles.loop import RoleLoop
from headway.roles.planner import Planner

View = dict[str, Any]


class SchedulesFront:
    """Schedules; changes resolve after the commit.

    Args:
        exists: Whether there is, or was, a run of an id.
    """

    def __init__(self, loop: RoleLoop, planner: Planner, exists: Callable[[str], Awaitable[bool]]) -> None:
        self._loop, self._planner, self._exists = loop, planner, exists
        #: Called after each change of what is due when.
        self.on_change: Callable[[], None] = lambda: None

    @property
    def all(self) -> Schedules:
        """The planner's own, to read."""
        return self._planner.schedules

    def entry(self, name: str) -> Entry:
        """Raises NotFound."""
        return self.all.get(name)

    def views(self) -> list[View]:
        """Every schedule."""
        return [view(entry) for entry in self.all]

    def view(self, name: str) -> View:
        """Raises NotFound."""
        return view(self.entry(name))

    async def put(self, name: str, schedule: View, submission: View, by: str) -> View:
        """Register a workflow under a name, or another version of it."""
        return await self._change("schedule", name=name, schedule=schedule, submission=submission, by=by)

    async def remove(self, name: str, by: str) -> View:
        """Forget it; its runs go on."""
        return await self._change("schedule_remove", name=name, by=by)

    async def pause(self, name: str, reason: str, by: str) -> View:
        """Start nothing more of it."""
        return await self._change("schedule_pause", name=name, reason=reason, by=by)

    async def resume(self, name: str, by: str) -> View:
        """Go on with its next time."""
        return await self._change("schedule_resume", name=name, by=by)

    async def fire(self, body: View) -> View:
        """Times have passed: see `Schedules.fire`."""
        return await self._loop.call("schedule_fire", body)

    async def event(self, name: str, key: str, payload: Any) -> View:
        """Something happened: `{"run", "repeated"}`. The same key is the same event, for as long as its run is kept."""
        run = run_of_event(name, key)
        if await self._exists(run):
            self.entry(name)
            return {"run": run, "repeated": True}
        found = await self._loop.call("schedule_event", {"name": name, "key": key, "payload": payload})
        return {**found, "repeated": False}

    async def backfill(self, name: str, rows: Sequence[Sequence[Any]], parallel: int, by: str) -> View:
        """Run past times, but none that has run: `{"known", ...view}` says how many those were."""
        new = [row for row in rows if not await self._exists(run_of_time(name, row[0]))]
        body = {"name": name, "rows": new, "parallel": parallel, "by": by}
        return {"known": len(rows) - len(new), **await self._loop.call("schedule_backfill", body)}

    async def cancel_backfill(self, name: str, by: str) -> View:
        """Start no more of it."""
        return await self._loop.call("schedule_cancel_backfill", {"name": name, "by": by})

    async def _change(self, kind: str, **body: Any) -> View:
        found = await self._loop.call(kind, body)
        self.on_change()
        return found
