"""A service on fakes that the command line finds by its state folder, and the command line called in this
process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from headway.cli.main import run
from tests.service.fakes import TOKEN, Service, served

FLOW = """
from headway import task, workflow

@task
def double(x: int) -> int:
    return 2 * x

@task(cpu=2, retries=1)
def total(xs: list) -> int:
    return sum(xs)

@workflow
def flow(n: int = 3, fast: bool = False, name: str = "x"):
    return total(double.map(list(range(n))))
"""


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def own_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No settings of the machine's user, no state but the test's."""
    for name in ("HEADWAY_URL", "HEADWAY_TOKEN", "HEADWAY_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HEADWAY_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    before, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def headway(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def call(*arguments: str) -> Result:
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    path = tmp_path / "flow.py"
    path.write_text(FLOW)
    return path


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    service = Service(state)
    with served(service) as url:
        (state / "token").touch(0o600)
        (state / "token").write_text(TOKEN)
        (state / "service.json").write_text(json.dumps({"url": url, "pid": 1, "pids": {}}))
        yield service
