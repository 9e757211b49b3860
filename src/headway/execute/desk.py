"""What a worker's two threads share: items to run, the one under way, rows to send.

The main thread takes items and writes rows. The other thread, `line`, brings items, calls them back, and
sends what the main thread has no time for. One lock guards all; it is held for microseconds, or while a batch
is written to the socket.

Rows go out at once when there is nothing more to do, else by 256 items, 256 kB or 2 ms, whichever is first.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from headway.execute.frames import pack
from headway.execute.spool import Spool

#: (n, task, attempt, lease, call index, item, inputs, devices, variant, gang); see `frames`.
Item = tuple[Any, ...]

_BATCH_ROWS, _BATCH_BYTES, _BATCH_SECONDS = 256, 256 * 1024, 0.002
#: An attempt that has run for so long is reported as started; a shorter one says it with its end (seconds).
ANNOUNCE_AFTER = 0.005
_HERE = pack(("here",))


class Preemptible(Protocol):
    """What is told that it should end at its next checkpoint."""

    preempt_asked: bool


class Desk:
    """The shared state of one worker.

    Args:
        spool: Where rows wait.
        send: Writes bytes to the executor; False when there is none at present.
        wake: Ends the other thread's sleep.
        is_urgent: Whether an item's start must be reported before it runs, because the executor times it.
    """

    def __init__(
        self,
        spool: Spool,
        send: Callable[[bytes], bool],
        wake: Callable[[], None],
        is_urgent: Callable[[Item], bool],
    ) -> None:
        self._spool, self._send, self._wake, self._is_urgent = spool, send, wake, is_urgent
        self._pid = os.getpid()
        self._gate = threading.Lock()
        self._bell = threading.Lock()
        self._bell.acquire()
        self._idle = False
        self._closed = False
        self._queue: deque[Item] = deque()
        self._paused = True
        self._sequence = 0
        self._unsent = 0
        self._since = 0.0  # when the oldest unsent row was written
        self._kept: deque[tuple[int, bytes]] = deque()
        self.current: Item | None = None
        self._context: Preemptible | None = None
        self._preempt = 0  # the item that is to end at its next checkpoint
        self._began = 0.0
        self._began_at = 0
        self._announced = False
        self._resting = False
        self.last = 0  # highest item number that came

    # ── the main thread ─────────────────────────────────────────────────────────────────────────────────────

    def take(self) -> Item | None:
        """The next item, which is under way from now on; waits for it. None when there is nothing to come."""
        while True:
            with self._gate:
                if self._queue and not self._paused:
                    return self._begin(self._queue.popleft())
                if self._closed:
                    self._flush()
                    return None
                self._idle = True
                if self._unsent:
                    self._flush()
            self._bell.acquire()

    def _begin(self, item: Item) -> Item:
        self._spool.begin(item[0])
        self.current, self._announced = item, False
        self._began = time.monotonic()
        self._began_at = time.time_ns() // 1000
        if self._is_urgent(item):
            self._announce()
            self._flush()
        if self._resting:
            self._resting = False
            self._wake()
        return item

    def end(self, item: Item, what: str, value: Any) -> None:
        """The item under way is over."""
        with self._gate:
            self.current = self._context = None
            self._write(item, what, time.time_ns() // 1000, value, ends=True)

    def enter(self, context: Preemptible) -> None:
        """The item under way can be asked to end by this."""
        with self._gate:
            self._context = context
            if self.current is not None and self._preempt == self.current[0]:
                context.preempt_asked = True

    def tell(self, item: Item, what: str, value: Any) -> None:
        """Something about the item under way; from any thread of the task. Silent in a process that the task
        has forked."""
        if os.getpid() != self._pid:
            return
        with self._gate:
            self._write(item, what, time.time_ns() // 1000, value)
            if self._resting:
                self._resting = False
                self._wake()

    def _write(self, item: Item, what: str, at: int, value: Any, *, ends: bool = False) -> None:
        self._sequence += 1
        frame = pack(("row", self._sequence, item[0], item[1], item[2], what, at, value))
        if not self._spool.fits(len(frame)):
            self._flush(anyway=True)
        self._spool.append(frame, ends=ends)
        self._unsent += 1
        now = time.monotonic()
        if self._unsent == 1:
            self._since = now
        elif (
            self._unsent >= _BATCH_ROWS
            or self._spool.filled >= _BATCH_BYTES
            or now - self._since >= _BATCH_SECONDS
        ):
            self._flush()

    def _announce(self) -> None:
        if self.current is not None:
            self._announced = True
            self._write(self.current, "started", self._began_at, self._pid)

    def _flush(self, *, anyway: bool = False) -> None:
        """Send all rows; with no executor there they stay in the spool, with `anyway` in memory."""
        if not self._unsent:
            return
        data = self._spool.content()
        if not self._send(data) and not anyway:
            return
        self._kept.append((self._sequence, data))
        self._spool.clear()
        self._unsent = 0

    # ── the other thread ────────────────────────────────────────────────────────────────────────────────────

    def put(self, items: Sequence[Item]) -> None:
        """More to do."""
        with self._gate:
            self.last = max(self.last, items[-1][0])
            self._queue.extend(items)
            self._ring()

    def _ring(self) -> None:
        if self._idle:
            self._idle = False
            self._bell.release()

    def remove(self, numbers: Iterable[int], what: str, value: Any = None) -> bool:
        """Take items back that have not begun; each is reported as `what`. Whether there was any."""
        wanted = set(numbers)
        with self._gate:
            removed = [item for item in self._queue if item[0] in wanted]
            if removed:
                self._queue = deque(item for item in self._queue if item[0] not in wanted)
            now = time.time_ns() // 1000
            for item in removed:
                self._write(item, what, now, value)
            self._flush()
        return bool(removed)

    def is_current(self, number: int) -> bool:
        item = self.current
        return item is not None and item[0] == number

    def preempt(self, number: int) -> None:
        """The item is to end at its next checkpoint."""
        with self._gate:
            self._preempt = number
            if self._context is not None and self.is_current(number):
                self._context.preempt_asked = True

    def spare(self, number: int) -> None:
        """It need not end after all."""
        with self._gate:
            if self._preempt == number:
                self._preempt = 0
                if self._context is not None and self.is_current(number):
                    self._context.preempt_asked = False

    def acknowledged(self, sequence: int) -> None:
        """The executor has passed on the rows up to here."""
        with self._gate:
            while self._kept and self._kept[0][0] <= sequence:
                self._kept.popleft()

    def tick(self) -> tuple[Item | None, float | None]:
        """Send and announce what is due.

        Returns:
            An item just announced, and the seconds until there may be something to do again: None if only a
                message or the
            main thread can bring it.
        """
        with self._gate:
            self._resting = False
            now, announced = time.monotonic(), None
            if self.current is not None and not self._announced and now - self._began >= ANNOUNCE_AFTER:
                self._announce()
                announced = self.current
            if self._unsent and (announced or now - self._since >= _BATCH_SECONDS):
                self._flush()
            if self.current is not None and not self._announced:
                return announced, ANNOUNCE_AFTER if not self._unsent else _BATCH_SECONDS
            if self._unsent and not self._paused:
                return announced, _BATCH_SECONDS
            self._resting = True
            return announced, None

    def attach(self, hello: Callable[[list[tuple[Any, ...]]], bytes]) -> bool:
        """An executor is there: tell it what is here, send all it may not have, and go on. False if it is
        gone again."""
        with self._gate:
            under_way = [] if self.current is None else [self.current]
            held = [(*item[:4], item is self.current) for item in [*under_way, *self._queue]]
            if not self._send(hello(held)):
                return False
            for _, data in self._kept:
                if not self._send(data):
                    return False
            self._flush()
            if not self._send(_HERE):
                return False
            self._paused = False
            if self._queue:
                self._ring()
            return True

    def pause(self) -> None:
        """No executor: finish the present item, begin no other."""
        with self._gate:
            self._paused = True

    def close(self) -> None:
        """Nothing more will come."""
        with self._gate:
            self._closed = True
            self._ring()
