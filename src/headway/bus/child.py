"""A child process that ends with its parent, and the search for one that did not.

Linux sends a signal to a process whose parent *thread* ends (PR_SET_PDEATHSIG). It must be asked for in the
child, between fork and exec, where a threaded Python must not run code (`preexec_fn`); so a tiny interpreter
asks and then becomes the program. Start children from a thread that lives as long as they should: the main
one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

from headway.errors import Unavailable

_LEASH = (
    "import ctypes,os,sys\n"
    "ctypes.CDLL(None).prctl(1,9,0,0,0)\n"
    "if os.getppid()!=int(sys.argv[1]): sys.exit(1)\n"  # it died before we asked
    "os.execv(sys.argv[2],sys.argv[2:])"
)


def leashed(command: list[str]) -> list[str]:
    """The command to start instead of `command` (its first word a path), so that it dies with this
    process."""
    if not sys.platform.startswith("linux"):
        return command
    return [sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid()), *command]


async def spawn(command: list[str], log: Path) -> asyncio.subprocess.Process:
    """Starts a leashed child, its output appended to `log`, its input empty, in a session of its own."""
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *leashed(command),
            stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip


async def end(process: asyncio.subprocess.Process, *, grace: float = 3.0) -> None:
    """SIGTERM, then SIGKILL after `grace` seconds; returns when it has ended."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), grace)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def end_survivors(program: str, config: Path, *, wait: float = 5.0) -> list[int]:
    """Kills what a killed parent left running: processes of ours called `program` that were given exactly
    `config`.

    Returns:
        Their pids.

    Raises:
        Unavailable: One does not end.
    """
    pids = [pid for pid in _pids() if _runs(pid, program, str(config))]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + wait
    for pid in pids:
        while _runs(pid, program, str(config)):
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"a {program} of a former start (pid {pid}) does not end",
                    hint=f"end it yourself: kill -9 {pid}",
                )
            time.sleep(0.005)
    return pids


def tail(log: Path, lines: int = 5) -> str:
    """The end of a log, for an error message."""
    try:
        text = log.read_text(errors="replace")[-4000:]
    except OSError:
        return "(no log)"
    return "\n  ".join(text.splitlines()[-lines:]) or "(the log is empty)"


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []  # no /proc: macOS, where a killed parent's broker must be ended by hand


def _runs(pid: int, program: str, config: str) -> bool:
    try:
        if os.stat(f"/proc/{pid}").st_uid != os.getuid():
            return False
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return Path(words[0]).name == program and config in words
