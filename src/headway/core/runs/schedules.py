"""Schedules: which workflow runs by itself, what has been started of it, and what waits for its turn.

Sans-IO. The times themselves come in as events, worked out where the calendar is known (`service.timetable`): the database of
time zones changes under us, and a journal must replay to the byte all the same. Each time and each event has one run id that
follows from it, so that nothing is started twice: not after a crash, not by a backfill over what has run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from headway.domain.codec import ref_to_json
from headway.domain.results import Ref
from headway.domain.schedule import (
    EVENT,
    INTERVAL,
    MOST,
    Schedule,
    check_name,
    read_schedule,
    schedule_to_json,
)
from headway.errors import Conflict, HeadwayError, Invalid, NotFound

#: Runs of one backfill that are started in one step.
BATCH = 50
#: Runs of one backfill that may be under way at a time.
PARALLEL = 1_000
#: Largest event, in bytes of JSON: it lies in the journal.
EVENT_LIMIT = 32_768


@dataclass(slots=True)
class Backfill:
    """Past times that are run anew, oldest first, at most `parallel` at a time."""

    todo: list[list[Any]]
    parallel: int
    by: str
    total: int
    live: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Entry:
    """A schedule and where it stands.

    Attributes:
        submission: `{"workflow", "values", "bundle"}` as it was registered.
        version: Counts what was registered under this name.
        last: Up to this time every time has been dealt with, in microseconds.
        paused: `{"by", "reason", "at"}`.
        live: Its runs that are not over, in order.
        pending: What waits for those: `[run, values]`.
        fired, skipped, missed: Runs started; times passed over since one was running; times that nobody caught up.
    """

    name: str
    schedule: Schedule
    submission: dict[str, Any]
    version: int
    created: int
    by: str
    last: int
    paused: dict[str, Any] | None = None
    live: list[str] = field(default_factory=list)
    pending: list[list[Any]] = field(default_factory=list)
    backfill: Backfill | None = None
    last_run: str = ""
    error: str = ""
    fired: int = 0
    skipped: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Start:
    """A run that is due: to be submitted as `run` with these values."""

    name: str
    run: str
    submission: dict[str, Any]


def run_of_time(name: str, at: int) -> str:
    """`nightly-20261125T050000Z`."""
    return f"{name}-{datetime.fromtimestamp(at // 1_000_000, UTC):%Y%m%dT%H%M%SZ}"


def run_of_event(name: str, key: str) -> str:
    """`nightly-e3b0c44298fc`: the same for the same key."""
    return f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


class Schedules:
    """Every schedule, by name, in order of registration."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._waiting: dict[str, None] = {}
        #: Grows with each change of what is due when; not kept.
        self.revision = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Any:
        return iter(self._entries.values())

    def get(self, name: str) -> Entry:
        """Raises NotFound."""
        found = self._entries.get(name)
        if found is None:
            raise NotFound(f"there is no schedule {name!r}", hint="`headway schedules` lists them")
        return found

    # ── what operators do ───────────────────────────────────────────────────────────────────────────────────

    def put(
        self, name: str, tree: Mapping[str, Any], submission: Mapping[str, Any], by: str, now: int
    ) -> Entry:
        """Register a workflow, or another version of it: what runs goes on, what is due is what is said now."""
        schedule = read_schedule(tree)
        before = self._entries.get(check_name(name))
        entry = Entry(name, schedule, dict(submission), 1, now, by, now)
        if before is not None:
            entry.version, entry.live, entry.last_run = before.version + 1, before.live, before.last_run
            entry.fired, entry.skipped, entry.missed = before.fired, before.skipped, before.missed
            entry.paused, entry.pending = before.paused, before.pending
            if schedule == before.schedule:
                entry.created, entry.last, entry.backfill = before.created, before.last, before.backfill
        self._entries[name] = entry
        self.revision += 1
        return entry

    def remove(self, name: str) -> Entry:
        """Forget it; its runs go on."""
        entry = self.get(name)
        del self._entries[name]
        self._waiting.pop(name, None)
        self.revision += 1
        return entry

    def pause(self, name: str, by: str, reason: str, now: int) -> Entry:
        """Start nothing more of it until `resume`; who and why is shown."""
        entry = self.get(name)
        if entry.paused is None:
            entry.paused = {"by": by, "reason": reason, "at": now}
            self.revision += 1
        return entry

    def resume(self, name: str, now: int) -> Entry:
        """Go on with the next time; those that passed meanwhile are for a backfill."""
        entry = self.get(name)
        if entry.paused is not None:
            entry.paused, entry.last = None, max(entry.last, now)
            self._waiting[name] = None
            self.revision += 1
        return entry

    def backfill(self, name: str, rows: Sequence[Sequence[Any]], parallel: int, by: str) -> Entry:
        """Run past times.

        Args:
            rows: [time, start, end] each, oldest first; those whose run is known must not be among them.

        Raises:
            Conflict: One is under way.
            Invalid: It has no times, or they are too many.
        """
        entry = self.get(name)
        if not entry.schedule.timed:
            raise Invalid(f"schedule {name} runs on events, so it has no past intervals")
        if entry.backfill is not None:
            raise Conflict(
                f"a backfill of {name} is under way: {entry.backfill.total - len(entry.backfill.todo)} of "
                f"{entry.backfill.total} started",
                hint=f"wait for it, or end it: headway schedules cancel-backfill {name}",
            )
        if not 1 <= parallel <= PARALLEL or len(rows) > MOST:
            raise Invalid(f"a backfill has at most {MOST:,} intervals, and runs 1 to {PARALLEL:,} at a time")
        if rows:
            todo = [[run_of_time(name, row[0]), _interval(entry, row)] for row in rows]
            entry.backfill = Backfill(todo, parallel, by, len(todo))
            self._waiting[name] = None
        return entry

    def cancel_backfill(self, name: str) -> Entry:
        """Start no more of it; what runs goes on."""
        entry = self.get(name)
        if entry.backfill is None:
            raise Conflict(f"there is no backfill of {name}")
        entry.live += [run for run in entry.backfill.live if run not in entry.live]
        entry.backfill = None
        return entry

    # ── what is due ─────────────────────────────────────────────────────────────────────────────────────────

    def fire(
        self, name: str, version: int, upto: int, rows: Sequence[Sequence[Any]], missed: int
    ) -> dict[str, Any]:
        """The clock has passed times of a schedule.

        Args:
            version: Of the schedule that they were worked out for; another one is not meant.
            upto: All times up to this one are dealt with now.
            rows: Those that are to run: [time, start, end], the interval as text.
            missed: How many are not to.
        """
        entry = self._entries.get(name)
        if (
            entry is None
            or entry.version != version
            or entry.paused is not None
            or upto <= max(entry.last, 0)
        ):
            return {"taken": False}
        entry.last, entry.missed = upto, entry.missed + missed
        entry.pending += [[run_of_time(name, row[0]), _interval(entry, row)] for row in rows]
        self._waiting[name] = None
        return {"taken": True}

    def event(self, name: str, key: str, payload: Any) -> str:
        """Something happened that a schedule waits for. The same key again is the same event. Returns the run's id.

        Raises:
            Conflict: The schedule is paused.
            Invalid: The payload is too large, or the schedule goes by the clock.
        """
        entry = self.get(name)
        if entry.schedule.timed:
            raise Invalid(f"schedule {name} goes by the clock: {entry.schedule}")
        if entry.paused is not None:
            raise Conflict(
                f"schedule {name} was paused by {entry.paused['by']}: {entry.paused['reason'] or 'no reason given'}",
                hint=f"headway schedules resume {name}",
            )
        size = len(json.dumps(payload))
        if size > EVENT_LIMIT:
            raise Invalid(f"the event has {size:,} bytes, more than {EVENT_LIMIT:,}", hint="send its address")
        run = run_of_event(name, key)
        if run not in entry.live and all(run != waiting for waiting, _ in entry.pending):
            entry.pending.append([run, _values(entry, {EVENT: payload})])
            self._waiting[name] = None
        return run

    # ── what follows ────────────────────────────────────────────────────────────────────────────────────────

    def due(self, alive: Callable[[str], bool]) -> list[Start]:
        """Runs to submit now. To be called after each step; costs nothing where no schedule waits."""
        starts: list[Start] = []
        for name in list(self._waiting):
            entry = self._entries[name]
            entry.live = [run for run in entry.live if alive(run)]
            self._take_pending(entry, starts)
            if entry.backfill is not None:
                self._take_backfill(entry, entry.backfill, alive, starts)
            if not entry.pending and entry.backfill is None:
                del self._waiting[name]
        return starts

    def _take_pending(self, entry: Entry, starts: list[Start]) -> None:
        overlap = entry.schedule.overlap
        while entry.pending and entry.paused is None:
            if entry.live and overlap == "queue":
                dropped = len(entry.pending) - entry.schedule.limit
                if dropped > 0:
                    del entry.pending[:dropped]
                    entry.skipped += dropped
                return
            run, values = entry.pending.pop(0)
            if entry.live and overlap == "skip":
                entry.skipped += 1
                continue
            starts.append(_start(entry, run, values))
            entry.live.append(run)
            entry.last_run, entry.fired = run, entry.fired + 1

    def _take_backfill(
        self, entry: Entry, backfill: Backfill, alive: Callable[[str], bool], starts: list[Start]
    ) -> None:
        backfill.live = [run for run in backfill.live if alive(run)]
        room = min(BATCH, backfill.parallel - len(backfill.live)) if entry.paused is None else 0
        for run, values in backfill.todo[: max(0, room)]:
            starts.append(_start(entry, run, values))
            backfill.live.append(run)
            entry.last_run, entry.fired = run, entry.fired + 1
        del backfill.todo[: max(0, room)]
        if not backfill.todo and not backfill.live:
            entry.backfill = None

    def failed(self, start: Start, error: HeadwayError) -> None:
        """The run could not be submitted: it is shown, and the schedule goes on."""
        entry = self._entries[start.name]
        entry.error = f"{start.run}: {error.message}"
        entry.fired -= 1
        for live in (entry.live, entry.backfill.live if entry.backfill is not None else []):
            if start.run in live:
                live.remove(start.run)

    def blobs(self) -> set[str]:
        """Content that a later run needs: bundles and large values."""
        found = set()
        for entry in self._entries.values():
            found.add(entry.submission["bundle"])
            found.update(ref["data"] for ref in entry.submission["values"].values() if ref["kind"] == "blob")
        return found - {""}

    # ── views and keeping ───────────────────────────────────────────────────────────────────────────────────

    def snapshot(self) -> dict[str, Any]:
        """Everything, as plain JSON."""
        entries = []
        for entry in self._entries.values():
            tree = asdict(entry)
            tree["schedule"] = schedule_to_json(entry.schedule)
            entries.append(tree)
        return {"entries": entries, "waiting": list(self._waiting)}

    @classmethod
    def restore(cls, tree: Mapping[str, Any]) -> Schedules:
        """Schedules that go on exactly as those `snapshot` was taken of."""
        found = cls()
        for saved in tree["entries"]:
            backfill = saved["backfill"]
            fields = {**saved, "schedule": read_schedule(saved["schedule"])}
            fields["backfill"] = None if backfill is None else Backfill(**backfill)
            found._entries[saved["name"]] = Entry(**fields)
        found._waiting = dict.fromkeys(tree["waiting"])
        return found


def view(entry: Entry) -> dict[str, Any]:
    """A schedule as listings show it; `next` is for whoever knows the calendar to add."""
    backfill = entry.backfill
    return {
        "name": entry.name,
        "schedule": schedule_to_json(entry.schedule),
        "text": str(entry.schedule),
        "workflow": entry.submission["workflow"]["name"],
        "tenant": entry.submission["workflow"].get("tenant", "default"),
        "bundle": entry.submission["bundle"],
        "version": entry.version,
        "created": entry.created,
        "by": entry.by,
        "paused": entry.paused,
        "last": entry.last,
        "last_run": entry.last_run,
        "live": entry.live[-100:],
        "queued": len(entry.pending),
        "error": entry.error,
        "fired": entry.fired,
        "skipped": entry.skipped,
        "missed": entry.missed,
        "backfill": None
        if backfill is None
        else {
            "total": backfill.total,
            "started": backfill.total - len(backfill.todo),
            "live": len(backfill.live),
            "parallel": backfill.parallel,
            "by": backfill.by,
        },
    }


def _interval(entry: Entry, row: Sequence[Any]) -> dict[str, Any]:
    return _values(entry, dict(zip(INTERVAL, row[1:3], strict=True)))


def _values(entry: Entry, given: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a run is given, what its workflow takes: as references."""
    return {
        name: ref_to_json(_json_ref(value))
        for name, value in given.items()
        if name in entry.submission["values"]
    }


def _json_ref(value: Any) -> Ref:
    text = json.dumps(value, ensure_ascii=False)
    items = len(value) if isinstance(value, list) else None
    return Ref("json", value, len(text.encode()), items, text if len(text) <= 80 else f"{text[:79]}…")


def _start(entry: Entry, run: str, values: Mapping[str, Any]) -> Start:
    submission = {**entry.submission, "values": {**entry.submission["values"], **values}}
    return Start(entry.name, run, submission)
