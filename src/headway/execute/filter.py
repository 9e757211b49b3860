"""Between what a task prints and its log, where secrets are known: a pipe that a thread reads, masks and writes on.

Only workers that have revealed a secret have one; all others print straight into the file (see `logs`). What was in the pipe when a
worker is killed is lost: rather that than a secret in a log.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from threading import Event, Thread

from headway.execute.masking import Masker

_CHUNK = 64 * 1024
#: Above the descriptors that programs take for their own.
_HIGH = 10
#: Seconds for the thread to write what is in the pipe at an attempt's end.
_DRAIN_WITHIN = 10.0


class Filter:
    """Takes the place of descriptors 1 and 2 until `finish`.

    Args:
        masker: May learn more secrets meanwhile.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._target = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, _HIGH)
        self._read, write = os.pipe2(os.O_CLOEXEC)
        self._write = fcntl.fcntl(write, fcntl.F_DUPFD_CLOEXEC, _HIGH)
        os.dup2(write, 1)
        os.dup2(write, 2)
        os.close(write)
        self.inode = os.fstat(1).st_ino
        # What a task prints cannot hold these by chance: all before them has been read when they come.
        self._mark = os.urandom(16)
        self._marked = Event()
        Thread(target=self._serve, name="masking", daemon=True).start()

    def finish(self) -> None:
        """1 and 2 lead to the file again, and all that was printed until now is in it. What a process that the task left behind
        still prints goes the same way, to the same log."""
        os.dup2(self._target, 1)
        os.dup2(self._target, 2)
        with suppress(OSError):
            os.write(self._write, self._mark)
        os.close(self._write)
        self._marked.wait(_DRAIN_WITHIN)

    def _serve(self) -> None:
        held = b""
        while data := self._piece():
            held += data
            if not self._marked.is_set():
                before, mark, after = held.partition(self._mark)
                if mark:
                    self._put(self._masker.clean(before))
                    held = after
                    self._marked.set()
            clean, held = self._masker.feed(held, () if self._marked.is_set() else (self._mark,))
            self._put(clean)
        self._put(self._masker.clean(held))
        self._marked.set()
        os.close(self._read)
        os.close(self._target)

    def _piece(self) -> bytes:
        try:
            return os.read(self._read, _CHUNK)
        except OSError:
            return b""

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._target, view) :]
            except OSError:  # a full disk costs the log, not the task
                return
