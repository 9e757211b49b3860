"""Runs a peer's script (`peers/<name>_peer.py`) in that peer's own virtual environment, made on first use.

A peer that cannot be had on this machine is `Absent` with the reason: a figure against it is then null and
never ok.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
from typing import Any

from benchmarks.harness import HERE, Absent, Measured

PEERS = HERE / "peers"
#: Exact versions: a ratio means little when the other side moves.
PINS = {
    "ray": ["ray==2.60.0"],
    "celery": ["celery[redis]==5.7.0"],
    "simpy": ["simpy==4.1.1"],
    "floor": [],
}
#: Programs a peer needs, and the Debian package that brings each.
PROGRAMS = {"celery": {"redis-server": "redis-server"}}
INSTALL_TIMEOUT, RUN_TIMEOUT = 900, 300


def run(peer: str, **work: Any) -> Measured:
    """Do the named pieces of work in a fresh process of the peer.

    Args:
        peer: `ray`, `celery`, `simpy` or `floor`.
        work: Workload -> its size, e.g. `throughput=10_000`; as JSON.

    Returns:
        What the script measured, by name; or why it could not.
    """
    python = _environment(peer)
    if isinstance(python, Absent):
        return python
    try:
        done = subprocess.run(
            [python, str(PEERS / f"{peer}_peer.py"), json.dumps(work)],
            cwd=PEERS, capture_output=True, text=True, timeout=RUN_TIMEOUT, check=True,
        )  # fmt: skip
        measured: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return Absent(f"took longer than {RUN_TIMEOUT} s")
    except subprocess.CalledProcessError as error:
        return Absent(f"failed with status {error.returncode}: {_last_line(error.stderr)}")
    except (ValueError, IndexError):
        return Absent("printed no result")
    return measured


@functools.cache
def _environment(peer: str) -> str | Absent:
    """The peer's interpreter."""
    for program, package in PROGRAMS.get(peer, {}).items():
        if not shutil.which(program, path="/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"):
            return Absent(f"{program} is not installed (Debian: apt-get install {package})")
    if not PINS[peer]:
        return sys.executable
    folder = PEERS / ".venvs" / peer
    python, stamp = folder / "bin" / "python", folder / ".installed"
    wanted = " ".join(PINS[peer])
    if stamp.exists() and stamp.read_text() == wanted:
        return str(python)
    print(f"installing {wanted} into {folder}", file=sys.stderr, flush=True)
    try:
        _quietly(sys.executable, "-m", "venv", "--clear", str(folder))
        _quietly(str(python), "-m", "pip", "install", "--disable-pip-version-check", "psutil", *PINS[peer])
    except (subprocess.SubprocessError, OSError) as error:
        detail = _last_line(getattr(error, "stderr", "") or str(error))
        return Absent(f"could not be installed: {detail}")
    stamp.write_text(wanted)
    return str(python)


def _quietly(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_TIMEOUT)


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2][:300]
