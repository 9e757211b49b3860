"""Messages as events: which schedule is meant, what of a message it gets, and what is dropped."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from headway.core.runs.schedules import Schedules
from headway.service import mqtt_events
from headway.service.mqtt_events import MqttEvents, read

SUBMISSION: dict[str, Any] = {"workflow": {"name": "flow", "tasks": []}, "values": {}, "bundle": ""}


class FakeBus:
    """Delivers what a test says."""

    connected = True

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.started = asyncio.Event()
        self.closed = False

    async def start(self, filters: Any, on_message: Any, on_connect: Any, **more: Any) -> None:
        self.filters = list(filters)
        self.started.set()

    def publish(self, topic: str, payload: bytes, **more: Any) -> bool:
        raise AssertionError("it only listens")

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
async def heard(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[Schedules, MqttEvents, asyncio.Queue[Any], FakeBus]]:
    monkeypatch.setattr(mqtt_events, "EVERY", 0.001)
    schedules, told, bus = Schedules(), asyncio.Queue[Any](), FakeBus()

    async def tell(name: str, key: str, event: Any) -> None:
        await told.put((name, key, event))

    events = MqttEvents(lambda: schedules, tell, bus, "s")
    running = asyncio.create_task(events.run())
    yield schedules, events, told, bus
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert bus.closed


async def test_a_message_goes_to_those_that_wait_for_it(heard: Any) -> None:
    schedules, events, told, bus = heard
    assert not bus.started.is_set(), "nobody waits for messages yet"
    schedules.put("one", {"mqtt": "lab/+/done"}, SUBMISSION, "ann", 0)
    schedules.put("all", {"mqtt": "lab/#"}, SUBMISSION, "ann", 0)
    schedules.put("paused", {"mqtt": "#"}, SUBMISSION, "ann", 0)
    schedules.pause("paused", "ben", "", 0)
    await asyncio.wait_for(bus.started.wait(), 10)
    assert bus.filters == ["headway/s/from/triggers/probe", "headway/s/events/#"]
    events.take("headway/s/from/planner/to/scheduler", b"no event")
    events.take("headway/s/events/lab/7/done", b'{"id": 3, "size": 9}')
    events.take("headway/s/events/lab", b"plain text")
    found = [await asyncio.wait_for(told.get(), 10) for _ in range(3)]
    first = {"topic": "lab/7/done", "payload": {"id": 3, "size": 9}}
    assert found[0] == ("one", "lab/7/done\0id 3", first)
    assert found[1][0::2] == ("all", first)
    assert found[2][0::2] == ("all", {"topic": "lab", "payload": "plain text"})


async def test_what_is_too_large_or_too_much_is_dropped_and_the_rest_goes_on(heard: Any) -> None:
    schedules, events, told, _ = heard
    schedules.put("all", {"mqtt": "#"}, SUBMISSION, "ann", 0)
    events.take("headway/s/events/big", b"x" * 100_000)
    for number in range(3 * mqtt_events.WAITING):
        events.take(f"headway/s/events/n/{number}", b"1")
    found = [await asyncio.wait_for(told.get(), 10) for _ in range(mqtt_events.WAITING - 1)]
    assert found[0][2] == {"topic": "n/0", "payload": 1}
    assert found[-1][2]["topic"] == f"n/{mqtt_events.WAITING - 2}"


def test_what_is_no_json_is_text_or_bytes() -> None:
    assert read(b"[1, 2]") == [1, 2]
    assert read(b"NaN") == "NaN"
    assert read(b'"\\ud800"') == '"\\ud800"'
    assert read(b"[" * 100_000) == "[" * 100_000
    assert read(b"") == ""
    assert read(b"\xff\x00") == {"base64": "/wA="}
