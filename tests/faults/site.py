"""A Headway of its own for a fault test: started by the real command, found and killed by a mark in its environment."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from headway.client import Client
from headway.execute.processes import birth, marked

MARK = "HEADWAY_FAULTS"
#: What is restarted by its supervisor when it dies.
CHILDREN = ("broker", "service", "executor", "follower")


class CommandFailed(AssertionError):
    """A command that was to succeed did not."""


class Site:
    """One state folder.

    Args:
        folder: For the state and all else; must exist.
        cpus: Slots of the node.
        env: Added to the environment of all processes.
    """

    def __init__(self, folder: Path, *, cpus: int = 2, env: Mapping[str, str] | None = None) -> None:
        self.folder, self.state, self.cpus = folder, folder / "state", cpus
        self.mark = f"{MARK}={secrets.token_hex(8)}"
        name, _, value = self.mark.partition("=")
        clean = {key: text for key, text in os.environ.items() if not key.startswith("HEADWAY_")}
        self.env = {
            **clean,
            "HEADWAY_STATE": str(self.state),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "NO_COLOR": "1",
            name: value,
            **(env or {}),
        }

    # ── commands ──────────────────────────────────────────────────────────────────────────────────

    def headway(
        self, *arguments: str, timeout: float = 120, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the real command line."""
        command = [sys.executable, "-m", "headway", *arguments]
        done = subprocess.run(
            command,
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise CommandFailed(
                f"headway {' '.join(arguments)} ended with {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done

    def up(self) -> None:
        """Start it, or start it again; back when it is ready."""
        self.headway("up", "-d", "--cpus", str(self.cpus))

    def down(self) -> None:
        """Stop it in order."""
        self.headway("down", "--timeout", "60")

    def client(self, patience: float = 60) -> Client:
        return Client(self.state, patience=patience)

    # ── its processes ─────────────────────────────────────────────────────────────────────────────

    def processes(self) -> list[int]:
        """All that carry the mark, but for commands of ours under way."""
        return marked(self.mark)

    def pid(self, name: str) -> int | None:
        """Of the supervisor or one of its children, while it is alive and certainly ours."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            pid = int(json.loads((self.state / "service.json").read_text())["pids"][name])
            if pid in marked(self.mark):
                return pid
        return None

    def workers(self) -> list[int]:
        """Processes that run tasks."""
        return [pid for pid in marked(self.mark) if "headway.execute.worker" in words_of(pid)]

    def kill(self, pid: int) -> None:
        """SIGKILL, now."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def kill_named(self, name: str) -> int:
        """Kill one, and wait until it is really gone. Returns its pid."""
        pid: int = wait_for(lambda: self.pid(name), f"a {name}", 30)
        born = birth(pid)
        self.kill(pid)
        wait_for(lambda: birth(pid) != born or state_of(pid) == "Z", f"the end of the {name}", 10)
        return pid

    def next_pid(self, name: str, former: int) -> int:
        """Of the one that was started in place of `former`."""

        def other() -> int | None:
            pid = self.pid(name)
            return pid if pid != former else None

        found: int = wait_for(other, f"another {name}", 60)
        return found

    def clear(self) -> None:
        """End all that is left, stopped processes too."""
        until = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < until:
            for pid in left:
                self.kill(pid)
            time.sleep(0.05)

    def logs(self, lines: int = 40) -> str:
        """The ends of all logs, for a failure's story."""
        found = []
        for path in sorted((self.state / "logs").glob("*.log")):
            text = path.read_text(errors="replace").splitlines()[-lines:]
            found.append(f"── {path.name}\n" + "\n".join(text))
        return "\n".join(found)


def words_of(pid: int) -> list[str]:
    """Its command line."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return []


def state_of(pid: int) -> str:
    """R, S, T, Z …; empty if there is none."""
    with suppress(OSError):
        data = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        return data[data.rfind(")") + 2]
    return ""


def wait_for(found: Callable[[], Any], what: str, seconds: float) -> Any:
    """The first true answer. Raises AssertionError when the time is up."""
    until = time.monotonic() + seconds
    while not (answer := found()):
        if time.monotonic() > until:
            raise AssertionError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)
    return answer
