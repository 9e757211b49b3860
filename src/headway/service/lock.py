"""One supervisor per state folder: a kernel lock that ends with its holder, and the holder's address in the
file.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from headway.errors import Conflict, Unavailable


class StateLock:
    """The lock of a state folder.

    Args:
        state: The folder; it is made if it is missing.
    """

    def __init__(self, state: Path) -> None:
        self.path = state / "lock"
        self._fd = -1

    def acquire(self) -> None:
        """Take it.

        Raises:
            Conflict: Somebody has it; says who and where.
            Unavailable: The folder cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(
                f"the state folder {self.path.parent} cannot be used: {error.strerror}",
                hint="make it writable, or name another: `headway up --state-dir DIR`",
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            holder = holder_of(self.path.parent) or {}
            raise Conflict(
                f"a service runs on {self.path.parent} already: {holder.get('url') or 'it is starting'}"
                f" (pid {holder.get('pid', 'unknown')})",
                hint="use it, or stop it first: `headway down`",
                **holder,
            ) from None
        self._fd = fd

    def write(self, address: dict[str, Any]) -> None:
        """Say who holds it. Written in place: a new file would be another lock."""
        text = json.dumps(address).encode()
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, text, 0)

    def release(self) -> None:
        """Give it back."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1


def is_held(state: Path) -> bool:
    """Whether somebody holds the folder's lock."""
    try:
        fd = os.open(state / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(fd)


def holder_of(state: Path) -> dict[str, Any] | None:
    """What the holder wrote, or None if nobody holds it. `{}` while it has not written yet."""
    if not is_held(state):
        return None
    try:
        tree = json.loads((state / "lock").read_text())
        return tree if isinstance(tree, dict) else {}
    except (OSError, ValueError):
        return {}


def wait_released(state: Path, timeout: float) -> bool:
    """Wait until nobody holds it, at most `timeout` seconds."""
    until = time.monotonic() + timeout
    while is_held(state):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
