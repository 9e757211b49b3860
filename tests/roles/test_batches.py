"""The order in which letters of one batch arrive decides nothing: they are put in the canonical order first."""

from __future__ import annotations

import json
import random

from headway.bus import topics
from headway.bus.endpoint import Endpoint
from headway.bus.letter import Letter, encode
from headway.roles.step import Input, pack_outputs
from tests.roles.office import Office, make_roles

NODES = ("n1", "n2", "n3")


class OneWay:
    """A bus that only brings messages."""

    max_payload = 1 << 20
    connected = True
    counters: dict[str, int] = {}  # noqa: RUF012

    async def start(self, filters, on_message, on_connect, *, will=None, wait=1) -> None:
        self.come = on_message
        on_connect()

    def publish(self, topic, payload, *, qos=0, retain=False) -> bool:
        return True

    async def close(self) -> None:
        pass


async def test_whatever_order_letters_come_in_the_step_is_the_same_to_the_byte() -> None:
    office = Office()
    for node in NODES:
        office.hello(node)
    shape = {"demand": {"cpu": 1000}, "function": "m:f"}
    office.submit("a", [{"name": f"t{i}", **shape} for i in range(9)])
    scheduler = office.roles["scheduler"]
    before = json.dumps(scheduler.snapshot())
    batch = batch_of(office, shape)
    assert len({item.source for item in batch}) == len(NODES) + 2  # executors, planner, resource manager
    chance, seen = random.Random(7), set()
    for _ in range(40):
        arrived = list(batch)
        chance.shuffle(arrived)
        again = make_roles()["scheduler"]
        again.restore(json.loads(before))
        step = again.step(office.now, await through_the_endpoint(arrived))
        assert not step.refused
        seen.add((pack_outputs(enumerate(step.outputs)), json.dumps(again.snapshot())))
    assert len(seen) == 1
    assert json.loads(next(iter(seen))[1]) != json.loads(before)


def batch_of(office: Office, shape: dict[str, object]) -> list[Input]:
    """What is on its way to the scheduler at once: ends and failures, a new node, a new run."""
    office.pump = lambda: None  # type: ignore[method-assign]
    for node in NODES:
        (task, attempt) = next(iter(office.grants[node]))
        office.finish(node, task, attempt, to=("scheduler",))
    office.hello("n4")
    office.submit("b", [{"name": f"t{i}", "priority": i, **shape} for i in range(4)])
    pending, office._pending["resource_manager"] = office._pending["resource_manager"], []
    office._step("resource_manager", pending)
    return office._pending["scheduler"]


async def through_the_endpoint(batch: list[Input]) -> list[Input]:
    """As the loop gets them: from a real endpoint, one stream of a sender in its own order (a stream never swaps)."""
    bus = OneWay()
    endpoint = Endpoint(bus, topics.scheduler(), incarnation="one")  # type: ignore[arg-type]
    await endpoint.start()
    streams: dict[tuple[str, str], list[Input]] = {}
    for item in sorted(batch, key=lambda item: item.seq):
        streams.setdefault((item.source, item.stream), []).append(item)
    sent = dict.fromkeys(streams, 0)
    for stream in ((item.source, item.stream) for item in batch):
        item, sent[stream] = streams[stream][sent[stream]], sent[stream] + 1
        letter = Letter(
            *stream, item.epoch, sent[stream], item.kind, item.body
        )  # a new reader's streams begin at 1
        bus.come(topics.letter("local", *stream), encode(letter))
    found = endpoint.drain()
    assert len(found) == len(batch)
    return [Input(one.sender, one.stream, one.epoch, one.seq, one.kind, one.body) for one in found]
