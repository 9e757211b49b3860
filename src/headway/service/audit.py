"""The audit: each act that changes something, under the name of who did it, in files that are only ever added to.

A line is written before the answer to the act goes out. It survives the death of the process at once, and a power cut within a
second; what the act did is in the journal with the same name by then. Numbers count up without a gap over all files, so that a line
taken away is missed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.service.problems import DiskFull

log = logging.getLogger("headway.service")

FOLDER = "audit"
#: Bytes after which a new file is begun.
FILE_LIMIT = 16 * 2**20
#: Seconds until what was written is on disk.
_SYNC_WITHIN = 1.0
#: Lines that are kept in memory while the disk takes none.
_PENDING_MOST = 1000
_TEXT_MOST = 300


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which acts to list; an empty text and a zero stand for all.

    Attributes:
        principal: Who did it.
        act: A part of `POST /v1/runs/{id}/cancel`.
        object: A part of what it was done to.
        outcome: `done`, `denied`, `refused` or `failed`.
        since, until: Microseconds since 1970.
        before: Only those with a smaller number.
    """

    principal: str = ""
    act: str = ""
    object: str = ""
    outcome: str = ""
    since: int = 0
    until: int = 0
    before: int = 0

    def __call__(self, row: Mapping[str, Any]) -> bool:
        """Whether this one is among them."""
        return (
            (not self.principal or row["principal"] == self.principal)
            and self.act.casefold() in row["act"].casefold()
            and self.object in row["object"]
            and (not self.outcome or row["outcome"] == self.outcome)
            and row["at"] >= self.since
            and (not self.until or row["at"] < self.until)
            and (not self.before or row["n"] < self.before)
        )


def outcome_of(status: int) -> str:
    """What came of it, in one word."""
    if status < 400:
        return "done"
    if status in (401, 403):
        return "denied"
    return "refused" if status < 500 else "failed"


class Audit:
    """The files of one state folder.

    Args:
        folder: Where they lie; made if it is not there.
        limit: Bytes of a file, about.
    """

    def __init__(self, folder: Path, limit: int = FILE_LIMIT) -> None:
        self._folder, self._limit = folder, limit
        self._fd, self._size, self._n = -1, 0, 0
        self._pending: deque[bytes] = deque()
        self._syncing: asyncio.TimerHandle | None = None
        self._open_last()

    def ready(self) -> None:
        """Called before an act. Raises DiskFull when acts that were done could not be written down: no more are done unseen."""
        if self._pending and not self._flush():
            raise DiskFull(
                f"the audit in {self._folder} cannot be written, so nothing may be changed",
                hint="free some space and send it again",
            )

    def note(self, principal: str, act: str, object: str, status: int, request: str, why: str = "") -> None:
        """Write an act down."""
        self._n += 1
        row = {
            "n": self._n,
            "at": time.time_ns() // 1000,
            "principal": principal,
            "act": act[:_TEXT_MOST],
            "object": object[:_TEXT_MOST],
            "outcome": outcome_of(status),
            "status": status,
            "request": request,
        }
        if why:
            row["why"] = why
        self._pending.append(json.dumps(row, separators=(",", ":")).encode() + b"\n")
        if not self._flush() and len(self._pending) >= _PENDING_MOST:
            self._pending.popleft()  # acts under way when the disk filled up; later ones are refused

    def rows(self, wanted: Wanted, limit: int) -> list[dict[str, Any]]:
        """The newest acts that are wanted, newest first. Reads files: call it in a thread."""
        found: list[dict[str, Any]] = []
        for path in sorted(self._folder.glob("*.jsonl"), reverse=True):
            for line in reversed(path.read_bytes().splitlines()):
                row = _parsed(line)
                if row is None or not wanted(row):
                    continue
                found.append(row)
                if len(found) >= limit:
                    return found
        return found

    def close(self) -> None:
        """All is on disk, or cannot be."""
        if self._syncing is not None:
            self._syncing.cancel()
            self._syncing = None
        if self._fd >= 0:
            self._flush()
            with suppress(OSError):
                os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _flush(self) -> bool:
        try:
            while self._pending:
                if self._fd < 0 or self._size >= self._limit:
                    self._begin(self._n - len(self._pending) + 1)
                line = self._pending[0]
                if os.write(self._fd, line) != len(line):  # the disk is full in the middle of it
                    os.ftruncate(self._fd, self._size)
                    return False
                self._size += len(line)
                self._pending.popleft()
        except OSError as error:
            log.error("the audit cannot be written: %s", error.strerror)
            return False
        self._sync_soon()
        return True

    def _begin(self, number: int) -> None:
        """A file is named for its first number, with zeros before it: their order is that of the acts."""
        if self._fd >= 0:
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open(self._folder / f"{number:012}.jsonl")

    def _open(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size

    def _open_last(self) -> None:
        """Go on where the last process ended; half a line that a power cut left stays, and is passed over."""
        for path in sorted(self._folder.glob("*.jsonl"), reverse=True):
            lines = path.read_bytes().splitlines(keepends=True)
            if self._fd < 0:
                self._open(path)
                if lines and not lines[-1].endswith(b"\n"):
                    self._size += os.write(self._fd, b"\n")
            for row in filter(None, map(_parsed, reversed(lines))):
                self._n = row["n"]
                return

    def _sync_soon(self) -> None:
        if self._syncing is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._syncing = loop.call_later(_SYNC_WITHIN, self._sync, loop)

    def _sync(self, loop: asyncio.AbstractEventLoop) -> None:
        self._syncing = None
        if self._fd >= 0:
            loop.run_in_executor(None, _sync_copy, os.dup(self._fd))


def _sync_copy(fd: int) -> None:
    """In a thread, on a descriptor of its own: the file may be closed meanwhile."""
    try:
        os.fsync(fd)
    except OSError as error:
        log.error("the audit may not survive a power cut: %s", error.strerror)
    finally:
        os.close(fd)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
