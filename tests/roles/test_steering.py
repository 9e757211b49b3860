"""Paused, resumed and edited under way: what starts, what is said about it, and what survives a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from headway.errors import Conflict, Invalid, NotFound

from .office import Office, make_roles


def spec(name: str, *after: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "function": f"m:{name}", "args": [{"output": parent} for parent in after], **fields}


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.check()


def pause(
    office: Office, target: str, *, stop: bool = False, reason: str = "the data are wrong"
) -> dict[str, Any]:
    return office.call("planner", "pause", target=target, by="ada", reason=reason, stop=stop)


def resume(office: Office, target: str) -> dict[str, Any]:
    return office.call("planner", "resume", target=target, by="ada")


def edit(office: Office, target: str, **changes: int) -> dict[str, Any]:
    return office.call("planner", "edit", target=target, changes=changes, by="ada", reason="")


def granted(office: Office) -> list[str]:
    return [task for task, _ in office.grants["a"]]


def restart(office: Office) -> None:
    """Every role goes on from its snapshot, as after a restart."""
    for name, role in make_roles().items():
        role.restore(json.loads(json.dumps(office.roles[name].snapshot())))
        office.roles[name] = role


def why(office: Office, task: str) -> str:
    text: str = office.roles["scheduler"].engine.why(task, office.now).text()  # type: ignore[attr-defined]
    return text


def test_what_runs_in_a_paused_run_ends_and_nothing_new_starts(office: Office) -> None:
    office.hello("a", cpu=1000)
    office.submit("r1", [spec("load"), spec("train", "load")])
    office.submit("r2", [spec("other")])
    office.report("a", ["r1/load", 1, "started", office.now, 1])
    view = pause(office, "r1")
    assert view["paused"] == {"target": "r1", "by": "ada", "reason": "the data are wrong", "at": office.now}
    assert granted(office) == ["r1/load"]
    office.finish("a", "r1/load")
    assert granted(office) == ["r2/other"], "the pause of one run is nobody else's"
    office.work()
    assert office.view("r1")["counts"] == {"queued": 1, "finished": 1}
    assert "paused by ada: the data are wrong" in why(office, "r1/train")
    assert resume(office, "r1")["paused"] is None
    office.work()
    assert office.view("r1")["state"] == "finished"


def test_a_pause_survives_a_restart_of_every_role(office: Office) -> None:
    office.hello("a")
    office.submit("r1", [spec("load"), spec("train", "load")])
    pause(office, "r1")
    restart(office)
    office.work()
    assert office.view("r1")["paused"]["by"] == "ada"
    assert office.view("r1")["counts"] == {"queued": 1, "finished": 1}
    office.tick(400 * 86_400 * 1_000_000)
    assert granted(office) == [], "it ends when a person says so, not by itself"
    resume(office, "r1")
    office.work()
    assert office.view("r1")["state"] == "finished"


def test_pausing_twice_is_pausing_once_and_so_is_resuming(office: Office) -> None:
    office.hello("a")
    office.submit("r1", [spec("load"), spec("train", "load")])
    first = pause(office, "r1")
    assert pause(office, "r1", reason="another") == first
    assert resume(office, "r1") == resume(office, "r1")
    office.work()
    assert office.view("r1")["state"] == "finished"


def test_one_task_is_paused_and_the_rest_of_its_run_goes_on(office: Office) -> None:
    office.hello("a", cpu=1000)
    office.submit("r1", [spec("load"), spec("left", "load"), spec("right", "load")])
    view = pause(office, "r1/left")
    assert view["paused"]["target"] == "r1/left"
    office.work()
    assert office.view("r1")["counts"] == {"queued": 1, "finished": 2}
    resume(office, "r1/left")
    office.work()
    assert office.view("r1")["state"] == "finished"


def test_the_name_of_a_map_pauses_all_its_items(office: Office) -> None:
    office.hello("a", cpu=1000)
    fit = {**spec("fit"), "mapped": 1, "args": [{"list": [{"output": "load"}, {"output": "load"}]}]}
    office.submit("r1", [spec("load"), fit])
    assert pause(office, "r1/fit")["target"] == "r1/fit"
    with pytest.raises(Conflict, match="r1/fit\\[0\\] is paused with r1/fit"):
        resume(office, "r1/fit[0]")
    office.work()
    assert office.view("r1")["counts"] == {"queued": 2, "finished": 1}
    resume(office, "r1/fit")
    office.work()
    assert office.view("r1")["state"] == "finished"


def test_with_stop_what_runs_is_asked_to_checkpoint_unless_it_may_not_run_twice(office: Office) -> None:
    office.hello("a", cpu=2000)
    office.submit("r1", [spec("load"), spec("pay", at_most_once=True)])
    for task in ("load", "pay"):
        office.report("a", [f"r1/{task}", 1, "started", office.now, 1])
    pause(office, "r1")
    assert not any(body.get("preempts") for body in office.told["a"])
    pause(office, "r1", stop=True)
    asked = [row[0] for body in office.told["a"] for row in body.get("preempts", ())]
    assert asked == ["r1/load"]
    office.report("a", ["r1/load", 1, "preempted", office.now, [1000, None]])
    assert granted(office) == ["r1/pay"]
    assert "it was asked to end on a" in why(office, "r1/load")
    assert "as ada paused r1: the data are wrong" in why(office, "r1/load")
    resume(office, "r1")
    assert ("r1/load", 2) in office.grants["a"]
    office.work()
    assert office.view("r1")["state"] == "finished"


def test_what_starts_after_all_because_its_call_back_came_too_late_is_stopped_too(office: Office) -> None:
    office.hello("a", cpu=1000)
    office.submit("r1", [spec("load"), spec("train")])
    assert granted(office)[:1] == ["r1/load"]
    pause(office, "r1", stop=True)
    office.report("a", ["r1/load", 1, "started", office.now, 1])
    assert [row[0] for body in office.told["a"] for row in body.get("preempts", ())] == ["r1/load"]
    office.report("a", ["r1/load", 1, "preempted", office.now, [1000, None]])
    resume(office, "r1")
    office.work()
    assert office.view("r1")["state"] == "finished"


def test_what_has_ended_or_never_was_is_refused_and_the_end_of_a_run_ends_its_pause(office: Office) -> None:
    office.hello("a")
    office.submit("r1", [spec("load"), spec("train", "load")])
    with pytest.raises(NotFound):
        pause(office, "r9")
    with pytest.raises(NotFound):
        pause(office, "r1/nobody")
    pause(office, "r1")
    with pytest.raises(Conflict, match="r1/train is paused with r1"):
        resume(office, "r1/train")
    with pytest.raises(Conflict, match="r1 is paused"):
        office.call("scheduler", "revert", id="pause:r1", by="ada")
    office.call("planner", "cancel", target="r1", reason="", by="ada")
    assert office.view("r1")["paused"] is None
    with pytest.raises(Conflict, match="r1 has ended"):
        pause(office, "r1")
    assert not office.roles["scheduler"].engine.world.overrides.active  # type: ignore[attr-defined]


def test_a_priority_edited_while_queued_reorders_the_queue_and_survives_a_restart(office: Office) -> None:
    office.hello("a", cpu=1000)
    office.submit("r1", [spec("first")])
    office.submit("r2", [spec("second")])
    office.submit("r3", [spec("third"), spec("fourth", "third")])
    assert edit(office, "r3", priority=7)["id"] == "r3"
    restart(office)
    office.finish("a", "r1/first")
    assert granted(office) == ["r3/third"]
    office.finish("a", "r3/third")
    assert granted(office) == ["r3/fourth"], "tasks that come later are edited too"
    view = office.roles["planner"].runs.task_view("r3/fourth")  # type: ignore[attr-defined]
    assert (view["priority"], view["weight"], view["deadline"]) == (7, 1000, None)
    office.work()


def test_an_edit_of_a_task_goes_before_that_of_its_run_field_by_field(office: Office) -> None:
    office.hello("a", cpu=1000)
    office.submit("r1", [spec("first")])
    office.submit("r2", [spec("second"), spec("third")])
    edit(office, "r2/third", priority=9, deadline=5_000_000)
    edit(office, "r2", priority=2, weight=3000)
    task = office.roles["scheduler"].engine.world.tasks["r2/third"].task  # type: ignore[attr-defined]
    assert (task.priority, task.weight, task.deadline) == (9, 3000, 5_000_000)
    office.finish("a", "r1/first")
    assert granted(office) == ["r2/third"]
    with pytest.raises(Invalid, match="nothing to change"):
        edit(office, "r2")
    office.work()
    with pytest.raises(Conflict, match="has ended"):
        edit(office, "r2/third", priority=1)


def test_two_versions_of_a_workflow_run_beside_each_other_each_with_its_bundle(office: Office) -> None:
    office.hello("a", cpu=2000)
    for run, bundle in (("r1", "a" * 64), ("r2", "b" * 64)):
        graph = {"name": "train", "tasks": [spec("load")]}
        office.call(
            "planner", "submit", run=run, workflow=graph, values={}, bundle=bundle, key=None, by="ada"
        )
    sent = {key: call["bundle"] for body in office.told["a"] for key, call in body.get("calls", {}).items()}
    assert sent == {"r1/load": "a" * 64, "r2/load": "b" * 64}
    assert [office.view(run)["bundle"][:1] for run in ("r1", "r2")] == ["a", "b"]
    office.work()
