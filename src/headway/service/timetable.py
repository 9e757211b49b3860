"""The calendar of schedules: when a cron expression or an interval is due, in its own time zone, through every change of clocks.

Cron as Debian's (by the library cronsim): five fields; both days restricted means either; names of months and days, `L` for the
last day. A job whose local time does not exist (clocks go forward) is due right after the gap, once; one whose local time comes
twice (clocks go back) is due the first time only; jobs that run at every hour follow real time. One zone changes its clocks
by half an hour (Australia/Lord_Howe): when they go back, the library leaves out one time of a job of every so many hours there. Times
here are microseconds since 1970.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from headway.domain.schedule import LATE, Schedule
from headway.domain.units import SECOND
from headway.errors import Invalid

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
#: Times that were missed are counted up to here.
COUNTED = 10_000


class Timetable:
    """The times of one schedule.

    Args:
        schedule: By cron or interval.
        anchor: When it was registered; an interval counts from there, in whole seconds.

    Raises:
        Invalid: The expression is none, names no time that ever comes, or the zone is unknown.
    """

    def __init__(self, schedule: Schedule, anchor: int) -> None:
        self.schedule = schedule
        self._anchor = anchor // SECOND * SECOND
        self._zone: tzinfo = UTC
        if schedule.cron:
            self._zone = zone_of(schedule.zone)
            self._expression = ALIASES.get(schedule.cron, schedule.cron)
            check_cron(schedule.cron, self._zone)

    def after(self, time: int) -> Iterator[int]:
        """Times later than this one, in order."""
        every = self.schedule.every
        if every:
            due = self._anchor + max(1, (time - self._anchor) // every + 1) * every
            while True:
                yield due
                due += every
        else:
            yield from self._cron(time, back=False)

    def upto(self, time: int) -> Iterator[int]:
        """This time and those before it, backwards; an interval has none before its first."""
        every = self.schedule.every
        if every:
            due = time - (time - self._anchor) % every
            while due > self._anchor:
                yield due
                due -= every
        else:
            yield from self._cron(time + 1, back=True)

    def _cron(self, time: int, back: bool) -> Iterator[int]:
        # The library counts from whole minutes: what it gives is beyond where we start, never at it.
        start = datetime.fromtimestamp(time / 1_000_000, self._zone)
        for found in CronSim(self._expression, start, reverse=back):
            due = round(found.timestamp()) * SECOND
            if due < time if back else due > time:
                yield due

    def row(self, due: int) -> list[Any]:
        """[time, start, end] of the interval that ends at a time: from the time before, as text with the zone's offset."""
        every = self.schedule.every
        before = due - every if every else next(self.upto(due - 1), due)
        return [due, self.text(before), self.text(due)]

    def text(self, time: int) -> str:
        """`2026-11-25T06:00:00+01:00`."""
        return datetime.fromtimestamp(time // SECOND, self._zone).isoformat()

    def passed(self, last: int, now: int) -> tuple[list[list[Any]], int]:
        """What became due after `last` up to `now`: rows that are to run, oldest first, and how many are not to."""
        found = list(takewhile(lambda due: due > last, islice(self.upto(now), COUNTED)))
        chosen = found[: self.schedule.limit]
        if self.schedule.catchup == "latest":
            chosen = found[:1]
        elif self.schedule.catchup == "skip":
            chosen = [due for due in found[:1] if now - due <= LATE]
        return [self.row(due) for due in reversed(chosen)], len(found) - len(chosen)

    def between(self, start: int, end: int, limit: int) -> list[int]:
        """Times from `start` (included) to `end` (not), oldest first, in the past of the anchor too.

        Raises:
            Invalid: They are more than `limit`.
        """
        every = self.schedule.every
        if every:
            first = self._anchor + -(-(start - self._anchor) // every) * every
            found = list(islice(range(first, end, every), limit + 1))
        else:
            found = []
            for due in self.after(start - 1):
                if due >= end or len(found) > limit:
                    break
                found.append(due)
        if len(found) > limit:
            raise Invalid(
                f"there are more than {limit:,} times of {self.schedule} in that span",
                hint="say a shorter span, or a higher --limit",
            )
        return found


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """A time zone by its name. Raises Invalid."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(name, sorted(available_timezones()), n=1)
        raise Invalid(
            f"there is no time zone {name[:80]!r}",
            hint=f"did you mean {near[0]}?" if near else "write Europe/Berlin, or UTC",
        ) from None


def check_cron(text: str, zone: tzinfo = UTC) -> None:
    """Raises Invalid for an expression that is none, or that never fires."""
    expression = ALIASES.get(text, text)
    if text.startswith("@") and text not in ALIASES:
        raise Invalid(f"cron {text!r} is no known word", hint=f"known are {', '.join(ALIASES)}")
    if len(expression.split()) != 5:
        raise Invalid(
            f"cron {text!r} has {len(expression.split())} fields, not 5",
            hint="minute hour day-of-month month day-of-week: 30 6 * * mon-fri",
        )
    try:
        first = next(CronSim(expression, datetime(2024, 1, 1, tzinfo=zone)), None)
    except CronSimError as error:
        known = "day-of-month" in str(error) and _plausible_day(expression)
        if known:
            raise _never(text) from None
        raise Invalid(
            f"cron {text!r}: {str(error)[:1].lower()}{str(error)[1:]}",
            hint="minute hour day-of-month month day-of-week: 30 6 * * mon-fri",
        ) from None
    if first is None:
        raise _never(text)


def _plausible_day(expression: str) -> bool:
    """Whether the day is one of some month, so that it is the months that never have it."""
    day = expression.split()[2]
    return day.isdigit() and 1 <= int(day) <= 31


def _never(text: str) -> Invalid:
    return Invalid(
        f"cron {text!r} never fires: none of its months has such a day",
        hint="choose a day that comes, or L for the last of the month",
    )
