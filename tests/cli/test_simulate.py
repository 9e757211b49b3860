"""`headway simulate`: a trace in, a comparison out, in each form; and a workflow's `.simulate()`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headway import api
from headway.cli import target
from headway.errors import Invalid

Call = Callable[..., Any]
TASKS = "id,arrival,duration,cpu,priority\n" + "".join(f"t{i},{i},{20 - i},1,{i % 2}\n" for i in range(12))
NODES = '[[node]]\nname = "n"\ncount = 2\ncpu = 2\ncost = 3\n'


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    (tmp_path / "nodes.toml").write_text(NODES)
    (tmp_path / "tasks.csv").write_text(TASKS)
    return tmp_path / "tasks.csv"


def test_policies_side_by_side(headway: Call, tasks: Path) -> None:
    done = headway(
        "simulate", str(tasks), "-c", "nodes.toml", "--policy", "fcfs", "--policy", "priority > sjf"
    )
    assert done.code == 0, done.err
    assert "12 tasks on 2 nodes, 4 cores" in done.out
    assert "fcfs  priority > sjf" in done.out
    assert "cost" in done.out


def test_json_is_one_value_and_the_same_for_the_same_seed(headway: Call, tasks: Path) -> None:
    arguments = (
        "simulate", str(tasks), "-c", "nodes.toml", "--policy", "srpt", "-o", "json", "--seed", "5", "--estimate-error",
        "0.5", "--mtbf", "1min", "--mttr", "5s", "--checkpoint-cost", "1s", "--checkpoint-every", "3s", "--load", "2",
    )  # fmt: skip
    first, again = headway(*arguments), headway(*arguments)
    tree = json.loads(first.out)
    assert first.out == again.out
    assert (tree["tasks"], tree["seed"], tree["policies"][0]["finished"]) == (12, 5, 12)
    assert tree["policies"][0]["losses"] > 0
    other = headway(*arguments, "--seed", "6")
    assert json.loads(other.out)["policies"] != tree["policies"]


def test_a_page_goes_to_a_file(headway: Call, tasks: Path, tmp_path: Path) -> None:
    done = headway(
        "simulate", str(tasks), "-c", "nodes.toml", "--policy", "fcfs", "-o", "html", "--to", "report.html"
    )
    assert (done.code, done.out) == (0, "")
    assert "written: report.html" in done.err
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    piped = headway("simulate", str(tasks), "-c", "nodes.toml", "--policy", "fcfs", "-o", "html")
    assert piped.out == (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("tasks.csv", "-c", "nodes.toml"), 2, "under which policy?"),
        (("tasks.csv", "--policy", "fcfs"), 2, "on which nodes?"),
        (("none.csv", "-c", "nodes.toml", "--policy", "fcfs"), 4, "there is no trace none.csv"),
        (("tasks.csv", "-c", "none.toml", "--policy", "fcfs"), 4, "there is no cluster file none.toml"),
        (("tasks.csv", "-c", "nodes.toml", "--policy", "fcsf"), 2, "did you mean 'fcfs'"),
        (("tasks.csv", "-c", "nodes.toml", "--policy", "fcfs", "--mtbf", "often"), 2, "--mtbf='often'"),
        (("tasks.csv", "-c", "nodes.toml", "--policy", "fcfs", "--load", "0"), 2, "load is above zero"),
        (("tasks.csv", "-c", "nodes.toml", "--policy", "fcfs", "--checkpoint-every", "9s"), 2, "not at what cost"),
        (("tasks.csv", "-c", "nodes.toml", "--policy", "fcfs", "--to", "no/where"), 2, "cannot write no/where"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_said(
    headway: Call, tasks: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = headway("simulate", *arguments)
    assert (done.code, said in done.err) == (code, True), done.err
    assert done.out == ""


def test_a_workflow_is_simulated_and_not_run(flow: Path) -> None:
    """`flow` maps `double` over three numbers and adds them up; nobody said how long that takes."""
    workflow = target.load(str(flow))
    found = workflow.simulate()
    assert [one.finished for one in found.metrics] == [4]
    assert "nobody says how long double takes" in str(found)
    quick, slow = (
        api.simulate(
            workflow, (), {"n": 8}, policies=["fcfs", "sjf"], durations={"double": takes, "total": 1}
        )
        for takes in ("1s", "1min")
    )
    assert [one.finished for one in quick.metrics] == [9, 9]
    assert slow.metrics[0].makespan > 10 * quick.metrics[0].makespan
    with pytest.raises(Invalid, match="no task 'treble'"):
        api.simulate(workflow, durations={"treble": 1})
    with pytest.raises(Invalid, match="not a workflow"):
        api.simulate(print)
