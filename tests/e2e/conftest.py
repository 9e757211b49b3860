"""One service for all tests of a worker process, started and stopped by the real command, and that command line."""

from __future__ import annotations

import importlib
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from headway import Client
from headway.execute.processes import marked

#: More cores than the machine may have: what a node offers is what it says, and these tests mostly wait.
CPUS, GPUS = 4, 2
#: Seconds that anything may take before a test gives it up.
PATIENCE = 40.0


@dataclass(frozen=True)
class Home:
    """A person's folder and the state folder of their service.

    Attributes:
        folder: Holds `flows.py`.
        mark: In the environment of every process that is started from here.
    """

    folder: Path
    state: Path
    mark: str

    def environment(self, **more: str) -> dict[str, str]:
        clean = {key: text for key, text in os.environ.items() if not key.startswith("HEADWAY_")}
        name, _, value = self.mark.partition("=")
        return clean | {
            "HEADWAY_STATE": str(self.state), "XDG_CONFIG_HOME": str(self.folder / "config"),
            "NO_COLOR": "1", "COLUMNS": "200", name: value,
        } | more  # fmt: skip

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """The real command line, not waited for; in a group of its own, as a shell starts it."""
        return subprocess.Popen(
            [sys.executable, "-m", "headway", *arguments], cwd=self.folder, env=self.environment(**more), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def headway(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """The real command line, to its end."""
        process = self.start(*arguments, **more)
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"headway {arguments} hangs: {process.communicate()}") from None
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home")
    shutil.copy(Path(__file__).parent / "flows.py", folder)
    return Home(folder, folder / "state", f"HEADWAY_E2E={secrets.token_hex(8)}")


@pytest.fixture(scope="session")
def service(home: Home) -> Iterator[Home]:
    """`headway up -d`; at the end `headway down`, after which nothing of it may be left."""
    up = home.headway("up", "-d", "--cpus", str(CPUS), "--gpus", str(GPUS), "--memory", "8GiB")
    assert up.returncode == 0, up.stderr
    yield home
    down = home.headway("down")
    assert (down.returncode, down.stdout) == (0, "Headway is down.\n"), down.stderr
    until(lambda: not marked(home.mark), f"the end of {[words_of(pid) for pid in marked(home.mark)]}")


@pytest.fixture
def client(service: Home) -> Iterator[Client]:
    with Client(service.state) as client:
        yield client


@pytest.fixture(scope="session")
def flows(home: Home) -> Iterator[ModuleType]:
    """`flows.py` as a person imports it."""
    sys.path.insert(0, str(home.folder))
    yield importlib.import_module("flows")
    sys.path.remove(str(home.folder))


def until(found: Callable[[], Any], what: str) -> Any:
    """The first true answer."""
    end = time.monotonic() + PATIENCE
    while not (answer := found()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)
    return answer


def words_of(pid: int) -> str:
    """The command line of a process, for the story of a failure."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return "(gone)"


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
