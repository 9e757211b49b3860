"""An endpoint on a bus of two functions: what it refuses, whom it believes, when it speaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import uvloop

from headway.bus import topics
from headway.bus.endpoint import Endpoint
from headway.bus.letter import Letter, encode
from headway.bus.messages import Presence
from headway.bus.port import OnMessage, Oversize, Will
from headway.errors import Invalid


class FakeBus:
    """Keeps what is published; `come` brings a message, `drop` and `reconnect` do what they say."""

    max_payload = 1000

    def __init__(self) -> None:
        self.connected = False
        self.counters: dict[str, int] = {}
        self.published: list[tuple[str, bytes, int, bool]] = []
        self.filters: list[str] = []
        self.will: Will | None = None

    async def start(
        self,
        filters: Iterable[str],
        on_message: OnMessage,
        on_connect: Callable[[], None],
        *,
        will: Will | None = None,
        wait: float = 1,
    ) -> None:
        self.filters, self.will = list(filters), will
        self.come, self._on_connect = on_message, on_connect
        self.reconnect()

    def reconnect(self) -> None:
        self.connected = True
        self._on_connect()

    def drop(self) -> None:
        self.connected = False

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        assert self.connected
        self.published.append((topic, payload, qos, retain))
        return True

    async def close(self) -> None:
        self.connected = False

    def take(self, what: str) -> list[Any]:
        """Published bodies on topics of a kind, as JSON; they are then forgotten."""
        found = [json.loads(data) for topic, data, *_ in self.published if f"/{what}" in topic]
        self.published = [row for row in self.published if f"/{what}" not in row[0]]
        return found


async def endpoint(bus: FakeBus, **options: Any) -> Endpoint:
    made = Endpoint(bus, topics.scheduler(), incarnation="one", **options)
    await made.start()
    return made


def offer(seq: int, *, sender: str = "planner", epoch: int = 1) -> Letter:
    return Letter(sender, "scheduler", epoch, seq, "offer", b'{"n":%d}' % seq)


def come(bus: FakeBus, letter: Letter, *, by: str = "planner") -> None:
    bus.come(topics.letter("local", by, letter.stream), encode(letter))


def presence(
    name: str, *, incarnation: str = "1", alive: bool = True, expires_in: int = 10_000_000, by: str = ""
) -> tuple[str, bytes]:
    message = Presence(name=name, incarnation=incarnation, alive=alive, expires_in=expires_in)
    return topics.presence("local", by or name), message.model_dump_json().encode()


async def test_letters_of_one_turn_come_in_the_canonical_order() -> None:
    bus = FakeBus()
    one = await endpoint(bus)
    for seq in (1, 2):
        for name in ("executor-b", "executor-a"):
            bus.come(
                topics.letter("local", name, "report"),
                encode(Letter(name, "report", 1, seq, "report", b"{}")),
            )
    come(bus, offer(1))
    order = [(letter.sender, letter.seq) for letter in one.drain()]
    assert order == [
        ("executor-a", 1),
        ("executor-a", 2),
        ("executor-b", 1),
        ("executor-b", 2),
        ("planner", 1),
    ]
    assert one.drain() == []


async def test_next_wakes_at_once_and_gives_up_in_time() -> None:
    bus = FakeBus()
    one = await endpoint(bus)
    assert await one.next(0.01) == []
    waiting = asyncio.create_task(one.next(5))
    await asyncio.sleep(0)
    come(bus, offer(1))
    assert await asyncio.wait_for(waiting, 1) == [offer(1)]


async def test_an_envelope_under_another_name_is_refused_and_counted() -> None:
    bus = FakeBus()
    one = await endpoint(bus)
    come(bus, offer(1), by="executor-a")
    bus.come(*presence("planner", by="executor-a"))
    assert one.drain() == []
    assert one.peers == {}
    assert one.counters["forged"] == 2


@pytest.mark.parametrize(
    "message",
    [
        (topics.letter("local", "planner", "scheduler"), b"garbage"),
        (topics.ack("local", "planner", "scheduler"), b"[]"),
        (
            topics.ack("local", "planner", "scheduler"),
            b'{"from":"planner","incarnation":"1","streams":{"planner":[1]}}',
        ),
        (
            topics.ack("local", "planner", "scheduler"),
            b'{"from":"executor-a","incarnation":"1","streams":{}}',
        ),
        (topics.presence("local", "planner"), b'{"name":"planner"}'),
    ],
)
async def test_what_cannot_be_read_is_counted_and_harms_nothing(message: tuple[str, bytes]) -> None:
    bus = FakeBus()
    one = await endpoint(bus)
    bus.come(*message)
    bus.come("headway/local/strange", b"")
    come(bus, offer(1))
    assert one.drain() == [offer(1)]
    assert (one.counters["refused"], one.counters["strange_topics"]) == (1, 1)


async def test_only_what_is_committed_is_acknowledged() -> None:
    bus = FakeBus()
    one = await endpoint(bus)
    for seq in (1, 2, 3):
        come(bus, offer(seq))
    letters = one.drain()
    await asyncio.sleep(0.02)
    assert bus.take("ack") == []
    one.commit(letters[:2])
    await asyncio.sleep(0.02)
    assert bus.take("ack") == [
        {"from": "scheduler", "incarnation": "one", "streams": {"scheduler": [1, 2, 3, False]}}
    ]


async def test_a_repeat_is_answered_and_a_gap_asked_about_once() -> None:
    bus = FakeBus()
    one = await endpoint(bus, cursors={("planner", "scheduler"): (1, 5)})
    await asyncio.sleep(0.02)
    assert [m["streams"] for m in bus.take("ack")] == [{"scheduler": [1, 5, 5, True]}], (
        "at connect it asks for what follows"
    )
    come(bus, offer(5))
    await asyncio.sleep(0.02)
    assert [m["streams"] for m in bus.take("ack")] == [{"scheduler": [1, 5, 5, False]}]
    for seq in range(8, 20):
        come(bus, offer(seq))
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)
    assert [m["streams"] for m in bus.take("ack")] == [{"scheduler": [1, 5, 5, True]}]
    assert one.drain() == []
    assert one.counters["gap"] == 12


async def test_outputs_go_before_acknowledgements() -> None:
    bus = FakeBus()
    one = await endpoint(bus)
    come(bus, offer(1))
    bus.published.clear()
    one.commit(one.drain())
    one.send("planner", ["planner"], 1, 1, "schedule", b"{}")
    await asyncio.sleep(0.02)
    assert [topics.parse(topic).what for topic, *_ in bus.published] == ["to", "ack"]  # type: ignore[union-attr]


async def test_what_is_sent_without_a_connection_goes_when_there_is_one() -> None:
    bus = FakeBus()
    one = await endpoint(bus)
    one.send("planner", ["planner"], 1, 1, "schedule", b"1")
    assert [m["seq"] for m in bus.take("to")] == [1]
    bus.drop()
    one.send("planner", ["planner"], 1, 2, "schedule", b"2")
    bus.reconnect()
    assert [m["seq"] for m in bus.take("to")] == [1, 2]
    assert (one.counters["sent"], one.counters["resent"]) == (2, 1)


async def test_the_user_hears_of_acknowledgements() -> None:
    heard: list[Any] = []
    bus = FakeBus()
    one = await endpoint(bus, on_acked=lambda *what: heard.append(what))
    for seq in (4, 5, 6):
        one.send("planner", ["planner"], 2, seq, "schedule", b"{}")
    status = b'{"from":"planner","incarnation":"1","streams":{"planner":[2,5,6,false]}}'
    for _ in range(2):
        bus.come(topics.ack("local", "planner", "scheduler"), status)
    assert heard == [("planner", "planner", (2, 5))]
    assert one.acked == {("planner", "planner"): (2, 5)}
    assert one.waiting("planner") == 1
    assert one.waiting("nothing") == 0


async def test_a_refused_letter_does_not_use_its_number() -> None:
    bus = FakeBus()
    one = await endpoint(bus)
    with pytest.raises(
        Oversize, match=r"letter scheduler/planner/1/1 \(schedule\) has \d+ bytes, the broker takes 1000"
    ):
        one.send("planner", ["planner"], 1, 1, "schedule", b'"' + b"x" * 1000 + b'"')
    one.send("planner", ["planner"], 1, 1, "schedule", b"{}")
    with pytest.raises(Invalid, match="letter 3 does not follow 1"):
        one.send("planner", ["planner"], 1, 3, "schedule", b"{}")


async def test_presence_is_kept_alive_and_ends_with_goodbye() -> None:
    bus = FakeBus()
    one = Endpoint(bus, topics.scheduler(), incarnation="one")
    await one.start(announce=90_000)
    await asyncio.sleep(0.2)
    beats = [row for row in bus.published if "/presence" in row[0]]
    assert 3 <= len(beats) <= 8
    assert all((qos, retain) == (1, True) for _, _, qos, retain in beats)
    assert bus.will is not None
    assert Presence.model_validate_json(bus.will.payload).alive is False
    await one.close()
    assert bus.take("presence")[-1]["alive"] is False


async def test_a_peer_that_is_silent_expires_by_our_clock() -> None:
    heard: list[tuple[str, bool]] = []
    bus = FakeBus()
    one = await endpoint(bus, on_presence=lambda p: heard.append((p.incarnation, p.alive)))
    for _ in range(3):
        bus.come(*presence("executor-a", expires_in=300_000))
        await asyncio.sleep(0.15)
    assert heard == [("1", True)]
    await asyncio.sleep(0.2)
    assert heard == [("1", True), ("1", False)]
    bus.come(*presence("executor-a", incarnation="2"))
    bus.come(*presence("executor-a", incarnation="1", alive=False))
    assert heard[2:] == [("2", True)], "the late end of a former process is not the end of this one"
    assert one.peers["executor-a"].alive


async def test_our_own_late_will_is_contradicted() -> None:
    bus = FakeBus()
    await endpoint(bus)
    bus.take("presence")
    bus.come(*presence("scheduler", incarnation="zero", alive=False))
    assert bus.take("presence") == []
    bus.come(*presence("scheduler", incarnation="one", alive=False))
    assert [p["alive"] for p in bus.take("presence")] == [True]


async def test_a_peers_new_incarnation_is_sent_what_it_may_lack() -> None:
    bus = FakeBus()
    one = await endpoint(bus)
    bus.come(*presence("planner"))
    one.send("planner", ["planner"], 1, 1, "schedule", b"{}")
    bus.take("to")
    bus.come(*presence("planner"))
    assert bus.take("to") == [], "a heartbeat changes nothing"
    bus.come(*presence("planner", incarnation="2"))
    assert [m["seq"] for m in bus.take("to")] == [1]


async def test_silence_is_noticed() -> None:
    bus = FakeBus()
    one = await endpoint(bus, resend_after=0.05)
    one.send("planner", ["planner"], 1, 1, "schedule", b"{}")
    await asyncio.sleep(0.4)
    assert [m["seq"] for m in bus.take("to")] in ([1, 1, 1], [1, 1, 1, 1]), (
        "at once, then after 50, 100 and 200 ms"
    )
    await one.close()


def test_a_deadline_that_is_over_does_not_break_the_next_under_uvloop() -> None:
    """uvloop gives a plain handle for what is due at once; asked for its time, that ended the task that connects."""

    async def overdue() -> None:
        bus = FakeBus()
        side = await endpoint(bus, resend_after=0.0)
        side.send("planner", ("planner",), 1, 1, "schedule", b"{}")  # due for a repetition at once
        bus.drop()
        bus.reconnect()
        side.send("planner", ("planner",), 1, 2, "schedule", b"{}")
        await asyncio.sleep(0.01)
        await side.close()

    uvloop.run(overdue())
