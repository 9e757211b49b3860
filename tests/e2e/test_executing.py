"""Running tasks: whatever one does, it costs its own attempt; nothing it started outlives it; what it saved is found again."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from headway import Client
from headway.client import RunFailed, RunHandle
from headway.execute.processes import marked

from .conftest import CPUS, Home, lines_of, until


def log_of(client: Client, task: str) -> str:
    return b"".join(client.logs(task)).decode()


def error_of(run: RunHandle) -> dict[str, Any]:
    with pytest.raises(RunFailed):
        run.result(30)
    error: dict[str, Any] = run.view["error"]
    return error


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_workers_persist(client: Client, flows: ModuleType) -> None:
    pids = client.submit(flows.processes, 200).result(30)
    assert len(pids) == 200
    assert len(set(pids)) <= 2 * CPUS, "200 tasks need no 200 processes"


ENDS = {
    "raise": ("ValueError", "no luck", 1),
    "exit": ("SystemExit", "sys.exit(3)", 1),
    # A worker's death is more often the machine's fault than the task's: two more attempts.
    "segfault": ("WorkerDied", "SIGSEGV (segmentation fault)", 3),
    "kill": ("WorkerDied", "SIGKILL", 3),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_bad_end_costs_its_own_attempts_and_is_named(client: Client, flows: ModuleType, how: str) -> None:
    kind, said, attempts = ENDS[how]
    run = client.submit(flows.misbehaves, how=how)
    error = error_of(run)
    assert (error["task"], error["type"]) == (f"{run.id}/misbehave", kind)
    assert said in error["message"]
    task = client.task(f"{run.id}/misbehave")
    assert len(task["attempts"]) == attempts
    assert (
        client.task(f"{run.id}/needs")["error"]["message"] == f"it needs {run.id}/misbehave, which is failed"
    )
    assert client.submit(flows.trivial).result(30) == 42, "the slot came back"
    if how in ("raise", "segfault"):
        assert "in misbehave" in log_of(client, task["id"])


def test_what_may_run_once_at_most_ends_unknown_when_in_doubt(
    client: Client, flows: ModuleType, tmp_path: Path
) -> None:
    run = client.submit(flows.pays, path=str(tmp_path / "paid"))
    assert error_of(run)["task"] == f"{run.id}/once"
    assert client.task(f"{run.id}/once")["state"] == "unknown"
    assert lines_of(tmp_path / "paid") == ["paid"]


def test_100_mb_of_output_are_kept_whole(client: Client, flows: ModuleType) -> None:
    run = client.submit(flows.misbehaves, how="print")
    assert run.result(60) == 1
    assert sum(map(len, client.logs(f"{run.id}/misbehave"))) > 100_000_000
    assert b"".join(client.logs(f"{run.id}/misbehave", tail=5)) == b"xxxx\n"


def test_a_command_that_fails_says_so_with_its_last_words(
    client: Client, flows: ModuleType, tmp_path: Path
) -> None:
    run = client.submit(flows.command, gate=str(tmp_path / "never"))
    error = error_of(run)
    assert error["type"] == "CommandFailed"
    assert "exit code 1" in error["message"]
    assert error["message"].endswith("complaint")
    assert log_of(client, error["task"]).splitlines()[1:] == ["out", "complaint"]


def test_a_timeout_ends_the_attempt_with_all_it_started(
    client: Client, flows: ModuleType, tmp_path: Path
) -> None:
    run = client.submit(flows.times_out, pids=str(tmp_path / "pids"))
    error = error_of(run)
    assert (error["type"], error["message"]) == ("TimedOut", "it ran longer than its timeout of 0.3 s")
    [child] = map(int, lines_of(tmp_path / "pids"))
    until(lambda: not alive(child), "the end of a child in a session of its own")
    assert "time.sleep(300)" in log_of(client, f"{run.id}/overdue"), "where it hung"


def test_retries_back_off(client: Client, flows: ModuleType, tmp_path: Path) -> None:
    run = client.submit(flows.retries, times=str(tmp_path / "times"))
    until(lambda: client.why(f"{run.id}/unlucky")["state"] == "delayed", "a back-off")
    assert "backs off for another" in client.why(f"{run.id}/unlucky")["text"]
    assert error_of(run)["message"] == "again"
    first, second, third = map(float, lines_of(tmp_path / "times"))
    # A second, then two, each less at most half of it by chance.
    assert second - first >= 0.5
    assert third - second >= 1
    assert log_of(client, f"{run.id}/unlucky").count("RuntimeError: again") == 3


TREE = "setsid sh -c 'setsid sleep 300 & sleep 300' & (sleep 300 &) ; sleep 300"


def test_cancel_ends_the_whole_tree(client: Client) -> None:
    from headway import shell, workflow

    @workflow
    def tree() -> Any:
        return shell(TREE, name="tree")

    run = client.submit(tree)
    mark = f"HEADWAY_TASK={run.id}/tree"
    until(lambda: len(marked(mark)) >= 6, "four sleeps and their shells")
    client.cancel(run.id, "wrong data")
    assert run.wait(30)["state"] == "cancelled"
    assert run.view["error"]["message"] == "wrong data"
    until(lambda: not marked(mark), "the end of the tree")


@pytest.mark.parametrize("stubborn", [False, True], ids=["cooperative", "forced"])
def test_cancel_asks_first_and_then_insists(
    client: Client, flows: ModuleType, tmp_path: Path, stubborn: bool
) -> None:
    notes = tmp_path / "notes"
    run = client.submit(flows.ends, path=str(notes), stubborn=stubborn)
    until(lambda: lines_of(notes), "the task to begin")
    client.cancel(run.id)
    until(lambda: len(lines_of(notes)) == 2, "its last word")
    assert lines_of(notes)[1] == ("Cancelled" if stubborn else "cleaned up")
    until(lambda: client.nodes()[0]["leases"] == 0, "its place to come back")


def test_a_killed_worker_resumes_from_the_checkpoint(
    client: Client, flows: ModuleType, tmp_path: Path
) -> None:
    run = client.submit(flows.resumes, folder=str(tmp_path))
    pid = int(
        until(lambda: [w for w in lines_of(tmp_path / "pid") if w.endswith(" 2")], "step 2")[0].split()[0]
    )
    until(lambda: client.task(f"{run.id}/steps")["progress"] == 500, "half of the progress")
    os.kill(pid, signal.SIGKILL)
    (tmp_path / "go").touch()
    assert run.result(30) == [2, 4]
    task = client.task(f"{run.id}/steps")
    assert [attempt["outcome"] for attempt in task["attempts"]] == ["worker_died", "finished"]


def test_the_checkpoints_of_a_finished_run_are_deleted(
    client: Client, flows: ModuleType, home: Home, tmp_path: Path
) -> None:
    run = client.submit(flows.resumes, folder=str(tmp_path))
    kept = home.state / "checkpoints" / run.id
    until(kept.exists, "a checkpoint")
    (tmp_path / "go").touch()
    run.result(30)
    until(lambda: not kept.exists(), "its end")


# ── devices and places ──────────────────────────────────────────────────────────────────────────────────────────────


def queued(client: Client, task: str) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        why = client.why(task)
        return why if why["state"] == "queued" else None

    why: dict[str, Any] = until(found, f"{task} to be queued")
    return why


def test_a_task_sees_the_devices_it_was_granted(client: Client, flows: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "gate").touch()
    assert client.submit(flows.all_and_none, gate=str(tmp_path / "gate")).result(30) == ["0,1", ""]


def test_halves_share_a_device_and_no_0_8_is_made_of_two(
    client: Client, flows: ModuleType, tmp_path: Path
) -> None:
    early, late = str(tmp_path / "early"), str(tmp_path / "late")
    halves = client.submit(flows.halves, gates=[early, late, late])
    until(lambda: client.nodes()[0]["gpus_free"] == [0, 500], "two on one device, one on the other")
    Path(early).touch()
    until(lambda: client.nodes()[0]["gpus_free"] == [500, 500], "half of each")
    mostly = client.submit(flows.mostly, gate=late)
    text = queued(client, f"{mostly.id}/most")["text"]
    assert "local: gpu asked 0.8, free 0.5" in text
    assert f"{halves.id}/half[1] holds cpu 0.1, gpu 0.5" in text
    Path(late).touch()
    assert halves.result(30) == ["0", "0", "1"]
    assert mostly.result(30) in ("0", "1")


def test_a_better_class_preempts_through_a_checkpoint(
    client: Client, flows: ModuleType, tmp_path: Path
) -> None:
    patient = client.submit(flows.gives_way, folder=str(tmp_path))
    until((tmp_path / "begun").exists, "the patient one to begin")
    urgent = client.submit(flows.hurries, folder=str(tmp_path))
    assert urgent.result(30) == 1, "it ended first, though it came later and needed the same place"
    begun, done = patient.result(30)
    assert 0 < begun < done
    task = client.task(f"{patient.id}/patient")
    assert [attempt["outcome"] for attempt in task["attempts"]] == ["preempted", "finished"]
    assert "by preempting 1" in client.why(f"{urgent.id}/urgent")["text"]


def test_why_has_an_answer_in_every_state(
    service: Home, client: Client, flows: ModuleType, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    held = client.submit(flows.holds, gate=str(gate))
    running = until(lambda: said(client, f"{held.id}/holder", "running"), "it to run")
    assert "attempt 1 on local: the best fit" in running
    assert f"waits for {held.id}/holder" in client.why(f"{held.id}/needs")["text"]
    behind = client.submit(flows.trivial)
    text = queued(client, f"{behind.id}/double")["text"]
    assert "place 1 of 1 by priority > fcfs (skip)" in text
    assert "local: cpu asked 1, free 0" in text
    assert f"{held.id}/holder holds cpu 4" in text
    stopped = client.submit(flows.trivial)
    client.cancel(stopped.id)
    assert "is cancelled" in client.why(f"{stopped.id}/double")["text"]
    gate.touch()
    assert (held.result(30), behind.result(30)) == (1, 42)
    assert "took" in until(lambda: said(client, f"{held.id}/holder", "finished"), "its end")
    failed = client.submit(flows.misbehaves, how="raise")
    failed.wait(30)
    assert "is failed" in client.why(f"{failed.id}/misbehave")["text"]
    skipped = client.why(f"{failed.id}/needs")["text"]
    assert f"is skipped\n  it needs {failed.id}/misbehave, which is failed" in skipped


def said(client: Client, task: str, state: str) -> str | None:
    why = client.why(task)
    return str(why["text"]) if why["state"] == state else None
