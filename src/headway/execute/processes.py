"""Processes as `/proc` shows them: who descends from whom, who carries a mark in its environment, how to end
all of them.

A task may start processes that start others, leave their group (setsid) or lose their parent. So a tree is
what descends from the worker and also what carries our mark in its environment, wherever it hangs by now.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def birth(pid: int) -> int:
    """Clock ticks after boot at which the process began, 0 if there is none: with the pid its name."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def alive(pid: int, born: int) -> bool:
    """Whether that very process still runs (a zombie does not)."""
    fields = _stat(pid)
    return bool(fields) and int(fields[19]) == born and fields[0] != b"Z"


def _stat(pid: int) -> list[bytes]:
    """The fields of `/proc/<pid>/stat` from the state (field 3) on; empty if the process is gone."""
    try:
        data = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return []
    return data[data.rfind(b")") + 2 :].split()  # the name may hold spaces and brackets


def _pids() -> list[int]:
    return [int(name) for name in os.listdir(_PROC) if name.isdigit()]


def descendants(root: int, *, born_after: int = 0) -> list[int]:
    """All processes below `root` that began at `born_after` (ticks) or later, without zombies."""
    children: dict[int, list[int]] = {}
    info: dict[int, list[bytes]] = {}
    for pid in _pids():
        fields = _stat(pid)
        if fields:
            info[pid] = fields
            children.setdefault(int(fields[1]), []).append(pid)
    found, todo = [], list(children.get(root, ()))
    while todo:
        pid = todo.pop()
        todo += children.get(pid, ())
        if info[pid][0] != b"Z" and int(info[pid][19]) >= born_after:
            found.append(pid)
    return found


def marked(*marks: str) -> list[int]:
    """Processes whose environment, as it was at their exec, holds all of `NAME=value`; never this one."""
    wanted = [mark.encode() for mark in marks]
    found, me = [], os.getpid()
    for pid in _pids():
        if pid == me:
            continue
        try:
            environment = set((_PROC / str(pid) / "environ").read_bytes().split(b"\0"))
        except OSError:
            continue  # gone, or another user's
        if all(mark in environment for mark in wanted):
            fields = _stat(pid)
            if fields and fields[0] != b"Z":
                found.append(pid)
    return found


def send(pids: Iterable[int], number: int) -> None:
    """A signal to each that still exists."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end(find: Callable[[], Iterable[int]], *, gently: float, limit: float = 2.0) -> None:
    """SIGTERM, after `gently` seconds SIGKILL, until `find` finds none; at most `limit` more seconds.

    It looks again each round: a process may fork between the look and the signal.
    """
    victims = list(find())
    if gently > 0 and victims:
        send(victims, signal.SIGTERM)
        until = time.monotonic() + gently
        while time.monotonic() < until and (victims := list(find())):
            time.sleep(0.01)
    until = time.monotonic() + limit
    while victims and time.monotonic() < until:
        send(victims, signal.SIGKILL)
        time.sleep(0.005)
        victims = list(find())


def oom_kills() -> int:
    """How often the kernel killed for want of memory in our control group (v2, v1), else on the machine; -1
    if it does not say."""
    with suppress(OSError):
        for line in (_PROC / "self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0" or "memory" in controllers.split(","):
                for file in (
                    f"/sys/fs/cgroup{path}/memory.events",
                    f"/sys/fs/cgroup/memory{path}/memory.oom_control",
                ):
                    count = _counter(Path(file), "oom_kill")
                    if count >= 0:
                        return count
    return _counter(_PROC / "vmstat", "oom_kill")


def _counter(file: Path, name: str) -> int:
    try:
        for line in file.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    except (OSError, ValueError):
        pass
    return -1
