"""The executor is killed: its workers finish, keep what they have to say, and go over to the next one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.bus.messages import GrantRow, LeaseBody

from .conftest import Bench, call, gone

#: An executor in a process of its own that is given one lease and then only lives; its rows go to a file.
CHILD = """
import asyncio, sys
from pathlib import Path
from headway.bus.messages import LeaseBody
from headway.domain.resources import Node
from headway.execute.executor import Executor

async def main(state, lease, rows):
    def report(found):
        with open(rows, "a") as file:
            file.writelines(f"{row.task} {row.attempt} {row.what} {row.value}\\n" for row in found)
    executor = Executor(Node("n1", 2000), "1", Path(state), report, confirmed_later=True)
    await executor.start()
    executor.handle_lease(LeaseBody.model_validate_json(Path(lease).read_bytes()))
    await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""


class Parent:
    """A supervisor's part: the lifeline, and an executor process to kill."""

    def __init__(self, state: Path, folder: Path) -> None:
        self.state, self.rows, self.lease = state, folder / "rows", folder / "lease"
        self.lifeline, self._end = os.pipe()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, body: LeaseBody) -> None:
        self.lease.write_text(body.model_dump_json())
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(self.state), str(self.lease), str(self.rows)],
            pass_fds=(self.lifeline,),
            env={**os.environ, "HEADWAY_LIFELINE": str(self.lifeline)},
        )

    def said(self) -> str:
        return self.rows.read_text() if self.rows.exists() else ""

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + 20
        while text not in self.said():
            assert time.monotonic() < end, self.said()
            time.sleep(0.01)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def die(self) -> None:
        """As a supervisor does: the kernel closes its end."""
        with contextlib.suppress(OSError):
            os.close(self._end)
        self._end = -1


@pytest.fixture
def parent(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parent]:
    made = Parent(state, tmp_path)
    monkeypatch.setenv("HEADWAY_LIFELINE", str(made.lifeline))
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()
    made.die()
    os.close(made.lifeline)


def lease(path: Path, seconds: float) -> LeaseBody:
    """A quick member, one that takes long, and one behind it."""
    calls = {
        "r/a": call("append", "a", str(path)),
        "r/s": call("touch_and_sleep", str(path), seconds),
        "r/b": call("append", "b", str(path)),
    }
    grants = [
        GrantRow(f"r/{name}", 1, 7, number, f"r/{name}", None, {}, []) for number, name in enumerate("asb")
    ]
    return LeaseBody(calls=calls, grants=grants)


async def test_a_running_task_goes_on_and_is_reported_once_by_the_next_executor(
    parent: Parent, tmp_path: Path
) -> None:
    path = tmp_path / "ran"
    parent.start(lease(path, 1.0))
    parent.wait_for("r/s 1 started")
    parent.kill()
    bench = Bench(parent.state, incarnation="2", confirmed_later=True)
    await bench.executor.start()
    try:
        assert set(bench.executor.holds()) == {("r/a", 1), ("r/s", 1), ("r/b", 1)}, (
            "the hello would lose some"
        )
        assert await bench.result("s") == "slept"
        assert await bench.result("a") == "a", "what the dead executor had not confirmed was not kept"
        assert await bench.result("b") == "b", "the member behind it was not carried on"
        assert path.read_text().split() == ["a", "ran", "b"], "something ran twice"
        bench.grant("next", call("noop"), lease=7)
        await bench.result("next")
    finally:
        await bench.executor.stop(0.0)


async def test_a_worker_adopted_twice_does_not_take_one_call_for_another(parent: Parent, tmp_path: Path) -> None:
    path = tmp_path / "ran"
    for name in "ab":
        grant = GrantRow(f"r/{name}", 1, 7, 0, f"r/{name}", None, {}, [])
        parent.start(LeaseBody(calls={grant.call: call("append", name, str(path))}, grants=[grant]))
        parent.wait_for(f"r/{name} 1 finished")
        parent.kill()
    bench = Bench(parent.state, incarnation="3")
    await bench.executor.start()
    try:
        bench.grant("c", call("append", "c", str(path)), lease=7)
        assert await bench.result("c") == "c"
        assert path.read_text().split() == ["a", "b", "c"]
    finally:
        await bench.executor.stop(0.0)


async def test_without_an_executor_a_worker_finishes_its_task_and_begins_no_other(
    parent: Parent, tmp_path: Path
) -> None:
    path = tmp_path / "ran"
    parent.start(lease(path, 0.5))
    parent.wait_for("r/s 1 started")
    parent.kill()
    await asyncio.sleep(1.5)
    assert path.read_text().split() == ["a", "ran"]
    bench = Bench(parent.state, incarnation="2")
    await bench.executor.start()
    try:
        assert await bench.result("s") == "slept"
        assert await bench.result("b") == "b"
    finally:
        await bench.executor.stop(0.0)


async def test_an_adopted_worker_can_be_recalled_stopped_and_killed(parent: Parent, tmp_path: Path) -> None:
    parent.start(lease(tmp_path / "ran", 60))
    parent.wait_for("r/s 1 started")
    pid = int(parent.said().split("r/s 1 started ")[1].split()[0])
    parent.kill()
    bench = Bench(parent.state, incarnation="2")
    await bench.executor.start()
    try:
        bench.say(recalls=[(7, [("r/b", 1)])])
        assert (await bench.end("b")).what == "returned"
        os.kill(pid, signal.SIGKILL)
        row = await bench.end("s")
        assert row.what == "worker_died"
        assert "former executor" in row.value[1]["message"]
    finally:
        await bench.executor.stop(0.0)


async def test_a_worker_that_died_meanwhile_is_not_held(parent: Parent, tmp_path: Path) -> None:
    parent.start(lease(tmp_path / "ran", 60))
    parent.wait_for("r/s 1 started")
    pid = int(parent.said().split("r/s 1 started ")[1].split()[0])
    parent.kill()
    os.kill(pid, signal.SIGKILL)
    bench = Bench(parent.state, incarnation="2")
    await bench.executor.start()
    try:
        assert ("r/s", 1) not in bench.executor.holds()
        assert not [
            path for path in (parent.state / "run" / "n1").glob("*.spool") if path.stat().st_mtime < 0
        ]
    finally:
        await bench.executor.stop(0.0)


def test_everything_dies_with_the_supervisor(parent: Parent, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    body = LeaseBody(
        calls={"r/t": call("tree", str(path), 60)}, grants=[GrantRow("r/t", 1, 1, 0, "r/t", None, {}, [])]
    )
    parent.start(body)
    parent.wait_for("r/t 1 started")
    end = time.monotonic() + 10
    while not path.exists() or len(path.read_text().split()) < 3:
        assert time.monotonic() < end
        time.sleep(0.01)
    worker = int(parent.said().split("r/t 1 started ")[1].split()[0])
    pids = [int(pid) for pid in path.read_text().split()]
    parent.kill()  # in the wrong order even: the executor first
    assert not gone(worker)
    parent.die()
    end = time.monotonic() + 5
    while not (gone(worker) and gone(pids[0]) and gone(pids[1])):
        assert time.monotonic() < end, "outlived its supervisor"
        time.sleep(0.01)
    for pid in pids:
        if not gone(pid):
            os.kill(pid, signal.SIGKILL)


async def test_without_a_lifeline_workers_die_with_the_executor(state: Path, tmp_path: Path) -> None:
    body = tmp_path / "lease"
    body.write_text(lease(tmp_path / "ran", 60).model_dump_json())
    environment = {key: value for key, value in os.environ.items() if key != "HEADWAY_LIFELINE"}
    rows = tmp_path / "rows"
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", CHILD, str(state), str(body), str(rows)], env=environment
    )
    end = time.monotonic() + 20
    while not rows.exists() or "r/s 1 started" not in rows.read_text():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)
    pid = int(rows.read_text().split("r/s 1 started ")[1].split()[0])
    process.kill()
    process.wait()
    end = time.monotonic() + 5
    while not gone(pid):
        assert time.monotonic() < end, "a worker outlived an inline run"
        await asyncio.sleep(0.01)
