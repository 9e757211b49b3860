"""How a running task is asked to end: an exception in its main thread, and never in our own code round it.

The worker's other thread sets what is wanted and sends the main thread a signal. A signal also ends
`time.sleep`, a lock or a read that the task sits in; an exception set from outside
(PyThreadState_SetAsyncExc) would wait for them.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: Rarely used by libraries; SIGINT has a meaning for asyncio and for children.
_SIGNAL = signal.SIGUSR2


#: `signal.getsignal` makes an enum of each answer, which would cost microseconds after each task.
installed: Any = getattr(signal, "_signal").getsignal  # noqa: B009


class Cancelled(BaseException):
    """The task is to end now. No `except Exception` holds it; `finally` and `with` clean up."""

    outcome = "cancelled"


class TimedOut(Cancelled):
    """The attempt ran longer than its `timeout`."""

    outcome = "timed_out"


class Preempted(Cancelled):
    """The scheduler needs the place. Raised right after a checkpoint, or when the grace is over."""

    outcome = "preempted"


_KINDS: dict[str, type[Cancelled]] = {kind.outcome: kind for kind in (Cancelled, TimedOut, Preempted)}


class Interrupts:
    """The hand-over between the two threads: all is the main thread's, but `deliver` is the other's."""

    def __init__(self) -> None:
        self._main = threading.main_thread().ident or 0
        self._armed = 0
        self._wanted: tuple[int, Cancelled] | None = None
        self._shielded = 0
        #: The outcome that was asked for and raised in the present item, or None.
        self.raised: str | None = None
        self._handler = self._on_signal  # one object, to be known again
        signal.signal(_SIGNAL, self._handler)

    def arm(self, number: int) -> None:
        """User code of this item begins."""
        self.raised = None
        self._armed = number
        if self._wanted is not None:  # asked for before we came here
            self._raise()

    def disarm(self) -> None:
        """User code has ended: what comes now comes too late."""
        self._armed = 0

    def deliver(self, number: int, outcome: str, reason: str) -> None:
        """Interrupt the item if its code is running; from the other thread."""
        self._wanted = (number, _KINDS.get(outcome, Cancelled)(reason))
        signal.pthread_kill(self._main, _SIGNAL)

    def restore(self) -> None:
        """Take the signal back from a task that has set it."""
        if installed(_SIGNAL) is not self._handler:
            signal.signal(_SIGNAL, self._handler)

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Our own work inside a task (writing a checkpoint) is done to its end; the interrupt comes after
        it."""
        self._shielded += 1
        try:
            yield
        finally:
            self._shielded -= 1
        if self._wanted is not None and not self._shielded:
            self._raise()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if not self._shielded:
            self._raise()

    def _raise(self) -> None:
        wanted = self._wanted
        if wanted is None or wanted[0] != self._armed:
            return
        self._wanted = None
        self._armed = 0  # once: what the task does to clean up is not interrupted again
        self.raised = wanted[1].outcome
        raise wanted[1]
