"""Rows on their way out: at once when it is quiet, gathered when it is busy, kept until they are
confirmed."""

from __future__ import annotations

import asyncio

import pytest

from headway.bus.messages import ReportRow
from headway.execute import reports
from headway.execute.reports import Marks, Reports


class Sink:
    def __init__(self, later: bool = False) -> None:
        self.sent: list[list[ReportRow]] = []
        self.marks: list[Marks] = []
        self.reports = Reports(self.sent.append, self.marks.append, confirmed_later=later)


def row(number: int, what: str = "finished", value: object = None) -> ReportRow:
    return ReportRow(f"r/t[{number}]", 1, what, number, value)


async def test_a_lone_row_goes_at_the_end_of_the_loops_turn() -> None:
    sink = Sink()
    sink.reports.add(row(1), ends=True)
    assert sink.sent == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert sink.sent == [[row(1)]]
    assert not sink.reports.unconfirmed


async def test_rows_of_a_busy_time_are_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "_GATHER", 0.3)
    sink = Sink()
    for number in range(10):
        sink.reports.add(row(number))
    await asyncio.sleep(0.05)
    assert [len(rows) for rows in sink.sent] == [10]
    for number in range(3):
        sink.reports.add(row(number))
        await asyncio.sleep(0)
    assert len(sink.sent) == 1, "the next ones did not wait for more"
    await asyncio.sleep(0.5)
    assert [len(rows) for rows in sink.sent] == [10, 3]


async def test_a_report_is_bounded_in_rows_and_bytes() -> None:
    sink = Sink()
    for number in range(1100):
        sink.reports.add(row(number))
    assert [len(rows) for rows in sink.sent] == [512, 512]
    sink.reports.flush()
    error = {"type": "E", "message": "m" * 4000, "traceback": "t" * 16_000}
    for number in range(200):
        sink.reports.add(row(number, "failed", [1, error]))
    assert max(len(rows) for rows in sink.sent[3:]) < 60


async def test_ends_are_held_until_they_are_confirmed() -> None:
    sink = Sink(later=True)
    sink.reports.add(row(1), ends=True)
    sink.reports.mark("w", 5)
    sink.reports.flush()
    sink.reports.add(row(2, "progress"))
    sink.reports.add(row(3), ends=True)
    sink.reports.mark("w", 9)
    sink.reports.flush()
    assert list(sink.reports.unconfirmed) == [("r/t[1]", 1), ("r/t[3]", 1)]
    assert sink.marks == []
    sink.reports.confirm(1)
    assert list(sink.reports.unconfirmed) == [("r/t[3]", 1)]
    sink.reports.confirm(2)
    assert not sink.reports.unconfirmed
    assert sink.marks == [{"w": 5}, {"w": 9}]
