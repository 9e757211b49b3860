"""An endpoint: what a role or an executor holds of the bus. Streams (`streams`) driven by a loop, a clock and
a connection.

The rule of its user is one line: commit, then `send` and `commit`. `send` never blocks; what comes is taken
with `next` or `drain`, in the canonical order; nothing polls.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from pydantic import ValidationError

from headway.bus import topics
from headway.bus.letter import BadEnvelope, Letter, decode, encode
from headway.bus.messages import Presence
from headway.bus.port import Bus, Oversize, Will
from headway.bus.streams import RESEND_AFTER, WINDOW, InStream, OutStream, Status, Verdict
from headway.bus.topics import Client

Mark = tuple[int, int]  # (epoch, seq)

ACK_AFTER = 0.02  # seconds: acknowledgements are coalesced, and never in the way of outputs
LEASE = 10_000_000  # microseconds that a presence lasts; it is renewed three times as often


class Endpoint:
    """The reliable, ordered, acknowledged side of a bus, for one client.

    Args:
        bus: A connection, not yet started.
        client: Who this is, and the streams it listens to.
        incarnation: New for each process.
        site: As in the topics.
        cursors: (sender, stream) -> (epoch, seq) that the user's journal has committed.
        qos: Of letters and acknowledgements. 0 is enough: what is lost is sent again from here.
        window: Letters of a stream on the wire that nobody has acknowledged.
        resend_after: Seconds of silence after which a stream is sent again.
        arrived: Set whenever letters wait; may be shared with the user's other sources of work.
        on_acked: Called with (stream, member, (epoch, seq)) when a member's journal has it: outputs up to
            there can go.
        on_presence: Called when somebody's presence changes: new, another incarnation, ended or expired.
        on_connect: Called at every connect, after presence and streams have been taken care of.
        on_superseded: Called with (stream, epoch) when a receiver knows a higher epoch of our stream than
            ours: a former process with a clock ahead of this one's, or another with the same name. Begin an
            epoch above it.
    """

    def __init__(
        self,
        bus: Bus,
        client: Client,
        *,
        incarnation: str,
        site: str = "local",
        cursors: Mapping[tuple[str, str], Mark] | None = None,
        qos: int = 0,
        window: int = WINDOW,
        resend_after: float = RESEND_AFTER,
        arrived: asyncio.Event | None = None,
        on_acked: Callable[[str, str, Mark], None] | None = None,
        on_presence: Callable[[Presence], None] | None = None,
        on_connect: Callable[[], None] | None = None,
        on_superseded: Callable[[str, int], None] | None = None,
    ) -> None:
        self.name = client.name
        self.incarnation = incarnation
        self.arrived = arrived or asyncio.Event()
        self.acked: dict[tuple[str, str], Mark] = {}
        self.peers: dict[str, Presence] = {}
        self.counters: Counter[str] = Counter()
        self._bus, self._client, self._site, self._qos, self._window = bus, client, site, qos, window
        self._on_acked, self._on_presence, self._on_superseded = on_acked, on_presence, on_superseded
        self._connected_hook = on_connect
        self._resend_after = resend_after
        self._in = {key: InStream(epoch, seq) for key, (epoch, seq) in (cursors or {}).items()}
        self._out: dict[str, OutStream] = {}
        self._inbox: list[Letter] = []
        self._lease = 0
        self._beat_at = float("inf")
        self._heard_at = 0.0
        self._expires: dict[str, float] = {}
        self._owed: dict[str, dict[str, bool]] = {}  # sender -> stream -> ask again
        self._unacked = 0  # letters committed since statuses were last sent
        self._flush_timer: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._loop: asyncio.AbstractEventLoop
        self._closed = False

    # ---- the user's side

    async def start(self, *, announce: int = LEASE, wait: float = 10.0) -> None:
        """Connects and says that we are there.

        Args:
            announce: Length of our presence's lease in microseconds; 0 for none.
            wait: Seconds to wait for the broker before giving up.
        """
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._lease = announce
        will = Will(topics.presence(self._site, self.name), self._presence(False)) if announce else None
        filters = topics.subscriptions(self._site, self._client)
        await self._bus.start(filters, self._on_message, self._on_connect, will=will, wait=wait)

    async def close(self) -> None:
        """Says goodbye and disconnects. Letters that nobody acknowledged stay in the user's journal."""
        self._closed = True
        for timer in (self._timer, self._flush_timer):
            if timer is not None:
                timer.cancel()
        if self._owed:
            self._flush()
        if self._lease and self._bus.connected:
            self._bus.publish(
                topics.presence(self._site, self.name), self._presence(False), qos=1, retain=True
            )
            await asyncio.sleep(0)  # the bus writes at the end of the loop's turn
        await self._bus.close()

    @property
    def connected(self) -> bool:
        """Whether there is a connection now; streams do not need to know."""
        return self._bus.connected

    @property
    def silence(self) -> float:
        """Seconds since anything came through the broker. Our own presence comes back with each renewal, so much more
        than a third of a lease means that the broker stands still, whatever the connection looks like."""
        return self._loop.time() - self._heard_at

    async def next(self, max_wait: float) -> list[Letter]:
        """Everything that has come, waiting for the first at most `max_wait` seconds: then an empty list."""
        if not self._inbox:
            try:
                async with asyncio.timeout(max_wait):
                    while not self._inbox:
                        self.arrived.clear()
                        await self.arrived.wait()
            except TimeoutError:
                return []
        return self.drain()

    def drain(self) -> list[Letter]:
        """Everything that has come, at once, sorted by (sender, stream, epoch, seq)."""
        letters, self._inbox = self._inbox, []
        letters.sort(key=_canonical)
        return letters

    def send(
        self,
        stream: str,
        audience: Iterable[str],
        epoch: int,
        seq: int,
        kind: str,
        body: bytes,
        *,
        corr: str = "",
        cause: str = "",
    ) -> None:
        """Sends a letter, now or when the window lets it: in order, until all of the audience have committed
        it.

        Raises:
            Oversize: No broker would take it; nothing is sent and the number is not used.
            Invalid: The number does not follow the stream's last.
        """
        letter = Letter(self.name, stream, epoch, seq, kind, body, time.time_ns() // 1000, corr, cause)
        data = encode(letter)
        limit = getattr(self._bus, "max_payload", None)
        if limit is not None and len(data) > limit:
            raise Oversize(
                f"letter {letter.id} ({kind}) has {len(data)} bytes, the broker takes {limit}",
                hint="split the batch, or send large values by reference",
                size=len(data), limit=limit,
            )  # fmt: skip
        out = self._out.get(stream)
        if out is None:
            out = self._out[stream] = OutStream(stream, window=self._window, resend_after=self._resend_after)
        out.put(epoch, seq, data, audience)
        self._pump(out)

    def commit(self, letters: Iterable[Letter]) -> None:
        """The user's journal has these: their senders are told, after what is sent in the same turn."""
        for letter in letters:
            stream = self._in[letter.sender, letter.stream]
            stream.commit(letter.epoch, letter.seq)
            self._owed.setdefault(letter.sender, {}).setdefault(letter.stream, False)
            self._unacked += 1
        if self._unacked * 2 >= self._window:
            self._loop.call_soon(self._flush)
            self._unacked = 0
        elif self._owed:
            self._flush_soon()

    def waiting(self, stream: str) -> int:
        """Letters of a stream that some member has not acknowledged."""
        out = self._out.get(stream)
        return out.waiting if out else 0

    # ---- what comes

    def _on_message(self, topic: str, payload: bytes) -> None:
        self._heard_at = self._loop.time()
        parsed = topics.parse(topic)
        try:
            if parsed is None:
                self.counters["strange_topics"] += 1
            elif parsed.what == topics.TO:
                self._on_letter(parsed, payload)
            elif parsed.what == topics.ACK:
                self._on_statuses(parsed, payload)
            elif parsed.what == topics.PRESENCE:
                self._on_peer(parsed, payload)
        except BadEnvelope:
            self.counters["refused"] += 1

    def _on_letter(self, topic: topics.Topic, payload: bytes) -> None:
        letter = decode(topic.about, payload)
        if letter.sender != topic.sender:
            self.counters["forged"] += 1
            return
        key = (letter.sender, letter.stream)
        stream = self._in.get(key)
        if stream is None:
            stream = self._in[key] = InStream()
        verdict = stream.take(letter.epoch, letter.seq)
        self.counters[verdict.value] += 1
        if verdict is Verdict.TAKEN:
            self._inbox.append(letter)
            self.arrived.set()
        elif verdict is not Verdict.GAP:
            self._owe(key)
        elif stream.may_ask(self._loop.time()):
            self._owe(key, again=True)

    def _on_statuses(self, topic: topics.Topic, payload: bytes) -> None:
        incarnation, statuses = _decode_statuses(topic, payload)
        now = self._loop.time()
        for name, status in statuses.items():
            out = self._out.get(name)
            if out is None:
                continue
            if out.on_status(topic.sender, incarnation, status, now):
                mark = (out.epoch, out.acked(topic.sender))
                self.acked[name, topic.sender] = mark
                self.counters["acks"] += 1
                if self._on_acked is not None:
                    self._on_acked(name, topic.sender, mark)
            elif status.epoch > out.epoch and self._on_superseded is not None:
                self.counters["superseded"] += 1
                self._on_superseded(name, status.epoch)
            self._pump(out)

    def _on_peer(self, topic: topics.Topic, payload: bytes) -> None:
        if not payload:
            return  # a retained message cleared by an operator
        try:
            presence = Presence.model_validate_json(payload)
        except ValidationError:
            raise BadEnvelope(f"presence of {topic.sender} cannot be read") from None
        if presence.name != topic.sender:
            self.counters["forged"] += 1
            return
        if presence.name == self.name:
            # The will of a connection that the broker gave up late: we are still here.
            if not presence.alive and presence.incarnation == self.incarnation and not self._closed:
                self._beat()
            return
        before = self.peers.get(presence.name)
        if not presence.alive and before is not None and presence.incarnation != before.incarnation:
            return  # the end of a former process, told late
        if presence.alive:
            self._expires[presence.name] = self._loop.time() + presence.expires_in / 1e6
            self._arm(self._expires[presence.name])
        else:
            self._expires.pop(presence.name, None)
        self.peers[presence.name] = presence
        if before is None or (before.incarnation, before.alive) != (presence.incarnation, presence.alive):
            self._peer_changed(presence)

    def _peer_changed(self, presence: Presence) -> None:
        if presence.alive:
            for out in self._out.values():
                if presence.name in out.members:
                    out.on_reconnect()
                    self._pump(out)
        if self._on_presence is not None:
            self._on_presence(presence)

    def _on_connect(self) -> None:
        self.counters["connects"] += 1
        if self._lease:
            self._beat()
        for out in self._out.values():
            out.on_reconnect()
            self._pump(out)
        for key in self._in:  # what was sent while we were away never comes by itself with clean sessions
            self._owe(key, again=True)
        if self._connected_hook is not None:
            self._connected_hook()

    # ---- what goes

    def _pump(self, out: OutStream) -> None:
        if self._bus.connected:
            self._put_on_wire(out, out.sendable(self._loop.time()))

    def _put_on_wire(self, out: OutStream, letters: list[tuple[bytes, bool]]) -> None:
        topic = topics.letter(self._site, self.name, out.name)
        for data, before in letters:
            self._bus.publish(topic, data, qos=self._qos)
            self.counters["resent" if before else "sent"] += 1
        if out.deadline is not None:
            self._arm(out.deadline)

    def _owe(self, key: tuple[str, str], again: bool = False) -> None:
        sender, stream = key
        owed = self._owed.setdefault(sender, {})
        owed[stream] = owed.get(stream, False) or again
        self._flush_soon()

    def _flush_soon(self) -> None:
        if self._flush_timer is None and not self._closed:
            self._flush_timer = self._loop.call_later(ACK_AFTER, self._flush)

    def _flush(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        self._unacked = 0
        if not self._bus.connected:
            self._owed.clear()  # on the next connect every stream is owed a status
            return
        for sender, streams in self._owed.items():
            statuses = {name: self._in[sender, name].status(again) for name, again in streams.items()}
            message = {"from": self.name, "incarnation": self.incarnation, "streams": statuses}
            data = json.dumps(message, separators=(",", ":")).encode()
            self._bus.publish(topics.ack(self._site, self.name, sender), data, qos=self._qos)
            self.counters["statuses_sent"] += 1
        self._owed.clear()

    def _presence(self, alive: bool) -> bytes:
        presence = Presence(name=self.name, incarnation=self.incarnation, alive=alive, expires_in=self._lease)
        return presence.model_dump_json().encode()

    def _beat(self) -> None:
        self._bus.publish(topics.presence(self._site, self.name), self._presence(True), qos=1, retain=True)
        self._beat_at = self._loop.time() + self._lease / 3e6
        self._arm(self._beat_at)

    # ---- time

    def _arm(self, at: float) -> None:
        """Wakes `_tick` at `at` or earlier: one timer for all that has a deadline."""
        if self._closed or (self._timer is not None and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at  # uvloop's handle does not tell when the time has come already
        self._timer = self._loop.call_at(at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time() + 0.001  # a loop may wake a little before the time
        if now >= self._beat_at:
            self._beat_at = float("inf")
            if self._bus.connected:
                self._beat()
        for name in [name for name, at in self._expires.items() if now >= at]:
            del self._expires[name]
            self.peers[name] = presence = self.peers[name].model_copy(update={"alive": False})
            self._peer_changed(presence)
        for out in self._out.values():
            if out.deadline is not None and now >= out.deadline and self._bus.connected:
                self._put_on_wire(out, out.on_silence(now))
        deadlines = [
            out.deadline for out in self._out.values() if out.deadline is not None and out.deadline > now
        ]
        self._arm(min([self._beat_at, *self._expires.values(), *deadlines, now + 3600]))


def _canonical(letter: Letter) -> tuple[str, str, int, int]:
    return letter[:4]


def _decode_statuses(topic: topics.Topic, payload: bytes) -> tuple[str, dict[str, Status]]:
    try:
        message = json.loads(payload)
        if message["from"] != topic.sender:
            raise ValueError
        statuses = {
            name: Status(int(epoch), int(committed), int(received), bool(again))
            for name, (epoch, committed, received, again) in message["streams"].items()
        }
        return str(message["incarnation"]), statuses
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BadEnvelope(f"an acknowledgement of {topic.sender} cannot be read: {payload[:80]!r}") from None
