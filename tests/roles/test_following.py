"""A follower takes the steps that were committed, and answers from its copy; nobody depends on it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headway.core.engine import LOGIC
from headway.domain.units import SECOND
from headway.errors import Invalid, NotFound, Unavailable
from headway.journal.records import Entry, Snapshot
from headway.roles.following.asking import Asker, listen, socket_of
from headway.roles.following.follower import Follower
from headway.roles.following.past import why_at
from headway.roles.following.predicting import Predicting, lines
from headway.service.follower import Host

from .office import Office


class Kept:
    """The journal of an office's scheduler, as far as it is kept."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.first = 1
        self.logic = LOGIC
        self.taken: list[tuple[Snapshot, bytes]] = []

    def entries(self, role: str, first: int, last: int | None = None) -> Iterator[Entry]:
        steps = [record for record in self.office.record if record[0] == role]
        for number, (_, at, inputs, outputs) in enumerate(steps, 1):
            if number >= max(first, self.first):
                yield Entry(role, number, at, self.logic, inputs, outputs)

    def snapshot(self) -> None:
        """Taken now; what it holds is not kept besides."""
        number = sum(record[0] == "scheduler" for record in self.office.record)
        data = json.dumps({"outbox": None, "role": self.office.roles["scheduler"].snapshot()}).encode()
        self.taken.append((Snapshot(number, self.office.now, self.logic, data), data))
        self.first = number + 1

    def snapshots(self, role: str) -> list[Snapshot]:
        return [snapshot for snapshot, _ in self.taken]

    def snapshot_data(self, role: str, number: int) -> bytes:
        return next(data for snapshot, data in self.taken if snapshot.number == number)


def spec(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "function": "m:f", "estimate": 10 * SECOND, **fields}


def busy() -> Office:
    """A node of two cores: the first two of six tasks run, the others wait."""
    office = Office(order="priority > srpt")
    office.hello("a")
    office.submit("r1", [spec(f"t{number}") for number in range(6)])
    office.report("a", *(["r1/" + name, 1, "started", office.now, 7] for name in ("t0", "t1")))
    return office


def same(follower: Follower, office: Office) -> bool:
    scheduler: Any = office.roles["scheduler"]
    return json.dumps(follower.scheduler.snapshot()) == json.dumps(scheduler.snapshot())


def test_it_stands_where_the_scheduler_stands_after_every_step() -> None:
    office = busy()
    follower = Follower(Kept(office))
    assert follower.catch_up() is False
    assert same(follower, office)
    office.now += 10 * SECOND
    office.finish("a", "r1/t0", took=10 * SECOND)
    assert not same(follower, office)
    while follower.catch_up(most=1):
        pass
    assert same(follower, office)


def test_after_a_long_stop_it_begins_again_at_a_snapshot() -> None:
    office = busy()
    kept = Kept(office)
    follower = Follower(kept)
    follower.catch_up()
    office.work()
    kept.snapshot()
    office.submit("r2", [spec("later")])
    while follower.catch_up():
        pass
    assert same(follower, office)
    fresh = Follower(kept)
    fresh.catch_up()
    assert same(fresh, office)


def test_steps_of_another_logic_are_not_taken() -> None:
    kept = Kept(busy())
    kept.logic = "0"
    with pytest.raises(Unavailable, match="logic 0"):
        Follower(kept).catch_up()


def test_why_at_a_time_is_what_the_engine_would_have_said() -> None:
    office = busy()
    then = office.now
    office.now += 10 * SECOND
    office.finish("a", "r1/t0", took=10 * SECOND)
    office.work()
    kept = Kept(office)
    assert why_at(kept, "r1/t5", then)["state"] == "queued"
    assert why_at(kept, "r1/t0", then + SECOND)["running_for"] == SECOND
    assert why_at(kept, "r1/t5", office.now)["state"] == "finished"
    assert "as of" in why_at(kept, "r1/t5", then)["text"]
    with pytest.raises(NotFound, match="nothing had happened"):
        why_at(kept, "r1/t5", 5)
    kept.snapshot()
    with pytest.raises(Unavailable, match="does not reach back"):
        why_at(kept, "r1/t5", then)


def test_it_predicts_from_what_it_has_heard() -> None:
    office = busy()
    duty = Predicting()
    follower = Follower(Kept(office), duty.heard)
    follower.catch_up()
    found = duty.answer(follower.engine, office.now, {"task": "r1/t5"})
    assert 0 < found["start_p50"] <= found["start_p90"]
    assert {"node", "priority"} <= {change["kind"] for change in found["sooner"]}
    assert [change["price"] for change in found["sooner"]] == sorted(c["price"] for c in found["sooner"])
    text = "\n".join(lines(found))
    assert "should start in" in text
    assert "raise its priority from 0 to 1" in text
    for name in ("r1/t0", "r1/ghost"):
        with pytest.raises(NotFound):
            duty.answer(follower.engine, office.now, {"task": name})
    # Everything takes a tenth of what was said: so it hears, and so it predicts.
    for number in range(40):
        office.submit(f"s{number}", [spec("quick")])
    for _ in range(45):
        office.now += SECOND
        (node, (task, attempt)) = next((n, key) for n, keys in office.grants.items() for key in keys)
        office.finish(node, task, attempt, took=SECOND)
    office.submit("r2", [spec(f"u{number}") for number in range(4)])
    while follower.catch_up():
        pass
    assert len(duty.experience.overall.line) == 45
    later = duty.answer(follower.engine, office.now, {"task": "r2/u3"})
    assert later["start_p50"] < 10 * SECOND


# ── asked from another process ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("deep", [False, True])
async def test_a_question_travels_over_the_socket(tmp_path: Path, deep: bool) -> None:
    state = tmp_path / ("d" * 90) if deep else tmp_path
    (state / "run").mkdir(parents=True)
    office = busy()
    host = Host(Kept(office), [Predicting()])  # type: ignore[arg-type]
    server = await asyncio.start_unix_server(host.hear, sock=listen(socket_of(state)))
    asker = Asker(socket_of(state))
    async with server:
        assert (await asker.ask("prediction", {"task": "r1/t5"}))["start_p50"] > 0
        with pytest.raises(NotFound, match="r1/t0"):
            await asker.ask("prediction", {"task": "r1/t0"})
        with pytest.raises(Invalid, match="no duty 'dance'"):
            await asker.ask("dance", {})
        with pytest.raises(Unavailable, match="cannot answer this"):
            await asker.ask("prediction", {"tusk": 1})


async def test_nobody_waits_for_a_follower_that_is_not_there_or_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    asker = Asker(socket_of(tmp_path), patience=0.05)
    with pytest.raises(Unavailable, match="not there"):
        await asker.ask("prediction", {})
    silent: socket.socket = listen(socket_of(tmp_path))
    with pytest.raises(Unavailable, match="did not answer within"):
        await asker.ask("prediction", {})
    with pytest.raises(Unavailable, match="a moment ago"):
        await asker.ask("prediction", {})
    silent.close()
