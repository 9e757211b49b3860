"""However a task ends, the worker and the next task are as before."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from .conftest import Bench, Tree, call, gone

FAILURES = [
    ("fail", (), "ValueError", "no luck"),
    ("fail_deeper", (), "ZeroDivisionError", "division by zero"),
    ("fail_hostile", (), "Hostile", "cannot be shown"),
    ("quit_", (3,), "SystemExit", "sys.exit(3)"),
    ("quit_", (0,), "SystemExit", "sys.exit(0)"),
    ("interrupt", (), "KeyboardInterrupt", ""),
    ("recurse", (), "RecursionError", "recursion"),
    ("unpicklable", (), "Unpicklable", "lock"),
    ("out_of_memory", (), "MemoryError", ""),
    ("fail_at_length", (), "ValueError", "xxx"),
    ("bad_checkpoint", (), "BadCheckpoint", "cannot be pickled"),
    ("report_progress", ([2],), "Invalid", "progress(2)"),
]


@pytest.mark.parametrize(("function", "args", "kind", "message"), FAILURES)
async def test_a_failure_is_told_and_harms_nobody(
    bench: Bench, function: str, args: tuple[object, ...], kind: str, message: str
) -> None:
    lease = bench.lease()
    bench.grant("before", call("pid"), lease=lease)
    bench.grant("bad", call(function, *args), lease=lease)
    bench.grant("after", call("pid"), lease=lease)
    row = await bench.end("bad")
    assert row.what == "failed"
    error = row.value[1]
    assert error["type"] == kind
    assert message in error["message"]
    assert len(error["message"]) <= 4000
    assert len(error["traceback"]) <= 16_100
    assert await bench.result("before") == await bench.result("after"), "the worker was replaced"


async def test_the_traceback_begins_at_the_users_frame(bench: Bench) -> None:
    bench.grant("bad", call("fail_deeper"))
    trace = (await bench.end("bad")).value[1]["traceback"]
    lines = trace.splitlines()
    assert lines[0].startswith("Traceback")
    assert "user_code.py" in lines[1]
    assert "in fail_deeper" in lines[1]
    assert "return 1 / 0" in trace
    assert "headway/execute" not in trace


DEATHS = [
    ("segfault", (), "SIGSEGV (segmentation fault)"),
    ("exit_hard", (7,), "exited with code 7"),
    ("exit_hard", (0,), "exited with code 0"),
    ("kill_me", (), "SIGKILL"),
    ("kill_me", (15,), "SIGTERM"),
]


@pytest.mark.parametrize(("function", "args", "cause"), DEATHS)
async def test_a_dead_worker_costs_one_attempt_and_is_named(
    bench: Bench, function: str, args: tuple[object, ...], cause: str
) -> None:
    lease = bench.lease()
    for number in range(5):
        bench.grant(f"before[{number}]", call("noop"), lease=lease)
    bench.grant("bad", call(function, *args), lease=lease)
    for number in range(3):
        bench.grant(f"after[{number}]", call("noop"), lease=lease)
    row = await bench.end("bad")
    assert row.what == "worker_died"
    assert row.value[1]["type"] == "WorkerDied"
    assert cause in row.value[1]["message"]
    for number in range(5):
        assert (await bench.end(f"before[{number}]")).what == "finished", "a result was lost with the worker"
    for number in range(3):
        assert (await bench.end(f"after[{number}]")).what == "returned"
    began = time.monotonic()
    bench.grant("next", call("noop"))
    await bench.result("next")
    assert time.monotonic() - began < 3, "the slot did not come back"


async def test_a_worker_killed_from_outside_is_reported_and_its_slot_comes_back(bench: Bench) -> None:
    what = call("sleep", Tree({"output": "seconds"}))
    bench.grant("s", what, inputs={"seconds": {"data": 30}})
    await bench.until(lambda: bench.of("s"))
    os.kill(bench.of("s")[0].value, 9)
    row = await bench.end("s")
    assert row.what == "worker_died"
    assert "SIGKILL" in row.value[1]["message"]
    bench.grant("s", what, attempt=2, inputs={"seconds": {"data": 0}})
    assert (await bench.end("s", 2)).what == "finished"


async def test_a_segfault_leaves_its_python_traceback_in_the_log(bench: Bench) -> None:
    bench.grant("bad", call("segfault"))
    await bench.end("bad")
    assert "in segfault" in bench.log("bad")
    assert bench.log("bad").startswith("=== bad attempt 1")


HARMLESS = [
    ("close_descriptors", ()), ("break_streams", ()), ("fork_and_return", ()), ("fork_and_fail", ()),
    ("change_things", ()), ("leave_thread", ()),
]  # fmt: skip


@pytest.mark.parametrize(("function", "args"), HARMLESS)
async def test_what_a_task_does_to_the_process_is_undone(
    bench: Bench, function: str, args: tuple[object, ...]
) -> None:
    lease = bench.lease()
    bench.grant("pid", call("pid"), lease=lease)
    bench.grant("rude", call(function, *args), lease=lease)
    bench.grant("where", call("where"), lease=lease)
    bench.grant("speak", call("speak"), lease=lease)
    bench.grant("pids", call("pid"), lease=lease)
    assert (await bench.end("rude")).what == "finished"
    assert await bench.result("where") == [os.getcwd(), True, 1000]
    await bench.result("speak")
    assert "python says" in bench.log("speak")
    assert "child complains" in bench.log("speak")
    assert await bench.result("pid") == await bench.result("pids")
    assert len([row for row in bench.rows if row.what == "finished"]) == 5, "a forked child reported too"


async def test_a_task_can_still_be_cancelled_after_one_that_took_our_signal(bench: Bench) -> None:
    lease = bench.lease()
    bench.grant("rude", call("change_things"), lease=lease)
    bench.grant("s", call("sleep", 30), lease=lease)
    await bench.until(lambda: bench.of("s"))
    await asyncio.sleep(1.2)  # the alarm that the former task set must not ring in this one
    bench.say(stops=[("r/s", 1, "not wanted")])
    assert (await bench.end("s")).what == "cancelled"


async def test_a_task_that_prints_100_megabytes(bench: Bench) -> None:
    bench.grant("much", call("print_much", 100))
    assert (await bench.end("much", limit=60)).what == "finished"
    path = bench.state / "logs" / "r" / "much.log"
    assert path.stat().st_size == 100_000_000 + 120
    path.unlink()


# ── ended on purpose ────────────────────────────────────────────────────────────────────────────────────────


async def test_cancel_is_cooperative_first(bench: Bench, tmp_path: Path) -> None:
    await bench.warm()
    tidied = tmp_path / "tidied"
    lease = bench.lease()
    bench.grant("s", call("tidy_up", 30, str(tidied)), lease=lease)
    bench.grant("next", call("pid"), lease=lease)
    await bench.until(lambda: bench.of("s"))
    began = time.monotonic()
    bench.say(stops=[("r/s", 1, "the user pressed Ctrl-C")])
    row = await bench.end("s")
    assert row.what == "cancelled"
    assert row.value[1]["message"] == "the user pressed Ctrl-C"
    assert time.monotonic() - began < 0.9, "it waited for the grace"
    assert tidied.read_text() == "tidied"
    assert await bench.result("next") == bench.of("s")[0].value, "the worker did not survive"


async def test_an_async_task_is_cancelled_through_its_loop(bench: Bench) -> None:
    await bench.warm()
    bench.grant("s", call("sleep_async", 30))
    await bench.until(lambda: bench.of("s"))
    bench.say(stops=[("r/s", 1, "enough")])
    assert (await bench.end("s")).what == "cancelled"
    assert "cleaned up" in bench.log("s")


async def test_a_busy_loop_is_cancelled(bench: Bench) -> None:
    await bench.warm()
    bench.grant("spin", call("spin", 30))
    await bench.until(lambda: bench.of("spin"))
    bench.say(stops=[("r/spin", 1, "enough")])
    assert (await bench.end("spin")).what == "cancelled"


async def test_a_task_that_finishes_all_the_same_has_finished(bench: Bench) -> None:
    await bench.warm()
    bench.grant("s", call("swallow", 30))
    await bench.until(lambda: bench.of("s"))
    bench.say(stops=[("r/s", 1, "enough")])
    assert (await bench.end("s")).what == "finished"


async def test_a_stubborn_task_is_ended_by_force(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    lease = bench.lease()
    bench.grant("s", call("stubborn", 60, str(path)), lease=lease)
    bench.grant("n", call("noop"), lease=lease)
    await bench.until(lambda: path.exists() and path.read_text())
    bench.say(stops=[("r/s", 1, "enough")])
    row = await bench.end("s")
    assert row.what == "cancelled"
    assert "force" in row.value[1]["message"]
    assert gone(int(path.read_text()))
    assert (await bench.end("n")).what == "returned"
    assert "not now" in bench.log("s")


async def test_what_has_not_begun_is_cancelled_without_running(bench: Bench, tmp_path: Path) -> None:
    lease = bench.lease()
    bench.grant("s", call("sleep", 0.5), lease=lease)
    bench.grant("n", call("append", "x", str(tmp_path / "ran")), lease=lease)
    await bench.until(lambda: bench.of("s"))
    bench.say(stops=[("r/n", 1, "enough")])
    assert (await bench.end("n")).what == "cancelled"
    assert (await bench.end("s")).what == "finished"
    assert not (tmp_path / "ran").exists()


async def test_a_whole_process_tree_is_ended(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    bench.grant("tree", call("tree", str(path), 60))
    await bench.until(lambda: path.exists() and len(path.read_text().split()) == 3)
    pids = [int(pid) for pid in path.read_text().split()]
    assert not any(gone(pid) for pid in pids)
    bench.say(stops=[("r/tree", 1, "enough")])
    assert (await bench.end("tree")).what == "cancelled"
    await bench.until(lambda: all(gone(pid) for pid in pids), 5)


async def test_the_tree_of_a_dead_worker_is_ended(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    bench.grant("tree", call("tree", str(path), 60))
    await bench.until(lambda: path.exists() and len(path.read_text().split()) == 3)
    os.kill(bench.of("tree")[0].value, 9)
    assert (await bench.end("tree")).what == "worker_died"
    pids = [int(pid) for pid in path.read_text().split()]
    await bench.until(lambda: all(gone(pid) for pid in pids), 5)


async def test_a_time_out_is_cooperative_then_forced(bench: Bench, tmp_path: Path) -> None:
    bench.grant("s", call("sleep", 30, timeout=200_000))
    bench.grant("t", call("stubborn", 60, str(tmp_path / "pid"), timeout=200_000))
    polite, forced = await bench.end("s"), await bench.end("t")
    assert polite.what == forced.what == "timed_out"
    assert "0.2 s" in polite.value[1]["message"]
    assert 200_000 <= polite.value[0] < 1_000_000
    bench.grant("quick", call("noop", timeout=5_000_000))
    assert (await bench.end("quick")).what == "finished"


async def test_code_that_holds_the_interpreter_is_timed_out_too(bench: Bench) -> None:
    bench.grant("noop", call("noop"))
    await bench.end("noop")
    began = time.monotonic()
    bench.grant("c", call("holds_the_lock", 20, timeout=200_000))
    assert (await bench.end("c")).what == "timed_out"
    assert time.monotonic() - began < 10


async def test_preemption_ends_after_the_next_checkpoint_and_resumes_from_it(bench: Bench) -> None:
    what = call("train", Tree({"output": "epochs"}), 0.02)
    bench.grant("train", what, inputs={"epochs": {"data": 1000}})
    await bench.until(lambda: any(row.what == "checkpoint" for row in bench.of("train")))
    bench.say(preempts=[("r/train", 1, 5_000_000)])
    row = await bench.end("train")
    assert row.what == "preempted"
    assert row.value[0] < 3_000_000
    done = sum(row.what == "checkpoint" for row in bench.of("train"))
    bench.grant("train", what, attempt=2, inputs={"epochs": {"data": done + 2}})
    assert await bench.result("train", 2) == done


async def test_one_that_is_spared_runs_on_and_keeps_its_time_out(bench: Bench) -> None:
    bench.grant("s", call("sleep", 30, timeout=1_500_000))
    await bench.until(lambda: bench.of("s"))
    bench.say(preempts=[("r/s", 1, 300_000)])
    bench.say(spares=[("r/s", 1)])
    assert (await bench.end("s")).what == "timed_out", "its grace did not end it"


async def test_preemption_of_a_task_without_checkpoints_is_forced_after_the_grace(bench: Bench) -> None:
    bench.grant("s", call("sleep", 30))
    await bench.until(lambda: bench.of("s"))
    began = time.monotonic()
    bench.say(preempts=[("r/s", 1, 300_000)])
    assert (await bench.end("s")).what == "preempted"
    assert 0.25 < time.monotonic() - began < 2


async def test_preemption_of_what_has_not_begun_returns_it(bench: Bench) -> None:
    lease = bench.lease()
    bench.grant("s", call("sleep", 0.3), lease=lease)
    bench.grant("n", call("noop"), lease=lease)
    await bench.until(lambda: bench.of("s"))
    bench.say(preempts=[("r/n", 1, 1_000_000)])
    assert (await bench.end("n")).what == "returned"


async def test_words_about_unknown_attempts_are_ignored(bench: Bench) -> None:
    bench.say(
        stops=[("r/x", 1, "?")], preempts=[("r/x", 1, 0)], recalls=[(9, [("r/x", 1)])],
    )  # fmt: skip
    await asyncio.sleep(0.05)
    assert bench.rows == []
