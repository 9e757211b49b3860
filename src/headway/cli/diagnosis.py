"""What `headway doctor` looks at inside a state folder, whether a service runs on it or not: nothing is changed.

Each finding is `{"check", "status": "ok" | "warn" | "bad", "found", "advice"}`, as in `inspecting`.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from headway.domain.units import show_bytes, show_time
from headway.errors import HeadwayError
from headway.settings import Settings

#: A state folder larger than this while nothing is ever removed is worth a word.
LARGE = 5 * 2**30
#: Seconds by which the journal may be ahead of the clock before that is a finding: clocks are set by hand now and then.
AHEAD = 60.0
_PRIVATE = ("token", "tokens.json", "service.json", "watch", "events", "journal.db")


def row(check: str, status: str, found: str, advice: str = "") -> dict[str, Any]:
    """A finding."""
    return {"check": check, "status": status, "found": found, "advice": advice}


def of_state(settings: Settings, up: bool) -> list[dict[str, Any]]:
    """Everything about the folder itself."""
    state = settings.state
    if not state.is_dir():
        return []
    return [private(state), *journal(state), size(settings), *([] if up else [port(settings)])]


def private(state: Path) -> dict[str, Any]:
    """Files that hold secrets, or what people submitted, are their owner's alone."""
    open_ = []
    for name in _PRIVATE:
        with suppress(OSError):
            if (state / name).stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                open_.append(name)
    if not open_:
        return row("file modes", "ok", "private")
    paths = " ".join(str(state / name) for name in open_)
    return row("file modes", "bad", f"others may read {', '.join(open_)}", f"chmod 600 {paths}")


def journal(state: Path) -> list[dict[str, Any]]:
    """Whether it is whole, of this version's format and logic, and not from the future."""
    path = state / "journal.db"
    if not path.is_file():
        return [row("journal", "ok", "none yet; `headway up` makes one")]
    from headway.store.reader import connect_to_read
    from headway.store.schema import migrations, version

    try:
        connection = connect_to_read(path)
        try:
            have, known = version(connection), migrations()[-1].number
            said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            latest = connection.execute("SELECT coalesce(max(at), 0) FROM entry").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error as error:
        from headway.store.failures import translate

        wrong = translate(error, path)
        return [row("journal", "bad", wrong.message, wrong.hint or "")]
    if have > known:
        found = f"format {have}; this Headway knows up to {known}"
        return [row("journal", "bad", found, "upgrade Headway, or use the state folder of this version")]
    if said != "ok":
        return [
            row(
                "journal",
                "bad",
                f"damaged: {said}",
                "restore a backup: headway backup FILE --restore --to DIR",
            )
        ]
    taken = sum(file.stat().st_size for file in state.glob("journal.db*"))
    rows = [row("journal", "ok", f"whole, format {have}, {show_bytes(taken)}")]
    return [*rows, logic(state), clock(latest)]


def logic(state: Path) -> dict[str, Any]:
    """Whether the state can be taken up by this version: one that another logic decided cannot."""
    from headway.roles.replay import ROLES
    from headway.store.reader import Reader

    reader, wrong = Reader(state / "journal.db"), []
    try:
        for name, make in ROLES.items():
            ours, snapshots = make().logic, reader.snapshots(name)
            after = snapshots[-1].number + 1 if snapshots else 1
            found = [snapshot.logic for snapshot in snapshots[-1:]]
            found += [entry.logic for entry in reader.entries(name, after)]
            if others := sorted({one for one in found if one != ours}):
                wrong.append(f"the {name}'s was decided by logic {', '.join(others)}, this is {ours}")
    except HeadwayError as error:
        return row("logic", "bad", error.message, error.hint or "")
    if not wrong:
        return row("logic", "ok", "the journal is of this version's logic")
    advice = "`headway up` will refuse it: finish what is queued with the version that made it, or name a new --state-dir"
    return row("logic", "bad", "; ".join(wrong), advice)


def clock(latest: int) -> dict[str, Any]:
    """Time that went backwards: what was journalled last should not be in the future."""
    ahead = latest / 1e6 - time.time()
    if ahead <= AHEAD:
        return row("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S %Z"))
    found = f"the journal's last entry is {show_time(int(ahead * 1e6))} in the future"
    return row(
        "clock", "warn", found, "set the clock (timedatectl); until then time stands still in the service"
    )


def size(settings: Settings) -> dict[str, Any]:
    """What it takes on the disk, and whether anything of it ever goes."""
    total = 0
    for folder, _, files in os.walk(settings.state):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    kept = settings.retention
    if kept.runs is None and total > LARGE:
        found = f"{show_bytes(total)}, and nothing is ever removed"
        return row("retention", "warn", found, "headway config set retention.runs 30d")
    said = "for ever" if kept.runs is None else show_time(kept.runs)
    return row("retention", "ok", f"{show_bytes(total)}; runs are kept {said}")


def port(settings: Settings) -> dict[str, Any]:
    """Whether `headway up` could listen."""
    if not settings.http.port:
        return row("port", "ok", "any free one")
    family = socket.AF_INET6 if ":" in settings.http.host else socket.AF_INET
    try:
        with socket.socket(family) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((settings.http.host, settings.http.port))
            return row("port", "ok", f"{settings.http.port} is free")
    except OSError as error:
        advice = "stop who listens there (ss -ltnp), or set another: headway up --port 0"
        return row("port", "bad", f"{settings.http.port}: {error.strerror}", advice)


def of_service(client: Any, version: str) -> list[dict[str, Any]]:
    """What a running service says of itself."""
    rows = []
    theirs = client.version()["headway"]
    if theirs == version:
        rows.append(row("version", "ok", theirs))
    else:
        found = f"the service is {theirs}, this command {version}"
        rows.append(row("version", "warn", found, "start it anew: headway down && headway up -d"))
    nodes = client.nodes()
    shut = [view["node"] for view in nodes if view["cordoned"]]
    if not nodes:
        advice = "nothing can start: is the executor up? see logs/executor.log in the state folder"
        rows.append(row("nodes", "bad", "none is here", advice))
    elif shut:
        rows.append(
            row(
                "nodes",
                "warn",
                f"{', '.join(shut[:5])} cordoned, of {len(nodes)}",
                "`headway nodes` lists them",
            )
        )
    else:
        rows.append(row("nodes", "ok", f"{len(nodes)} here"))
    return rows


def processes(pids: dict[str, int]) -> dict[str, Any]:
    """Whether every part of a running service is alive."""
    gone = [name for name, pid in pids.items() if not Path(f"/proc/{pid}").exists()]
    if not gone:
        return row("processes", "ok", ", ".join(pids))
    advice = "the supervisor starts it again; if it does not stay, its log says why: logs/NAME.log"
    return row("processes", "warn", f"{', '.join(gone)} not alive now", advice)
