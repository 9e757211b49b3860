"""What the HTTP layer needs from the roles and the store, no more. The roles implement these; tests bring
fakes.

Views are plain JSON dicts. Times are integer microseconds since the epoch.

A run view is `{"id", "name", "tenant", "state", "submitted", "ended", "counts": {state: n}, "result": tree |
None, "error": None | {"task", "type", "message"}}`; a result tree has `{"ref": {...}}` leaves under `{"list":
[...]}`, `{"tuple": [...]}` and `{"dict": {...}}`. A task view is `{"id", "run", "name", "state", "attempt",
"attempts", "node", "started", "ended", "took", "result", "error", "progress"}`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from headway.core.runs.schedules import Entry
from headway.roles.tally import Tally

View = dict[str, Any]

RUN_STATES = ("running", "finished", "failed", "cancelled")
TASK_STATES = (
    "waiting",
    "queued",
    "running",
    "finished",
    "failed",
    "cancelled",
    "skipped",
    "unknown",
    "cached",
)


class PlannerPort(Protocol):
    """The planner: runs and tasks. Changes resolve after the commit; reads never commit, and wait only for
    the archive.
    """

    @property
    def schedules(self) -> SchedulesPort: ...

    async def submit(self, body: View) -> View:
        """Accept `{"run", "workflow", "values", "bundle", "key", "by"}`; returns the run view.

        The same key again returns the first run's view with `"repeated": true`; with another body it raises
        Conflict.
        """
        ...

    async def cancel(self, target: str, reason: str, by: str) -> View:
        """Cancel a run or one task; returns its view."""
        ...

    async def pause(self, target: str, reason: str, stop: bool, by: str) -> View:
        """Let nothing of a run, a task or a map start; returns the view."""
        ...

    async def resume(self, target: str, by: str) -> View: ...

    async def edit(self, target: str, changes: dict[str, int], reason: str, by: str) -> View:
        """Change `priority`, `weight` (milli) or `deadline` (microseconds) of what has not ended; returns the view."""
        ...

    async def approve(self, task: str, yes: bool, reason: str, by: str) -> View:
        """Answer an approval; returns the task's view."""
        ...

    async def signal(self, run: str, name: str, value: Any, reason: str, by: str) -> View:
        """Give a signal to a run; returns the run's view, with how many tasks it `answered`."""
        ...

    async def retry(self, run: str, by: str) -> View:
        """Run again what failed, was skipped or cancelled; returns the run view."""
        ...

    async def runs(
        self,
        state: str | None,
        limit: int,
        after: str | None,
        workflow: str | None = None,
        version: str | None = None,
    ) -> list[View]:
        """Newest first, those older than the run `after`; of a workflow, of a version by the beginning of its hash."""
        ...

    async def run(self, id: str) -> View:
        """Raises NotFound."""
        ...

    async def tasks(self, run: str | None, state: str | None, limit: int, offset: int) -> list[View]: ...

    async def task(self, id: str) -> View:
        """Raises NotFound."""
        ...

    def stats(self) -> View: ...

    def tally(self) -> Tally:
        """What has ended since the process began."""
        ...

    def listen(self, listener: Callable[[list[View]], None]) -> Callable[[], None]:
        """Changes from now on, as they are committed: `{"n", "type": "task" | "run", ...view fields}`. The listener returns at
        once. Returns what ends it.
        """
        ...


class SchedulesPort(Protocol):
    """Workflows that run by themselves; views as `headway.core.runs.schedules.view` makes them."""

    def entry(self, name: str) -> Entry:
        """Raises NotFound."""
        ...

    def views(self) -> list[View]: ...

    def view(self, name: str) -> View:
        """Raises NotFound."""
        ...

    async def put(self, name: str, schedule: View, submission: View, by: str) -> View: ...

    async def remove(self, name: str, by: str) -> View: ...

    async def pause(self, name: str, reason: str, by: str) -> View: ...

    async def resume(self, name: str, by: str) -> View: ...

    async def event(self, name: str, key: str, payload: Any) -> View:
        """`{"run", "repeated"}`; raises Conflict while it is paused."""
        ...

    async def backfill(self, name: str, rows: Sequence[Sequence[Any]], parallel: int, by: str) -> View: ...

    async def cancel_backfill(self, name: str, by: str) -> View: ...


class SchedulerPort(Protocol):
    """The scheduler: reasons, nodes, policy and overrides."""

    async def why(self, task: str, at: int | None = None) -> View:
        """`{"task", "state", "text", ...}`, as of `at` if given. Raises NotFound; Unavailable where the past cannot be
        asked about now.
        """
        ...

    def nodes(self) -> list[View]: ...

    def stats(self) -> View: ...

    def policy(self) -> View:
        """`{"order", "discipline", "placement", "plan"}`; the plan is None unless one is followed."""
        ...

    async def set_policy(self, order: str, discipline: str, placement: str, by: str) -> View: ...

    async def override(self, body: View) -> View:
        """The fields of `headway.domain.override.Override`; returns them as in force."""
        ...

    async def revert(self, id: str, by: str) -> View: ...

    def overrides(self) -> list[View]:
        """Those in force."""
        ...

    def agents(self) -> list[View]:
        """`{"name", "autonomy", "heard", "counts", "latest"}` each."""
        ...

    def windows(self) -> list[View]: ...

    async def set_window(self, body: View) -> View:
        """The fields of `headway.domain.window.Window`; returns it with its nodes."""
        ...

    async def clear_window(self, id: str, by: str) -> View: ...

    def tenants(self) -> list[View]: ...

    def rates(self) -> list[View]: ...

    def pools(self) -> list[View]: ...

    async def set_pool(self, pool: str, slots: int | None, by: str) -> View:
        """Change how many slots a pool has, or lift it with None. Raises NotFound for one to lift that is not there."""
        ...

    async def set_quota(self, tenant: str, quota: View | None, by: str) -> View:
        """The quota as `Quota.parse` reads it, None to lift it; returns the tenant's view."""
        ...

    async def set_rate(self, rate: str, limit: View | None, by: str) -> View:
        """The rate as `Rate.parse` reads it, None to lift it; returns the rate's view."""
        ...

    def admissible(self, workflow: View) -> None:
        """Raises Invalid for a task that takes from no known rate, or asks for more than a limit could ever give it."""
        ...


class BlobsPort(Protocol):
    """The store of values and bundles by their SHA-256."""

    def touch(self, sha: str) -> bool:
        """Whether it is there; if so it is not swept for a while."""
        ...

    def path(self, sha: str) -> Path: ...

    def size(self, sha: str) -> int: ...
