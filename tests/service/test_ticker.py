"""The clock's side of schedules: what is due is told once, at its time, and a thousand idle ones cost nothing."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from headway.core.runs.schedules import Schedules
from headway.errors import Unavailable
from headway.service import ticker
from headway.service.ticker import Clockwork, Ticker

SECOND = 1_000_000
DAY = 24 * 3600 * SECOND
SUBMISSION: dict[str, Any] = {"workflow": {"name": "flow", "tasks": []}, "values": {}, "bundle": ""}


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def walk(schedules: Schedules, clockwork: Clockwork, until: int) -> list[str]:
    """A clock that jumps from one due time to the next, as a virtual clock does; the ids of the runs, in order."""
    runs: list[str] = []
    while (due := clockwork.next_at()) is not None and due <= until:
        for body in clockwork.due(due):
            assert schedules.fire(**body)["taken"]
        runs += [start.run for start in schedules.due(lambda run: False)]
    return runs


def test_a_year_in_two_zones_by_a_virtual_clock() -> None:
    schedules, start = Schedules(), at("2026-01-01T00:00")
    for name, zone in (("b", "Europe/Berlin"), ("n", "America/New_York")):
        schedules.put(name, {"cron": "30 2 * * *", "zone": zone}, SUBMISSION, "ann", start)
    runs = walk(schedules, Clockwork(lambda: schedules), start + 365 * DAY)
    assert len(runs) == len(set(runs)) == 730
    # Winter, the night without 02:30, summer, the night with two of them, winter.
    berlin = (
        "20260328T013000Z",
        "20260329T010000Z",
        "20260330T003000Z",
        "20261025T003000Z",
        "20261026T013000Z",
    )
    new_york = (
        "20260307T073000Z",
        "20260308T070000Z",
        "20260309T063000Z",
        "20261101T073000Z",
        "20261102T073000Z",
    )
    assert {f"b-{time}" for time in berlin} | {f"n-{time}" for time in new_york} <= set(runs)


def test_what_operators_change_is_heard() -> None:
    schedules = Schedules()
    clockwork = Clockwork(lambda: schedules)
    assert clockwork.next_at() is None
    schedules.put("s", {"every": "10s"}, SUBMISSION, "ann", 0)
    assert clockwork.next_at() == 10 * SECOND
    schedules.pause("s", "ben", "", SECOND)
    assert clockwork.next_at() is None
    schedules.resume("s", 25 * SECOND)
    assert clockwork.next_at() == 30 * SECOND
    schedules.put("s", {"every": "7s"}, SUBMISSION, "ann", 28 * SECOND)
    assert clockwork.next_at() == 35 * SECOND
    schedules.put("e", {"http": True}, SUBMISSION, "ann", 28 * SECOND)
    schedules.remove("s")
    assert clockwork.next_at() is None


def test_the_clock_jumps() -> None:
    schedules = Schedules()
    clockwork = Clockwork(lambda: schedules)
    schedules.put("s", {"every": "1h"}, SUBMISSION, "ann", 0)
    hour = 3600 * SECOND
    [body] = clockwork.due(5 * hour + 1)
    assert ([row[0] for row in body["rows"]], body["missed"]) == ([5 * hour], 4)
    assert schedules.fire(**body)["taken"]
    assert clockwork.due(3 * hour) == [], "backwards: what has run does not run again"
    assert clockwork.next_at() == 6 * hour


def test_a_restart_goes_on_where_the_planner_was() -> None:
    schedules = Schedules()
    schedules.put("s", {"every": "1h"}, SUBMISSION, "ann", 0)
    [body] = Clockwork(lambda: schedules).due(3600 * SECOND)
    schedules.fire(**body)
    after = Clockwork(lambda: Schedules.restore(schedules.snapshot()))
    assert after.due(3600 * SECOND) == []
    assert after.next_at() == 7200 * SECOND


async def test_a_planner_that_cannot_take_it_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticker, "AGAIN", 0.01)
    schedules, told = Schedules(), asyncio.Event()
    schedules.put("s", {"every": "1s"}, SUBMISSION, "ann", time.time_ns() // 1000 - 2 * SECOND)
    tries = 0

    async def fire(body: dict[str, Any]) -> dict[str, Any]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Unavailable("the disk is full")
        told.set()
        return schedules.fire(**body)

    running = asyncio.create_task(Ticker(Clockwork(lambda: schedules), fire).run())
    await asyncio.wait_for(told.wait(), 10)
    running.cancel()
    assert tries >= 2


async def test_a_thousand_idle_schedules_take_under_a_hundredth_of_a_core() -> None:
    schedules, now = Schedules(), time.time_ns() // 1000
    for number in range(1000):
        when = {"cron": f"{number % 60} 3 * * *"} if number % 2 else {"every": f"{3600 + number}s"}
        schedules.put(f"s{number}", when, SUBMISSION, "ann", now)

    async def fire(body: dict[str, Any]) -> dict[str, Any]:
        return schedules.fire(**body)

    running = asyncio.create_task(Ticker(Clockwork(lambda: schedules), fire).run())
    await asyncio.sleep(0.5)  # the first look builds the calendar
    wall, spent = time.perf_counter(), time.thread_time()
    await asyncio.sleep(2)
    share = (time.thread_time() - spent) / (time.perf_counter() - wall)
    running.cancel()
    assert share < 0.01
