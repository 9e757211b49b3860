"""What travels between the agents: readable for everybody who may read, and under nobody else's name."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from types import ModuleType

import pytest

from headway import Client

from .conftest import Home, until
from .watching import Stranger, Watcher


@pytest.fixture
def watcher(service: Home) -> Iterator[Watcher]:
    with Watcher(service) as watcher:
        yield watcher


def login_of(home: Home, process: str, client: str) -> str:
    """What the supervisor gave to one of its children."""
    config = json.loads((home.state / "run" / f"{process}.json").read_text())
    url: str = config["brokers"][client]
    return url


def test_a_run_can_be_read_along_as_json(client: Client, flows: ModuleType, watcher: Watcher) -> None:
    run = client.submit(flows.trivial)
    assert run.result(30) == 42
    until(
        lambda: any("report" in topic and run.id.encode() in body for topic, body in watcher.seen), "reports"
    )
    letters = watcher.letters()
    senders = {topic.split("/")[3] for topic, _ in letters}
    assert {"planner", "scheduler", "executor-local"} <= senders
    for topic, letter in letters:
        assert letter["from"] == topic.split("/")[3]
        assert {"id", "kind", "epoch", "seq", "body"} <= set(letter)


def test_mosquitto_sub_shows_readable_json(service: Home, client: Client, flows: ModuleType) -> None:
    program = shutil.which("mosquitto_sub", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        pytest.skip("mosquitto_sub is not installed (Debian: apt-get install mosquitto-clients)")
    url = (service.state / "watch").read_text().strip()
    # One message is enough: presence is retained, so it comes at once.
    done = subprocess.run(
        [program, "-L", f"{url}/headway/local/#", "-C", "1", "-W", "30"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)


def test_nobody_can_publish_as_another(service: Home, watcher: Watcher) -> None:
    """Tried with the executor's own login. A broker acknowledges what it drops, so the watcher tells."""
    executor = Stranger(login_of(service, "executor", "executor-local"))
    try:
        for foreign in ("scheduler/to/executor-local", "planner/probe", "scheduler/presence"):
            executor.publish(f"headway/local/from/{foreign}", b'{"forged": true}')
        executor.publish("headway/local/from/executor-local/probe", b'{"own": true}')
        watcher.until_seen("headway/local/from/executor-local/probe", b"own")
    finally:
        executor.close()
    assert [topic for topic, body in watcher.seen if b"forged" in body] == []


def test_who_watches_cannot_speak_for_anybody(service: Home, watcher: Watcher) -> None:
    stranger = Stranger((service.state / "watch").read_text().strip())
    try:
        stranger.publish("headway/local/from/planner/to/scheduler", b'{"forged": true}')
        stranger.publish("headway/local/from/watcher/presence", b'{"own": true}')
        watcher.until_seen("headway/local/from/watcher/presence", b"own")
    finally:
        stranger.close()
    assert [topic for topic, body in watcher.seen if b"forged" in body] == []


def test_secrets_are_for_the_owner_alone(service: Home) -> None:
    for name in ("token", "watch", "service.json", "run/executor.json", "run/service.json"):
        assert stat.S_IMODE((service.state / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(service.state.stat().st_mode) == 0o700
