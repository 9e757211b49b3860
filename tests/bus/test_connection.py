"""The task that keeps a client connected outlives whatever a connection ends by."""

from __future__ import annotations

import asyncio

import pytest

from headway.bus import client
from headway.bus.client import MqttBus
from headway.bus.port import Address


class Trouble(MqttBus):
    """Its attempts to connect end one after the other as told; the last one succeeds."""

    def __init__(self, *ends: BaseException) -> None:
        super().__init__(Address("127.0.0.1", 1), "planner")
        self.ends = list(ends)
        self.attempts = 0

    async def _connect_once(self, first: asyncio.Future[None]) -> None:
        self.attempts += 1
        if self.ends:
            raise self.ends.pop(0)
        first.set_result(None)
        await asyncio.Event().wait()


async def test_a_defect_of_the_library_does_not_end_the_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSE_FIRST", 0.001)
    bus = Trouble(asyncio.InvalidStateError("set twice"), asyncio.CancelledError(), AttributeError("no socket"), OSError("away"))
    await bus.start([], lambda topic, payload: None, lambda: None)
    assert bus.attempts == 5
    await asyncio.wait_for(bus.close(), 5)
