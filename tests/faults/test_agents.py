"""The agents' process is killed, stopped and talks nonsense beside thousands of tasks: placement goes on as if it were not there."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from headway.bus import topics
from headway.bus.port import parse_url
from headway.client import Client

from .site import Site, wait_for

pytestmark = [
    pytest.mark.fault,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(importlib.util.find_spec("langgraph") is None, reason="the extra 'agents' is not installed"),
]  # fmt: skip

TASKS = 5_000


@pytest.fixture
def site(tmp_path: Path) -> Any:
    made = Site(
        tmp_path,
        env={
            "HEADWAY_AGENTS_SCHEDULER": "act",
            "HEADWAY_AGENTS_EVERY": "500ms",
            "HEADWAY_AGENTS_PATIENCE": "1s",
        },
    )
    yield made
    made.clear()


def heard(client: Client) -> int:
    return int(client.agents()[0]["heard"])


def through(client: Client, workload: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    handle = client.submit(workload.nothings, TASKS)
    return handle, began


def test_placement_goes_on_beside_an_agent_that_dies_hangs_and_talks_nonsense(
    site: Site, workload: Any
) -> None:
    site.up()
    with site.client() as client:
        wait_for(lambda: heard(client), "a word of the agent", 60)
        handle, began = through(client, workload)
        assert handle.wait(120)["counts"] == {"finished": TASKS}
        undisturbed = time.perf_counter() - began

        former = site.kill_named("agents")
        stopped = site.next_pid("agents", former)
        os.kill(stopped, signal.SIGSTOP)
        rogue = _as_the_agent(site)
        handle, began = through(client, workload)
        topic = topics.letter("local", "agent-scheduler", "proposal")
        for number in range(10_000):
            rogue.publish(topic, _nonsense(number))
        assert handle.wait(120)["counts"] == {"finished": TASKS}, site.logs()
        disturbed = time.perf_counter() - began
        rogue.publish(topics.letter("local", "planner", "scheduler"), _nonsense(1))  # dropped by the broker
        rogue.disconnect()
        rogue.loop_stop()
        assert disturbed < 4 * undisturbed + 2, "the agents are felt"
        said = {one["by"] + ": " + one["reason"][:10] for one in client.overrides()}
        assert said <= {"agent-scheduler: has waited"}, "nothing of the nonsense was applied"

        site.kill(stopped)
        before = heard(client)
        wait_for(lambda: heard(client) > before, "a word of the next agent", 60)
    site.down()
    site.headway("replay")  # which fails if one byte differs


def _as_the_agent(site: Site) -> paho.Client:
    """With the agent's own login: what its process could do at worst."""
    told = json.loads((site.state / "run" / "agents.json").read_text())
    address, credential = parse_url(told["brokers"]["agent-scheduler"])
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.max_queued_messages_set(0)
    client.username_pw_set(credential.user, credential.password)
    client.connect(address.host, address.port)
    client.loop_start()
    return client


def _nonsense(number: int) -> bytes:
    return [b"", b"\xff" * 100, b'{"v":1}', b"[" * 1000, json.dumps({"proposals": "all of them"}).encode()][
        number % 5
    ]
