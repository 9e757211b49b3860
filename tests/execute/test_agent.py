"""The executor on a bus: leases in, reports and hellos out, each with its epoch. Over a real broker."""

from __future__ import annotations

from pathlib import Path

from headway.bus.port import Address
from headway.domain.resources import Node
from headway.execute.agent import Agent, _new_epoch

from .bus_side import Roles, lease_of, until
from .conftest import call

NODE = Node("n1", 2000, 10**9, labels=(("arch", "any"),))


async def test_a_lease_comes_in_and_its_reports_go_out(roles: Roles, address: Address, state: Path) -> None:
    agent = Agent(NODE, state, address, stop_grace=1.0)
    await agent.start()
    try:
        await until(roles.hellos)
        hello = roles.hellos()[0]
        assert hello.node.name == "n1"
        assert (hello.node.cpu, hello.node.memory, hello.node.labels) == (2000, 10**9, {"arch": "any"})
        epoch = int(hello.incarnation)
        roles.send(lease_of("add", call("add", 1, kwargs={"y": 2})), epoch)
        for role in ("scheduler", "planner"):
            await until(lambda role=role: [row for row in roles.rows(role) if row.what == "finished"])
        letters = [letter for letter in roles.letters["scheduler"] if letter.kind == "report"]
        assert {letter.epoch for letter in letters} == {epoch}
        assert [letter.seq for letter in letters] == list(range(1, len(letters) + 1))
        await until(lambda: agent.executor.holds() == [])
    finally:
        await agent.stop(0.0)


async def test_a_lease_for_a_former_executor_is_refused(roles: Roles, address: Address, state: Path) -> None:
    agent = Agent(NODE, state, address, stop_grace=1.0)
    await agent.start()
    try:
        await until(roles.hellos)
        epoch = int(roles.hellos()[0].incarnation)
        roles.send(lease_of("old", call("noop")), epoch - 5)
        await until(lambda: agent.refused == 1)
        roles._seq = 0
        roles.send(lease_of("new", call("noop")), epoch)
        await until(lambda: any(row.task == "r/new" for row in roles.rows()))
        assert not any(row.task == "r/old" for row in roles.rows())
    finally:
        await agent.stop(0.0)


async def test_a_letter_that_is_no_lease_does_not_stop_the_executor(
    roles: Roles, address: Address, state: Path
) -> None:
    agent = Agent(NODE, state, address, stop_grace=1.0)
    await agent.start()
    try:
        await until(roles.hellos)
        epoch = int(roles.hellos()[0].incarnation)
        scheduler = roles.endpoints["scheduler"]
        scheduler.send("executor-n1", ["executor-n1"], epoch, 1, "lease", b'{"grants": "nonsense"}')
        roles._seq = 1
        roles.send(lease_of("noop", call("noop")), epoch)
        await until(lambda: any(row.what == "finished" for row in roles.rows()))
        assert agent.refused == 1
    finally:
        await agent.stop(0.0)


async def test_what_nobody_acknowledged_is_held_and_the_next_hello_says_so(
    roles: Roles, address: Address, state: Path
) -> None:
    roles.acknowledging = False
    agent = Agent(NODE, state, address, stop_grace=1.0)
    await agent.start()
    try:
        await until(roles.hellos)
        roles.send(lease_of("noop", call("noop")), int(roles.hellos()[0].incarnation))
        await until(lambda: any(row.what == "finished" for row in roles.rows()))
        assert agent.executor.holds() == [("r/noop", 1)]
        agent._hello()
        await until(lambda: len(roles.hellos()) == 2)
        assert roles.hellos()[1].holds == [("r/noop", 1)]
    finally:
        await agent.stop(0.0)


async def test_a_stopped_executor_reports_what_became_of_its_tasks(
    roles: Roles, address: Address, state: Path
) -> None:
    agent = Agent(NODE, state, address, stop_grace=1.0)
    await agent.start()
    await until(roles.hellos)
    roles.send(lease_of("sleep", call("sleep", 60)), int(roles.hellos()[0].incarnation))
    await until(lambda: any(row.what == "started" for row in roles.rows()))
    await agent.stop(0.1)
    await until(lambda: any(row.what == "preempted" for row in roles.rows()))


def test_an_epoch_is_above_all_former_ones_even_if_the_clock_went_back(tmp_path: Path) -> None:
    path = tmp_path / "run" / "incarnation"
    first = _new_epoch(path)
    assert _new_epoch(path) > first
    future = first + 10**12
    path.write_text(str(future))
    assert _new_epoch(path) == future + 1
    path.write_text("nonsense")
    assert _new_epoch(path) >= first
