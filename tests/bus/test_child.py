"""A broker ends with its parent, and one that did not is found before its store is opened again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headway.bus import child, topics
from headway.bus.broker_nats import NatsBroker
from headway.bus.login import can_log_in
from headway.bus.port import Credential
from headway.errors import Unavailable

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="parent-death signals are Linux's"
)

_PARENT = """
import asyncio, sys
from pathlib import Path
from headway.bus.broker_nats import NatsBroker

async def main():
    broker = NatsBroker(Path(sys.argv[1]))
    await broker.start()
    print(broker.process.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def ended(pid: int, wait: float = 5.0) -> bool:
    for _ in range(int(wait / 0.01)):
        try:
            state = await asyncio.to_thread(Path(f"/proc/{pid}/stat").read_text)
            state = state.rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.fault
async def test_the_broker_dies_with_its_parent(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PARENT, str(tmp_path), stdout=subprocess.PIPE
    )
    try:
        assert parent.stdout is not None
        pid = int(await parent.stdout.readline())
        os.kill(pid, 0)
    finally:
        parent.kill()
        await parent.wait()
    assert await ended(pid)


@pytest.mark.fault
async def test_a_survivor_is_ended_before_the_store_is_opened_again(tmp_path: Path) -> None:
    first = NatsBroker(tmp_path)
    await first.start([topics.planner()])
    second = NatsBroker(tmp_path)
    address = await second.start([topics.planner()])
    assert first.process is not None
    assert await asyncio.wait_for(first.process.wait(), 5) == -signal.SIGKILL
    assert await can_log_in(address.host, address.port, address.credentials["planner"])
    await second.stop()


@pytest.mark.fault
async def test_only_a_process_with_that_very_file_is_ended(tmp_path: Path) -> None:
    sleep = shutil.which("sleep")
    assert sleep is not None
    other = await child.spawn([sleep, "60"], tmp_path / "log")
    for _ in range(500):
        if child._runs(other.pid, "sleep", "60"):
            break
        await asyncio.sleep(0.01)
    assert child.end_survivors("sleep", Path("6")) == []
    assert child.end_survivors("sleeper", Path("60")) == []
    assert other.returncode is None
    assert child.end_survivors("sleep", Path("60")) == [other.pid]
    assert await asyncio.wait_for(other.wait(), 5) == -signal.SIGKILL


async def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where a folder should be")
    with pytest.raises(
        Unavailable, match=r"does not start:\n(.|\n)*storage directory is not a directory"
    ) as error:
        await NatsBroker(tmp_path).start([topics.planner()])
    assert str(tmp_path / "broker.log") in str(error.value)


async def test_secrets_are_for_our_eyes_only_and_same_after_a_restart(tmp_path: Path) -> None:
    broker = NatsBroker(tmp_path)
    first = await broker.start([topics.planner()])
    assert (tmp_path / "nats.conf").stat().st_mode & 0o777 == 0o600
    await broker.stop()
    assert not await can_log_in(first.host, first.port, first.credentials["planner"])
    again = await broker.start()
    assert (again.port, again.credentials) == (first.port, first.credentials)
    assert await can_log_in(again.host, again.port, again.credentials["planner"])
    assert not await can_log_in(again.host, again.port, Credential("planner", "wrong"))
    assert not await can_log_in(again.host, again.port, Credential())
    assert first.credentials["planner"].password not in repr(first)
    await broker.stop()
