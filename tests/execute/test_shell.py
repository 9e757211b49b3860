"""Commands as tasks."""

from __future__ import annotations

import time
from pathlib import Path

from headway.authoring.shell import ShellResult

from .conftest import Bench, call, gone


async def test_a_command_gives_its_output_and_logs_it(bench: Bench) -> None:
    bench.grant("sh", call(shell="echo {word}; echo aside >&2", kwargs={"word": "two words; rm -rf x"}))
    assert await bench.result("sh") == ShellResult(0, "two words; rm -rf x\n")
    assert "two words; rm -rf x\n" in bench.log("sh")
    assert "aside\n" in bench.log("sh")


async def test_a_command_that_fails_tells_the_end_of_its_errors(bench: Bench) -> None:
    bench.grant("sh", call(shell="echo fine; for i in 1 2 3; do echo problem $i >&2; done; exit 3"))
    row = await bench.end("sh")
    assert row.what == "failed"
    assert row.value[1]["type"] == "CommandFailed"
    assert "exit code 3" in row.value[1]["message"]
    assert "problem 3" in row.value[1]["message"]
    bench.grant("sig", call(shell="kill -9 $$", name="sig"))
    assert "SIGKILL" in (await bench.end("sig")).value[1]["message"]


async def test_long_output_is_kept_in_the_log_and_its_end_in_the_result(bench: Bench) -> None:
    bench.grant("sh", call(shell="seq 1 100000"))
    result = await bench.result("sh")
    assert result.truncated
    assert len(result.stdout) == 65536
    assert result.stdout.endswith("\n99999\n100000\n")
    assert len(bench.log("sh").splitlines()) == 100_001


async def test_what_a_command_leaves_running_is_ended_with_it(bench: Bench) -> None:
    began = time.monotonic()
    bench.grant("sh", call(shell="sleep 60 & echo $!"))
    result = await bench.result("sh")
    assert time.monotonic() - began < 10, "it waited for the pipe's end"
    await bench.until(lambda: gone(int(result.stdout)), 5)


async def test_a_command_is_cancelled_with_its_tree(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    command = f"trap '' TERM; sleep 60 & echo $! >> {path}; setsid sleep 61 & echo $! >> {path}; wait; wait"
    bench.grant("sh", call(shell=command))
    await bench.until(lambda: path.exists() and len(path.read_text().split()) == 2)
    bench.say(stops=[("r/sh", 1, "enough")])
    assert (await bench.end("sh")).what == "cancelled"
    await bench.until(lambda: all(gone(int(pid)) for pid in path.read_text().split()), 5)
    bench.grant("next", call(shell="echo next", name="next"))
    assert (await bench.result("next")).stdout == "next\n"


async def test_a_command_that_heeds_sigterm_ends_at_once(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "ended"
    bench.grant("sh", call(shell=f"trap 'echo tidied > {path}; exit 0' TERM; echo up; sleep 60 & wait"))
    await bench.until(lambda: "up" in bench.log("sh"))
    bench.say(stops=[("r/sh", 1, "enough")])
    assert (await bench.end("sh")).what == "cancelled"
    assert path.read_text() == "tidied\n"


async def test_a_command_times_out(bench: Bench) -> None:
    bench.grant("sh", call(shell="sleep 60", timeout=100_000))
    row = await bench.end("sh")
    assert row.what == "timed_out"
    assert row.value[0] < 5_000_000
