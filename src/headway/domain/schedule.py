"""When a workflow runs by itself: at times, or on an event. What is kept of it is the submission that was registered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headway.domain.units import SECOND, parse_time, show_time
from headway.errors import Invalid

#: Of a schedule's runs: `<name>-<time>`; so a name leaves room for that in the id of a run.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}\Z")
#: What a scheduled workflow may take: the interval of a run by the clock, or what its event brought.
INTERVAL, EVENT = ("interval_start", "interval_end"), "event"

CATCHUP = ("latest", "all", "skip")
OVERLAP = ("allow", "skip", "queue")
#: A time that is noticed later than this was missed: `catchup` says what becomes of it. Microseconds.
LATE = 60 * SECOND
#: Most times that are caught up, or runs that wait for the one before.
LIMIT, MOST = 100, 10_000

_FIELDS = {"cron", "zone", "every", "file", "http", "mqtt", "catchup", "overlap", "limit"}
_KINDS = ("cron", "every", "file", "http", "mqtt")


@dataclass(frozen=True, slots=True)
class Schedule:
    """One of `cron`, `every`, `file`, `http` and `mqtt` is set.

    Attributes:
        cron: Five fields, or `@daily` and the like; read in `zone`. What they mean stands in `service.timetable`.
        zone: Of the IANA database: `Europe/Berlin`.
        every: Microseconds between two runs, whole seconds, counted from the time it was registered.
        file: A pattern of absolute paths: each file that appears or changes is an event.
        http: Each `POST /v1/schedules/NAME/events` is one.
        mqtt: A topic filter below `headway/<site>/events/`: each message is one.
        catchup: Of times that passed while nothing could be started: `latest`, `all` (at most `limit`) or none (`skip`).
        overlap: While a run of it is not over: `allow` the next, `skip` it, or `queue` it (at most `limit`).
        limit: See there.
    """

    cron: str = ""
    zone: str = "UTC"
    every: int = 0
    file: str = ""
    http: bool = False
    mqtt: str = ""
    catchup: str = CATCHUP[0]
    overlap: str = OVERLAP[0]
    limit: int = LIMIT

    @property
    def timed(self) -> bool:
        """By the clock, and not by events."""
        return bool(self.cron or self.every)

    def __str__(self) -> str:
        if self.cron:
            return f"{self.cron} ({self.zone})"
        if self.every:
            return f"every {show_time(self.every)}"
        if self.file:
            return f"file {self.file}"
        return f"mqtt {self.mqtt}" if self.mqtt else "http"


def check_name(name: str) -> str:
    """The name of a schedule. Raises Invalid."""
    if not NAME.match(name):
        raise Invalid(
            f"{name[:80]!r} cannot be the name of a schedule",
            hint="letters, digits, '-', '_' and '.', at most 60, a letter or digit first",
        )
    return name


def read_schedule(tree: Mapping[str, Any]) -> Schedule:
    """A schedule from JSON, where `every` may be text (`15min`).

    Raises:
        Invalid: An unknown field, none or two kinds, a value that makes no sense. The expression of `cron` and the zone are
            checked by `service.timetable`, which knows the calendar.
    """
    unknown = sorted(set(tree) - _FIELDS)
    if unknown:
        raise Invalid(f"a schedule has no {unknown[0]!r}", hint=f"known fields: {', '.join(sorted(_FIELDS))}")
    given = [kind for kind in _KINDS if tree.get(kind)]
    if len(given) != 1:
        said = " and ".join(given) if given else "none of them"
        raise Invalid(
            f"a schedule runs by one of {', '.join(_KINDS)}, and this says {said}",
            hint='for example {"cron": "0 6 * * mon-fri", "zone": "Europe/Berlin"}, or {"every": "15min"}',
        )
    if "zone" in tree and given != ["cron"]:
        raise Invalid("only a cron expression is read in a zone", hint="leave the zone out")
    every = tree.get("every", 0)
    if isinstance(every, str):
        every = parse_time(every, "every")
    if given == ["every"] and (type(every) is not int or every < SECOND or every % SECOND):
        raise Invalid(f"every={tree['every']!r} is not a whole number of seconds", hint="write 90s or 15min")
    for field in ("cron", "zone", "file", "mqtt"):
        if not isinstance(tree.get(field, ""), str) or len(tree.get(field, "")) > 1000:
            raise Invalid(f"{field}={str(tree[field])[:80]!r} is not a text of at most 1,000 characters")
    if not isinstance(tree.get("http", False), bool):
        raise Invalid("http is true or left out")
    for field, allowed in (("catchup", CATCHUP), ("overlap", OVERLAP)):
        if tree.get(field, allowed[0]) not in allowed:
            raise Invalid(f"{field}={tree[field]!r} is none of {', '.join(allowed)}")
    limit = tree.get("limit", LIMIT)
    if type(limit) is not int or not 1 <= limit <= MOST:
        raise Invalid(f"limit={limit!r} is not a number from 1 to {MOST:,}")
    if "file" in given and not tree["file"].startswith("/"):
        raise Invalid(
            f"file={tree['file']!r} is not an absolute path", hint="the service does not know your folder"
        )
    if "mqtt" in given:
        _check_filter(tree["mqtt"])
    return Schedule(**{**tree, "every": every})


def _check_filter(text: str) -> None:
    """A topic filter (MQTT 3.1.1, 4.7): `+` is one level, `#` all that follow."""
    levels = text.split("/")
    for place, level in enumerate(levels):
        wild = set(level) & {"+", "#"}
        if (wild and len(level) > 1) or (level == "#" and place < len(levels) - 1) or not level:
            raise Invalid(
                f"mqtt={text!r} is not a topic filter",
                hint="levels between '/', '+' for any one of them, '#' at the end for all that follow: lab/+/done",
            )
    if set(text) & set(" .\0"):
        raise Invalid(f"mqtt={text!r} holds a blank or a dot", hint="not every broker knows them in topics")


def schedule_to_json(schedule: Schedule) -> dict[str, Any]:
    """What `read_schedule` reads, without what was not said."""
    plain = Schedule()
    fields = {name: getattr(schedule, name) for name in Schedule.__dataclass_fields__}
    return {name: value for name, value in fields.items() if value != getattr(plain, name)}
