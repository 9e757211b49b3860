"""Messages as events: what other programs publish below `headway/<site>/events/` starts runs of the schedules that wait for it.

A message that is said while we are not connected is lost, as MQTT's clean sessions have it, and a retained one is not taken: it
would start a run at each connect. A broker may deliver a message twice; one that is a JSON object with an `id` is one event then.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from headway.bus import topics
from headway.bus.port import Bus
from headway.core.runs.schedules import EVENT_LIMIT, Schedules
from headway.errors import HeadwayError

log = logging.getLogger("headway.service")

#: The service's user for events.
TRIGGERS = "triggers"
#: Seconds from one look at the schedules to the next: we connect when the first one waits for a message.
EVERY = 1.0
#: Messages that wait for the planner; more are dropped, which is logged.
WAITING = 1_000


class MqttEvents:
    """Tells the planner of messages.

    Args:
        schedules: The planner's.
        tell: Takes the name of a schedule, the event's key, and the event.
        bus: A connection of its own, not started.
        site: In the topics.
    """

    def __init__(
        self,
        schedules: Callable[[], Schedules],
        tell: Callable[[str, str, Any], Awaitable[Any]],
        bus: Bus,
        site: str,
    ) -> None:
        self._schedules, self._tell, self._bus = schedules, tell, bus
        self._client, self._site = topics.event_listener(TRIGGERS), site
        self._prefix = topics.event(site, "")
        self._queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(WAITING)

    async def run(self) -> None:
        """Until it is cancelled."""
        while not any(entry.schedule.mqtt for entry in self._schedules()):
            await asyncio.sleep(EVERY)
        try:
            await self._connect()
            while True:
                topic, payload = await self._queue.get()
                for name in self._meant(topic):
                    await self._hand_on(name, topic, payload)
        finally:
            await self._bus.close()

    async def _connect(self) -> None:
        while True:
            filters = topics.subscriptions(self._site, self._client)
            try:
                await self._bus.start(filters, self.take, lambda: None)
                return
            except HeadwayError as error:
                log.warning("schedules that wait for messages hear none: %s", error)
                await asyncio.sleep(30 * EVERY)

    def take(self, topic: str, payload: bytes) -> None:
        """A message has come."""
        if not topic.startswith(self._prefix):
            return
        try:
            self._queue.put_nowait((topic.removeprefix(self._prefix), payload))
        except asyncio.QueueFull:
            log.warning("a message of %s is dropped: %d wait already", topic, WAITING)

    def _meant(self, topic: str) -> list[str]:
        return [
            entry.name
            for entry in self._schedules()
            if entry.schedule.mqtt and entry.paused is None and topics.covers(entry.schedule.mqtt, topic)
        ]

    async def _hand_on(self, name: str, topic: str, payload: bytes) -> None:
        if len(payload) > EVENT_LIMIT:
            log.warning("schedule %s: a message of %s has %d bytes and is dropped", name, topic, len(payload))
            return
        said = read(payload)
        key = f"id {said['id']}" if isinstance(said, dict) and "id" in said else secrets.token_hex(16)
        try:
            await self._tell(name, f"{topic}\0{key}", {"topic": topic, "payload": said})
        except HeadwayError as error:
            log.warning("schedule %s does not get a message of %s: %s", name, topic, error)


def read(payload: bytes) -> Any:
    """JSON as what it says, other text as text, bytes as `{"base64": …}`."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(payload).decode()}
    try:
        said = json.loads(text, parse_constant=_refuse)
        json.dumps(said, ensure_ascii=False).encode()  # half of a surrogate pair could never be stored
    except (ValueError, RecursionError):
        return text
    return said


def _refuse(word: str) -> Any:
    raise ValueError(word)
