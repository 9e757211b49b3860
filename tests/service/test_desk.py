"""The agents' desk: what strangers say is bounded, typed and theirs, or it is dropped and counted."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from typing import Any

from headway.bus import topics
from headway.bus.letter import Letter, decode, encode
from headway.bus.messages import DigestBody, ProposalBody
from headway.errors import Unavailable
from headway.service import desk as desks
from headway.service.desk import Desk
from headway.settings import AgentSettings

GOOD = {"kind": "boost", "target": "r/t", "amount": 1, "ttl": 60_000_000, "reason": "waits"}
TOPIC = topics.letter("s", "agent-scheduler", "proposal")


class Wire:
    """A connection that remembers."""

    connected = True

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.said: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.started = False

    async def start(self, filters: Any, on_message: Any, on_connect: Any, **more: Any) -> None:
        self.started = True

    def publish(self, topic: str, payload: bytes, **more: Any) -> bool:
        self.said.put_nowait((topic, payload))
        return True

    async def close(self) -> None: ...


class Room:
    """A desk with a follower and a scheduler that do as they are told."""

    def __init__(self, **settings: Any) -> None:
        self.judged: list[dict[str, Any]] = []
        self.absent = False
        self.wire = Wire()
        self.desk = Desk(
            AgentSettings(**{"scheduler": "act", **settings}), self.wire, "s", self.ask, self.judge
        )

    async def ask(self, duty: str, body: Any) -> dict[str, Any]:
        assert duty == "digest"
        if self.absent:
            raise Unavailable("the follower is not there")
        return DigestBody(at=5, counts={"queued": 1}).model_dump()

    async def judge(self, body: dict[str, Any]) -> dict[str, Any]:
        self.judged.append(body)
        if len(self.judged) == 2:
            raise Unavailable("the disk is full")
        return {}


def letter(body: Any = None, sender: str = "agent-scheduler") -> bytes:
    said = body if body is not None else {"digest": 5, "proposals": [GOOD]}
    return encode(Letter(sender, "proposal", 1, 1, "proposal", json.dumps(said).encode()))


async def test_a_proposal_reaches_the_scheduler_under_its_senders_name() -> None:
    room = Room()
    await room.desk.hand_on("agent-scheduler", letter())
    [body] = room.judged
    assert body["autonomy"] == "act"
    assert (body["proposal"]["agent"], body["proposal"]["target"]) == ("agent-scheduler", "r/t")
    [view] = room.desk.views()
    assert view["heard"] > 0


async def test_what_makes_no_sense_is_dropped_and_counted() -> None:
    room = Room()
    nonsense: list[bytes] = [
        b"", b"\xff\xfe", b"null", b"[" * 50_000, letter([]), letter({"digest": 1}), letter({"digest": -1, "proposals": []}),
        letter({"digest": 1, "proposals": [{**GOOD, "amount": 1.5}]}), letter({"digest": 1, "proposals": [{**GOOD, "admin": True}]}),
        letter({"digest": 1, "proposals": [GOOD] * 21}), letter({"digest": 1, "proposals": [{**GOOD, "ttl": 2**60}]}),
        letter().replace(b'"amount": 1', b'"amount": NaN'),
    ]  # fmt: skip
    for payload in nonsense:
        await room.desk.hand_on("agent-scheduler", payload)
    assert room.judged == []
    assert room.desk.dropped == {"nonsense": len(nonsense)}


async def test_a_foreign_name_is_refused_on_the_topic_and_in_the_envelope() -> None:
    room = Room()
    for sender in ("planner", "agent-planner", "executor-local", "agent-", ""):
        await room.desk.hand_on(sender, letter(sender=sender))
    await room.desk.hand_on("agent-scheduler", letter(sender="agent-other"))
    assert (room.judged, room.desk.dropped["foreign"]) == ([], 6)


async def test_a_flood_and_large_messages_are_cut_off() -> None:
    room = Room()
    room.desk.take(TOPIC, b"x" * 70_000)
    for _ in range(10_000):
        room.desk.take(TOPIC, letter())
    room.desk.take(topics.letter("s", "agent-scheduler", "report"), letter())
    room.desk.take("headway/s/events/x", letter())
    assert room.desk.dropped == {"large": 1, "full": 10_000 - desks.WAITING}


async def test_one_that_cannot_be_judged_does_not_keep_the_next() -> None:
    room = Room()
    await room.desk.hand_on("agent-scheduler", letter({"digest": 5, "proposals": [GOOD] * 3}))
    assert len(room.judged) == 3


async def test_digests_go_out_and_an_absent_follower_only_delays_them() -> None:
    room = Room(every=1_000, patience=7)
    room.absent = True
    running = asyncio.create_task(room.desk.run())
    await asyncio.sleep(0.02)
    assert room.wire.said.empty()
    room.absent = False
    topic, payload = await asyncio.wait_for(room.wire.said.get(), 10)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert topic == topics.letter("s", "desk", "digest")
    assert DigestBody.model_validate_json(decode("digest", payload).body).patience == 7


async def test_agents_that_are_off_have_no_desk_at_all() -> None:
    room = Room(scheduler="off")
    await asyncio.wait_for(room.desk.run(), 10)
    assert not room.wire.started
    await room.desk.hand_on("agent-scheduler", letter())
    assert room.judged == []


def test_a_proposal_is_bounded_in_number() -> None:
    assert ProposalBody(digest=1, proposals=[]).proposals == []
