"""Starts and stops the supervisor of a state folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from headway import errors
from headway.errors import HeadwayError, Unavailable
from headway.execute.processes import alive
from headway.service.lock import holder_of, wait_released
from headway.service.supervisor import state_of as state_of
from headway.settings import Settings, to_json

_MODULE = "headway.service.supervisor"
START_TIMEOUT = 90.0
NODE_TIMEOUT = 10.0
"""Seconds that the executor gets to join, once the service is ready."""


def become_supervisor(settings: Settings) -> None:
    """Replace this process by the supervisor: it stays for ever, and the command line's memory is not needed
    any more.
    """
    fd = _settings_pipe(settings)
    os.set_inheritable(fd, True)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", _MODULE, str(fd)])


def start_detached(settings: Settings) -> dict[str, Any]:
    """Start the supervisor in the background and wait until it is ready.

    Returns:
        The content of `service.json`.

    Raises:
        HeadwayError: As the supervisor says.
    """
    logs = settings.state / "logs"
    try:
        logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings.state.chmod(0o700)
        log = (logs / "supervisor.log").open("ab")
    except OSError as error:
        raise Unavailable(
            f"the state folder {settings.state} cannot be used: {error.strerror}",
            hint="make it writable, or name another: `headway up --state-dir DIR`",
        ) from error
    settings_fd = _settings_pipe(settings)
    ready_read, ready_write = os.pipe()
    with log:
        process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, str(settings_fd), str(ready_write)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(settings_fd, ready_write),
        )
    os.close(settings_fd)
    os.close(ready_write)
    with os.fdopen(ready_read, "rb") as pipe:
        line = _first_line(pipe.fileno(), START_TIMEOUT)
    if not line:
        process.terminate()
        raise Unavailable("the service did not start", hint=f"see {logs / 'supervisor.log'}")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        process.wait(30)
        raise _error_of(answer)
    _await_node(settings.state)
    return answer


def _await_node(state: Path) -> None:
    """Until there is a node, so that the first submission finds one: only then is a demand that none could hold
    refused. A node that does not come is no error of the start; `headway nodes` says that there is none.
    """
    from headway.client import Client

    until = time.monotonic() + NODE_TIMEOUT
    with Client(state) as client:
        while not client.nodes() and time.monotonic() < until:
            time.sleep(0.02)


def _error_of(answer: dict[str, Any]) -> HeadwayError:
    kinds = {k.code: k for k in (errors.Conflict, errors.Invalid, errors.Denied, errors.NotFound)}
    return kinds.get(answer["code"], Unavailable)(answer["error"], hint=answer["hint"])


def _first_line(fd: int, timeout: float) -> bytes:
    """Everything until the line or the pipe ends, or the time is up."""
    import select

    data, until = b"", time.monotonic() + timeout
    while b"\n" not in data:
        ready, _, _ = select.select([fd], [], [], max(0.0, until - time.monotonic()))
        piece = os.read(fd, 65536) if ready else b""
        if not piece:
            return b""
        data += piece
    return data


def _settings_pipe(settings: Settings) -> int:
    """The reading end of a pipe that holds the settings: a broker's URL may hold a password, so they are no
    arguments.
    """
    read, write = os.pipe()
    os.write(write, json.dumps(to_json(settings)).encode())
    os.close(write)
    return read


def stop(state: Path, timeout: float, *, force: bool) -> bool:
    """Ask the supervisor to end and wait until it has.

    Returns:
        False if none was running.

    Raises:
        Unavailable: It has not ended within `timeout` seconds.
    """
    holder = holder_of(state)
    if holder is None:
        return False
    pid, born = int(holder.get("pid", 0)), int(holder.get("born", 0))
    if not pid or not alive(pid, born):
        raise Unavailable(
            f"somebody holds {state / 'lock'}, but it does not say who", hint=f"look: fuser {state / 'lock'}"
        )
    os.kill(pid, signal.SIGTERM)
    if wait_released(state, timeout):
        return True
    if force:
        os.kill(pid, signal.SIGKILL)
        if wait_released(state, 10):
            return True
    raise Unavailable(
        f"the service (pid {pid}) has not ended after {timeout:.0f} s",
        hint="wait longer, or kill it: `headway down --force`",
    )
