"""A pipe that the supervisor holds open: when it dies, however it dies, the kernel closes it and every child
sees the end.

The parent-death signal does the same and faster, but only for direct children, and only on Linux.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

VARIABLE = "HEADWAY_LIFELINE"
READY_VARIABLE = "HEADWAY_READY_FD"
HTTP_VARIABLE = "HEADWAY_HTTP_FD"


def inherited(variable: str) -> int | None:
    """The descriptor that the supervisor passed under this name."""
    text = os.environ.get(variable, "")
    if not text.isdigit():
        return None
    try:
        os.fstat(int(text))
    except OSError:
        return None
    return int(text)


def watch(loop: asyncio.AbstractEventLoop, on_death: Callable[[], None] | None = None) -> bool:
    """Call `on_death` when the supervisor is gone; by default kill this process's group at once.

    There is nothing to save: what was acknowledged is in the journal, and nobody is left to talk to.

    Returns:
        Whether there is a lifeline to watch.
    """
    fd = inherited(VARIABLE)
    if fd is None:
        return False
    os.set_inheritable(fd, False)

    def readable() -> None:
        loop.remove_reader(fd)
        (on_death or die)()

    loop.add_reader(fd, readable)
    return True


def die() -> None:
    """Kill this process and its group."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def announce_ready() -> None:
    """Tell the supervisor that this process does its work now."""
    fd = inherited(READY_VARIABLE)
    if fd is not None:
        os.environ.pop(READY_VARIABLE, None)
        os.write(fd, b"1")
        os.close(fd)
