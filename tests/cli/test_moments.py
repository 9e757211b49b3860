"""Points in time as a person writes them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from headway.cli.moments import moment_of
from headway.errors import Invalid


@pytest.mark.parametrize(
    ("text", "seconds"), [("10min ago", 600), ("-10min", 600), ("1h30m ago", 5400), ("-0s", 0)]
)
def test_lengths_are_counted_from_now(text: str, seconds: int) -> None:
    before = time.time_ns() // 1000
    found = moment_of(text, "--at")
    assert before - seconds * 10**6 <= found <= time.time_ns() // 1000 - seconds * 10**6


def test_a_date_is_local_unless_it_names_a_zone() -> None:
    assert moment_of("2026-03-01T10:30+00:00", "--at") == round(
        datetime(2026, 3, 1, 10, 30, tzinfo=UTC).timestamp() * 10**6
    )
    assert moment_of("2026-03-01T10:30", "--at") == round(datetime(2026, 3, 1, 10, 30).timestamp() * 10**6)


@pytest.mark.parametrize(
    "text", ["tomorrow", "", "-", "ago", "2999-01-01", "-900000000h", "12:99", "nan ago"]
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="--at"):
        moment_of(text, "--at")
