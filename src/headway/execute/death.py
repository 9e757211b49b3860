"""Why a worker died, in words, as far as anybody can know."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass

from headway.domain.units import show_bytes
from headway.execute.machine import memory_bytes
from headway.execute.processes import oom_kills

#: A worker that had this much of the memory when it was killed was probably killed for it (percent).
_SUSPICIOUS = 80


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended.

    Attributes:
        cause: For a person: "was killed by SIGSEGV (segmentation fault)".
        quiet: It exited by itself with 0, as one does that was told to.
    """

    cause: str
    quiet: bool = False


class Witness:
    """Looks at what can be seen before and after."""

    __slots__ = ("_kills",)

    def __init__(self) -> None:
        self._kills = oom_kills()

    def testify(self, process: subprocess.Popen[bytes] | None) -> Death:
        """The cause; reaps the process. None: it was not our child."""
        if process is None:
            return Death("ended (how is not known: a former executor had started it)" + self._memory(0))
        status, peak = _reap(process)
        if status is None:
            return Death("ended (somebody else reaped it)")
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return Death(f"exited with code {code}", quiet=code == 0)
        name, words = _signal(-code)
        return Death(f"was killed by {name}{words}" + (self._memory(peak) if -code == signal.SIGKILL else ""))

    def _memory(self, peak: int) -> str:
        """What speaks for the kernel's out-of-memory killer."""
        if 0 <= self._kills < oom_kills():
            return ": out of memory (the kernel counts an out-of-memory kill)"
        limit = memory_bytes()
        if peak * 100 >= limit * _SUSPICIOUS:
            return f": probably out of memory (it had up to {show_bytes(peak)} of {show_bytes(limit)})"
        return ""


def _reap(process: subprocess.Popen[bytes]) -> tuple[int | None, int]:
    """(wait status, peak of resident bytes)."""
    with suppress(ChildProcessError):
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return status, usage.ru_maxrss * 1024
    process.returncode = process.returncode or 0  # so that nobody waits for it again
    return None, 0


def _signal(number: int) -> tuple[str, str]:
    try:
        found = signal.Signals(number)
    except ValueError:
        return f"signal {number}", ""
    words = {
        signal.SIGSEGV: " (segmentation fault)",
        signal.SIGBUS: " (bus error)",
        signal.SIGABRT: " (abort)",
    }
    return found.name, words.get(found, "")
