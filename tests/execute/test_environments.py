"""What a task finds around it: variables, a folder, a Python of its own; and nothing of it afterwards."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from headway.bus.messages import EnvironmentModel
from headway.execute.environments import interpreter_of

from .conftest import Bench, call


def environment(**fields: Any) -> EnvironmentModel:
    return EnvironmentModel(**fields)


def wheel(folder: Path, value: int = 7) -> str:
    """A package `probe`, as a wheel: pip needs no network for it."""
    path = folder / f"probe-1.{value}-py3-none-any.whl"
    info = f"probe-1.{value}.dist-info"
    files = {
        "probe.py": f"VALUE = {value}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: probe\nVersion: 1.{value}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return str(path)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")


async def test_variables_and_the_folder_hold_for_the_task_alone(bench: Bench, tmp_path: Path) -> None:
    """One lease is one worker, so the second would see what the first left behind."""
    lease = bench.lease()
    around = environment(variables={"HOME": "/nowhere", "MODE": "fast"}, cwd=str(tmp_path))
    bench.grant("mode", call("around", "MODE", environment=around), lease=lease)
    bench.grant("home", call("around", "HOME", environment=around, name="home"), lease=lease)
    bench.grant("after", call("around", "MODE", name="after"), lease=lease)
    bench.grant("later", call("around", "HOME", name="later"), lease=lease)
    assert await bench.result("mode") == ["fast", str(tmp_path)]
    assert await bench.result("home") == ["/nowhere", str(tmp_path)]
    assert await bench.result("after") == [None, os.getcwd()]
    assert await bench.result("later") == [os.environ.get("HOME"), os.getcwd()]


async def test_a_command_has_them_too(bench: Bench, tmp_path: Path) -> None:
    around = environment(variables={"MODE": "fast"}, cwd=str(tmp_path))
    bench.grant("say", call(shell='echo "$MODE $PWD"', environment=around))
    row = await bench.end("say")
    assert row.what == "finished", row
    assert str(bench.value(row.value[1])) == f"fast {tmp_path}\n"


async def test_a_folder_that_is_not_there_fails_in_words(bench: Bench) -> None:
    bench.grant("lost", call("around", "HOME", environment=environment(cwd="/no/such/folder")))
    row = await bench.end("lost")
    assert row.what == "failed"
    assert "its working folder /no/such/folder cannot be used on this node" in row.value[1]["message"]


async def test_requirements_make_a_python_once_and_another_task_runs_in_ours(
    bench: Bench, tmp_path: Path
) -> None:
    around = environment(requirements=[wheel(tmp_path)])
    what = call("guest", environment=around)
    bench.grant("one", what)
    bench.grant("two", what)
    bench.grant("ours", call("guest", name="ours"))
    await bench.end("one", limit=100)
    value, prefix = await bench.result("one")
    assert value == 7
    python = Path(interpreter_of(bench.state, around.model_dump()))
    assert prefix == str(python.parent.parent)
    made = (python.parent.parent / ".made").stat().st_mtime_ns
    await bench.end("two", limit=100)
    assert await bench.result("two") == [7, prefix]
    bench.grant("three", what)
    assert await bench.result("three") == [7, prefix]
    assert (python.parent.parent / ".made").stat().st_mtime_ns == made
    ours = await bench.end("ours")
    assert ours.what == "failed"
    assert "No module named 'probe'" in ours.value[1]["message"]


async def test_a_virtual_environment_of_the_user_s_is_used_as_it_is(bench: Bench, tmp_path: Path) -> None:
    first = environment(requirements=[wheel(tmp_path, 8)])
    bench.grant("made", call("guest", environment=first))
    await bench.end("made", limit=100)
    venv = Path(interpreter_of(bench.state, first.model_dump())).parent.parent
    bench.grant("given", call("guest", environment=environment(venv=str(venv)), name="given"))
    assert await bench.result("given") == [8, str(venv)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"requirements": ["no-such-package-anywhere==9"]},
            "pip install no-such-package-anywhere==9` failed",
        ),
        ({"venv": "/no/such/venv"}, "/no/such/venv is no virtual environment"),
    ],
)
async def test_what_cannot_be_made_fails_in_words_and_is_tried_again(
    bench: Bench, fields: dict[str, Any], message: str
) -> None:
    for attempt in (1, 2):
        bench.grant("guest", call("guest", environment=environment(**fields)), attempt=attempt)
        row = await bench.end("guest", attempt, limit=60)
        assert row.what == "failed"
        assert message in row.value[1]["message"]
        assert row.value[1]["type"] == "EnvironmentFailed"


async def test_a_virtual_environment_of_another_python_is_refused(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "pyvenv.cfg").write_text("home = /usr\nversion = 3.4.10\n")
    bench.grant("old", call("guest", environment=environment(venv=str(tmp_path))))
    row = await bench.end("old")
    assert f"{tmp_path} is of Python 3.4.10, and this node runs" in row.value[1]["message"]


async def test_what_waits_for_its_python_can_be_called_back_and_cancelled(
    bench: Bench, tmp_path: Path
) -> None:
    around = environment(requirements=[wheel(tmp_path, 9)])
    lease = bench.lease()
    bench.grant("first", call("guest", environment=around), lease=lease)
    bench.grant("stopped", call("guest", environment=around, name="stopped"))
    bench.say(recalls=[(lease, [("r/first", 1)])], stops=[("r/stopped", 1, "enough")])
    assert (await bench.end("first")).what == "returned"
    assert (await bench.end("stopped")).what == "cancelled"
