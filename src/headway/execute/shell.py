"""Shell tasks: a command line in a session of its own, its output into the task's log and its end into the
result."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from headway.authoring.shell import CommandFailed, ShellResult
from headway.execute.interrupts import Cancelled
from headway.execute.masking import Masker

_STDOUT_KEPT, _STDERR_KEPT = 64 * 1024, 8 * 1024  # bytes
_PIECE = 64 * 1024


class _Tail:
    """The last bytes of a stream that also goes to the log."""

    def __init__(self, keep: int, masker: Masker) -> None:
        self._keep, self._parts, self._size = keep, bytearray(), 0
        self._masker, self._beyond = masker, masker.longest  # a secret at the cut is whole until it is masked

    def add(self, data: bytes) -> None:
        self._size += len(data)
        self._parts += data
        if len(self._parts) > 2 * (self._keep + self._beyond):
            del self._parts[: -(self._keep + self._beyond)]

    @property
    def truncated(self) -> bool:
        return self._size > self._keep

    def text(self) -> str:
        kept = self._masker.clean(bytes(self._parts[-(self._keep + self._beyond) :]))
        return kept[-self._keep :].decode(errors="replace")


def run(
    command: str, *, patience: Callable[[], float], environment: Mapping[str, str], masker: Masker
) -> ShellResult:
    """Runs the command to its end; what it left running in its session is killed then.

    Args:
        command: For `/bin/sh -c`.
        patience: Asked when the task is told to end: seconds between SIGTERM and SIGKILL for the command.
        environment: What it has besides ours.
        masker: Of what it prints, before that is part of a result or an error.

    Raises:
        CommandFailed: It did not end with 0; with the last lines of its standard error.
        Cancelled: The task was told to end; the command has ended.
    """
    out, err = _Tail(_STDOUT_KEPT, masker), _Tail(_STDERR_KEPT, masker)
    pid, readers = _spawn(command, {**os.environ, **environment}, out, err)
    pidfd = os.pidfd_open(pid)
    try:
        _pump(readers, pidfd)
    except Cancelled:
        _end(pid, pidfd, patience())
        raise
    finally:
        # The zombie still holds the number of its group: kill what is left in it, then let it go.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        os.close(pidfd)
        for fd, tail in readers.items():
            _drain(fd, tail)
            os.close(fd)
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise CommandFailed(_failure(command, code, err.text()), returncode=code, stdout=out.text())
    return ShellResult(0, out.text(), out.truncated)


def _spawn(
    command: str, environment: Mapping[str, str], out: _Tail, err: _Tail
) -> tuple[int, dict[int, _Tail]]:
    """The shell, started without copying this process (posix_spawn), and the pipes it writes into."""
    out_read, out_write = os.pipe2(os.O_CLOEXEC)
    err_read, err_write = os.pipe2(os.O_CLOEXEC)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, out_write, 1),
        (os.POSIX_SPAWN_DUP2, err_write, 2),
    ]
    try:
        pid = os.posix_spawn("/bin/sh", ["sh", "-c", command], environment, file_actions=actions, setsid=True)
    except BaseException:
        os.close(out_read)
        os.close(err_read)
        raise
    finally:
        os.close(out_write)
        os.close(err_write)
    os.set_blocking(out_read, False)
    os.set_blocking(err_read, False)
    return pid, {out_read: out, err_read: err}


def _pump(readers: Mapping[int, _Tail], pidfd: int) -> None:
    """Copy what the command writes until it has ended; a child of it may hold the pipes open longer."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    for fd in readers:
        poller.register(fd, select.POLLIN)
    while True:
        ended = False
        for fd, _ in poller.poll():
            if fd == pidfd:
                ended = True
            elif not _copy(fd, readers[fd]):
                poller.unregister(fd)
        if ended:
            return


def _copy(fd: int, tail: _Tail) -> bool:
    """One piece from the pipe to the log; False at the pipe's end."""
    try:
        data = os.read(fd, _PIECE)
    except BlockingIOError:
        return True
    tail.add(data)
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(1, view) :]
        except OSError:  # a full disk costs the log, not the command
            break
    return bool(data)


def _drain(fd: int, tail: _Tail) -> None:
    """What is in the pipe by now, at most as much as a pipe can hold for us to have missed."""
    for _ in range(32):
        try:
            data = os.read(fd, _PIECE)
        except (BlockingIOError, InterruptedError):
            return
        if not data:
            return
        tail.add(data)
        with suppress(OSError):
            os.write(1, data)


def _end(pid: int, pidfd: int, patience: float) -> None:
    """SIGTERM to the command's group, SIGKILL when its time is over."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    until = time.monotonic() + patience
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGTERM)
    while (left := until - time.monotonic()) > 0:
        if poller.poll(left * 1000):
            return


def _failure(command: str, code: int, stderr: str) -> str:
    how = f"ended with exit code {code}"
    if code < 0:
        try:
            how = f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            how = f"was ended by signal {-code}"
    shown = command if len(command) <= 200 else f"{command[:197]}…"
    last = "\n".join(stderr.rstrip().splitlines()[-10:])[-2000:]
    return f"the command `{shown}` {how}" + (
        f"; its standard error ends:\n{last}" if last else " and no message"
    )
