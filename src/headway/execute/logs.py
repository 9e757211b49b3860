"""What tasks print, kept per task and readable while they run.

A worker's descriptors 1 and 2 lead to a capture file of its own, so that everything is caught: Python's
print, C code, children. A quick task that prints costs a link at its end; one that prints nothing costs one
`fstat`. When an attempt has run for some milliseconds the capture is linked to the task's log, so that it can
be followed live; if nothing was printed the link goes again. A later attempt writes at the end of the
existing log from its beginning.

The first line of a capture is room for the header, filled in when it becomes a log.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TextIO

from headway.execute.files import safe
from headway.execute.filter import Filter
from headway.execute.masking import Masker

_WIDTH = 120
_ROOM = b" " * (_WIDTH - 1) + b"\n"
_CHUNK = 1 << 20


def path_of(state: Path, task: str) -> Path:
    """Where the log of `<run>/<name>` lies; no file as long as it has printed nothing."""
    run, _, name = task.partition("/")
    return state / "logs" / safe(run) / f"{safe(name)}.log"


def read(state: Path, task: str, offset: int = 0, limit: int = _CHUNK) -> tuple[bytes, int]:
    """A piece of a task's log and the offset after it. To follow, ask again from there.

    Args:
        offset: Where to begin; negative: so many bytes before the end.
        limit: Most bytes to return.
    """
    try:
        with path_of(state, task).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size + offset) if offset < 0 else min(offset, size)
            file.seek(start)
            data = file.read(limit)
    except FileNotFoundError:
        return b"", max(0, offset)
    return data, start + len(data)


def size(state: Path, task: str) -> int:
    """Bytes of the whole log as it is now."""
    try:
        return path_of(state, task).stat().st_size
    except FileNotFoundError:
        return 0


def pieces(state: Path, task: str) -> Iterator[bytes]:
    """The whole log as it is now, in pieces of at most 1 MiB."""
    offset = 0
    while True:
        data, offset = read(state, task, offset)
        if not data:
            return
        yield data


def header(task: str, attempt: int, pid: int) -> bytes:
    """The line that begins an attempt: always 120 bytes, for which room is left in each capture."""
    name = task.partition("/")[2] or task
    name = name if len(name) <= 50 else f"{name[:30]}…{name[-19:]}"
    text = f"=== {name} attempt {attempt}, {time.strftime('%Y-%m-%d %H:%M:%S')}, worker {pid} ".encode()
    return text[: _WIDTH - 1].ljust(_WIDTH - 1, b"=") + b"\n"


def is_header(line: str) -> bool:
    """Whether a line of a log begins an attempt rather than was printed."""
    return len(line.encode()) == _WIDTH - 1 and line.startswith("=== ") and line.endswith("=")


class Capture:
    """The descriptors 1 and 2 of this worker, and the file behind them.

    Args:
        state: The state folder.
        worker: The worker's id; names the file.
    """

    def __init__(self, state: Path, worker: str) -> None:
        self._state = state
        self.path = capture_path(state, worker)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._pid = os.getpid()
        self._lock = Lock()
        self._present: tuple[str, int] | None = None
        self._stdout, self._stderr = self._opened(1), self._opened(2)
        sys.stdout, sys.stderr = self._stdout, self._stderr
        self._fd = -1
        self._inode = 0
        self._log: Path | None = None  # where this attempt's output is visible by now
        self._appending = (
            -1
        )  # offset at which this attempt's part begins, if it writes straight into an older log
        self._masker: Masker | None = None
        self._filter: Filter | None = None
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._fresh()

    def begin(self, task: str, attempt: int) -> None:
        """An attempt begins. A first one costs nothing here; a later one writes at the end of its task's
        log."""
        self._present = (task, attempt)
        if attempt > 1 and path_of(self._state, task).exists():
            self._append(task, attempt)
        if self._masker is not None:
            self._filter = Filter(self._masker)

    def mask(self, masker: Masker) -> None:
        """From now on nothing of what the masker knows is printed, by this attempt and all after it in this worker: what one task was
        told another may find."""
        if self._masker is None:
            self._masker = masker
            self._flush()
            self._filter = Filter(masker)

    def show(self, task: str, attempt: int) -> None:
        """Make the output visible under the task's name while the attempt goes on. Called by the other
        thread."""
        with self._lock:
            if self._log is not None or self._present != (task, attempt):
                return
            log = path_of(self._state, task)
            with suppress(OSError):  # else it is shown at the end; a full disk is not this attempt's fault
                log.parent.mkdir(parents=True, exist_ok=True)
                self._head(task, attempt)
                os.link(self.path, log)
                self._log = log

    def add(self, text: str) -> None:
        """A last word of ours about the attempt, after all that it printed; lost if it closed its descriptors."""
        self._flush()
        with self._lock, suppress(OSError):  # a full disk must not cost the report
            if self._sound():
                os.write(2, text.rstrip().encode(errors="backslashreplace") + b"\n")

    def end(self, task: str, attempt: int) -> None:
        """The attempt is over: keep what it printed and be ready for the next, whatever it did to our
        descriptors."""
        self._flush()
        with self._lock:
            self._present = None
            sound = self._sound()
            if self._filter is not None:
                self._filter.finish()
                self._filter = None
            self._end(task, attempt, sound)

    def close(self) -> None:
        """This worker prints no more."""
        self.path.unlink(missing_ok=True)

    def _end(self, task: str, attempt: int, sound: bool) -> None:
        if self._appending >= 0:
            if sound and os.fstat(1).st_size == self._appending:
                os.ftruncate(1, self._appending - _WIDTH)
            self._log, self._appending = None, -1
            self._redirect()
            return
        printed = os.fstat(self._fd).st_size > _WIDTH
        if printed:
            with suppress(OSError):
                if self._log is None:
                    self._head(task, attempt)
                    keep(self.path, path_of(self._state, task))
            self._fresh()
        else:
            if self._log is not None:
                self._log.unlink(missing_ok=True)
                self._forget_folder(self._log.parent)
            if not sound:
                self._redirect()
        self._log = None

    def _head(self, task: str, attempt: int) -> None:
        fd = os.open(
            self.path, os.O_WRONLY | os.O_CLOEXEC
        )  # without O_APPEND, with which pwrite would append
        try:
            os.pwrite(fd, header(task, attempt, self._pid), 0)
        finally:
            os.close(fd)

    def _append(self, task: str, attempt: int) -> None:
        log = path_of(self._state, task)
        try:
            fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError:
            return
        try:
            os.write(fd, header(task, attempt, self._pid))
            self._appending, self._log = os.fstat(fd).st_size, log
            os.dup2(fd, 1)
            os.dup2(fd, 2)
        finally:
            os.close(fd)

    def _fresh(self) -> None:
        """A new, empty capture behind 1 and 2. Who still holds the old one goes on writing into the log it
        belongs to."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if self._fd >= 0:
            with suppress(OSError):
                os.close(self._fd)
        self._fd = fd
        with suppress(OSError):
            os.write(fd, _ROOM)
        self._inode = os.fstat(fd).st_ino
        self._redirect()

    def _redirect(self) -> None:
        os.dup2(self._null, 0)
        os.dup2(self._fd, 1)
        os.dup2(self._fd, 2)

    def _flush(self) -> None:
        """Python's buffers, also when the task replaced or closed the streams."""
        if sys.stdout is not self._stdout or sys.stderr is not self._stderr:
            for stream in (sys.stdout, sys.stderr):
                with suppress(Exception):
                    stream.flush()
        with suppress(OSError, ValueError):
            self._stdout.flush()
        if self._stdout.closed:
            self._stdout = self._opened(1)
        if self._stderr.closed:
            self._stderr = self._opened(2)
        sys.stdout, sys.stderr = self._stdout, self._stderr

    @staticmethod
    def _opened(fd: int) -> TextIO:
        return open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)

    def _sound(self) -> bool:
        """Whether 0, 1 and 2 are still what we made them."""
        try:
            one, two = os.fstat(1), os.fstat(2)
            os.fstat(0)
        except OSError:
            return False
        if self._filter is not None:
            return one.st_ino == two.st_ino == self._filter.inode
        return one.st_ino == two.st_ino and (one.st_ino == self._inode or self._appending >= 0)

    @staticmethod
    def _forget_folder(folder: Path) -> None:
        with suppress(OSError):  # not empty: another task of the run has printed
            folder.rmdir()


def capture_path(state: Path, worker: str) -> Path:
    """Where a worker's present output goes; the executor looks here when the worker is dead."""
    return state / "logs" / ".captures" / f"{safe(worker)}.log"


def keep(capture: Path, log: Path) -> None:
    """A capture becomes the task's log, or the end of it if there is one. The capture itself stays."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.link(capture, log)
        return
    with capture.open("rb") as source, log.open("ab") as target:
        while data := source.read(_CHUNK):
            target.write(data)


def settle(state: Path, worker: str, task: str, attempt: int, pid: int) -> None:
    """Keep what a dead worker's last attempt printed."""
    capture, log = capture_path(state, worker), path_of(state, task)
    with suppress(OSError):
        if task and capture.stat().st_size > _WIDTH and not (log.exists() and log.samefile(capture)):
            with capture.open("r+b") as file:
                file.write(header(task, attempt, pid))
            keep(capture, log)
        elif task and log.exists() and log.samefile(capture) and capture.stat().st_size <= _WIDTH:
            log.unlink()
    with suppress(OSError):
        capture.unlink()
