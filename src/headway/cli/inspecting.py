"""What `headway status` and `headway doctor` look at."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

from headway.cli import diagnosis
from headway.cli import output as out
from headway.cli.diagnosis import row
from headway.domain.units import show_bytes
from headway.errors import HeadwayError, Unavailable
from headway.service.lock import holder_of
from headway.service.supervisor import state_of
from headway.settings import Settings

LOW_SPACE = 2**30
"""Bytes free below which `doctor` warns."""


def status(settings: Settings) -> dict[str, Any]:
    """Is it up, where, with which processes, doing what."""
    found: dict[str, Any] = {"up": False, "state": str(settings.state)}
    published = state_of(settings.state)
    if holder_of(settings.state) is None or published is None:
        return found
    found |= {"url": published.get("url"), "since": published.get("since"), "site": published.get("site")}
    found["processes"] = {
        name: {"pid": pid, "memory": _memory(pid)} for name, pid in published.get("pids", {}).items()
    }
    try:
        from headway.client import Client

        with Client(settings.state, patience=1) as client:
            client.ready()
            found |= {
                "up": True,
                "version": client.version()["headway"],
                "nodes": len(client.nodes()),
                "stats": client.stats(),
            }
            found["running"] = len(client.runs(state="running", limit=1000))
    except HeadwayError as error:
        found["problem"] = error.message
    return found


def status_lines(found: dict[str, Any]) -> dict[str, str]:
    """For people."""
    lines = {"headway": "up" if found["up"] else "down", "state folder": found["state"]}
    if "problem" in found:
        lines["problem"] = found["problem"]
    if found.get("url"):
        lines["address"] = found["url"]
        lines["since"] = out.moment(found.get("since"))
    for name, process in found.get("processes", {}).items():
        memory = f", {show_bytes(process['memory'])}" if process["memory"] else " (gone)"
        lines[name] = f"pid {process['pid']}{memory}"
    if found["up"]:
        lines["version"] = found["version"]
        lines["nodes"] = str(found["nodes"])
        lines["running"] = f"{found['running']} runs"
    elif "url" not in found:
        lines["start it"] = "headway up"
    return lines


def _memory(pid: int) -> int:
    """Proportional set size in bytes where the kernel tells, else what is resident; 0 if the process is
    gone.
    """
    for file, name in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
                if line.startswith(name):
                    return int(line.split()[1]) * 1024
        except (OSError, ValueError, IndexError):
            continue
    return 0


def checks(settings: Settings) -> list[dict[str, Any]]:
    """Each is `{"check", "status": "ok" | "warn" | "bad", "found", "advice"}`."""
    found = status(settings)
    return [
        _python(),
        _system(),
        _broker(settings),
        _loopback(),
        *_folder(settings.state),
        _token(settings.state),
        *diagnosis.of_state(settings, holder_of(settings.state) is not None),
        *_service(settings, found),
    ]


def _python() -> dict[str, Any]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return row(
        "Python",
        "ok" if good else "bad",
        f"{version} ({sys.executable})",
        "" if good else "use Python 3.11 or newer",
    )


def _system() -> dict[str, Any]:
    if sys.platform.startswith("linux"):
        return row("system", "ok", f"{os.uname().sysname} {os.uname().release}")
    return row(
        "system",
        "warn",
        sys.platform,
        "Linux is what it is made for: elsewhere a killed supervisor may leave children",
    )


def _broker(settings: Settings) -> dict[str, Any]:
    if settings.broker:
        from headway.bus.port import parse_url

        try:
            address, _ = parse_url(settings.broker)
            with socket.create_connection((address.host, address.port), timeout=3):
                return row("broker", "ok", f"{address.host}:{address.port} answers")
        except HeadwayError as error:
            return row("broker", "bad", error.message, error.hint or "")
        except OSError as error:
            return row(
                "broker",
                "bad",
                f"{address.host}:{address.port}: {error.strerror or error}",
                "start it, or leave `broker` out",
            )
    from headway.bus.broker_nats import find_program

    try:
        return row("broker", "ok", find_program())
    except Unavailable as error:
        return row("broker", "bad", error.message, error.hint or "")


def _loopback() -> dict[str, Any]:
    try:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            return row("loopback", "ok", "127.0.0.1 can be listened on")
    except OSError as error:
        return row(
            "loopback",
            "bad",
            f"127.0.0.1: {error.strerror}",
            "bring the loopback interface up: ip link set lo up",
        )


def _folder(state: Path) -> list[dict[str, Any]]:
    nearest = next(folder for folder in (state, *state.parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return [
            row(
                "state folder",
                "bad",
                f"{nearest} is not writable",
                "name another: --state-dir DIR or HEADWAY_STATE",
            )
        ]
    rows = [row("state folder", "ok", str(state) if state.exists() else f"{state} (will be made)")]
    free = shutil.disk_usage(nearest).free
    advice = "" if free >= LOW_SPACE else "free some: the journal stops taking work when the disk is full"
    rows.append(row("disk space", "ok" if free >= LOW_SPACE else "warn", f"{show_bytes(free)} free", advice))
    return rows


def _token(state: Path) -> dict[str, Any]:
    from headway.service.identity import read_token

    try:
        read_token(state / "token")
        return row("token", "ok", "private")
    except FileNotFoundError:
        return row("token", "ok", "none yet; `headway up` makes one")
    except HeadwayError as error:
        return row("token", "bad", error.message, error.hint or "")


def _service(settings: Settings, found: dict[str, Any]) -> list[dict[str, Any]]:
    if "problem" in found:
        log = settings.state / "logs" / "service.log"
        return [row("service", "bad", found["problem"], f"see {log}")]
    if not found["up"]:
        return [row("service", "ok", "down", "`headway up` starts it")]
    from headway import __version__
    from headway.client import Client

    pids = {name: process["pid"] for name, process in found["processes"].items()}
    rows = [row("service", "ok", f"up at {found['url']}"), diagnosis.processes(pids)]
    try:
        with Client(settings.state, patience=1) as client:
            return [*rows, *diagnosis.of_service(client, __version__)]
    except HeadwayError as error:
        return [*rows, row("service", "bad", error.message, error.hint or "")]
