"""Any MQTT client, as a stranger would use it: plain paho with a URL, nothing of Headway's."""

from __future__ import annotations

import json
import threading
from typing import Any
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from .conftest import PATIENCE, Home, until


class Stranger:
    """A connection with somebody's login.

    Args:
        url: `mqtt://user:password@host:port`.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.seen: list[tuple[str, bytes]] = []
        self._subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(unquote(parts.username or ""), unquote(parts.password or ""))
        self._client.on_message = lambda _, __, message: self.seen.append((message.topic, message.payload))
        self._granted: list[Any] = []
        self._client.on_subscribe = lambda _, __, ___, codes, ____: self._on_subscribe(codes)
        assert parts.hostname
        assert parts.port
        self._client.connect(parts.hostname, parts.port)
        self._client.loop_start()

    def subscribe(self, filter: str) -> None:
        self._client.subscribe(filter)
        assert self._subscribed.wait(PATIENCE)
        assert not any(code.is_failure for code in self._granted), f"{filter} was denied"

    def _on_subscribe(self, codes: list[Any]) -> None:
        self._granted = codes
        self._subscribed.set()

    def publish(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1).wait_for_publish(PATIENCE)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Watcher:
    """Reads along with the login that a service leaves in its state folder."""

    def __init__(self, home: Home) -> None:
        self._url = (home.state / "watch").read_text().strip()

    def __enter__(self) -> Watcher:
        self._stranger = Stranger(self._url)
        self._stranger.subscribe("headway/local/#")
        return self

    def __exit__(self, *_: object) -> None:
        self._stranger.close()

    @property
    def seen(self) -> list[tuple[str, bytes]]:
        """Topic and payload of every message so far."""
        return self._stranger.seen

    def until_seen(self, topic: str, part: bytes = b"") -> None:
        until(lambda: any(t == topic and part in p for t, p in list(self.seen)), f"{part!r} under {topic}")

    def letters(self) -> list[tuple[str, dict[str, Any]]]:
        """The messages that carry something from one to another."""
        return [(topic, json.loads(payload)) for topic, payload in list(self.seen) if "/to/" in topic]
