"""The command line: exit codes, forms of output, colours, completion, Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from headway import Client
from headway.execute.processes import marked

from .conftest import PATIENCE, Home, lines_of, until


def test_exit_codes_are_those_of_the_page(
    service: Home, client: Client, flows: ModuleType, tmp_path: Path
) -> None:
    """`docs/reference/exit-codes.md`, one by one."""
    failed = client.submit(flows.misbehaves, how="raise")
    failed.wait(30)
    held = client.submit(flows.speaks, gate=str(tmp_path / "gate")).id
    cases = [
        (0, ("run", "flows.py:trivial"), "42"),
        (2, ("run", "flows.py:everything", "--n", "x"), "parameter 'n'"),
        (3, ("wait", failed.id), "ValueError: no luck"),
        (3, ("run", "flows.py:misbehaves", "--how", "raise"), "ValueError: no luck"),
        (4, ("wait", "nobody"), "there is no run 'nobody'"),
        (4, ("run", "nothing.py"), "there is no file 'nothing.py'"),
        (5, ("cancel", failed.id), "has ended"),
        (5, ("up", "-d"), f"already: {client.url}"),
        (8, ("wait", held, "--timeout", "0.1"), "still running"),
    ]
    for code, arguments, said in cases:
        done = service.headway(*arguments)
        assert done.returncode == code, (arguments, done)
        assert said in done.stdout + done.stderr, (arguments, done)
        assert (done.stdout == "") == (code != 0), arguments
    nowhere = str(tmp_path / "nowhere")
    for arguments in (("status",), ("runs",), ("submit", "flows.py:trivial")):
        assert service.headway(*arguments, HEADWAY_STATE=nowhere).returncode == 6, arguments
    assert service.headway("runs", HEADWAY_URL=client.url, HEADWAY_TOKEN="wrong").returncode == 7
    (tmp_path / "gate").touch()
    assert client.get(held).result(30) == 1


def test_every_listing_in_every_form(service: Home, client: Client, flows: ModuleType) -> None:
    run = client.submit(flows.everything, n=2)
    run.wait(30)
    listings = {"runs": run.id, "tasks": f"{run.id}/total", "nodes": "local", "doctor": "Python"}
    for command, part in listings.items():
        table = service.headway(command)
        assert table.returncode == 0, table
        assert part in table.stdout
        whole = json.loads(service.headway(command, "-o", "json").stdout)
        rows = [json.loads(line) for line in service.headway(command, "-o", "jsonl").stdout.splitlines()]
        assert isinstance(whole, list)
        assert len(rows) == len(whole) >= 1
        assert rows[0].keys() == whole[0].keys()
        assert part in json.dumps(whole)
    status = json.loads(service.headway("status", "-o", "json").stdout)
    assert status["up"] is True
    # The follower comes when it comes: nothing waits for it.
    assert set(status["processes"]) - {"follower"} == {"supervisor", "broker", "service", "executor"}


def test_submit_wait_retry_and_why(service: Home, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    run = service.headway("submit", "flows.py:command", "--gate", str(gate)).stdout.strip()
    assert service.headway("wait", run).returncode == 3
    gate.touch()
    done = service.headway("retry", run, "--wait")
    assert done.returncode == 0, done.stderr
    assert "out" in done.stdout
    why = service.headway("why", f"{run}/echo")
    assert why.returncode == 0
    assert "on local" in why.stdout
    missing = service.headway("why", f"{run}/nothing")
    assert (missing.returncode, missing.stdout) == (4, "")


def test_a_failed_run_still_gives_its_json(service: Home) -> None:
    for where in ((), ("--inline",)):
        done = service.headway("run", "flows.py:misbehaves", "--how", "raise", "-o", "json", *where)
        assert done.returncode == 3
        run = json.loads(done.stdout.splitlines()[-1])
        assert (run["state"], run["counts"]) == ("failed", {"failed": 1, "skipped": 1})
        assert run["error"]["message"] == "no luck"
    assert 'misbehave |     raise ValueError("no luck")' in done.stderr, "the traceback, as it runs inline"


def test_colour_is_for_terminals_that_want_it(service: Home, client: Client, flows: ModuleType) -> None:
    client.submit(flows.trivial).wait(30)

    def seen(**environment: str) -> str:
        main, side = pty.openpty()
        env = service.environment(TERM="xterm", **environment)
        subprocess.run(
            [sys.executable, "-m", "headway", "runs"],
            env=env,
            stdout=side,
            stderr=side,
            timeout=PATIENCE,
            check=True,
        )
        os.close(side)
        with os.fdopen(main, "rb") as file:
            return file.read1(65536).decode()

    assert "\x1b[" not in seen(NO_COLOR="1")
    assert "\x1b[32mfinished" in seen(NO_COLOR="")
    assert "\x1b[" not in service.headway("runs", NO_COLOR="").stdout, "a pipe"


def test_completion_completes(service: Home) -> None:
    done = service.headway(
        _HEADWAY_COMPLETE="complete_bash", COMP_WORDS="headway ru", COMP_CWORD="1"
    )  # fmt: skip
    assert done.stdout.split() == ["run", "runs"]


def interrupt(process: subprocess.Popen[str]) -> None:
    """As a terminal does: to the whole foreground group."""
    os.killpg(process.pid, signal.SIGINT)


@pytest.mark.parametrize("where", [(), ("--inline",)], ids=["service", "inline"])
def test_ctrl_c_cancels_and_lets_the_task_clean_up(
    service: Home, tmp_path: Path, where: tuple[str, ...]
) -> None:
    notes = tmp_path / "notes"
    process = service.start("run", "flows.py:ends", "--path", str(notes), *where)
    until(lambda: lines_of(notes), "the task to begin")
    interrupt(process)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "is cancelled" in err
    assert "Traceback" not in err.replace("| Traceback", "")
    until(lambda: lines_of(notes) == ["started", "cleaned up"], "the task to clean up")


@pytest.mark.parametrize("where", [(), ("--inline",)], ids=["service", "inline"])
def test_a_second_ctrl_c_does_not_wait(service: Home, tmp_path: Path, where: tuple[str, ...]) -> None:
    notes, mark = tmp_path / "notes", f"HEADWAY_E2E_RUN={tmp_path}"
    process = service.start(
        "run", "flows.py:ends", "--path", str(notes), "--stubborn", *where, HEADWAY_E2E_RUN=str(tmp_path)
    )
    until(lambda: lines_of(notes), "the task to begin")
    interrupt(process)
    assert process.stderr
    until(lambda: "gain" in process.stderr.readline(), "what the first one says")  # type: ignore[union-attr]
    if where:  # on a service the run may be over by now: then the first has done all
        interrupt(process)
    else:
        os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in (130, -signal.SIGINT), err
    until(lambda: not marked(mark), "the end of all that an inline run had started")


def test_ctrl_c_stops_a_service_in_the_foreground(home: Home, tmp_path: Path) -> None:
    mark = f"HEADWAY_E2E_RUN={tmp_path}"
    up = home.start("up", "--state-dir", str(tmp_path / "state"), HEADWAY_E2E_RUN=str(tmp_path))
    assert up.stdout
    assert up.stdout.readline().startswith("Headway is up: http://127.0.0.1:")
    interrupt(up)
    up.communicate(timeout=PATIENCE)
    assert up.returncode == 0
    until(lambda: not marked(mark), "the end of its children")
    assert home.headway("status", HEADWAY_STATE=str(tmp_path / "state")).returncode == 6


def test_logs_are_followed_to_the_end(
    service: Home, client: Client, flows: ModuleType, tmp_path: Path
) -> None:
    run = client.submit(flows.speaks, gate=str(tmp_path / "gate"))
    until(lambda: client.tasks(run.id)[0]["state"] == "running", "the task to run")
    following = service.start("logs", f"{run.id}/speak", "-f")
    assert following.stdout
    assert following.stdout.readline().startswith("=== speak attempt 1")
    assert following.stdout.readline() == "first line\n"
    assert following.poll() is None
    (tmp_path / "gate").touch()
    rest, _ = following.communicate(timeout=PATIENCE)
    assert (rest, following.returncode) == ("last line\n", 0)


def test_output_of_an_inline_run_comes_while_it_runs(home: Home, tmp_path: Path) -> None:
    process = home.start("run", "flows.py:speaks", "--gate", str(tmp_path / "gate"), "--inline")
    assert process.stderr
    assert process.stderr.readline() == "speak | first line\n"
    assert process.poll() is None
    (tmp_path / "gate").touch()
    out, err = process.communicate(timeout=PATIENCE)
    assert (out, err, process.returncode) == ("1\n", "speak | last line\n", 0)


def test_maintenance_and_reservations_are_set_listed_and_ended(service: Home) -> None:
    """Far in the future, so that other tests go on."""
    (node,) = json.loads(service.headway("nodes", "-o", "json").stdout)
    when = ("--from", "2030-01-01T00:00", "--to", "+2h")
    made = service.headway("maintain", node["node"], *when, "--reason", "new drivers", "-o", "json")
    (window,) = json.loads(made.stdout)
    assert (window["kind"], window["nodes"]) == ("maintenance", [node["node"]])
    assert window["end"] - window["start"] == 7_200_000_000
    refused = service.headway("reserve", "--count", "1", "--cpu", "1", "--tenant", "t", *when)
    assert "0 can be free from then on" in refused.stderr
    assert "is no time" in service.headway("maintain", node["node"], "--from", "soon").stderr
    assert "there is no node" in service.headway("maintain", "nowhere", *when).stderr
    assert "new drivers" in service.headway("windows").stdout
    assert service.headway("windows", "--end", window["id"]).returncode == 0
    assert service.headway("windows", "--end", window["id"]).returncode != 0
    assert "no maintenance" in service.headway("windows").stderr
