"""`python -m headway.execute` as the supervisor starts it: killed, restarted, stopped; and that workers are
cheap."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.bus.messages import GrantRow, LeaseBody
from headway.bus.port import Address
from headway.settings import CHILD_VARIABLE, Child, NodeSettings, Settings

from .bus_side import Roles, lease_of, until
from .conftest import Bench, call, gone


class Process:
    """The executor's process, and the supervisor's lifeline."""

    def __init__(self, state: Path, address: Address) -> None:
        settings = Settings(state=state, node=NodeSettings(name="n1", cpus=2000))
        config = state / "executor.json"
        child = Child(settings, {"executor-n1": address.url("executor-n1")})
        config.write_text(json.dumps(child.to_json()))
        self.lifeline, self.end = os.pipe()
        self.environment = {**os.environ, CHILD_VARIABLE: str(config), "HEADWAY_LIFELINE": str(self.lifeline)}
        self.popen: subprocess.Popen[bytes]

    def start(self) -> None:
        command = [sys.executable, "-m", "headway.execute"]
        self.popen = subprocess.Popen(
            command, env=self.environment, pass_fds=(self.lifeline,), start_new_session=True
        )

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        os.close(self.end)
        os.close(self.lifeline)


@pytest.fixture
def process(state: Path, address: Address) -> Iterator[Process]:
    made = Process(state, address)
    made.start()
    yield made
    made.close()


async def test_a_killed_executor_is_followed_by_one_that_loses_nothing(
    process: Process,
    roles: Roles,
    tmp_path: Path,
) -> None:
    path = tmp_path / "ran"
    await until(roles.hellos)
    body = lease_of("s", call("touch_and_sleep", str(path), 1.5))
    roles.send(body, int(roles.hellos()[0].incarnation))
    await until(lambda: any(row.what == "started" for row in roles.rows()))
    process.popen.kill()
    process.popen.wait()
    process.start()
    await until(lambda: len({hello.incarnation for hello in roles.hellos()}) == 2)
    assert roles.hellos()[-1].holds == [("r/s", 1)]
    await until(lambda: any(row.what == "finished" for row in roles.rows()))
    assert path.read_text() == "ran\n"
    ends = [row for row in roles.rows() if row.what in ("finished", "worker_died", "failed")]
    assert len(ends) == 1


async def test_sigterm_ends_it_in_order(process: Process, roles: Roles) -> None:
    await until(roles.hellos)
    roles.send(lease_of("train", call("train", 10_000, 0.02)), int(roles.hellos()[0].incarnation))
    await until(lambda: any(row.what == "checkpoint" for row in roles.rows()))
    process.popen.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.popen.wait, 15) == 0
    await until(lambda: any(row.what == "preempted" for row in roles.rows()))


async def test_it_dies_with_its_supervisor(process: Process, roles: Roles) -> None:
    await until(roles.hellos)
    roles.send(lease_of("s", call("sleep", 60)), int(roles.hellos()[0].incarnation))
    await until(lambda: any(row.what == "started" for row in roles.rows()))
    worker = next(row.value for row in roles.rows() if row.what == "started")
    os.close(process.end)
    assert await asyncio.to_thread(process.popen.wait, 5) == -signal.SIGKILL
    await until(lambda: gone(worker), 5)
    process.end = os.open(os.devnull, os.O_RDONLY)


def test_without_a_supervisor_it_says_what_to_do(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != CHILD_VARIABLE}
    done = subprocess.run(
        [sys.executable, "-m", "headway.execute"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "run `headway up`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_imports_little() -> None:
    code = "import sys, headway.execute.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"pydantic", "asyncio", "numpy", "sqlite3", "psutil", "uvloop", "aiomqtt", "subprocess", "ssl"}
    assert not heavy & set(done.stdout.split())


async def test_a_task_costs_little(bench: Bench) -> None:
    """A sanity bound, not a benchmark: ten times what it takes on a quiet machine."""
    tasks = 4000
    await bench.warm()
    lease = bench.lease()
    rows = [GrantRow(f"r/n[{number}]", 1, lease, number, "r/n", None, {}, []) for number in range(tasks)]
    body = LeaseBody(calls={"r/n": call("noop")}, grants=rows)
    began = time.process_time()
    bench.executor.handle_lease(body)
    await bench.until(lambda: sum(row.what == "finished" for row in bench.rows) == tasks, 60)
    assert (time.process_time() - began) / tasks < 0.000_5
    assert len(bench.reports) < tasks / 5, "rows were not gathered"


async def test_commands_run_at_half_the_speed_of_a_bare_loop_or_better(bench: Bench) -> None:
    """The floor is `subprocess.run` in one process; ours must reach half of it even on a busy machine, so the
    bound is 0.25."""
    tasks = 100
    bench.grant("first", call(shell="true", name="first"))
    await bench.end("first")

    def floor() -> float:
        began = time.perf_counter()
        for _ in range(tasks):
            subprocess.run(["true"], check=True)
        return tasks / (time.perf_counter() - began)

    async def ours(attempt: int) -> float:
        lease = bench.lease()
        rows = [GrantRow(f"r/t[{n}]", attempt, lease, n, "r/t", None, {}, []) for n in range(tasks)]
        began = time.perf_counter()
        bench.say(calls={"r/t": call(shell="true", name="t")}, grants=rows)
        await bench.until(
            lambda: sum(r.what == "finished" for r in bench.rows if r.attempt == attempt) >= tasks, 60
        )
        return tasks / (time.perf_counter() - began)

    ratios = [await ours(attempt) / await asyncio.to_thread(floor) for attempt in (2, 3, 4)]
    assert max(ratios) > 0.25, ratios
