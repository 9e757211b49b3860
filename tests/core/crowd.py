"""A cluster under any policy, its executors, and books of what is held that owe nothing to the engine's own."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from headway.core import events as ev
from headway.core.decisions import Decision, Preempt, Reason, Recall, Spare, Start, Stop
from headway.core.engine import Engine
from headway.core.joint.record import PlanRecord, Row
from headway.domain.resources import Demand, Node
from headway.domain.task import Gang, Task
from headway.domain.units import MILLI, SECOND
from tests.builders import node, task

CLUSTER = (
    node("n1", cpu=4, gpus=2, memory="8GiB", labels={"zone": "a"}),
    node("n2", cpu=3, gpus=1, memory="4GiB", labels={"zone": "a"}),
    node("n3", cpu=2, memory="2GiB", labels={"zone": "b"}),
)
SHAPES = (
    {"cpu": 1}, {"cpu": 1, "gpu": 0.3}, {"cpu": 1, "gpu": 0.8}, {"cpu": 2}, {"cpu": 2, "gpu": 2},
    {"cpu": 1, "memory": "3GiB"}, {"cpu": 1, "gpu": 1}, {"cpu": 0.5, "where": "zone == b"},
)  # fmt: skip


@dataclass
class Held:
    """One lease, as its executor sees it."""

    node: str
    demand: Demand
    devices: tuple[int, ...]
    members: list[tuple[str, int]] = field(default_factory=list)


class Crowd:
    """An engine and a twin that are told the same, and the other side of the protocol.

    Attributes:
        leases: What is held now, from decisions and reports alone.
        transcript: Every decision as text, a line a round.
    """

    def __init__(self, make: Callable[[], Engine], seed: int) -> None:
        self.engine, self.twin = make(), make()
        self.chance = random.Random(seed)
        self.now = 0
        self.leases: dict[int, Held] = {}
        self.running: dict[tuple[str, int], int] = {}
        self.leaving: set[tuple[str, int]] = set()
        self.asked_back: dict[tuple[str, int], None] = {}
        self.tasks: dict[str, Task] = {}
        self.waiting: set[str] = set()
        self.transcript: list[str] = []
        for one in CLUSTER:
            self.tell(ev.NodeJoined(one, "i1"))

    def tell(self, event: ev.Event) -> None:
        self.engine.apply(event, self.now)
        self.twin.apply(event, self.now)

    def offer(self, made: Task) -> None:
        self.tasks[made.id] = made
        self.waiting.add(made.id)
        self.tell(ev.TaskOffered(made))

    def decide(self) -> list[Decision]:
        """Decides, writes it into the books, and proves that the twin decides the same to the byte."""
        decisions = self.engine.decide(self.now)
        self.transcript.append(repr(decisions))
        assert repr(self.twin.decide(self.now)) == self.transcript[-1]
        self.engine.check()
        for one in decisions:
            if isinstance(one, Start):
                self._start(one)
            elif isinstance(one, Preempt | Stop):
                self.leaving.add((one.task, one.attempt))
            elif isinstance(one, Spare):
                self.leaving.discard((one.task, one.attempt))
            else:
                assert isinstance(one, Recall), one
                self.asked_back |= dict.fromkeys(one.attempts)
        return decisions

    def _start(self, start: Start) -> None:
        self.waiting.discard(start.task)
        found = self.leases.get(start.lease)
        if found is None:
            demand = self.tasks[start.task].demand
            found = self.leases[start.lease] = Held(start.node, demand, start.devices)
        assert (found.node, found.devices) == (start.node, start.devices)
        assert found.demand == self.tasks[start.task].demand
        found.members.append((start.task, start.attempt))

    def begin(self) -> None:
        """What was asked back and has not begun is given back; then the first member of every lease begins."""
        for pair in list(self.asked_back):
            if pair not in self.running:
                self._gone(pair)
                self.waiting.add(pair[0])
                self.tell(ev.AttemptReturned(*pair))
        self.asked_back.clear()
        for held in list(self.leases.values()):
            pair = held.members[0]
            if pair not in self.running:
                self.running[pair] = self.now
                self.tell(ev.AttemptStarted(*pair, self.now))

    def end_some(self, share: float = 0.5) -> None:
        """Some of what runs ends: who was asked to leave goes, with what a checkpoint kept; others finish."""
        for pair in list(self.running):
            leaves = pair in self.leaving
            if not leaves and self.chance.random() > share:
                continue
            took = self.now - self.running[pair]
            if leaves:
                self.waiting.add(pair[0])
                self.tell(ev.AttemptCheckpointed(*pair, self.now, 400))
            self._gone(pair)
            outcome = ev.Outcome.PREEMPTED if leaves else ev.Outcome.FINISHED
            self.tell(ev.AttemptEnded(*pair, outcome, took))

    def _gone(self, pair: tuple[str, int]) -> None:
        self.running.pop(pair, None)
        self.leaving.discard(pair)
        for ident, held in list(self.leases.items()):
            if pair in held.members:
                held.members.remove(pair)
                if not held.members:
                    del self.leases[ident]

    def free(self) -> dict[str, tuple[int, int, list[int]]]:
        """Of each node what the books leave: milli-cores, bytes, milli of each GPU. Fails where anything is overdrawn."""
        found = {}
        for one in CLUSTER:
            here = [held for held in self.leases.values() if held.node == one.name]
            cpu = one.cpu - sum(held.demand.cpu for held in here)
            memory = one.memory - sum(held.demand.memory for held in here)
            devices = [MILLI] * one.gpus
            for held in here:
                share, count = min(held.demand.gpu, MILLI), -(-held.demand.gpu // MILLI)
                assert len(held.devices) == len(set(held.devices)) == count, held
                for device in held.devices:
                    devices[device] -= share
            assert cpu >= 0 <= memory, f"{one.name} is overdrawn by {here}"
            assert all(left >= 0 for left in devices), f"a device of {one.name} is overdrawn by {here}"
            found[one.name] = (cpu, memory, devices)
        return found

    def swap_the_twin(self) -> None:
        """The twin is replaced by what its snapshot says, through JSON."""
        self.twin = Engine.restore(json.loads(json.dumps(self.twin.snapshot())))

    def plan(self) -> None:
        """A plan of everything that waits, each on a node of the cluster in turn; for policies that follow one."""
        rows = tuple(
            Row(ident, CLUSTER[index % len(CLUSTER)].name, self.now + index * SECOND, Reason("plan_now"))
            for index, ident in enumerate(sorted(self.waiting))
        )
        until = self.now + 20 * SECOND
        self.tell(
            ev.PlanSet(PlanRecord("p", self.now, until, "makespan", 10, 5, 500_000, 1, "search", 0, "", rows))
        )


def fits(one: Node, room: tuple[int, int, list[int]], made: Task) -> bool:
    """Whether a task fits in what is left of a node, device by device."""
    cpu, memory, devices = room
    demand = made.demand
    if demand.cpu > cpu or demand.memory > memory:
        return False
    if made.where and dict(one.labels)["zone"] != "b":
        return False
    share, count = min(demand.gpu, MILLI), -(-demand.gpu // MILLI)
    return not demand.gpu or sum(left >= share for left in devices) >= count


def arrivals(crowd: Crowd, number: int) -> None:
    """One round's newcomers: some tasks of any shape, class, tenant, weight and deadline, now and then a gang."""
    chance = crowd.chance
    for index in range(chance.randrange(6)):
        made = task(
            f"t{number}-{index}", run=f"run{chance.randrange(3)}", kind=chance.choice("ab"), tenant=chance.choice(("ada", "bob", "cyd")),
            seconds=chance.choice((None, 1, 3, 20)), priority=chance.randrange(3), weight=chance.choice((500, 1000, 4000)),
            deadline=chance.choice((None, crowd.now + 30 * SECOND)), release=crowd.now, **chance.choice(SHAPES),
        )  # fmt: skip
        crowd.offer(made)
    if number % 4 == 1:
        size = chance.choice((2, 3))
        for index in range(size):
            gang = Gang(f"r/g{number}", index, size)
            crowd.offer(task(f"g{number}-{index}", seconds=2, release=crowd.now, gang=gang, cpu=1))
