"""Which worker serves which lane: one worker per lease that is being worked off, kept warm afterwards, and
one spare.

A worker is bound to the first bundle and devices it serves: modules of two bundles must not meet in one
interpreter, and a process that has opened a GPU cannot let go of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from headway.errors import Unavailable
from headway.execute.crew import Binding, Crew, Worker
from headway.execute.death import Death
from headway.execute.member import Lane

#: So many workers in a row that die before they come up are taken as a broken installation.
_PATIENCE = 3
#: Seconds that a worker which may hold memory on a device is kept without work.
_DEVICE_WARM = 5.0


class Roster:
    """Free workers and waiting lanes.

    Args:
        crew: Starts and ends workers.
        give: Called with a lane that has waited and its worker.
        fail: Called with the lanes that wait when no worker can be started, and the cause.
        keep: How many free workers are kept warm.
    """

    def __init__(
        self,
        crew: Crew,
        give: Callable[[Lane, Worker], None],
        fail: Callable[[list[Lane], str], None],
        *,
        keep: int,
    ) -> None:
        self._crew, self._give, self._fail, self._keep = crew, give, fail, keep
        self._idle: list[Worker] = []  # the last one worked last
        self._waiting: deque[Lane] = deque()
        self._coming: dict[str, str] = {}  # name -> its Python
        self._failures: dict[str, int] = {}  # in a row, by Python

    def begin(self) -> None:
        """A spare worker is on its way before it is needed."""
        self._spare()

    def want(self, lane: Lane) -> None:
        """A worker for the lane, now or as soon as there is one."""
        if lane in self._waiting:
            return
        worker = self._find(lane.binding)
        if worker is None:
            self._waiting.append(lane)
            python = lane.binding[2]
            if self._short(python):
                self._start(python)
        else:
            self._idle.remove(worker)
            self._bind(worker, lane)
        self._spare()

    def unwant(self, lane: Lane) -> None:
        """The lane is over."""
        with suppress(ValueError):
            self._waiting.remove(lane)

    def free(self, worker: Worker) -> None:
        """A worker has come up, or has nothing to do any more."""
        if self._coming.pop(worker.name, None) is not None:
            self._failures.pop(worker.python, None)
        if worker.exiting or worker in self._idle:
            return
        lane = next((lane for lane in self._waiting if _may_serve(worker, lane.binding)), None)
        if lane is not None:
            self._waiting.remove(lane)
            self._bind(worker, lane)
            return
        self._idle.append(worker)
        if worker.binding is not None and worker.binding[1]:
            asyncio.get_running_loop().call_later(_DEVICE_WARM, self._cool, worker)
        self._trim()

    def gone(self, worker: Worker, death: Death) -> None:
        """A worker is dead."""
        if worker in self._idle:
            self._idle.remove(worker)
        python = worker.python
        if self._coming.pop(worker.name, None) is not None:
            self._failures[python] = self._failures.get(python, 0) + 1
            if self._failures[python] >= _PATIENCE:
                self._give_up(python, death.cause)
                return
        for other in dict.fromkeys(lane.binding[2] for lane in self._waiting):
            while self._short(other):
                if not self._start(other):
                    return

    def _short(self, python: str) -> bool:
        """Whether more lanes wait for workers of this Python than are coming."""
        coming = sum(other == python for other in self._coming.values())
        return coming < sum(lane.binding[2] == python for lane in self._waiting)

    def _give_up(self, python: str, cause: str) -> None:
        lanes = [lane for lane in self._waiting if lane.binding[2] == python]
        for lane in lanes:
            self._waiting.remove(lane)
        self._fail(lanes, cause)

    def _find(self, binding: Binding) -> Worker | None:
        """A free worker that may serve it: one that has served the same, else a new one."""
        blank = None
        for worker in reversed(self._idle):
            if worker.binding == binding:
                return worker
            if _may_serve(worker, binding):
                blank = worker
        return blank

    def _bind(self, worker: Worker, lane: Lane) -> None:
        if worker.binding is None:
            worker.binding = lane.binding
            worker.tell("bound", *lane.binding)
        for device in lane.binding[1]:
            for other in [other for other in self._idle if other.binding and device in other.binding[1]]:
                self._dismiss(other)  # its memory on the device is the lane's now
        self._give(lane, worker)

    def _start(self, python: str) -> bool:
        try:
            self._coming[self._crew.spawn(python).name] = python
        except Unavailable as error:
            self._give_up(python, f"failed to start: {error.message}")
            return False
        return True

    def _spare(self) -> None:
        """One worker that has served nobody stands by."""
        if not self._failures.get("") and len(self._coming) <= len(self._waiting) and not self._blank():
            with suppress(Unavailable):
                self._coming[self._crew.spawn().name] = ""

    def _blank(self) -> bool:
        return any(worker.binding is None and not worker.python for worker in self._idle)

    def _trim(self) -> None:
        bound = [worker for worker in self._idle if worker.binding is not None or worker.python]
        for worker in bound[: max(0, len(bound) - self._keep)]:
            self._dismiss(worker)

    def _cool(self, worker: Worker) -> None:
        if worker in self._idle:
            self._dismiss(worker)

    def _dismiss(self, worker: Worker) -> None:
        self._idle.remove(worker)
        self._crew.retire(worker)


def _may_serve(worker: Worker, binding: Binding) -> bool:
    """Whether it has served the same, or nobody yet, in the Python that is asked for."""
    return worker.binding == binding or (worker.binding is None and worker.python == binding[2])
