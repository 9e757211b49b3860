"""Each example is short, runs as a program, and gives the same through the engine as in place."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("[0-9]*.py"))
#: What each prints, so that an example that quietly does nothing fails.
PRINTS = {
    "01_hello": "Hello, world!",
    "02_resources": "'before': 4194304",
    "03_map_over_files": "01_hello.py",
    "04_commands": "the: 3 times",
    "05_checkpoint": "3.1",
    "06_variants": "[[1, 1], [9, 0], [4, 1], [3, 1], [2, 0], [5, 1]]",
    "07_gang": "49.5",
    "08_simulate": "critical_path: done after",
    "09_branches": "['deployed resnet50', 'scratch files of resnet50 are gone']",
    "10_promises": "[19, 23]",
    "11_by_the_clock": "1 day of data",
    "12_on_an_event": "example.csv has 42 bytes",
    "13_pipeline": "['DOC-0', 'DOC-1', 'DOC-2']",
    "14_tests": "3.0",
}


def headway(*arguments: str, state: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from headway.cli.main import main; main()", *arguments],
        capture_output=True, text=True, timeout=90,
        env=os.environ | {"HEADWAY_STATE": str(state), "NO_COLOR": "1"},
    )  # fmt: skip


def workflow_of(example: Path, value: str) -> str:
    """Python that loads the example and prints `value` of its only workflow, called `flow` there."""
    return (
        "import json, runpy\n"
        "from headway.authoring.decorators import WorkflowFunction\n"
        f"found = runpy.run_path({str(example)!r})\n"
        "[flow] = [each for each in found.values() if isinstance(each, WorkflowFunction)]\n"
        f"print(json.dumps({value}))\n"
    )


def test_they_are_numbered() -> None:
    assert [path.name[:3] for path in EXAMPLES] == [
        f"{number:02d}_" for number in range(1, len(EXAMPLES) + 1)
    ]
    assert {path.stem for path in EXAMPLES} == set(PRINTS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_short_and_each_leads_to_the_next(example: Path) -> None:
    text = example.read_text()
    assert len(text.splitlines()) < 30
    [following] = re.findall(r"Next: (\S+\.py)\.", text)
    assert (example.parent / following).is_file()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_runs_as_a_program(example: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert PRINTS[example.stem] in done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_is_traced_into_a_graph(example: Path) -> None:
    code = workflow_of(example, "[spec.name for spec in flow.trace().workflow.tasks]")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_gives_the_same_through_the_engine_as_in_place(example: Path, tmp_path: Path) -> None:
    plain = subprocess.run(
        [sys.executable, "-c", workflow_of(example, "flow()")], capture_output=True, text=True, timeout=60
    )
    run = headway("run", str(example), "-o", "json", state=tmp_path / "state")
    assert run.returncode == 0, run.stderr
    shown = json.loads(run.stdout.strip().splitlines()[-1])
    assert shown["state"] == "finished"
    assert shown["result"] == json.loads(plain.stdout)
