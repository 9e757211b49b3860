"""Rows on their way to the scheduler and the planner: at once when it is quiet, gathered for a millisecond
when it is busy."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

from headway.bus.messages import ReportRow

#: Seconds within which the end of an attempt is told that others follow on its train. A quarter of a train: its lease is
#: lengthened in time all the same, and a message carries several ends instead of one.
_RIDE = 0.012
#: After a report of more than `_FEW` rows the next one gathers for so long (seconds); else rows go at once.
_GATHER, _FEW = 0.0015, 8
#: A report of so many rows, or of about so many bytes, is full. A broker takes 8 MB; JSON may need 6 bytes
#: for one of text.
_MOST_ROWS, _MOST_BYTES = 512, 1_000_000

Attempt = tuple[str, int]
#: Worker's name -> sequence number up to which its rows are in a report.
Marks = Mapping[str, int]


class Reports:
    """Gathers rows; remembers which rows of which worker are in which report until that is confirmed.

    Args:
        send: Takes one report's rows.
        on_confirmed: Told which rows of which worker have arrived.
        confirmed_later: Whether somebody calls `confirm`; else a report has arrived when `send` returns.
    """

    def __init__(
        self,
        send: Callable[[list[ReportRow]], None],
        on_confirmed: Callable[[Marks], None],
        *,
        confirmed_later: bool,
    ) -> None:
        self._send, self._on_confirmed, self._later = send, on_confirmed, confirmed_later
        self._rows: list[ReportRow] = []
        self._bytes = 0
        self._ended: list[Attempt] = []
        self._marks: dict[str, int] = {}
        self._handle: asyncio.Handle | None = None
        self._not_before = self._at = float("-inf")
        self._number = 0
        self._open: deque[tuple[int, dict[str, int], list[Attempt]]] = deque()
        #: Attempts whose end nobody has confirmed yet.
        self.unconfirmed: dict[Attempt, None] = {}

    def add(self, row: ReportRow, *, ends: bool = False, rides: bool = False) -> None:
        """One more row.

        Args:
            ends: The executor holds this attempt no more.
            rides: Others follow it on its train: the slot is busy, and nobody idles if this is said a little later.
        """
        self._rows.append(row)
        self._bytes += _weight(row)
        if ends:
            attempt = (row.task, row.attempt)
            self._ended.append(attempt)
            self.unconfirmed[attempt] = None
        if len(self._rows) >= _MOST_ROWS or self._bytes >= _MOST_BYTES:
            self.flush()
        else:
            self._soon(rides)

    def mark(self, worker: str, sequence: int, *, rides: bool = False) -> None:
        """The rows of this worker up to here have been added."""
        self._marks[worker] = sequence
        self._soon(rides)

    def _soon(self, rides: bool) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        at = max(self._not_before, now + _RIDE if rides else now)
        if self._handle is not None:
            if at >= self._at:
                return
            self._handle.cancel()
        self._at = at
        self._handle = loop.call_soon(self.flush) if at <= now else loop.call_at(at, self.flush)

    def flush(self) -> None:
        """Send what there is."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if not self._rows and not self._marks:
            return
        rows, self._rows, self._bytes = self._rows, [], 0
        marks, self._marks = self._marks, {}
        ended, self._ended = self._ended, []
        if len(rows) > _FEW:
            self._not_before = asyncio.get_running_loop().time() + _GATHER
        if rows:
            self._number += 1
        self._open.append((self._number, marks, ended))
        if rows:
            self._send(rows)
        if not self._later:
            self.confirm(self._number)

    def confirm(self, number: int) -> None:
        """The reports up to this one (the first is 1) are in everybody's journal."""
        marks: dict[str, int] = {}
        while self._open and self._open[0][0] <= number:
            _, some, ended = self._open.popleft()
            marks.update(some)
            for attempt in ended:
                self.unconfirmed.pop(attempt, None)
        if marks:
            self._on_confirmed(marks)


def _weight(row: ReportRow) -> int:
    """About how many bytes a row takes."""
    if not isinstance(row.value, list) or not isinstance(row.value[1], dict):
        return 100
    detail = row.value[1]
    return (
        200 + int(detail.get("size", 0)) + len(detail.get("message", "")) + len(detail.get("traceback", ""))
    )
