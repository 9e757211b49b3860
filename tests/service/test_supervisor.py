"""The supervisor with tiny children: the lock, restarts, giving up, orderly stops, and what happens when it
is killed.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from headway.bus.port import Address, Credential
from headway.bus.topics import Client
from headway.errors import Conflict, Unavailable
from headway.execute.processes import alive, birth
from headway.service.children import Restarts
from headway.service.lock import StateLock, holder_of, is_held, wait_released
from headway.service.supervisor import Supervisor, state_of
from headway.service.survivors import Register
from headway.settings import Settings, read_child

pytestmark = pytest.mark.fault

QUICK = Restarts(healthy_after=0.5, first=0.01, longest=0.05, limit=4, ready_within=10)

SERVICE = """
import os, signal, sys, time
from pathlib import Path
state = Path(os.environ["STATE"])
with (state / "starts").open("a") as file:
    given = [os.environ[name] for name in ("HEADWAY_CHILD_CONFIG", "HEADWAY_HTTP_FD")]
    file.write(f"service {os.getpid()} {' '.join(given)}\\n")
os.write(int(os.environ["HEADWAY_READY_FD"]), b"1")
while True:
    time.sleep(60)
"""
EXECUTOR = """
import os, sys, time
assert "HEADWAY_HTTP_FD" not in os.environ
time.sleep(600)
"""
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""
DIES = "import sys; print('the reason is on the last line'); sys.exit(3)"


class FakeBroker:
    """Remembers whom it was started for."""

    def __init__(self) -> None:
        self.clients: list[str] = []
        self.stopped = 0

    async def start(self, clients: Iterable[Client]) -> Address:
        self.clients = [client.name for client in clients]
        return Address(
            "127.0.0.1", 1, credentials={name: Credential(name, f"secret-of-{name}") for name in self.clients}
        )

    async def add_client(self, client: Client) -> Credential:
        return Credential(client.name, "x")

    async def stop(self) -> None:
        self.stopped += 1


def python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


def supervisor(state: Path, service: str = SERVICE, executor: str = EXECUTOR) -> Supervisor:
    os.environ["STATE"] = str(state)
    commands = {"service": python(service), "executor": python(executor)}
    return Supervisor(Settings(state=state), commands=commands, broker=FakeBroker(), restarts=QUICK)


@asynccontextmanager
async def running(of: Supervisor) -> AsyncIterator[dict[str, Any]]:
    ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(of.run(ready.set_result))
    await asyncio.wait({task, ready}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield ready.result()
    finally:
        of.stop()
        await asyncio.wait_for(task, 20)


async def until(check: Callable[[], Any], timeout: float = 10) -> Any:
    end = time.monotonic() + timeout
    while not (found := check()):
        assert time.monotonic() < end, "did not happen in time"
        await asyncio.sleep(0.01)
    return found


async def test_starts_publishes_and_stops(tmp_path: Path) -> None:
    broker_of = supervisor(tmp_path)
    async with running(broker_of) as found:
        assert found["url"].startswith("http://127.0.0.1:")
        assert state_of(tmp_path) == found
        assert (holder_of(tmp_path) or {})["url"] == found["url"]
        assert set(found["pids"]) == {"supervisor", "service", "executor"}
        for private in ("service.json", "token", "run/service.json", "run/executor.json"):
            assert (tmp_path / private).stat().st_mode & 0o777 == 0o600, private
        pids = [(found["pids"][name], birth(found["pids"][name])) for name in ("service", "executor")]
        assert all(alive(*process) for process in pids)
    assert not any(alive(*process) for process in pids)
    assert not (tmp_path / "service.json").exists()
    assert not is_held(tmp_path)


async def test_each_child_gets_only_its_own_credentials(tmp_path: Path) -> None:
    async with running(supervisor(tmp_path)):
        service = read_child({"HEADWAY_CHILD_CONFIG": str(tmp_path / "run/service.json")})
        executor = read_child({"HEADWAY_CHILD_CONFIG": str(tmp_path / "run/executor.json")})
    assert set(service.brokers) == {"planner", "scheduler", "resource_manager", "desk", "triggers"}
    assert set(executor.brokers) == {"executor-local"}
    assert "secret-of-planner" in service.brokers["planner"]
    assert service.settings == executor.settings == Settings(state=tmp_path)
    assert "secret-of" not in repr(service)


async def test_the_second_is_refused_with_the_firsts_address(tmp_path: Path) -> None:
    async with running(supervisor(tmp_path)) as found:
        with pytest.raises(Conflict) as refused:
            await supervisor(tmp_path).run(lambda _: None)
        assert found["url"] in refused.value.message
        assert "headway down" in (refused.value.hint or "")
        assert is_held(tmp_path), "the refused one must not release the first's lock"
        assert state_of(tmp_path) == found, "nor touch its files"


async def test_a_killed_child_is_restarted_alone_on_the_same_socket(tmp_path: Path) -> None:
    async with running(supervisor(tmp_path)) as found:
        os.kill(found["pids"]["service"], signal.SIGKILL)
        now = await until(
            lambda: (s := state_of(tmp_path)) and s["pids"]["service"] != found["pids"]["service"] and s
        )
        assert now["url"] == found["url"]
        assert now["pids"]["executor"] == found["pids"]["executor"]
        lines = await until(lambda: len(x := (tmp_path / "starts").read_text().split("\n")[:-1]) == 2 and x)
        assert lines[0].split()[2:] == lines[1].split()[2:]
        os.kill(now["pids"]["executor"], signal.SIGKILL)
        await until(lambda: (state_of(tmp_path) or now)["pids"]["executor"] != found["pids"]["executor"])


async def test_gives_up_loudly_after_quick_deaths(tmp_path: Path) -> None:
    dying = supervisor(tmp_path, executor=DIES)
    with pytest.raises(Unavailable) as given_up:
        async with asyncio.timeout(20):
            await dying.run(lambda _: None)
    assert "executor died 4 times" in given_up.value.message
    assert "the reason is on the last line" in given_up.value.message
    assert "executor.log" in (given_up.value.hint or "")
    assert not is_held(tmp_path)


async def test_a_service_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="the reason is on the last line"):
        async with asyncio.timeout(20):
            await supervisor(tmp_path, service=DIES).run(lambda _: None)
    assert not is_held(tmp_path)


async def test_a_child_that_ignores_the_signal_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.service.supervisor.STOP_GRACE", 0.3)
    async with running(supervisor(tmp_path, executor=STUBBORN)) as found:
        executor = (found["pids"]["executor"], birth(found["pids"]["executor"]))
        await asyncio.sleep(0.2)
    assert not alive(*executor)


async def test_the_port_is_taken_again(tmp_path: Path) -> None:
    """After the supervisor was killed clients still know the old address: the next start listens there."""
    async with running(supervisor(tmp_path)) as found:
        pass
    (tmp_path / "service.json").write_text(json.dumps(found))
    async with running(supervisor(tmp_path)) as again:
        assert again["url"] == found["url"]


PARENT = """
import asyncio, sys
sys.path[:0] = {path!r}
from pathlib import Path
from tests.service.test_supervisor import supervisor
asyncio.run(supervisor(Path({state!r})).run(lambda found: print("ready", flush=True)))
"""


async def test_all_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    code = PARENT.format(path=[root, *[p for p in sys.path if p]], state=str(tmp_path))
    parent = subprocess.Popen(  # noqa: ASYNC220  (it has to outlive the loop's own watchers)
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(parent.stdout.readline), 20)
        assert line == "ready\n"
        found = state_of(tmp_path)
        assert found is not None
        processes = [(pid, birth(pid)) for name, pid in found["pids"].items() if name != "supervisor"]
        assert all(alive(*p) for p in processes)
        parent.kill()
        parent.wait(10)
        await until(lambda: not any(alive(*p) for p in processes), 5)
        assert not is_held(tmp_path)
    finally:
        parent.kill()
        parent.wait(10)
        assert parent.stdout is not None
        parent.stdout.close()


class TestSurvivors:
    def test_ends_what_was_registered(self, tmp_path: Path) -> None:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        try:
            Register(tmp_path).add("service", child.pid)
            reaper = Register(tmp_path)
            assert reaper.end_survivors() == [child.pid]
            assert child.wait(5) == -signal.SIGKILL
            assert Register(tmp_path).end_survivors() == []
        finally:
            child.kill()
            child.wait(5)

    def test_never_a_stranger_with_the_same_pid(self, tmp_path: Path) -> None:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        try:
            (tmp_path / "processes.json").write_text(
                json.dumps({"service": [child.pid, birth(child.pid) - 1]})
            )
            assert Register(tmp_path).end_survivors() == []
            assert child.poll() is None
        finally:
            child.kill()
            child.wait(5)

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 5}', '{"a": [1]}', '{"a": ["x", "y"]}'])
    def test_garbage_is_ignored(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "processes.json").write_text(content)
        assert Register(tmp_path).end_survivors() == []


class TestLock:
    def test_is_free_when_its_holder_is_gone(self, tmp_path: Path) -> None:
        lock = StateLock(tmp_path)
        assert holder_of(tmp_path) is None
        lock.acquire()
        assert holder_of(tmp_path) == {}
        lock.write({"url": "http://x", "pid": 1})
        assert holder_of(tmp_path) == {"url": "http://x", "pid": 1}
        assert not wait_released(tmp_path, 0.05)
        lock.release()
        assert wait_released(tmp_path, 0.05)
        assert holder_of(tmp_path) is None

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(Unavailable, match="--state-dir"):
            StateLock(tmp_path / "file" / "state").acquire()


async def test_a_broker_that_takes_no_login_any_more_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a full disk nats-server runs on and serves nobody."""
    monkeypatch.setattr("headway.service.supervisor._LOOK_EVERY", 0.02)

    class Deaf(FakeBroker):
        process: asyncio.subprocess.Process | None = None
        pids: ClassVar[list[int]] = []

        async def start(self, clients: Iterable[Client]) -> Address:
            self.process = await asyncio.create_subprocess_exec(*python("import time; time.sleep(600)"))
            self.pids.append(self.process.pid)
            return await super().start(clients)

        async def answers(self) -> bool:
            return len(self.pids) > 1

        async def stop(self) -> None:
            if self.process is not None and self.process.returncode is None:
                self.process.kill()
                await self.process.wait()

    of = supervisor(tmp_path)
    of._broker = broker = Deaf()
    async with running(of):
        await until(lambda: len(broker.pids) == 2)
        await asyncio.sleep(0.2)
        assert len(broker.pids) == 2, "one that answers was ended too"


async def test_a_full_disk_at_a_restart_does_not_end_the_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.service.supervisor._WRITE_AGAIN", 0.05)
    of = supervisor(tmp_path)
    async with running(of) as found:
        full = [OSError(errno.ENOSPC, "No space left on device") for _ in range(2)]
        write = of._register.add

        def add(name: str, pid: int) -> None:
            if full:
                raise full.pop()
            write(name, pid)

        monkeypatch.setattr(of._register, "add", add)
        former = found["pids"]["service"]
        os.kill(former, signal.SIGKILL)
        published = tmp_path / "service.json"
        await until(lambda: json.loads(published.read_text())["pids"]["service"] != former)
        assert not full
