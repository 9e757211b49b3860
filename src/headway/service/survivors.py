"""Finds and ends what a killed supervisor left running, before the state folder is opened again.

A pid alone may belong to somebody else by now; together with its start time it names a process for ever.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from headway.errors import Unavailable
from headway.execute.processes import alive, birth
from headway.service.identity import write_private


class Register:
    """Which processes were started, on disk: `<state>/processes.json`."""

    def __init__(self, state: Path) -> None:
        self._path = state / "processes.json"
        self._known: dict[str, tuple[int, int]] = {}

    def add(self, name: str, pid: int) -> None:
        """A process was started."""
        self._known[name] = (pid, birth(pid))
        write_private(self._path, json.dumps(self._known))

    def pids(self) -> dict[str, int]:
        """Name to pid."""
        return {name: pid for name, (pid, _) in self._known.items()}

    def clear(self) -> None:
        """All have ended."""
        self._known.clear()
        self._path.unlink(missing_ok=True)

    def end_survivors(self, wait: float = 5.0) -> list[int]:
        """SIGKILL those of an earlier supervisor that still run, and wait until they are gone.

        Returns:
            Their pids.

        Raises:
            Unavailable: One does not end within `wait` seconds.
        """
        try:
            recorded = json.loads(self._path.read_text())
            found = [(int(pid), int(born)) for pid, born in recorded.values()]
        except (OSError, ValueError, TypeError, AttributeError):
            return []
        left = [(pid, born) for pid, born in found if pid != os.getpid() and born and alive(pid, born)]
        for pid, _ in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + wait
        for pid, born in left:
            while alive(pid, born):
                if time.monotonic() > until:
                    raise Unavailable(
                        f"process {pid} of an earlier start does not end", hint=f"end it: kill -9 {pid}"
                    )
                time.sleep(0.01)
        self.clear()
        return [pid for pid, _ in left]
