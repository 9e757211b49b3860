"""Looking and steering: every command on a service of fakes, as table, JSON and JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.service.fakes import Service

Call = Callable[..., Any]


def test_runs_as_table(headway: Call, service: Service) -> None:
    service.planner.add("train-1", "train", ["a", "b"])
    service.planner.add("train-2", "train")
    service.planner.finish(
        "train-1", "failed", {"task": "train-1/a", "type": "ValueError", "message": "bad\x1b[31m data"}
    )
    result = headway("runs")
    lines = result.out.splitlines()
    assert result.code == 0
    assert lines[0].split() == ["RUN", "STATE", "VERSION", "TASKS", "SUBMITTED", "TOOK", "ERROR"]
    assert lines[1].startswith("train-2")
    assert "2 failed" in lines[2]
    assert "\x1b" not in result.out, "text of a task must not command the terminal"


def test_runs_as_json_and_jsonl(headway: Call, service: Service) -> None:
    for name in "abc":
        service.planner.add(name)
    service.planner.finish("b")
    assert [view["id"] for view in json.loads(headway("runs", "-o", "json").out)] == ["c", "b", "a"]
    lines = headway("runs", "--state", "finished", "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["b"]
    assert set(json.loads(lines[0])) == set(service.planner.by_id["b"]), (
        "the view whole, nothing of the table"
    )
    assert json.loads(headway("runs", "a", "-o", "json").out)[0]["id"] == "a"


def test_nothing_to_list(headway: Call, service: Service) -> None:
    result = headway("runs")
    assert (result.code, result.out) == (0, "")
    assert "headway submit" in result.err
    assert headway("runs", "-o", "json").out == "[]\n"
    assert headway("runs", "-o", "jsonl").out == ""


def test_tasks(headway: Call, service: Service) -> None:
    service.planner.add("a", tasks=["one", "fit[0]"])
    service.planner.change_task("a/fit[0]", state="running", node="local", progress=400)
    result = headway("tasks", "a")
    assert "a/fit[0]" in result.out
    assert "40 %" in result.out
    assert json.loads(headway("tasks", "--state", "running", "-o", "json").out)[0]["id"] == "a/fit[0]"


def test_nodes(headway: Call, service: Service) -> None:
    result = headway("nodes")
    head, row = result.out.splitlines()
    assert head.split()[:4] == ["NODE", "STATE", "TASKS", "CPU"]
    assert row.split() == [
        "local",
        "ready",
        "3",
        "4",
        "1",
        "8",
        "GiB",
        "8",
        "GiB",
        "2",
        "1,",
        "0.5",
        "1.5",
        "tokens",
    ]
    service.scheduler.node_views[0] |= {
        "gpus": 0,
        "gpus_free": [],
        "other": {},
        "other_free": {},
        "cordoned": True,
    }
    head, row = headway("nodes").out.splitlines()
    assert "FREE OF EACH GPU" not in head
    assert row.split() == ["local", "cordoned", "3", "4", "1", "8", "GiB", "8", "GiB", "0"]
    assert json.loads(headway("nodes", "-o", "json").out) == service.scheduler.node_views


def test_why(headway: Call, service: Service) -> None:
    assert headway("why", "a/fit[3]").out == "waits for cpu: asked 2, free 1 of 4 on local\n"
    assert json.loads(headway("why", "a/fit[3]", "-o", "json").out)["place"] == 3
    for text in ("fit", "a/", "/fit"):
        result = headway("why", text)
        assert result.code == 2
        assert f"'{text}' is not the id of a task" in result.err


def test_logs(service: Service, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    service.planner.add("a")
    log = service.settings.state / "logs" / "a" / "one.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"epoch 1\n\xff\n")
    from headway.cli.main import run

    assert run(["logs", "a/one"]) == 0
    assert capfdbinary.readouterr().out == b"epoch 1\n\xff\n"


def test_wait_prints_the_result(headway: Call, service: Service) -> None:
    service.planner.add("a")
    service.planner.finish("a")
    assert headway("wait", "a").out == "42\n"
    found = json.loads(headway("wait", "a", "-o", "json").out)
    assert (found["state"], found["result"], found["counts"]) == ("finished", 42, {"finished": 1})


def test_wait_that_takes_too_long(headway: Call, service: Service) -> None:
    service.planner.add("a")
    result = headway("wait", "a", "--timeout", "0.1")
    assert result.code == 8
    assert "still running" in result.err


def test_wait_for_one_that_failed(headway: Call, service: Service) -> None:
    service.planner.add("a")
    service.planner.finish("a", "failed", {"task": "a/one", "type": "ValueError", "message": "no data"})
    result = headway("wait", "a", "-o", "json")
    assert result.code == 3
    assert json.loads(result.out)["error"]["message"] == "no data"
    assert "ValueError: no data" in result.err
    assert "headway logs a/one" in result.err


def test_cancel_and_retry(headway: Call, service: Service) -> None:
    service.planner.add("a")
    assert headway("cancel", "a", "--reason", "enough").out == "a cancelled\n"
    assert service.planner.calls[-1] == ("cancel", "a", "enough", "owner")
    assert headway("retry", "a").out == "a running\n"
    assert headway("cancel", "a/one").code == 5
    assert json.loads(headway("cancel", "a", "-o", "json").out)["state"] == "cancelled"


@pytest.mark.parametrize(
    "command",
    [("runs", "ghost"), ("tasks", "ghost"), ("why", "a/ghost"), ("logs", "a/ghost"), ("wait", "ghost")],
)
def test_what_is_not_there_is_exit_4(headway: Call, service: Service, command: tuple[str, ...]) -> None:
    result = headway(*command)
    assert result.code == 4
    assert result.err.startswith("Error: there is no")


@pytest.mark.parametrize("command", [("runs",), ("nodes",), ("why", "a/b"), ("submit", "flow.py")])
def test_without_a_service_it_says_how_to_start_one(
    headway: Call, flow: Any, command: tuple[str, ...]
) -> None:
    result = headway(*command)
    assert result.code == 6
    assert "headway up" in result.err


def test_a_token_of_another_service(headway: Call, service: Service) -> None:
    (service.settings.state / "token").write_text("wrong")
    assert headway("runs").code == 7
