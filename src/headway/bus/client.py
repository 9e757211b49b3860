"""The MQTT client: aiomqtt (on paho) with the reconnecting, checking and speed that a bus needs.

aiomqtt connects once, awaits every publish and hands messages over through a task and a future each. Here a
connection that ends is made again with growing, jittered pauses; subscriptions and rights are checked each
time, since brokers acknowledge what they forbid; publishing is a plain call; and a message goes straight from
the socket to its callback.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, cast

import aiomqtt
import paho.mqtt.client as paho
from aiomqtt.exceptions import MqttConnectError

from headway.bus import topics
from headway.bus.port import MAX_PAYLOAD, Address, Credential, OnMessage, Oversize, Will
from headway.errors import Denied, HeadwayError, Unavailable

log = logging.getLogger(__name__)
_paho_log = logging.getLogger(f"{__name__}.paho")
_paho_log.setLevel(
    logging.CRITICAL
)  # it calls every lost connection an error; we say so once, with the reason

PAUSE_FIRST, PAUSE_LAST = 0.05, 5.0  # seconds between attempts to connect
STEP_TIMEOUT = 5.0  # seconds for one of: connect, subscribe, probe
KEEPALIVE = 15  # seconds; a half-open connection is noticed after one and a half
_NOT_AUTHORISED = (4, 5, 134, 135)  # CONNACK codes of MQTT 3.1.1, and paho's names for them in 5
_READ_SIZE = 256 * 1024


class _BufferedSocket:
    """A socket that reads in large pieces: paho asks for one or two bytes at a time, each a system call.

    `pending` is what aiomqtt asks (it is meant for TLS sockets) to go on reading until all that came is
    handled.
    """

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self._buffer = b""
        self._at = 0

    def recv(self, size: int) -> bytes:
        if self._at == len(self._buffer):
            self._buffer, self._at = b"", 0
            data = self._inner.recv(max(size, _READ_SIZE))
            if len(data) <= size:
                return data
            self._buffer = data
        piece = self._buffer[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def pending(self) -> int:
        inner = self._inner.pending() if isinstance(self._inner, ssl.SSLSocket) else 0
        return len(self._buffer) - self._at + inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Connection(aiomqtt.Client):
    """One connection. Overrides three private hooks of aiomqtt 2.5 (pinned below 2.6), and nothing of
    paho's."""

    deliver: OnMessage
    retained: bool

    def _client_connect(self) -> None:
        super()._client_connect()
        sock = self._client._sock
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._client._sock = cast(Any, _BufferedSocket(sock))

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        if self.retained or not message.retain:
            self.deliver(message.topic, bytes(message.payload))

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        # paho calls this from the connecting thread for CONNECT, from the loop for all else: there, what one
        # turn of the loop publishes is written at its end, without the trip through the selector.
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            super()._on_socket_register_write(client, userdata, sock)
        else:
            self._loop.call_soon(self._flush, sock)

    def _flush(self, sock: Any) -> None:
        if self._client.socket() is not sock:
            return
        try:
            self._client.loop_write()
        except Exception as error:
            if not self._disconnected.done():
                self._disconnected.set_exception(error)
            return
        if self._client.want_write() and self._client.socket() is sock:
            super()._on_socket_register_write(self._client, None, sock)

    def publish_now(self, topic: str, payload: bytes, qos: int, retain: bool) -> bool:
        return self._client.publish(topic, payload, qos, retain).rc == paho.MQTT_ERR_SUCCESS


class MqttBus:
    """A `port.Bus` over any MQTT 3.1.1 broker.

    Args:
        address: Where the broker is.
        name: The client's name: sender in its topics, key of its credential.
        site: The site in its topics.
        max_payload: Bytes; more is refused before publishing.
        retained: Whether to take what was said before we connected.
    """

    def __init__(
        self,
        address: Address,
        name: str,
        *,
        site: str = "local",
        credential: Credential | None = None,
        max_payload: int = MAX_PAYLOAD,
        retained: bool = True,
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self.site = site
        self.max_payload = max_payload
        self.counters: Counter[str] = Counter()
        self.last_error: str = ""
        self._retained = retained
        self._address = address
        self._credential = credential or address.credentials.get(name, Credential())
        self._rng = rng or random.Random()
        self._connection: _Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._probe = topics.probe(site, name)
        self._probed: asyncio.Future[None] | None = None
        self._nonce = b""

    def __repr__(self) -> str:
        state = "connected" if self.connected else f"not connected ({self.last_error or 'not yet'})"
        return f"<MqttBus {self.name} {state} {dict(self.counters)}>"

    @property
    def connected(self) -> bool:
        """Connected, subscribed and probed."""
        return self._connection is not None

    async def start(
        self,
        filters: Iterable[str],
        on_message: OnMessage,
        on_connect: Callable[[], None],
        *,
        will: Will | None = None,
        wait: float = 10.0,
    ) -> None:
        """See `port.Bus.start`."""
        self._filters = [*dict.fromkeys([*filters, self._probe])]
        self._on_message, self._on_connect, self._will = on_message, on_connect, will
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep_connected(first), name=f"bus {self.name}")
        try:
            await asyncio.wait_for(asyncio.shield(first), wait)
        except TimeoutError:
            await self.close()
            raise Unavailable(
                f"no connection to the broker at {self._address.host}:{self._address.port} after {wait:g} s"
                f" (as {self.name}): {self.last_error or 'it does not answer'}",
                hint="is the broker running, and is its port reachable from here?",
            ) from None
        except BaseException:
            await self.close()
            raise

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """See `port.Bus.publish`."""
        if len(payload) > self.max_payload:
            self.counters["oversize"] += 1
            raise Oversize(
                f"a message of {len(payload)} bytes for {topic} is above the limit of {self.max_payload}",
                hint="send large values by reference, or split the batch",
                size=len(payload), limit=self.max_payload,
            )  # fmt: skip
        connection = self._connection
        if connection is None or not connection.publish_now(topic, payload, qos, retain):
            return False
        self.counters["published"] += 1
        self.counters["published_bytes"] += len(payload)
        return True

    async def close(self) -> None:
        """See `port.Bus.close`."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                log.warning("bus %s ended badly: %r", self.name, error)

    async def _keep_connected(self, first: asyncio.Future[None]) -> None:
        pause = PAUSE_FIRST
        while True:
            served = self.counters["connects"]
            try:
                await self._connect_once(first)
            except HeadwayError as error:
                # Wrong credentials or rights: an operator's mistake, told to whoever waits. Later on it may
                # be a broker that is being set up again, so then we go on trying.
                self._note(error.message)
                if not first.done():
                    first.set_exception(error)
                    return
            except (aiomqtt.MqttError, OSError, TimeoutError) as error:
                self._note(str(error) or type(error).__name__)
            except asyncio.CancelledError:
                if cast(asyncio.Task[Any], asyncio.current_task()).cancelling():
                    raise
                self._note("a step of connecting was given up")  # a future of the library's that was cancelled
            except Exception:
                # Without this task the process would be deaf and dumb for good, and nobody would know.
                log.exception("bus %s: the connection ended by a defect; making another", self.name)
            if self.counters["connects"] > served:
                pause = PAUSE_FIRST
            await asyncio.sleep(pause * (0.5 + self._rng.random()))
            pause = min(pause * 2, PAUSE_LAST)

    def _note(self, error: str) -> None:
        self.last_error = error
        self.counters["connect_failures"] += 1
        log.info("bus %s: %s", self.name, error)

    async def _connect_once(self, first: asyncio.Future[None]) -> None:
        """Connects, checks, serves; returns or raises when the connection is over."""
        connection = self._new_connection()
        try:
            await connection.__aenter__()
        except MqttConnectError as error:
            if getattr(error.rc, "value", error.rc) in _NOT_AUTHORISED:
                raise Denied(
                    f"the broker at {self._address.host}:{self._address.port} refuses the login"
                    f" of {self.name}: {error}",
                    hint="check user and password in the broker's URL",
                ) from None
            raise
        try:
            await self._subscribe(connection)
            await self._check_rights(connection)
            self._connection = connection
            self.counters["connects"] += 1
            if self.counters["connects"] > 1:
                log.info("bus %s: connected again", self.name)
            self._on_connect()
            if not first.done():
                first.set_result(None)
            async for _ in connection.messages:  # none comes this way: it ends with the connection
                raise AssertionError("aiomqtt queued a message past the callback")
        finally:
            self._connection = None
            with contextlib.suppress(aiomqtt.MqttError, OSError, TimeoutError):
                await connection.__aexit__(None, None, None)

    def _new_connection(self) -> _Connection:
        at, login, will = self._address, self._credential, self._will
        connection = _Connection(
            at.host, at.port,
            username=login.user or None, password=login.password or None,
            # A new id each time: brokers punish one that comes back quickly, and sessions are clean anyway.
            identifier=f"{topics.level(self.name)}-{secrets.token_hex(6)}"[:64],
            clean_session=True,
            will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True) if will else None,
            logger=_paho_log, timeout=STEP_TIMEOUT, keepalive=KEEPALIVE,
            max_inflight_messages=65535,
            tls_context=ssl.create_default_context(cafile=at.ca_file) if at.tls else None,
        )  # fmt: skip
        connection.pending_calls_threshold = 10**6
        connection.deliver = self._deliver
        connection.retained = self._retained
        return connection

    def _deliver(self, topic: str, payload: bytes) -> None:
        self.counters["delivered"] += 1
        if topic == self._probe:
            if self._probed is not None and not self._probed.done() and payload == self._nonce:
                self._probed.set_result(None)
            return
        self._on_message(topic, payload)

    async def _subscribe(self, connection: _Connection) -> None:
        codes = await connection.subscribe([(name, 1) for name in self._filters])
        granted = [code if isinstance(code, int) else code.value for code in codes]
        refused = [name for name, code in zip(self._filters, granted, strict=True) if code >= 0x80]
        if refused:
            raise Denied(
                f"the broker refuses {self.name} to subscribe to {', '.join(refused)}",
                hint="its rights on the broker must cover these topics (docs/internals/bus.md lists them)",
                filters=refused,
            )

    async def _check_rights(self, connection: _Connection) -> None:
        """Publishes to itself: a forbidden publish is acknowledged by every broker, so only arrival proves
        anything."""
        self._nonce = secrets.token_hex(8).encode()
        self._probed = asyncio.get_running_loop().create_future()
        connection.publish_now(self._probe, self._nonce, 0, False)
        # aiomqtt's future of the end is private; without it a broker that closes here would cost the whole
        # time-out.
        over = connection._disconnected
        await asyncio.wait({self._probed, over}, timeout=STEP_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if self._probed.done():
            return
        if over.done():
            raise aiomqtt.MqttError(
                f"the connection ended while {self.name} checked its rights"
                " (mosquitto does that to a forbidden publish)"
            )
        raise Denied(
            f"the broker took {self.name}'s login, but what it publishes to {self._probe} does not come back",
            hint=f"its rights must let it publish under {topics.ROOT}/{self.site}/from/{self.name}/"
            " and read its probe",
        )
