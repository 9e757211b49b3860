"""`submit`, `run`, `graph`: from a file on disk to a submission, with everything a person may get wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.service.fakes import Service

Call = Callable[..., Any]


def test_submit_prints_the_id_and_posts_the_graph(headway: Call, service: Service, flow: Path) -> None:
    result = headway("submit", str(flow), "--n", "4")
    assert result.code == 0
    body = service.planner.submitted[0]
    assert result.out.strip() == body["run"]
    assert body["run"].startswith("flow-")
    assert [spec["name"] for spec in body["workflow"]["tasks"]] == ["double", "total"]
    assert [0, 1, 2, 3] in [ref.get("data") for ref in body["values"].values()]
    assert service.blobs.touch(body["bundle"])


def test_submit_twice_with_one_key(headway: Call, service: Service, flow: Path) -> None:
    first = headway("submit", str(flow), "--key", "nightly")
    assert headway("submit", str(flow), "--key", "nightly", "-o", "json").out
    assert len(service.planner.submitted) == 1
    assert first.out.strip() == service.planner.submitted[0]["run"]


def test_run_on_a_service_that_is_up(headway: Call, service: Service, flow: Path) -> None:
    service.planner.auto_finish = True
    result = headway("run", str(flow))
    assert (result.code, result.out) == (0, "42\n")
    last = json.loads(headway("run", f"{flow}:flow", "-p", "n=2", "-o", "json").out.splitlines()[-1])
    assert (last["state"], last["result"], last["counts"]) == ("finished", 42, {"finished": 2})


def test_submit_and_wait_for_a_failure(headway: Call, service: Service, flow: Path) -> None:
    submit = service.planner.submit

    async def fails(body: dict[str, Any]) -> dict[str, Any]:
        view = await submit(body)
        service.planner.finish(
            body["run"], "failed", {"task": f"{body['run']}/double", "type": "E", "message": "broken"}
        )
        return view

    service.planner.submit = fails  # type: ignore[method-assign]
    result = headway("submit", str(flow), "--wait")
    assert result.code == 3
    assert "E: broken" in result.err


def test_one_ctrl_c_cancels_and_waits_for_the_end(
    headway: Call, service: Service, flow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_waits(monkeypatch, 1)
    result = headway("run", str(flow))
    assert result.code == 130
    assert "Ctrl-C again leaves" in result.err
    assert next(iter(service.planner.by_id.values()))["state"] == "cancelled"
    assert service.planner.calls[0][2] == "Ctrl-C"


def test_a_second_ctrl_c_leaves(
    headway: Call, service: Service, flow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_waits(monkeypatch, 2)
    result = headway("run", str(flow))
    assert result.code == 130
    assert "was asked to end" in result.err


def interrupt_waits(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    from headway.client import RunHandle

    original, left = RunHandle.wait, [times]

    def wait(self: RunHandle, timeout: float | None = None) -> Any:
        if left[0]:
            left[0] -= 1
            raise KeyboardInterrupt
        return original(self, timeout)

    monkeypatch.setattr(RunHandle, "wait", wait)


class TestParameters:
    def test_are_typed_by_the_annotations(self, headway: Call, service: Service, flow: Path) -> None:
        for given in (
            ["--n", "2", "--fast"],
            ["--n=2", "--fast=true"],
            ["-p", "n=2", "-p", "fast=true"],
            ["--n", "2", "--no-fast"],
        ):
            assert headway("submit", str(flow), *given).code == 0, given
        assert headway("submit", str(flow), "--name", "5").code == 0, (
            "a text that looks like a number stays a text"
        )

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (["--n", "many"], "'n'"),
            (["--m", "5"], "no parameter 'm'"),
            (["--nam", "x"], "name"),
            (["--wiat"], "--wait"),
            (["stray"], "'stray'"),
            (["-p", "n"], "name=value"),
        ],
    )
    def test_wrong_ones_are_named(
        self, headway: Call, service: Service, flow: Path, given: list[str], said: str
    ) -> None:
        result = headway("submit", str(flow), *given)
        assert result.code == 2
        assert said in result.err
        assert service.planner.submitted == []


class TestFiles:
    def refused(self, headway: Call, tmp_path: Path, text: str, target: str = "bad.py") -> Any:
        (tmp_path / "bad.py").write_text(text)
        result = headway("graph", target)
        assert result.code != 0
        assert result.err.startswith("Error: ")
        return result

    def test_not_there(self, headway: Call, flow: Path) -> None:
        result = headway("graph", "flwo.py")
        assert result.code == 4
        assert "did you mean flow.py?" in result.err
        assert headway("graph", ".").code == 4

    def test_a_missing_module_is_named(self, headway: Call, tmp_path: Path) -> None:
        result = self.refused(headway, tmp_path, "import no_such_thing.sub\n")
        assert "bad.py needs the module 'no_such_thing'" in result.err
        assert "pip install no_such_thing" in result.err

    def test_a_syntax_error(self, headway: Call, tmp_path: Path) -> None:
        assert "bad.py:2" in self.refused(headway, tmp_path, "x = 1\ndef f(:\n").err

    def test_one_that_raises(self, headway: Call, tmp_path: Path) -> None:
        result = self.refused(headway, tmp_path, "x = 1\ny = x / 0\n")
        assert "bad.py:2 raised at its import: ZeroDivisionError" in result.err
        assert "y = x / 0" in result.err

    def test_a_workflow_that_raises_while_it_is_traced(self, headway: Call, tmp_path: Path) -> None:
        (tmp_path / "bad.py").write_text(
            "from headway import workflow\n@workflow\ndef w(n: int = 1):\n    return {}[n]\n"
        )
        for command in ("graph", "run", "submit"):
            result = headway(command, "bad.py")
            assert result.code == 2, command
            assert result.err == (
                "Error: bad.py:4 raised while workflow 'w' was traced: KeyError: 1\n  return {}[n]\n"
            )

    def test_an_option_in_the_place_of_the_file(self, headway: Call) -> None:
        result = headway("submit", "--gaol", "x")
        assert result.code == 2
        assert "there is no option --gaol" in result.err

    def test_one_that_exits(self, headway: Call, tmp_path: Path) -> None:
        assert "SystemExit" in self.refused(headway, tmp_path, "import sys\nsys.exit(3)\n").err

    def test_no_workflow(self, headway: Call, tmp_path: Path) -> None:
        assert "no workflow in bad.py" in self.refused(headway, tmp_path, "x = 1\n").err

    def test_several(self, headway: Call, tmp_path: Path, flow: Path) -> None:
        two = "from headway import workflow\n@workflow\ndef one(): return 1\n@workflow\ndef two(): return 2\n"
        assert "one, two" in self.refused(headway, tmp_path, two).err
        assert "did you mean bad.py:two?" in self.refused(headway, tmp_path, two, "bad.py:tow").err
        assert headway("graph", "bad.py:two").code == 0

    def test_a_neighbour_is_found_and_travels(self, headway: Call, service: Service, tmp_path: Path) -> None:
        (tmp_path / "neighbour.py").write_text("def f(x): return x\n")
        (tmp_path / "main_flow.py").write_text(
            "from headway import task, workflow\nimport neighbour\n"
            "@task\ndef t(x: int): return neighbour.f(x)\n@workflow\ndef w(): return t(1)\n"
        )
        assert headway("submit", "main_flow.py").code == 0
        import zipfile

        bundle = service.blobs.path(service.planner.submitted[0]["bundle"])
        assert {"neighbour.py", "main_flow.py"} <= set(zipfile.ZipFile(bundle).namelist())

    def test_the_name_of_a_loaded_module(self, headway: Call, tmp_path: Path) -> None:
        (tmp_path / "json.py").write_text("x = 1\n")
        result = headway("graph", "json.py")
        assert result.code == 2
        assert "rename it" in result.err

    def test_a_wrong_option_of_a_task_names_the_file(self, headway: Call, tmp_path: Path) -> None:
        result = self.refused(headway, tmp_path, "from headway import task\n@task(cpus=2)\ndef f(): pass\n")
        assert "bad.py" in result.err
        assert "cpu" in result.err


def test_graph_in_each_form(headway: Call, flow: Path) -> None:
    text = headway("graph", str(flow)).out
    assert "double[*]  at once" in text
    assert "after double" in text
    assert "1 retries" in text or "1 retry" in text
    mermaid = headway("graph", str(flow), "--format", "mermaid").out
    assert mermaid.splitlines()[0] == "flowchart TD"
    assert "t0 --> t1" in mermaid
    assert json.loads(headway("graph", str(flow), "-f", "json").out)["name"] == "flow"
