"""Roles without a mind for tests of the bus: one sends numbers, one writes down what it took and
committed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from headway.bus import topics
from headway.bus.client import MqttBus
from headway.bus.endpoint import Endpoint
from headway.bus.letter import Letter
from headway.bus.port import Address, Broker, Bus, OnMessage, Will
from headway.bus.topics import Client

M = TypeVar("M", bound="Role")


async def until(condition: Callable[[], bool], what: str | Callable[[], str], *, wait: float = 10.0) -> None:
    """Waits for something another party brings about."""
    deadline = asyncio.get_running_loop().time() + wait
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not within {wait:g} s: {what if isinstance(what, str) else what()}")
        await asyncio.sleep(0.005)


def rights(name: str) -> Client:
    known = {c.name: c for c in (topics.planner(), topics.scheduler(), topics.resource_manager())}
    return known.get(name) or topics.executor(name.removeprefix("executor-"))


class Role:
    """An endpoint and what its journal would hold."""

    def __init__(self, endpoint: Endpoint, **_: Any) -> None:
        self.endpoint = endpoint
        self.tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """Called when the endpoint is connected."""


class Sender(Role):
    def __init__(
        self,
        endpoint: Endpoint,
        *,
        stream: str = "scheduler",
        audience: Iterable[str] = ("scheduler",),
        epoch: int = 1,
        **_: Any,
    ) -> None:
        super().__init__(endpoint)
        self.stream, self.audience, self.epoch, self.seq = stream, tuple(audience), epoch, 0

    def send(self, count: int) -> None:
        for _ in range(count):
            self.send_body(b'{"number":%d}' % (self.seq + 1))

    def send_body(self, body: bytes) -> None:
        self.endpoint.send(self.stream, self.audience, self.epoch, self.seq + 1, "test", body)
        self.seq += 1

    async def send_slowly(self, count: int, *, every: float) -> None:
        for _ in range(count):
            self.send(1)
            await asyncio.sleep(every)


class Receiver(Role):
    """Commits what `commits` says, in order, and may pass it on."""

    def __init__(self, endpoint: Endpoint, *, before: Receiver | None = None, **_: Any) -> None:
        super().__init__(endpoint)
        self.log: list[int] = list(before.log) if before else []
        self.marks: list[tuple[int, int]] = []
        self.cursors: dict[tuple[str, str], tuple[int, int]] = dict(before.cursors) if before else {}
        self.taken: list[int] = []
        self.commits: Callable[[int], bool] = lambda number: True
        self.forward: tuple[str, str, tuple[str, ...]] | None = None  # from stream, to stream, its audience
        self._pending: list[Letter] = []
        self._sent = 0

    def begin(self) -> None:
        self.tasks.append(asyncio.create_task(self._run()))

    async def has(self, count: int, *, wait: float = 15.0) -> None:
        await until(
            lambda: len(self.log) >= count,
            lambda: (
                f"{count} committed, not {len(self.log)}; {self.endpoint.counters}, {self.endpoint._bus}"
            ),
            wait=wait,
        )

    def commit_taken(self) -> None:
        letters, self._pending = self._pending, []
        self._handle(letters)

    async def _run(self) -> None:
        while True:
            self._handle(await self.endpoint.next(60))

    def _handle(self, letters: list[Letter]) -> None:
        done = []
        for letter in letters:
            number = letter.seq
            if letter not in self._pending and number not in self.taken[-1:]:
                self.taken.append(number)
            if self._pending or not self.commits(number):
                self._pending.append(letter)
                continue
            self.log.append(number)
            self.marks.append((letter.epoch, letter.seq))
            self.cursors[letter.sender, letter.stream] = (letter.epoch, letter.seq)
            done.append(letter)
            if self.forward is not None and self.forward[0] == letter.stream:
                _, stream, audience = self.forward
                self._sent += 1
                self.endpoint.send(stream, audience, 1, self._sent, letter.kind, letter.body)
        self.endpoint.commit(done)


class Net:
    """A broker and the roles on it."""

    def __init__(self, broker: Broker, address: Address) -> None:
        self.broker, self.address = broker, address
        self.roles: list[Role] = []

    def bus(self, name: str) -> MqttBus:
        return MqttBus(self.address, name, rng=random.Random(name))

    async def start(
        self,
        kind: type[M],
        name: str,
        *,
        bus: Bus | None = None,
        incarnation: str = "1",
        qos: int = 0,
        window: int = 64,
        resend_after: float = 2.0,
        before: Receiver | None = None,
        on_presence: Callable[[Any], None] | None = None,
        on_superseded: Callable[[str, int], None] | None = None,
        **options: Any,
    ) -> M:
        endpoint = Endpoint(
            bus or self.bus(name),
            rights(name),
            incarnation=incarnation,
            cursors=before.cursors if before else None,
            qos=qos,
            window=window,
            resend_after=resend_after,
            on_presence=on_presence,
            on_superseded=on_superseded,
        )
        role = kind(endpoint, before=before, **options)
        await endpoint.start()
        role.begin()
        self.roles.append(role)
        return role

    async def start_on(self, kind: type[M], role: Role) -> M:
        """A second role on the same endpoint: the planner sends and receives."""
        other = kind(role.endpoint)
        other.begin()
        self.roles.append(other)
        return other

    async def pair(self, *, epoch: int = 1, **options: Any) -> tuple[Sender, Receiver]:
        sender = await self.start(Sender, "planner", epoch=epoch, **options)
        receiver = await self.start(Receiver, "scheduler", **options)
        return sender, receiver

    async def crash(self, role: Role) -> None:
        """As kill -9 would: no goodbye, nothing flushed; the kernel closes the socket."""
        for task in role.tasks:
            task.cancel()
        bus: Any = role.endpoint._bus
        connection = bus._connection
        bus._task.cancel()
        connection._client._sock.shutdown(2)
        await asyncio.sleep(0.02)
        role.endpoint._closed = True
        self.roles.remove(role)

    async def kill_broker(self) -> None:
        process: asyncio.subprocess.Process = self.broker.process  # type: ignore[attr-defined]
        process.kill()
        await process.wait()

    async def close(self) -> None:
        for role in self.roles:
            for task in role.tasks:
                task.cancel()
        await asyncio.gather(*(role.endpoint.close() for role in self.roles))
        await self.broker.stop()


class LossyBus:
    """A bus that loses a fifth of what is published, doubles a tenth and delays a tenth past what follows."""

    def __init__(self, inner: MqttBus, rng: random.Random) -> None:
        self._inner, self._rng = inner, rng
        self.max_payload = inner.max_payload
        self.lost = 0

    @property
    def connected(self) -> bool:
        return self._inner.connected

    @property
    def counters(self) -> dict[str, int]:
        return self._inner.counters

    async def start(
        self,
        filters: Iterable[str],
        on_message: OnMessage,
        on_connect: Callable[[], None],
        *,
        will: Will | None = None,
        wait: float = 10.0,
    ) -> None:
        await self._inner.start(filters, on_message, on_connect, will=will, wait=wait)

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        chance = 1.0 if retain else self._rng.random()
        if chance < 0.2:
            self.lost += 1
            return True
        if chance < 0.3:
            self._inner.publish(topic, payload, qos=qos, retain=retain)
        elif chance < 0.4:
            later = self._rng.random() * 0.02
            asyncio.get_running_loop().call_later(later, self._publish_late, topic, payload, qos)
            return True
        return self._inner.publish(topic, payload, qos=qos, retain=retain)

    def _publish_late(self, topic: str, payload: bytes, qos: int) -> None:
        self._inner.publish(topic, payload, qos=qos)

    async def close(self) -> None:
        await self._inner.close()
