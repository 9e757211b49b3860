"""SIGKILL of one process while a task runs: the task goes on, under the same attempt, unless its own worker or all died."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from headway.client import Client

from .site import Site, wait_for

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


def begin(client: Client, workload: Any, ledger: Path, steps: int = 30) -> tuple[Any, str]:
    """A run with two tasks that are under way; returns its handle and the first task."""
    handle = client.submit(workload.steadies, str(ledger), steps)
    task = f"{handle.id}/steady"
    wait_for(lambda: (client.task(task)["progress"] or 0) > 100, "progress of the task", 60)
    return handle, task


def attempts_of(client: Client, task: str) -> list[tuple[int, str]]:
    return [(attempt["attempt"], attempt["outcome"]) for attempt in client.task(task)["attempts"]]


@pytest.mark.parametrize("name", ["service", "executor", "broker"])
def test_a_running_task_goes_on_under_the_same_attempt(
    site: Site, workload: Any, ledger: Path, name: str
) -> None:
    site.up()
    with site.client() as client:
        handle, _ = begin(client, workload, ledger)
        former = site.kill_named(name)
        site.next_pid(name, former)
        assert handle.wait(90)["state"] == "finished", handle.view
        tasks = sorted(view["id"] for view in handle.tasks())
        assert {task: attempts_of(client, task) for task in tasks} == {
            task: [(1, "finished")] for task in tasks
        }, site.logs()
        assert sorted(ledger.read_text().split("\n")[:-1]) == [f"{task} 1" for task in tasks]


def test_a_killed_supervisor_takes_all_along_and_the_next_start_goes_on_from_the_checkpoints(
    site: Site, workload: Any, ledger: Path
) -> None:
    site.up()
    with site.client() as client:
        handle, task = begin(client, workload, ledger)
        site.kill_named("supervisor")
        wait_for(lambda: not site.processes(), "the end of all processes", 15)
        kept = sorted(path.name for path in (site.state / "checkpoints" / handle.id).rglob("*.ckpt"))
        assert kept, "nothing was kept to go on from"
        site.up()
        assert handle.wait(90)["state"] == "finished", handle.view
        assert attempts_of(client, task) == [(1, "lost"), (2, "finished")]
        assert ledger.read_text().count(f"{task} ") == 2
        began = [int(said.split()[2]) for said in ledger.with_name("ledger.from").read_text().splitlines()]
        assert sorted(began)[:2] == [0, 0]
        assert min(sorted(began)[2:]) > 0, f"a second attempt began at its start: {began}"


@pytest.mark.parametrize("name", ["service", "supervisor"])
def test_a_loop_and_what_tasks_called_go_on_where_they_were(
    site: Site, workload: Any, ledger: Path, name: str
) -> None:
    """What had joined the run before the kill is part of it after; no turn that was acknowledged runs twice."""
    site.up()
    with site.client() as client:
        handle = client.submit(workload.growing, str(ledger), 6)
        wait_for(lambda: ledger.exists() and ledger.read_text().count("\n") >= 3, "three turns", 60)
        done = {view["name"] for view in handle.tasks() if view["state"] == "finished"}
        site.kill_named(name)
        if name == "supervisor":
            wait_for(lambda: not site.processes(), "the end of all processes", 15)
            site.up()
        view = handle.wait(90)
        assert view["state"] == "finished", site.logs()
        turns = [f"turn.{number}" for number in range(1, 7)]
        called = [f"spread.turn[{index}]" for index in range(3)]
        names = {view["name"] for view in handle.tasks()}
        assert names == {
            "turn",
            *turns,
            *(f"{turn}.until" for turn in turns),
            "spread",
            *called,
            "spread.result",
        }
        lines = [said.split()[0].partition("/")[2] for said in ledger.read_text().splitlines()]
        assert set(lines) == {*turns, *called}
        assert all(lines.count(task) == 1 for task in done & set(lines))


def test_a_killed_worker_costs_one_attempt_and_is_named(site: Site, workload: Any, ledger: Path) -> None:
    site.up()
    with site.client() as client:
        handle, _ = begin(client, workload, ledger)
        for pid in site.workers():
            site.kill(pid)
        assert handle.wait(90)["state"] == "finished", handle.view
        for view in handle.tasks():
            if "/steady" in view["id"]:
                assert attempts_of(client, view["id"]) == [(1, "worker_died"), (2, "finished")]


def test_without_its_follower_a_service_places_tasks_and_why_says_what_is_missing(
    site: Site, workload: Any, ledger: Path
) -> None:
    """Stopped first (it hangs), then killed: it is started again and catches up."""
    site.up()
    with site.client() as client:
        handle, _ = begin(client, workload, ledger)
        waiting = client.submit(workload.steadies, str(ledger), 5)
        task = f"{waiting.id}/steady"
        wait_for(lambda: client.why(task).get("predicted", {}).get("scenarios"), "a prediction", 30)
        former = wait_for(lambda: site.pid("follower"), "a follower", 10)
        os.kill(former, signal.SIGSTOP)
        said = client.why(task)
        assert said["state"] == "queued"
        assert "follower did not answer" in said["predicted"]["unavailable"]
        assert "predictions are not available right now" in said["text"]
        assert handle.wait(90)["state"] == "finished", handle.view
        assert waiting.wait(90)["state"] == "finished", waiting.view
        site.kill(former)
        site.next_pid("follower", former)
        blocked = [client.submit(workload.steadies, str(ledger), 40) for _ in range(3)]
        last = f"{blocked[-1].id}/steady"
        wait_for(lambda: client.why(last).get("predicted", {}).get("scenarios"), "a prediction again", 60)
