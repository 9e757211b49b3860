"""Results that are blobs lie on the node that made them: the engine hears how large they are, placements go by it, and
the next task that reads as much is reckoned by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from headway.bus.messages import Call
from headway.roles.inputs import blob_size, held_inputs, read_by
from tests.roles.office import Office

BLOB = {"kind": "blob", "data": "ab" * 32, "size": 64 << 20}


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office(order="fcfs")
    made.call("scheduler", "policy", order="fcfs", discipline="skip", placement="locality")
    yield made
    made.check()


def spec(name: str, *reads: str, after: tuple[str, ...] = (), cpu: int = 1000) -> dict[str, Any]:
    args = [{"output": one} for one in reads]
    return {"name": name, "function": "m:f", "demand": {"cpu": cpu}, "args": args, "after": list(after)}


def finish(office: Office, node: str, task: str, ref: dict[str, Any]) -> None:
    office.report(node, [task, 1, "finished", office.now, [1000, ref]])


def entry(office: Office, task: str) -> Any:
    return office.roles["scheduler"].engine.world.tasks[task]  # type: ignore[attr-defined]


def test_a_task_goes_where_its_input_lies(office: Office) -> None:
    office.hello("big", cpu=8000)
    office.submit("r1", [spec("load", cpu=4000), spec("use", "load"), spec("other", after=("load",))])
    office.hello("small", cpu=1000)  # the best fit for what comes
    finish(office, "big", "r1/load", BLOB)
    assert entry(office, "r1/use").task.inputs == (("r1/load", 64 << 20),)
    assert entry(office, "r1/other").task.inputs == ()  # it comes after it and reads nothing
    assert [grant["task"] for grant in office.grants["big"].values()] == ["r1/use"]
    assert [grant["task"] for grant in office.grants["small"].values()] == ["r1/other"]
    told = office.roles["scheduler"].engine.why("r1/use", office.now)  # type: ignore[attr-defined]
    assert "of its inputs away" in told.text()


def test_a_small_result_lies_nowhere(office: Office) -> None:
    office.hello("a", cpu=8000)
    office.submit("r1", [spec("load"), spec("use", "load")])
    office.finish("a", "r1/load", data=[1, 2])
    assert entry(office, "r1/use").task.inputs == ()


def test_who_reads_as_much_is_reckoned_by_those_that_did(office: Office) -> None:
    office.hello("a", cpu=8000)
    for number in range(4):
        run = f"r{number}"
        office.submit(run, [spec("load"), spec("use", "load")])
        finish(office, "a", f"{run}/load", BLOB)
        if number < 3:
            office.finish("a", f"{run}/use", took=5_000_000 + number)
    world = office.roles["scheduler"].engine.world  # type: ignore[attr-defined]
    assert world.remaining(entry(office, "r3/use")) == 5_000_001
    again = Office(order="fcfs").roles["scheduler"]
    again.restore(office.roles["scheduler"].snapshot())
    assert again.engine.world.remaining(again.engine.world.tasks["r3/use"]) == 5_000_001  # type: ignore[attr-defined]


def test_what_a_call_reads_is_what_its_arguments_name() -> None:
    tree = {"list": [{"output": "a"}, {"dict": {"x": {"output": "b", "path": ["y"]}}}, {"value": "v"}]}
    call = Call(run="r", name="n", args=[tree], kwargs={"k": {"tuple": [{"output": "c"}]}})
    names = read_by(call)
    assert names == {"a", "b", "c"}
    inputs = {
        "a": BLOB,
        "b[3]": {"*": BLOB},
        "c": {"kind": "json", "data": 1, "size": 9},
        "d": BLOB,
        "b[4]": None,
    }
    assert held_inputs("r", inputs, names) == (("r/a", 64 << 20), ("r/b[3]", 64 << 20))
    assert blob_size("d", BLOB, names) == 0


def test_a_result_of_what_an_item_called_counts_by_its_own_node() -> None:
    names = frozenset({"fan[3].load", "fan[3].split"})
    inputs = {"fan[3].load": BLOB, "fan[3].split[2]": BLOB, "fan[4].load": BLOB, "fan[3]": BLOB}
    assert [task for task, _ in held_inputs("r", inputs, names)] == ["r/fan[3].load", "r/fan[3].split[2]"]
