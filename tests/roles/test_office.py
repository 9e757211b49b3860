"""The roles together: what a run, a retry, a lost node and a restart look like, step by step."""

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


def test_a_chain_runs_to_its_end(office: Office) -> None:
    office.hello("a")
    office.submit(
        "r1", [spec("load"), spec("train", "load"), spec("report", "train")], result={"output": "report"}
    )
    office.work()
    view = office.view("r1")
    assert view["state"] == "finished"
    assert view["counts"] == {"finished": 3}


def test_a_result_reaches_the_task_that_waits_for_it(office: Office) -> None:
    office.hello("a")
    office.submit("r1", [spec("load"), spec("train", "load")])
    office.finish("a", "r1/load", data=[1, 2])
    (grant,) = office.grants["a"].values()
    assert grant["task"] == "r1/train"
    assert grant["inputs"]["load"]["data"] == [1, 2]


def test_a_demand_no_node_could_hold_is_refused_with_the_numbers(office: Office) -> None:
    office.hello("a", cpu=2000)
    with pytest.raises(Invalid, match=r"(?s)big.*cpu 16.*a.*cpu 2"):
        office.submit("r1", [spec("big", demand={"cpu": 16000})])


def test_a_condition_on_labels_travels_to_the_engine(office: Office) -> None:
    office.hello("a", labels={"zone": "eu-1"})
    office.hello("b", labels={"zone": "eu-2"})
    office.submit("r1", [spec("load", where="zone == eu-2"), spec("train", "load", where=["zone != eu-2"])])
    assert [list(office.grants[name]) for name in "ab"] == [[], [("r1/load", 1)]]
    office.finish("b", "r1/load")
    assert list(office.grants["a"]) == [("r1/train", 1)]
    with pytest.raises(Invalid, match="wants zone == mars: no node could ever hold it"):
        office.submit("r2", [spec("load", where="zone == mars")])


def test_rules_about_other_tasks_travel_to_the_engine(office: Office) -> None:
    office.hello("a", cpu=8000, labels={"rack": "r1"})
    office.hello("b", cpu=8000, labels={"rack": "r2"})
    servers = [spec(f"s{i}", beside={"group": "s", "apart": ["s within rack"]}) for i in range(2)]
    office.submit("r1", [*servers, spec("cache", beside={"group": "c"}, where="rack == r2")])
    assert [len(office.grants[name]) for name in "ab"] == [1, 2]
    office.submit("r2", [spec("x", beside={"near": ["c of tenant within rack"]})])
    assert ("r2/x", 1) in office.grants["b"]
    with pytest.raises(Invalid, match="has a rule about 'racks', a label that no node has"):
        office.submit("r3", [spec("x", beside={"group": "x", "spread": ["racks"]})])


def test_variants_travel_to_the_engine_and_the_chosen_one_to_the_executor(office: Office) -> None:
    office.hello("a", cpu=4000)
    ways = [{"demand": {"gpu": 1000}, "estimate": 5}, {"demand": {"cpu": 4000}, "estimate": 50}]
    office.submit("r1", [spec("train", variants=ways)])
    (grant,) = office.grants["a"].values()
    assert grant["variant"] == 1
    office.work()
    assert office.view("r1")["state"] == "finished"
    with pytest.raises(Invalid, match="no node could ever hold it"):
        office.submit("r2", [spec("train", variants=[ways[0], {"demand": {"cpu": 9000}}])])


def test_the_same_idempotency_key_gives_the_same_run_and_another_body_a_conflict(office: Office) -> None:
    office.hello("a")
    first = office.submit("r1", [spec("load")], key="k")
    again = office.submit("r2", [spec("load")], key="k")
    assert again["id"] == first["id"] == "r1"
    assert again["repeated"] is True
    with pytest.raises(Conflict, match="another submission"):
        office.submit("r3", [spec("other")], key="k")


def test_a_failure_is_retried_and_the_successor_waits(office: Office) -> None:
    office.hello("a")
    office.submit("r1", [spec("load", retry={"limit": 1, "delay": 0}), spec("train", "load")])
    office.fail("a", "r1/load")
    office.tick(10_000_000)
    assert list(office.grants["a"]) == [("r1/load", 2)]
    office.finish("a", "r1/load", 2)
    office.work()
    assert office.view("r1")["state"] == "finished"


def test_a_failure_without_retries_skips_what_depends_on_it(office: Office) -> None:
    office.hello("a")
    office.submit("r1", [spec("load"), spec("train", "load"), spec("alone")])
    office.fail("a", "r1/load")
    office.work()
    view = office.view("r1")
    assert view["state"] == "failed"
    assert view["counts"] == {"failed": 1, "skipped": 1, "finished": 1}


def test_a_restarted_executor_that_holds_nothing_gets_its_tasks_again(office: Office) -> None:
    office.hello("a")
    office.submit("r1", [spec("load")])
    office.report("a", ["r1/load", 1, "started", office.now, 77])
    office.hello("a", incarnation="2")
    assert ("r1/load", 2) in office.grants["a"]
    office.finish("a", "r1/load", 2)
    assert office.view("r1")["counts"] == {"finished": 1}


def test_a_late_result_of_a_lost_attempt_is_recorded_once(office: Office) -> None:
    office.hello("a")
    office.submit("r1", [spec("load")])
    office.hello("a", incarnation="2")
    office.finish("a", "r1/load", 1)
    office.finish("a", "r1/load", 2)
    assert office.view("r1")["state"] == "finished"
    assert office.roles["planner"].runs.task_view("r1/load")["state"] == "finished"  # type: ignore[attr-defined]


def test_cancel_stops_what_runs_and_drops_what_waits(office: Office) -> None:
    office.hello("a", cpu=1000)
    office.submit("r1", [spec("load"), spec("train", "load")])
    office.report("a", ["r1/load", 1, "started", office.now, 77])
    office.call("planner", "cancel", target="r1", reason="enough", by="test")
    assert office.told["a"][-1]["stops"][0][:2] == ["r1/load", 1]
    office.fail("a", "r1/load", 1, "cancelled")
    view = office.view("r1")
    assert view["state"] == "cancelled"
    assert view["counts"] == {"cancelled": 2}


def test_roles_restored_from_snapshots_go_on_as_before(office: Office) -> None:
    office.hello("a", cpu=1000)
    office.submit("r1", [spec("load"), spec("train", "load"), spec("report", "train")])
    office.finish("a", "r1/load")
    twins = make_roles()
    for name, role in office.roles.items():
        twins[name].restore(json.loads(json.dumps(role.snapshot())))
    office.roles.update(twins)
    office.record.clear()
    office.work()
    assert office.view("r1")["state"] == "finished"
    office.record.clear()  # the replay in `check` starts from nothing, this history does not


def test_a_result_reaches_its_consumer_even_if_the_producer_was_lost_before(office: Office) -> None:
    """A refit was killed with its machine and ran again; its evaluation was offered long before, and needs the second's result."""
    office.hello("a")
    office.submit("r1", [spec("refit"), spec("evaluate", "refit")])
    office.hello("a", incarnation="2")
    office.finish("a", "r1/refit", 2, data="model")
    (grant,) = office.grants["a"].values()
    assert grant["inputs"]["refit"]["data"] == "model"


def test_what_is_kept_of_a_run_goes_with_it(office: Office) -> None:
    office.hello("a")
    office.submit("r1", [spec("load"), spec("train", "load")])
    office.work()
    assert office.roles["scheduler"].books == {}  # type: ignore[attr-defined]


def test_a_result_that_came_before_the_offer_of_its_consumer_is_handed_to_it(office: Office) -> None:
    office.hello("a")
    values = {"n": {"kind": "json", "data": list(range(40)), "size": 100, "items": 40}}
    tasks = [spec("item", args=[{"value": "n"}], mapped=1), spec("gather", "item")]
    graph = {"name": "test", "tasks": tasks}
    office.call("planner", "submit", run="r1", workflow=graph, values=values, bundle="", key=None, by="test")
    office.finish("a", "r1/item[0]", to=("scheduler",), data="early")  # the planner is a step behind
    office.work()  # and offers `gather`, once few of its parents are left, as waiting for item0
    assert office.grants["a"] == {}
    office.report(
        "a",
        ["r1/item[0]", 1, "finished", office.now, [1, {"kind": "json", "data": "early"}]],
        to=("planner",),
    )
    office.work()
    assert office.view("r1")["state"] == "finished"


def test_an_end_that_only_the_scheduler_heard_of_reaches_the_planner(office: Office) -> None:
    office.hello("a")
    office.submit("r1", [spec("load", at_most_once=True), spec("train", "load")])
    office.finish("a", "r1/load", to=("scheduler",), data=7)
    office.hello("a", incarnation="2")  # executor, worker and service died: nobody else knows it any more
    office.work()
    assert office.view("r1")["state"] == "finished"
    assert office.roles["planner"].runs.task_view("r1/load")["attempt"] == 1  # type: ignore[attr-defined]


def test_what_waits_for_an_end_that_only_the_planner_heard_of_goes_on(office: Office) -> None:
    office.hello("a")
    office.submit("r1", [spec("load", at_most_once=True), spec("train", "load")])
    office.finish("a", "r1/load", to=("planner",), data=7)
    office.hello("a", incarnation="2")
    (grant,) = office.grants["a"].values()
    assert grant["task"] == "r1/train"
    assert grant["inputs"]["load"]["data"] == 7
    office.work()
    assert office.view("r1")["counts"] == {"finished": 2}


def test_a_stale_result_is_not_handed_on(office: Office) -> None:
    office.hello("a")
    office.submit("r1", [spec("load"), spec("train", "load")])
    office.hello("a", incarnation="2")
    office.finish("a", "r1/load", 1, to=("scheduler",), data="of the lost attempt")
    office.finish("a", "r1/load", 2, data="of the present one")
    (grant,) = office.grants["a"].values()
    assert grant["inputs"]["load"]["data"] == "of the present one"


def test_the_last_reports_of_an_executor_survive_a_snapshot(office: Office) -> None:
    office.hello("a")
    office.submit("r1", [spec("load")])
    office.finish("a", "r1/load", to=("scheduler",))
    restored = make_roles()["scheduler"]
    restored.restore(json.loads(json.dumps(office.roles["scheduler"].snapshot())))
    office.record.clear()  # a replay from here would need the snapshot
    office.roles["scheduler"] = restored
    office.hello("a", incarnation="2")
    assert office.view("r1")["state"] == "finished"
    office.record.clear()


def test_a_preempted_task_goes_on_from_its_checkpoint_with_less_to_do(office: Office) -> None:
    """Three quarters are kept: asked with its terms, told to the executor, and resumed with a quarter of the time left."""
    office.hello("n1", cpu=1000)
    train = {"name": "train", "function": "m:train", "estimate": 100_000_000, "restart": 2_000_000}
    office.submit("slow", [train])
    office.report("n1", ["slow/train", 1, "started", office.now, 7])
    office.now += 75_000_000
    office.report("n1", ["slow/train", 1, "progress", office.now, 750])
    office.report("n1", ["slow/train", 1, "checkpoint", office.now, 750])
    office.submit("quick", [{"name": "serve", "function": "m:serve", "priority": 5}])
    assert office.told["n1"][-1]["preempts"] == [["slow/train", 1, 30_000_000]]
    office.report("n1", ["slow/train", 1, "preempted", office.now, [75_000_000, None]])
    assert ("quick/serve", 1) in office.grants["n1"]
    engine = office.roles["scheduler"].engine  # type: ignore[attr-defined]
    why = engine.why("slow/train", office.now)
    assert why.facts["preempted"]["by"] == "quick/serve"
    assert why.facts["preempted"]["restart"] == 2_000_000
    entry = engine.world.tasks["slow/train"]
    assert engine.world.remaining(entry) == 25_000_000
    office.finish("n1", "quick/serve")
    assert ("slow/train", 2) in office.grants["n1"]
    assert entry.member.expected == 25_000_000
    office.finish("n1", "slow/train", 2, took=27_000_000)
    assert office.view("slow")["state"] == "finished"


def test_a_preempted_task_is_spared_when_the_other_is_cancelled(office: Office) -> None:
    office.hello("n1", cpu=1000)
    office.submit("slow", [{"name": "train", "function": "m:train"}])
    office.report("n1", ["slow/train", 1, "started", office.now, 7])
    office.now += 5_000_000
    office.submit("quick", [{"name": "serve", "function": "m:serve", "priority": 5}])
    office.call("planner", "cancel", target="quick", reason="enough", by="test")
    assert office.told["n1"][-1]["spares"] == [["slow/train", 1]]


def gang_of(size: int, **fields: Any) -> list[dict[str, Any]]:
    members = {"args": [{"list": [{"output": "load"}] * size}], "mapped": 1, "gang": True}
    return [spec("load"), {**spec("train"), **members, **fields}]


def test_a_gang_is_granted_at_once_and_each_member_knows_where_the_others_are(office: Office) -> None:
    office.hello("a", cpu=2000, labels={"rack": "r1"})
    office.hello("b", cpu=2000, labels={"rack": "r1"})
    office.submit("r1", gang_of(3, within=["rack"]))
    office.finish("a", "r1/load")
    told = {g["task"]: g["gang"] for name in "ab" for g in office.grants[name].values()}
    assert told == {f"r1/train[{i}]": [i, "r1/train:1"] for i in range(3)}
    assert office.told["b"][-1]["gangs"] == {"r1/train:1": ["a", "a", "b"]}
    office.work()
    assert office.view("r1")["state"] == "finished"


def test_however_many_members_fail_it_is_one_failure_of_the_gang(office: Office) -> None:
    office.hello("a", cpu=3000)
    office.submit("r1", gang_of(3, retry={"limit": 1}))
    office.finish("a", "r1/load")
    office.fail("a", "r1/train[0]")
    office.fail("a", "r1/train[1]")
    office.report("a", ["r1/train[2]", 1, "preempted", office.now, [1000, None]])
    assert office.view("r1")["state"] == "running"
    office.tick(5_000_000)
    assert sorted(office.grants["a"]) == [(f"r1/train[{i}]", 2) for i in range(3)]
    office.work()
    assert office.view("r1")["state"] == "finished"


def test_a_gang_is_given_up_as_a_whole(office: Office) -> None:
    office.hello("a", cpu=3000)
    office.submit("r1", gang_of(3))
    office.finish("a", "r1/load")
    office.finish("a", "r1/train[1]")
    office.fail("a", "r1/train[0]")
    office.report("a", ["r1/train[2]", 1, "cancelled", office.now, [1000, None]])
    view = office.view("r1")
    assert (view["state"], view["counts"]) == ("failed", {"finished": 2, "failed": 1, "cancelled": 1})
    office.call("planner", "retry", run="r1", by="test")
    assert sorted(task for task, _ in office.grants["a"]) == ["r1/train[0]", "r1/train[2]"]
    office.work()
    assert office.view("r1")["state"] == "finished"


def test_to_cancel_a_member_is_to_cancel_the_gang(office: Office) -> None:
    office.hello("a", cpu=3000)
    office.submit("r1", gang_of(3))
    office.finish("a", "r1/load")
    office.call("planner", "cancel", target="r1/train[1]", reason="no", by="test")
    assert office.view("r1")["counts"] == {"finished": 1, "cancelled": 3}


def test_a_window_is_set_and_ended(office: Office) -> None:
    office.hello("a", cpu=2000)
    body = {
        "id": "w",
        "kind": "maintenance",
        "nodes": ["a"],
        "start": office.now + 50,
        "end": office.now + 10**9,
    }
    rest = {
        "count": 0,
        "demand": None,
        "tenant": "",
        "run": "",
        "preempt": False,
        "assume": 10**10,
        "reason": "",
        "by": "t",
    }
    with pytest.raises(NotFound, match="no node 'b'"):
        office.call("scheduler", "window", **{**body, **rest, "nodes": ["b"]})
    assert office.call("scheduler", "window", **body, **rest)["nodes"] == ["a"]
    with pytest.raises(Conflict, match="there is a window"):
        office.call("scheduler", "window", **body, **rest)
    office.submit("r1", [spec("load")])
    assert not office.grants["a"]
    assert office.call("scheduler", "unwindow", id="w", by="t")["id"] == "w"
    assert list(office.grants["a"]) == [("r1/load", 1)]
    with pytest.raises(NotFound, match="no window 'w'"):
        office.call("scheduler", "unwindow", id="w", by="t")
