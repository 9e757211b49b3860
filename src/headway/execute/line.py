"""A worker's second thread: the line to the executor, and the worker's lifelines.

It sleeps in one `poll` on the socket, on a wake-up from the main thread and on the lifeline, with a time-out
only while an item has run for less than 5 ms or rows wait. It works while the task computes; code that holds
the interpreter's lock delays it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from headway.execute.desk import Desk, Item
from headway.execute.frames import Damaged, SocketAddress, Splitter
from headway.execute.processes import descendants, send

#: A worker without an executor looks for the next one so long (seconds).
RECONNECT_FOR = 30.0
_PIECE = 256 * 1024


class Line(threading.Thread):
    """The connection, made and made again.

    Args:
        path: The executor's socket.
        on_message: Called in this thread with each message.
        hello: Makes the first frame of a connection from what the desk holds.
        on_announced: Called in this thread when an item has run long enough to be shown.
        lifeline: A pipe's reading end that closes when the supervisor dies, or a pidfd of the parent; ready
            means: die.
    """

    def __init__(
        self,
        path: Path,
        on_message: Callable[[tuple[Any, ...]], None],
        hello: Callable[[list[tuple[Any, ...]]], bytes],
        on_announced: Callable[[Item], None],
        lifeline: int,
    ) -> None:
        super().__init__(name="headway-line", daemon=True)
        self._path, self._on_message, self._hello, self._on_announced = path, on_message, hello, on_announced
        self._lifeline = lifeline
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._socket: socket.socket | None = None
        self.desk: Desk
        # A child that a task forks must not hold the line open when this worker is dead.
        os.register_at_fork(after_in_child=self._close)

    def send(self, data: bytes) -> bool:
        """Write to the executor, under the desk's lock; False without one."""
        if self._socket is None:
            return False
        try:
            self._socket.sendall(data)
        except OSError:
            return False  # this thread sees the same at its next read
        return True

    def wake(self) -> None:
        os.eventfd_write(self._wake, 1)

    def run(self) -> None:
        try:
            while True:
                self._connect()
                self._serve()
                self.desk.pause()
        except BaseException as error:  # without this thread the worker is deaf
            with suppress(OSError):
                os.write(2, f"headway: the worker's line failed: {type(error).__name__}: {error}\n".encode())
            die()

    def _connect(self) -> None:
        """Until it is done, or nobody has been there for too long."""
        until, pause = time.monotonic() + RECONNECT_FOR, 0.01
        while True:
            with suppress(OSError):
                self._open()
                if self.desk.attach(self._hello):
                    return
            self._close()
            if time.monotonic() > until:
                die()
            self._sleep(pause)
            pause = min(pause * 1.5, 0.2)

    def _open(self) -> None:
        address = SocketAddress(self._path)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(address.text)
        except BaseException:
            connection.close()
            raise
        finally:
            address.close()
        self._socket = connection

    def _close(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            with suppress(OSError):
                connection.close()

    def _sleep(self, seconds: float) -> None:
        poller = select.poll()
        poller.register(self._lifeline, select.POLLIN)
        for fd, _ in poller.poll(seconds * 1000):
            if fd == self._lifeline:
                die()
        self._tick()

    def _serve(self) -> None:
        """Until the connection ends."""
        connection = self._socket
        if connection is None:
            return
        poller, splitter, ours = select.poll(), Splitter(), connection.fileno()
        for fd in (ours, self._wake, self._lifeline):
            poller.register(fd, select.POLLIN)
        while True:
            timeout = self._tick()
            for fd, event in poller.poll(None if timeout is None else timeout * 1000):
                if fd == self._lifeline:
                    die()
                elif fd == self._wake:
                    self._hush(event)
                elif not self._receive(connection, splitter):
                    self._close()
                    return

    def _hush(self, event: int) -> None:
        if event & select.POLLNVAL:
            raise OSError("the task closed file descriptors that it did not open")
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)

    def _receive(self, connection: socket.socket, splitter: Splitter) -> bool:
        try:
            data = connection.recv(_PIECE)
            messages = splitter.feed(data)
        except (OSError, Damaged):
            return False
        for message in messages:
            self._on_message(message)
        return bool(data)

    def _tick(self) -> float | None:
        announced, timeout = self.desk.tick()
        if announced is not None:
            self._on_announced(announced)
        return timeout


def die() -> NoReturn:
    """End this process, what descends from it and its group, now: nobody is left who wants the result."""
    send(descendants(os.getpid()), signal.SIGKILL)
    if os.getpgid(0) == os.getpid():  # else the group is not ours to end
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
    os._exit(1)
