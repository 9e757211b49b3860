"""The one thread that writes a database: group commit, and chores in the gaps.

Whoever waits goes into the same transaction, so a busy journal pays one flush for many entries and an idle
one flushes at once. A chore (a large snapshot, a compaction) is cut into small transactions that take turns
with the groups: it never makes an append wait for more than one of its steps.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from headway.errors import HeadwayError, Unavailable
from headway.store.failures import translate

#: Changes the database inside a transaction; raises to undo itself.
Job = Callable[[sqlite3.Connection], None]
_Ticket = tuple[Job, "asyncio.Future[Any]"]


class Writer:
    """Runs jobs on a connection that nobody else uses.

    Args:
        connection: In autocommit mode, opened with `check_same_thread=False`.
        on_commit: Called after a commit, in the writer's thread: what jobs remembered in memory holds.
        on_rollback: Called after a rollback: it is void.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        on_commit: Callable[[], None],
        on_rollback: Callable[[], None],
    ) -> None:
        self.groups = 0  # transactions with jobs
        self.jobs = 0
        self._connection, self._path = connection, path
        self._on_commit, self._on_rollback = on_commit, on_rollback
        self._queue: queue.SimpleQueue[_Ticket | None] = queue.SimpleQueue()
        self._chores: deque[tuple[Iterator[Job], asyncio.Future[Any]]] = deque()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"writer {path.name}", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> asyncio.Future[None]:
        """Done when the job's transaction is on disk. Jobs are applied in the order submitted."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put((job, future))
        return future

    def chore(self, steps: Iterator[Job]) -> asyncio.Future[None]:
        """Done when all steps are, a transaction each. The iterator is advanced in the writer's thread."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(
            (lambda _: self._chores.append((steps, future)), asyncio.get_running_loop().create_future())
        )
        return future

    async def close(self) -> None:
        """Finishes what is queued and closes the connection."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _put(self, ticket: _Ticket) -> None:
        if self._closed:
            raise Unavailable(
                f"the journal {self._path} is closed", hint="this is a bug in the order of shutting down"
            )
        self._queue.put(ticket)

    # ---- in the thread

    def _run(self) -> None:
        open_ = True
        while open_ or self._chores:
            tickets, open_ = self._take(open_)
            if tickets:
                self._settle(self._commit_group(tickets))
            if self._chores:
                self._step()
        self._connection.close()

    def _take(self, open_: bool) -> tuple[list[_Ticket], bool]:
        """Everything queued; waits for the first unless there is a chore to do meanwhile."""
        tickets: list[_Ticket] = []
        wait = open_ and not self._chores
        while True:
            try:
                ticket = self._queue.get(block=wait)
            except queue.Empty:
                return tickets, open_
            if ticket is None:
                open_ = False
            else:
                tickets.append(ticket)
            wait = False

    def _commit_group(self, tickets: list[_Ticket]) -> list[tuple[asyncio.Future[Any], HeadwayError | None]]:
        error = self._transact([job for job, _ in tickets])
        if error is None or len(tickets) == 1:
            return [(future, error) for _, future in tickets]
        # One bad job must not take the others with it; a disk that fails will fail each.
        return [(future, self._transact([job])) for job, future in tickets]

    def _transact(self, jobs: list[Job]) -> HeadwayError | None:
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            for job in jobs:
                job(self._connection)
            execute("COMMIT")
        except Exception as error:
            self._roll_back()
            return self._explain(error)
        self._on_commit()
        self.groups += 1
        self.jobs += len(jobs)
        return None

    def _explain(self, error: Exception) -> HeadwayError:
        if isinstance(error, HeadwayError):
            return error
        if isinstance(error, sqlite3.Error):
            return translate(error, self._path)
        return HeadwayError(
            f"a job on the journal {self._path} failed: {error!r}", hint="this is a bug, please report it"
        )

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # it has already, as it does on a full disk
                self._connection.execute("ROLLBACK")
        self._on_rollback()

    def _step(self) -> None:
        steps, future = self._chores[0]
        try:
            job = next(steps)
        except StopIteration:
            error = None
        except Exception as failure:
            error = self._explain(failure)
        else:
            error = self._transact([job])
            if error is None:
                self._chores.rotate(-1)
                return
        self._chores.popleft()
        self._settle([(future, error)])

    @staticmethod
    def _settle(outcomes: list[tuple[asyncio.Future[Any], HeadwayError | None]]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], HeadwayError | None]]] = {}
        for outcome in outcomes:
            by_loop.setdefault(outcome[0].get_loop(), []).append(outcome)
        for loop, some in by_loop.items():
            try:
                loop.call_soon_threadsafe(_resolve, some)
            except RuntimeError:  # the loop is closed: nobody waits any more
                continue


def _resolve(outcomes: list[tuple[asyncio.Future[Any], HeadwayError | None]]) -> None:
    for future, error in outcomes:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
