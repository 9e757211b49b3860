"""The program as a whole: what it loads, what it says when it is wrong, its exit codes, its help."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headway import errors
from headway.cli.main import app, run
from tests.service.fakes import Service

Call = Callable[..., Any]
HEADWAY = [sys.executable, "-m", "headway"]
DOCS = Path(__file__).parents[2] / "docs" / "reference"
HEAVY = (
    "pydantic",
    "numpy",
    "fastapi",
    "starlette",
    "uvicorn",
    "langgraph",
    "httpx",
    "sklearn",
    "aiomqtt",
    "cloudpickle",
)


def commands() -> dict[str, Any]:
    import typer.main

    found: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return found


def shell(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HEADWAY, *arguments], capture_output=True, text=True, timeout=60, env={**os.environ, **env}
    )


def test_help_loads_nothing_heavy() -> None:
    code = f"""
import sys
from headway.cli.main import run
assert run(["--help"]) == 0
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_command_has_help_with_an_example(headway: Call) -> None:
    for name, command in commands().items():
        result = headway(name, "--help")
        assert result.code == 0, name
        assert "Examples:" in result.out, name
        assert f"headway {name}" in result.out, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no help"


def test_help_flows_with_the_terminal(headway: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a line of the source ends must not show."""
    monkeypatch.setenv("COLUMNS", "200")
    assert (
        "With -o json the last line is the run with state, counts and result." in headway("run", "--help").out
    )
    assert "Exit code 1 if something is bad." in headway("--help").out


def test_the_names_users_type_are_there() -> None:
    names = "up down status doctor run submit runs tasks nodes graph why logs wait cancel retry version"
    assert set(names.split()) <= set(commands())


def test_every_listing_takes_an_output(headway: Call, service: Service) -> None:
    for name in ("runs", "tasks", "nodes", "windows", "status", "doctor"):
        result = headway(name, "-o", "json")
        json.loads(result.out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnus"], "runs"),
        (["runs", "--stat", "running"], "--state"),
        (["runs", "--state", "done"], "running"),
        (["runs", "-o", "xml"], "jsonl"),
        (["runs", "--limit", "many"], "integer"),
        (["why"], "TASK"),
        ([], "Usage"),
    ],
)
def test_a_mistyped_call_suggests(headway: Call, arguments: list[str], said: str) -> None:
    result = headway(*arguments)
    assert result.code == 2
    assert said in result.err + result.out


def test_no_bare_traceback(headway: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("the details")

    monkeypatch.setattr("headway.client.Client", broken, raising=False)
    result = headway("runs")
    assert result.code == 70
    assert "ZeroDivisionError: the details" in result.err
    path = re.search(r"details are in (\S+);", result.err)
    assert path is not None
    written = Path(path.group(1))
    assert "Traceback" in written.read_text()
    written.unlink()


def test_no_colour_where_it_is_not_wanted(service: Service) -> None:
    service.planner.add("a")
    assert "\x1b" not in shell("runs").stdout
    assert "\x1b" not in shell("--help", NO_COLOR="1").stdout


def test_a_reader_that_goes_away(service: Service) -> None:
    for number in range(300):
        service.planner.add(f"run-{number:04}-{'x' * 300}")
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"set -o pipefail; {sys.executable} -m headway runs -n 300 -o jsonl | head -1 >/dev/null",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_version() -> None:
    import headway

    for arguments in (["version"], ["--version"]):
        assert shell(*arguments).stdout == f"headway {headway.__version__}\n"


def test_completion_is_offered() -> None:
    done = shell("--show-completion", "bash")
    script = shell(_HEADWAY_COMPLETE="source_bash").stdout or done.stdout
    assert "_HEADWAY_COMPLETE" in script
    words = shell(_HEADWAY_COMPLETE="complete_bash", COMP_WORDS="headway ru", COMP_CWORD="1").stdout.split()
    assert {"run", "runs"} <= set(words)


def test_exit_codes_are_documented() -> None:
    text = (DOCS / "exit-codes.md").read_text()
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.M)}
    from headway.cli import following, main
    from headway.client.outcome import RunFailed, WaitTimeout

    used = {0, main.USAGE, main.INTERNAL, main.INTERRUPTED, main.BROKEN_PIPE, following.INTERRUPTED}
    kinds = (
        errors.HeadwayError,
        errors.Invalid,
        errors.NotFound,
        errors.Conflict,
        errors.Unavailable,
        errors.Denied,
    )
    used |= {kind.exit_code for kind in (*kinds, RunFailed, WaitTimeout)}
    assert documented == used


class TestStatusAndDoctor:
    def test_down(self, headway: Call) -> None:
        result = headway("status")
        assert result.code == 6
        assert "down" in result.out
        assert json.loads(headway("status", "-o", "json").out)["up"] is False

    def test_doctor_finds_a_fresh_machine_well(self, headway: Call) -> None:
        result = headway("doctor", "-o", "json")
        assert result.code == 0, result.out
        assert {check["check"] for check in json.loads(result.out)} >= {
            "Python",
            "broker",
            "state folder",
            "token",
            "service",
        }

    def test_doctor_finds_what_is_bad(
        self, headway: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "token").write_text("x")
        (tmp_path / "state" / "token").chmod(0o644)
        monkeypatch.setenv("HEADWAY_BROKER", "mqtt://127.0.0.1:9")
        result = headway("doctor")
        assert result.code == 1
        assert "can be read by others" in result.out
        assert "127.0.0.1:9" in result.out

    def test_down_when_nothing_runs(self, headway: Call) -> None:
        result = headway("down")
        assert (result.code, "No service runs" in result.out) == (0, True)

    def test_wrong_settings_name_their_place(self, headway: Call, tmp_path: Path) -> None:
        (tmp_path / "headway.toml").write_text("[polcy]\norder = 'fcfs'\n")
        result = headway("status")
        assert result.code == 2
        assert "headway.toml" in result.err
        assert "policy.order" in result.err


def test_run_returns_a_code_and_never_exits() -> None:
    assert run(["version"]) == 0


def test_the_generated_reference_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}run: python docs/reference/generate.py"
