"""What every broker must give a bus, ours and a stranger's: subclass `BusSuite`, say how to make one."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from bus_harness import LossyBus, Net, Receiver, Sender, until
from paho.mqtt.enums import CallbackAPIVersion

from headway.bus import topics
from headway.bus.client import MqttBus
from headway.bus.messages import Presence
from headway.bus.port import MAX_PAYLOAD, Broker, Credential, Oversize
from headway.errors import Denied, Unavailable

CLIENTS = [
    topics.planner(),
    topics.scheduler(),
    topics.resource_manager(),
    topics.executor("a"),
    topics.executor("gpu.box/1"),
    topics.watcher("eye"),
]


class BusSuite:
    """The tests. A subclass may lower the numbers for a slow broker."""

    letters = 1000
    outstanding = 2000

    def make(self, folder: Path) -> Broker:
        raise NotImplementedError

    @pytest.fixture
    async def net(self, tmp_path: Path) -> AsyncIterator[Net]:
        broker = self.make(tmp_path / "broker")
        net = Net(broker, await broker.start(CLIENTS))
        yield net
        await net.close()

    @pytest.mark.parametrize("qos", [0, 1])
    async def test_letters_arrive_once_and_in_order(self, net: Net, qos: int) -> None:
        sender, receiver = await net.pair(qos=qos)
        sender.send(self.letters)
        await receiver.has(self.letters)
        await until(lambda: sender.endpoint.waiting("scheduler") == 0, "all is acknowledged")
        assert receiver.log == list(range(1, self.letters + 1))
        assert sender.endpoint.acked["scheduler", "scheduler"] == (1, self.letters)
        assert receiver.endpoint.counters["gap"] == 0

    async def test_an_idle_letter_takes_milliseconds(self, net: Net) -> None:
        """TCP_NODELAY on both ends: without it one trip is 40 ms or more."""
        sender, receiver = await net.pair()
        trips = []
        for number in range(1, 41):
            began = time.perf_counter()
            sender.send(1)
            await receiver.has(number)
            trips.append(time.perf_counter() - began)
            await asyncio.sleep(0.005)
        assert sorted(trips)[10] < 0.02

    @pytest.mark.fault
    @pytest.mark.parametrize("qos", [0, 1])
    async def test_the_broker_is_killed_under_load(self, net: Net, qos: int) -> None:
        sender, receiver = await net.pair(qos=qos)
        total = self.letters // 2
        pump = asyncio.create_task(sender.send_slowly(total, every=0.001))
        for kills in range(2):
            before = len(receiver.log)
            await until(
                lambda: receiver.endpoint.counters["connects"] == kills + 1 and len(receiver.log) > before,  # noqa: B023
                "letters flow again",
            )
            await net.kill_broker()
            await asyncio.sleep(0.1)
            await net.broker.start(CLIENTS)
        await pump
        await receiver.has(total, wait=30)
        assert receiver.log == list(range(1, total + 1))
        assert receiver.endpoint.counters["connects"] == 3

    @pytest.mark.parametrize("seed", [1, 2])
    async def test_messages_are_lost_doubled_and_late(self, net: Net, seed: int) -> None:
        rng = random.Random(seed)
        lossy = {name: LossyBus(net.bus(name), rng) for name in ("planner", "scheduler")}
        sender = await net.start(Sender, "planner", bus=lossy["planner"], window=16, resend_after=0.1)
        receiver = await net.start(Receiver, "scheduler", bus=lossy["scheduler"])
        sender.send(150)
        await receiver.has(150, wait=40)
        await until(lambda: sender.endpoint.waiting("scheduler") == 0, "all is acknowledged", wait=40)
        assert receiver.log == list(range(1, 151))
        assert lossy["planner"].lost > 10
        assert receiver.endpoint.counters["repeat"] > 0

    @pytest.mark.fault
    async def test_a_receiver_dies_before_it_commits(self, net: Net) -> None:
        """What it had taken and not committed comes again to its next process; what it had committed does
        not."""
        sender, receiver = await net.pair()
        receiver.commits = lambda number: number <= 40
        sender.send(100)
        await until(lambda: len(receiver.taken) >= 64, "the window is full")
        await net.crash(receiver)
        assert receiver.log == list(range(1, 41))
        again = await net.start(Receiver, "scheduler", incarnation="2", before=receiver)
        await again.has(100)
        assert again.log == list(range(1, 101))
        assert again.taken == list(range(41, 101))

    @pytest.mark.fault
    async def test_a_sender_dies_and_sends_its_outbox_again(self, net: Net) -> None:
        sender, receiver = await net.pair(window=8)
        receiver.commits = lambda number: number <= 5
        sender.send(20)
        await until(lambda: len(receiver.log) == 5, "five are in")
        await until(
            lambda: sender.endpoint.acked.get(("scheduler", "scheduler")) == (1, 5), "five are acknowledged"
        )
        await net.crash(sender)
        receiver.commits = lambda number: True
        receiver.commit_taken()
        again = await net.start(Sender, "planner", incarnation="2")
        again.seq = 3  # its journal knows of three acknowledgements only
        again.send(22)
        await receiver.has(25)
        assert receiver.log == list(range(1, 26))

    async def test_a_new_epoch_begins_at_one(self, net: Net) -> None:
        sender, receiver = await net.pair()
        sender.send(10)
        await receiver.has(10)
        sender.epoch, sender.seq = 2, 0
        sender.send(5)
        await receiver.has(15)
        assert receiver.marks[-1] == (2, 5)

    async def test_a_sender_with_an_old_epoch_is_told(self, net: Net) -> None:
        """A clock that was set back: the receiver would drop all its letters for ever."""
        sender, receiver = await net.pair(epoch=7)
        sender.send(3)
        await receiver.has(3)
        await net.crash(sender)
        heard: list[tuple[str, int]] = []
        again = await net.start(
            Sender, "planner", incarnation="2", epoch=6, on_superseded=lambda *what: heard.append(what)
        )
        again.send(1)
        await until(lambda: heard == [("scheduler", 7)], "it hears of epoch 7")
        again.epoch, again.seq = 8, 0
        again.send(2)
        await receiver.has(5)

    async def test_a_receiver_that_was_away_catches_up(self, net: Net) -> None:
        sender = await net.start(Sender, "planner")
        sender.send(200)
        await asyncio.sleep(0.1)
        receiver = await net.start(Receiver, "scheduler")
        await receiver.has(200)
        assert receiver.log == list(range(1, 201))

    async def test_all_of_an_audience_must_acknowledge(self, net: Net) -> None:
        executor = await net.start(Sender, "executor-a", stream="report", audience=("scheduler", "planner"))
        first = await net.start(Receiver, "scheduler")
        executor.send(50)
        await first.has(50)
        await until(lambda: ("report", "scheduler") in executor.endpoint.acked, "one has acknowledged")
        assert executor.endpoint.waiting("report") == 50
        second = await net.start(Receiver, "planner")
        await second.has(50)
        await until(lambda: executor.endpoint.waiting("report") == 0, "both have acknowledged")
        assert first.log == second.log == list(range(1, 51))

    async def test_a_slow_receiver_is_not_flooded(self, net: Net) -> None:
        sender, receiver = await net.pair(window=8, resend_after=0.1)
        receiver.commits = lambda number: False
        sender.send(100)
        await asyncio.sleep(1.5)
        assert len(receiver.taken) == 8
        # One whole window may be repeated before the first status; after that one letter at a time, ever less
        # often.
        assert 0 < sender.endpoint.counters["resent"] <= 8 + 8
        receiver.commits = lambda number: True
        receiver.commit_taken()
        await receiver.has(100)
        assert receiver.log == list(range(1, 101))

    @pytest.mark.parametrize("qos", [0, 1])
    async def test_thousands_outstanding(self, net: Net, qos: int) -> None:
        """More than a broker's default of unacknowledged messages, one letter a task, through three agents.

        With nats-server's defaults 12 to 45 of 2,000 did not arrive within 20 s.
        """
        total = self.outstanding
        opts = {"qos": qos, "window": 4096}
        planner = await net.start(Sender, "planner", **opts)
        scheduler = await net.start(Receiver, "scheduler", **opts)
        executor = await net.start(Receiver, "executor-a", **opts)
        back = await net.start_on(Receiver, planner)
        scheduler.forward = ("scheduler", "executor-a", ("executor-a",))
        executor.forward = ("executor-a", "report", ("scheduler", "planner"))
        planner.send(total)
        await back.has(total, wait=60)
        assert back.log == list(range(1, total + 1))

    async def test_nobody_can_publish_as_another(self, net: Net) -> None:
        heard: list[str] = []
        eye = net.bus("eye")
        await eye.start(["headway/local/#"], lambda topic, _: heard.append(topic), lambda: None)
        forbidden = [
            topics.letter("local", "scheduler", "executor-gpu.box/1"),
            topics.letter("local", "planner", "scheduler"),
            topics.letter("local", "executor-a", "scheduler"),
            topics.presence("local", "scheduler"),
            topics.ack("local", "scheduler", "planner"),
            "headway/local/from/executor-a",
            "headway/local",
            "elsewhere",
        ]
        for topic in forbidden:  # mosquitto ends the connection of whoever tries, so each gets its own
            rogue = net.bus("executor-a")
            await rogue.start([], lambda *_: None, lambda: None)
            for qos in (0, 1):
                rogue.publish(topic, b"{}", qos=qos)
            await asyncio.sleep(0.02)
            await rogue.close()
        honest = net.bus("executor-a")
        await honest.start([], lambda *_: None, lambda: None)
        last = topics.letter("local", "executor-a", "hello")
        honest.publish(last, b"{}", qos=1)
        await until(lambda: last in heard, "an allowed message arrives after them")
        await asyncio.sleep(0.1)
        assert not set(forbidden) & set(heard)
        await honest.close()
        await eye.close()

    async def test_nobody_reads_what_is_for_another(self, net: Net) -> None:
        heard: list[str] = []
        rogue = net.bus("executor-a")
        theirs = topics.letter("local", "scheduler", "executor-gpu.box/1")
        with suppress(Denied):  # mosquitto grants in the SUBACK what it then does not deliver
            await rogue.start([theirs], lambda topic, _: heard.append(topic), lambda: None, wait=2)
        scheduler = await net.start(
            Sender, "scheduler", stream="executor-gpu.box/1", audience=("executor-gpu.box/1",)
        )
        executor = await net.start(Receiver, "executor-gpu.box/1")
        scheduler.send(3)
        await executor.has(3)
        await asyncio.sleep(0.1)
        assert heard == []
        await rogue.close()

    async def test_oversize_is_refused_before_it_is_published(self, net: Net) -> None:
        sender, receiver = await net.pair()
        with pytest.raises(Oversize, match="the broker takes"):
            sender.send_body(b'"' + b"x" * MAX_PAYLOAD + b'"')
        sender.send_body(b'"' + b"x" * (MAX_PAYLOAD - 400) + b'"')
        await receiver.has(1)
        assert receiver.endpoint.counters["connects"] == 1

    async def test_anybody_allowed_reads_plain_json(self, net: Net) -> None:
        """What `mosquitto_sub -v -t 'headway/#'` would print."""
        login = net.address.credentials["eye"]
        seen: list[tuple[str, bytes]] = []
        eye = paho.Client(CallbackAPIVersion.VERSION2)
        eye.username_pw_set(login.user, login.password)
        eye.on_message = lambda client, data, message: seen.append((message.topic, message.payload))
        eye.on_connect = lambda client, *_: client.subscribe("headway/local/#")
        eye.connect(net.address.host, net.address.port)
        eye.loop_start()
        try:
            await asyncio.sleep(0.3)
            sender, receiver = await net.pair()
            sender.send(1)
            await receiver.has(1)
            topic = "headway/local/from/planner/to/scheduler"
            await until(lambda: any(name == topic for name, _ in seen), "the watcher sees the letter")
        finally:
            eye.disconnect()
            eye.loop_stop()
        envelope = json.loads(dict(seen)[topic])
        assert envelope["kind"] == "test"
        assert envelope["from"] == "planner"
        assert envelope["body"] == {"number": 1}

    async def test_presence_comes_goes_and_comes_back(self, net: Net) -> None:
        heard: list[Presence] = []
        await net.start(Receiver, "scheduler", on_presence=heard.append)
        executor = await net.start(Receiver, "executor-a", incarnation="1")
        await until(lambda: [p.alive for p in heard] == [True], "it is there")
        await net.crash(executor)
        await until(lambda: [p.alive for p in heard] == [True, False], "its will says that it is gone")
        again = await net.start(Receiver, "executor-a", incarnation="2")
        await until(lambda: heard[-1].alive and heard[-1].incarnation == "2", "it is there again")
        await again.endpoint.close()
        await until(lambda: not heard[-1].alive, "it said goodbye")

    async def test_presence_is_told_to_who_comes_later(self, net: Net) -> None:
        await net.start(Receiver, "executor-a")
        heard: list[Presence] = []
        await net.start(Receiver, "scheduler", on_presence=heard.append)
        await until(lambda: [p.name for p in heard if p.alive] == ["executor-a"], "it hears of who is there")

    async def test_a_client_can_join_a_running_broker(self, net: Net) -> None:
        sender, receiver = await net.pair()
        net.address.credentials["executor-b"] = await net.broker.add_client(topics.executor("b"))
        executor = await net.start(Sender, "executor-b", stream="report", audience=("scheduler",))
        executor.send(3)
        sender.send(3)
        await receiver.has(6)
        assert receiver.endpoint.counters["connects"] == 1, "those connected stay connected"

    async def test_a_wrong_password_is_said_at_once(self, net: Net) -> None:
        bus = MqttBus(net.address, "planner", credential=Credential("planner", "wrong"))
        with pytest.raises(Denied, match="refuses the login of planner"):
            await bus.start([], lambda *_: None, lambda: None)

    async def test_no_broker_is_said_in_time(self, net: Net) -> None:
        await net.broker.stop()
        with pytest.raises(Unavailable, match=r"no connection to the broker at 127\.0\.0\.1"):
            await net.bus("planner").start([], lambda *_: None, lambda: None, wait=0.5)
