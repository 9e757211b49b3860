"""The calendar: cron and intervals, through the changes of clocks of two zones, forwards and backwards alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.domain.schedule import read_schedule
from headway.errors import Invalid
from headway.service.timetable import ALIASES, Timetable, check_cron, zone_of

SECOND = 1_000_000
HOUR = 3600 * SECOND


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def table(anchor: int = 0, **fields: Any) -> Timetable:
    return Timetable(read_schedule(fields), anchor)


def texts(found: Timetable, start: str, count: int) -> list[str]:
    return [found.text(due) for due in islice(found.after(at(start)), count)]


@pytest.mark.parametrize(
    ("zone", "cron", "start", "want"),
    [
        # Clocks go forward: 02:30 does not exist, so it is due right after the gap, once.
        ("Europe/Berlin", "30 2 * * *", "2026-03-28T00:00",
         ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]),
        ("America/New_York", "30 2 * * *", "2026-03-07T12:00",
         ["2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"]),
        # Clocks go back: 02:30 comes twice, and is due the first time.
        ("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00",
         ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
        ("America/New_York", "30 1 * * *", "2026-10-31T12:00",
         ["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"]),
        # What runs every hour follows real time: no hour is left out, none is doubled.
        ("Europe/Berlin", "0 * * * *", "2026-10-24T23:30",
         ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"]),
        ("America/New_York", "0 * * * *", "2026-03-08T06:30",
         ["2026-03-08T03:00:00-04:00", "2026-03-08T04:00:00-04:00"]),
    ],
)  # fmt: skip
def test_a_change_of_clocks(zone: str, cron: str, start: str, want: list[str]) -> None:
    assert texts(table(cron=cron, zone=zone), start, len(want)) == want


def test_every_day_of_a_year_has_one_run_in_both_zones() -> None:
    for zone in ("Europe/Berlin", "America/New_York"):
        found = table(cron="30 2 * * *", zone=zone)
        days = [found.text(due)[:10] for due in islice(found.after(at("2026-01-01T12:00")), 365)]
        first = datetime(2026, 1, 2)
        assert days == [(first + timedelta(days=n)).strftime("%Y-%m-%d") for n in range(365)]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 */3 * * *", "15 1,2,3 * * 0", "@hourly", "0 0 L * *"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Sydney", "UTC"]),
    st.sampled_from(["2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2026-06-15"]),
    st.integers(-48, 48),
)
def test_backwards_is_forwards_reversed(cron: str, zone: str, day: str, hours: int) -> None:
    found = table(cron=cron, zone=zone)
    start = at(day + "T00:00") + hours * HOUR
    forwards = list(islice(found.after(start), 20))
    backwards = []
    for due in found.upto(forwards[-1]):
        if due <= start:
            break
        backwards.append(due)
    assert backwards[::-1] == forwards


def test_an_interval_counts_from_its_registration() -> None:
    found = table(anchor=at("2026-11-24T10:00:07"), every="15min")
    assert texts(found, "2026-11-24T10:20", 2) == ["2026-11-24T10:30:07+00:00", "2026-11-24T10:45:07+00:00"]
    assert found.row(at("2026-11-24T10:30:07"))[1:] == [
        "2026-11-24T10:15:07+00:00",
        "2026-11-24T10:30:07+00:00",
    ]
    assert list(found.upto(at("2026-11-24T10:31"))) == [at("2026-11-24T10:30:07"), at("2026-11-24T10:15:07")]


def test_an_interval_of_data_begins_where_the_last_one_ended() -> None:
    found = table(cron="0 6 * * mon-fri", zone="Europe/Berlin")
    monday = next(found.after(at("2026-11-21T00:00")))
    assert found.row(monday)[1:] == ["2026-11-20T06:00:00+01:00", "2026-11-23T06:00:00+01:00"]


@pytest.mark.parametrize(
    ("catchup", "limit", "want", "missed"),
    [("latest", 100, ["06"], 5), ("all", 100, ["01", "02", "03", "04", "05", "06"], 0), ("all", 2, ["05", "06"], 4), ("skip", 100, [], 6)],
)  # fmt: skip
def test_after_a_time_without_a_service(catchup: str, limit: int, want: list[str], missed: int) -> None:
    found = table(cron="0 0 * * *", catchup=catchup, limit=limit)
    rows, left = found.passed(at("2026-11-30T12:00"), at("2026-12-06T09:00"))
    assert ([row[2][8:10] for row in rows], left) == (want, missed)


def test_a_time_that_is_noticed_at_once_is_never_missed() -> None:
    for catchup in ("latest", "all", "skip"):
        found = table(cron="0 0 * * *", catchup=catchup)
        due = at("2026-12-06T00:00")
        rows, missed = found.passed(due - 24 * HOUR, due + 2 * SECOND)
        assert ([row[0] for row in rows], missed) == ([due], 0)


def test_years_without_a_service_cost_little() -> None:
    rows, missed = table(cron="* * * * *").passed(at("2020-01-01T00:00"), at("2026-01-01T00:00"))
    assert (len(rows), missed) == (1, 9_999)


def test_times_of_a_span() -> None:
    found = table(cron="0 0 * * *")
    assert len(found.between(at("2026-11-01T00:00"), at("2026-11-08T00:00"), 100)) == 7
    before = table(anchor=at("2026-11-24T10:00"), every="1h")
    span = before.between(at("2026-11-24T00:30"), at("2026-11-24T04:00"), 100)
    assert [before.text(due)[11:16] for due in span] == ["01:00", "02:00", "03:00"]
    with pytest.raises(Invalid, match="more than 5 times"):
        found.between(0, at("2026-11-08T00:00"), 5)


@pytest.mark.parametrize(
    ("cron", "says"),
    [
        ("0 0 30 2 *", "never fires"),
        ("0 0 31 2,4,6 *", "never fires"),
        ("61 * * * *", "bad minute"),
        ("0 0 32 1 *", "bad day-of-month"),
        ("* * *", "3 fields, not 5"),
        ("0 0 0 * * *", "6 fields, not 5"),
        ("@dayly", "no known word"),
        ("", "0 fields"),
    ],
)
def test_a_cron_that_makes_no_sense_is_refused_in_words(cron: str, says: str) -> None:
    with pytest.raises(Invalid, match=says) as caught:
        check_cron(cron)
    assert caught.value.hint


def test_what_people_write() -> None:
    for cron in (*ALIASES, "0 6 * * mon-fri", "*/5 9-17 * jan,jul *", "0 0 29 2 *", "0 0 L * *"):
        check_cron(cron)


def test_an_unknown_zone_is_refused_with_the_nearest() -> None:
    with pytest.raises(Invalid, match="no time zone 'Europe/Berln'") as caught:
        zone_of("Europe/Berln")
    assert caught.value.hint == "did you mean Europe/Berlin?"
    for bad in ("../../etc/passwd", "", "Mars/Base", "/etc/localtime", "Europe"):
        with pytest.raises(Invalid, match="no time zone"):
            zone_of(bad)
