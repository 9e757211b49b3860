"""The planner's core, rule by rule: what is offered when, and what follows from each report."""

from __future__ import annotations

from typing import Any

import pytest

from headway.core.runs import Plan, Runs, refuse_impossible
from headway.core.runs.states import STATES, TABLE, ImpossibleMove
from headway.domain.resources import Demand, Node
from headway.domain.results import Ref
from headway.domain.units import SECOND
from headway.domain.workflow import Arg, DictOf, ListOf, Output, Retry, TaskSpec, Value, Workflow
from headway.errors import Conflict, Invalid, NotFound
from tests.core.runs_office import ONE, listing, spec


class Table:
    """One run "r", moved by hand; every call checks the invariants."""

    def __init__(self, *tasks: TaskSpec, result: Arg | None = None, **values: Ref) -> None:
        self.runs = Runs()
        self.runs.submit("r", Workflow("w", tasks, result), values, "b", 10)

    def plan(self) -> Plan:
        self.runs.check()
        return self.runs.drain()

    def offered(self) -> list[str]:
        return [offer.task.id.removeprefix("r/") for offer in self.plan().offers]

    def report(self, name: str, what: str = "finished", value: Any = None, attempt: int = 1) -> bool:
        usual = [5, ONE] if what == "finished" else [5, {"type": "E", "message": f"{name} {what}"}]
        fresh = self.runs.report(f"r/{name}", attempt, what, 20, usual if value is None else value, 30)
        self.runs.check()
        return fresh

    def states(self) -> dict[str, str]:
        return {task["name"]: task["state"] for task in self.runs.tasks_view("r", limit=10_000)}

    def view(self) -> dict[str, Any]:
        return self.runs.run_view("r")


# ── order ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_chain_is_looked_ahead_and_each_offer_names_what_it_waits_for() -> None:
    table = Table(*(spec(f"t{n}", *([Output(f"t{n - 1}")] if n else [])) for n in range(40)))
    offers = table.plan().offers
    assert [offer.task.id for offer in offers] == [f"r/t{n}" for n in range(17)]
    assert [offer.task.after for offer in offers[:3]] == [(), ("r/t0",), ("r/t1",)]
    seen = 17
    for number in range(40):
        table.report(f"t{number}")
        seen += len(table.offered())
        assert seen == 40 or seen - number > 8, "the look-ahead ran dry"
    assert table.view()["state"] == "finished"


def test_a_task_with_many_parents_is_offered_when_few_are_left() -> None:
    parents = [spec(f"p{n}") for n in range(20)]
    table = Table(*parents, spec("sum", ListOf(tuple(Output(p.name) for p in parents))))
    assert "sum" not in table.offered()
    for number in range(15):
        table.report(f"p{number}")
        assert table.offered() == []
    table.report("p15")
    assert [offer.task.after for offer in table.plan().offers] == [tuple(f"r/p{n}" for n in range(16, 20))]


def test_a_gather_over_many_items_is_offered_when_it_is_ready() -> None:
    table = Table(spec("p", Value("v"), mapped=1), spec("sum", Output("p")), v=listing(20))
    assert "sum" not in table.offered()
    for number in range(19):
        table.report(f"p[{number}]")
        assert table.offered() == []
    table.report("p[19]")
    (offer,) = table.plan().offers
    assert (offer.task.id, offer.task.after, list(offer.inputs)) == (
        "r/sum",
        (),
        [f"p[{n}]" for n in range(20)],
    )


def test_a_map_over_a_result_grows_when_the_length_is_known_and_items_flow_on_alone() -> None:
    table = Table(
        spec("split"),
        spec("f", Output("split"), mapped=1),
        spec("g", Output("f"), mapped=1),
        spec("sum", Output("g")),
        result=Output("g"),
    )
    assert table.offered() == ["split"]
    table.report("split", value=[1, listing(3)])
    offers = {offer.task.id: offer for offer in table.plan().offers}
    assert list(offers) == ["r/f[0]", "r/f[1]", "r/f[2]", "r/g[0]", "r/g[1]", "r/g[2]", "r/sum"]
    assert offers["r/f[1]"].inputs == {"split": listing(3)}
    assert (offers["r/f[1]"].item, offers["r/f[1]"].call) == (1, "r/f")
    assert offers["r/g[2]"].task.after == ("r/f[2]",)
    table.report("f[2]")
    table.report("g[2]")
    assert table.states()["g[0]"] == "waiting"
    for name in ("f[0]", "g[0]", "f[1]", "g[1]", "sum"):
        table.report(name)
    assert table.view()["counts"] == {"finished": 8}
    assert table.view()["result"] == {"list": [{"ref": {"data": 1, "size": 1, "text": "1"}}] * 3}


def test_a_map_over_nothing_is_finished_with_an_empty_list() -> None:
    table = Table(
        spec("f", Value("v"), mapped=1),
        spec("g", Output("f"), mapped=1),
        spec("sum", Output("g")),
        result=Output("g"),
        v=listing(0),
    )
    (offer,) = table.plan().offers
    assert (offer.task.id, offer.inputs["g"].data) == ("r/sum", [])
    table.report("sum")
    assert table.view()["state"] == "finished"
    assert table.view()["result"]["ref"]["data"] == []


def test_a_result_that_is_no_list_fails_the_map_and_says_so() -> None:
    table = Table(spec("a"), spec("f", Output("a"), mapped=1), spec("sum", Output("f")))
    table.report("a", value=[1, Ref("json", 7, 1, None, "7")])
    assert table.states() == {"a": "finished", "f": "failed", "sum": "skipped"}
    assert table.view()["error"]["message"] == "it is mapped over the result of 'a', which is not a list: 7"
    assert table.view()["error"]["task"] == "r/f"


def test_lists_of_different_length_are_refused_at_submit_or_fail_the_map() -> None:
    with pytest.raises(Invalid, match=r"'f'.*argument 1 has 2 items, argument 2 has 3 items"):
        Table(spec("f", Value("a"), Value("b"), mapped=2), a=listing(2), b=listing(3))
    table = Table(spec("x"), spec("f", Output("x"), Value("b"), mapped=2), b=listing(3))
    table.report("x", value=[1, listing(2)])
    assert table.states()["f"] == "failed"


def test_an_item_of_a_literal_list_waits_only_for_the_results_in_it() -> None:
    parts = ListOf((Output("a"), Output("b"), Value("v")))
    table = Table(spec("a"), spec("b"), spec("f", parts, mapped=1), v=ONE)
    offers = {offer.task.id: offer.task.after for offer in table.plan().offers}
    assert offers == {"r/a": (), "r/b": (), "r/f[0]": ("r/a",), "r/f[1]": ("r/b",), "r/f[2]": ()}
    table.report("a", "failed")
    assert table.states() == {
        "a": "failed",
        "b": "queued",
        "f[0]": "skipped",
        "f[1]": "waiting",
        "f[2]": "queued",
    }


def test_items_that_grow_after_their_own_parent_died_are_skipped_alone() -> None:
    """`g` is zipped with a result that comes late; by then one item of the map it follows has failed."""
    table = Table(
        spec("f", Value("v"), mapped=1),
        spec("late"),
        spec("g", Output("f"), Output("late"), mapped=2),
        v=listing(2),
    )
    table.report("f[1]", "failed")
    table.report("late", value=[1, listing(2)])
    assert table.states() == {
        "f[0]": "queued", "f[1]": "failed", "late": "finished", "g[0]": "waiting", "g[1]": "skipped",
    }  # fmt: skip


def test_reports_of_two_executors_may_cross() -> None:
    """The successor's end is heard before its parent's, as they ran on different nodes."""
    table = Table(spec("a"), spec("b", Output("a")), spec("c", Output("b")))
    table.plan()
    table.report("b", "started")
    assert table.states()["b"] == "running"
    table.report("b")
    table.report("c", "started")
    table.report("a")
    assert table.states() == {"a": "finished", "b": "finished", "c": "running"}
    table.report("c")
    assert table.plan().ended == ["r"]


# ── failures ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failure_is_tried_again_later_and_later_with_half_of_it_by_chance() -> None:
    table = Table(spec("a", retries=8))
    table.plan()
    for attempt in range(1, 9):
        table.report("a", "failed", attempt=attempt)
        (offer,) = table.plan().offers
        whole = min(60 * SECOND, SECOND << (attempt - 1))
        assert whole // 2 <= offer.not_before - 30 <= whole
    table.report("a", "failed", attempt=9)
    plan = table.plan()
    assert (plan.offers, plan.withdraw, plan.ended) == ([], [], ["r"])
    assert table.view()["error"] == {"task": "r/a", "type": "E", "message": "a failed"}


def test_the_jitter_of_siblings_differs_and_is_the_same_in_a_replay() -> None:
    def waits() -> list[int]:
        table = Table(spec("f", Value("v"), mapped=1, retries=1), v=listing(5))
        table.plan()
        for item in range(5):
            table.report(f"f[{item}]", "failed")
        return [offer.not_before for offer in table.plan().offers]

    assert len(set(waits())) == 5
    assert waits() == waits()


def test_siblings_of_a_failed_item_go_on_and_only_its_heirs_are_skipped() -> None:
    table = Table(
        spec("f", Value("v"), mapped=1),
        spec("g", Output("f"), mapped=1),
        spec("sum", Output("g")),
        v=listing(3),
    )
    table.plan()
    table.report("f[1]", "failed")
    assert table.plan().withdraw == [("r/g[1]", "f[1] failed"), ("r/sum", "f[1] failed")]
    for name in ("f[0]", "f[2]", "g[0]", "g[2]"):
        table.report(name)
    assert table.plan().ended == ["r"]
    assert table.view()["counts"] == {"finished": 4, "failed": 1, "skipped": 2}
    error = table.runs.task_view("r/sum")["error"]
    assert error == {"type": "Skipped", "message": "it needs r/f[1], which is failed"}


def test_a_dead_worker_gets_two_more_attempts_whatever_the_task_says() -> None:
    table = Table(spec("a"))
    table.plan()
    for attempt in (1, 2):
        table.report("a", "worker_died", attempt=attempt)
        assert table.offered() == ["a"]
    table.report("a", "worker_died", [5, {"type": "Killed", "message": "SIGSEGV"}], attempt=3)
    assert table.states() == {"a": "failed"}
    assert [a["outcome"] for a in table.runs.task_view("r/a")["attempts"]] == ["worker_died"] * 3


def test_a_lost_node_does_not_count_but_is_bounded() -> None:
    table = Table(spec("a"))
    table.plan()
    for attempt in range(1, 21):
        assert table.runs.lost("r/a", attempt, True, 30)
        (offer,) = table.plan().offers
        assert offer.not_before == 0
    table.runs.lost("r/a", 21, True, 30)
    assert table.states() == {"a": "failed"}
    assert "lost 21 times" in table.view()["error"]["message"]


def test_a_preempted_task_waits_again_and_is_not_offered_as_the_scheduler_has_it() -> None:
    table = Table(spec("a"))
    table.plan()
    table.report("a", "started")
    table.report("a", "preempted")
    assert table.states() == {"a": "queued"}
    assert table.offered() == []
    assert table.report("a", attempt=2)


@pytest.mark.parametrize("what", ["worker_died", "preempted"])
def test_at_most_once_ends_unknown_and_its_heirs_are_skipped(what: str) -> None:
    table = Table(spec("a", at_most_once=True), spec("b", Output("a")))
    table.plan()
    table.report("a", "started")
    table.report("a", what)
    assert table.states() == {"a": "unknown", "b": "skipped"}
    plan = table.plan()
    assert plan.offers == []
    assert ("r/a" in dict(plan.withdraw)) == (what == "preempted"), (
        "the scheduler queues a preempted task by itself"
    )
    with pytest.raises(Conflict, match="nothing to run again"):
        table.runs.retry("r", 40)


def test_at_most_once_that_certainly_never_started_is_offered_again() -> None:
    table = Table(spec("a", at_most_once=True))
    table.plan()
    table.runs.lost("r/a", 1, False, 30)
    assert table.offered() == ["a"]
    table.report("a", "started", attempt=2)
    table.runs.lost("r/a", 2, False, 30)  # the scheduler had not heard of the start; we have
    assert table.states() == {"a": "unknown"}


def test_stale_and_repeated_reports_change_nothing_and_are_counted() -> None:
    table = Table(spec("a", retries=1))
    table.plan()
    table.report("a", "failed", attempt=1)
    before = table.runs.snapshot()
    stale = [("a", "failed", 1), ("a", "finished", 1), ("nobody", "finished", 1), ("a[0]", "finished", 1)]
    assert [table.report(name, what, attempt=attempt) for name, what, attempt in stale] == [False] * 4
    assert table.runs.duplicates == 4
    assert table.runs.snapshot() == {**before, "duplicates": 4}
    assert table.report("a", attempt=2)
    assert not table.report("a", attempt=2)
    assert not table.runs.lost("r/a", 2, True, 30)


# ── cancel and retry ────────────────────────────────────────────────────────────────────────────────────────


def test_cancelling_a_run_withdraws_what_was_offered_and_ends_it() -> None:
    table = Table(spec("a"), spec("b", Output("a")), spec("c"))
    table.plan()
    table.report("c")
    table.runs.cancel("r", "enough", 40)
    plan = table.plan()
    assert sorted(plan.withdraw) == [("r/a", "enough"), ("r/b", "enough")]
    assert plan.ended == ["r"]
    assert table.view()["counts"] == {"finished": 1, "cancelled": 2}
    assert (table.view()["state"], table.view()["error"]["message"]) == ("cancelled", "enough")
    table.runs.cancel("r", "again", 41)  # saying it twice is no error
    assert table.report("a", "cancelled"), "the executor's answer is no stale report"
    assert table.runs.duplicates == 0


def test_cancelling_an_item_or_a_map_skips_what_needs_it() -> None:
    table = Table(spec("f", Value("v"), mapped=1), spec("g", Output("f"), mapped=1), v=listing(2))
    table.runs.cancel("r/f[0]", "this one", 40)
    assert table.states() == {"f[0]": "cancelled", "f[1]": "queued", "g[0]": "skipped", "g[1]": "waiting"}
    table.runs.cancel("r/f", "all", 40)
    assert table.view()["state"] == "cancelled"
    with pytest.raises(NotFound, match=r"no task 'h'"):
        table.runs.cancel("r/h", "", 41)
    with pytest.raises(NotFound, match="no run 'q'"):
        table.runs.cancel("q", "", 41)


def test_cancelling_what_has_finished_is_a_conflict() -> None:
    table = Table(spec("a"))
    table.report("a")
    for target in ("r", "r/a"):
        with pytest.raises(Conflict, match="has ended: it is finished"):
            table.runs.cancel(target, "", 40)


def test_a_retry_repeats_what_failed_and_what_follows_with_numbers_that_may_begin_anew() -> None:
    table = Table(spec("a"), spec("b", Output("a")), spec("c"))
    table.plan()
    table.report("c")
    table.report("a", "failed")
    assert table.plan().ended == ["r"]
    with pytest.raises(Conflict, match="is still running"):
        Table(spec("a")).runs.retry("r", 40)
    assert table.runs.retry("r", 40) == 2
    assert table.offered() == ["a", "b"]
    assert table.report("a", attempt=1)
    assert table.report("b", attempt=1)
    assert table.plan().ended == ["r"]
    assert (table.view()["state"], table.view()["error"]) == ("finished", None)


def test_an_attempt_that_finishes_although_it_was_cancelled_and_retried_takes_the_new_offer_back() -> None:
    table = Table(spec("a"))
    table.plan()
    table.report("a", "started")
    table.runs.cancel("r", "oh", 40)
    table.plan()
    table.runs.retry("r", 41)
    assert table.offered() == ["a"]
    assert table.report("a")  # the first attempt was quicker than the wish to stop it
    assert dict(table.plan().withdraw).keys() == {"r/a"}


def test_a_cancel_and_a_retry_in_one_step_leave_the_offer_as_it_was() -> None:
    table = Table(spec("a"))
    table.plan()
    table.runs.cancel("r", "oh", 40)
    table.runs.retry("r", 40)
    plan = table.plan()
    assert (plan.withdraw, plan.ended, len(plan.offers)) == ([], [], 1)


# ── submit, views, keeping ──────────────────────────────────────────────────────────────────────────────────


def test_submit_refuses_what_cannot_run_and_ids_that_are_taken() -> None:
    table = Table(spec("a"))
    with pytest.raises(Conflict, match="run r already"):
        table.runs.submit("r", Workflow("w", ()), {}, "b", 1)
    with pytest.raises(Invalid, match="id of a run"):
        table.runs.submit("a/b", Workflow("w", ()), {}, "b", 1)
    with pytest.raises(Invalid, match="'v', which was not sent"):
        table.runs.submit("q", Workflow("w", (spec("a", Value("v")),)), {}, "b", 1)
    assert table.runs.ids() == ["r"]


def test_an_empty_workflow_is_finished_at_once_and_returns_its_literals() -> None:
    table = Table(result=DictOf((("x", Value("v")),)), v=ONE)
    assert table.plan().ended == ["r"]
    assert table.view()["result"] == {"dict": {"x": {"ref": {"data": 1, "size": 1, "text": "1"}}}}


def test_the_result_tree_selects_an_item_of_a_map_and_leaves_the_rest_of_the_path_to_the_reader() -> None:
    result = ListOf((Output("f", (1, "loss")), Output("f", (-1,)), Output("a", ("x",))), as_tuple=True)
    table = Table(spec("a"), spec("f", Value("v"), mapped=1), result=result, v=listing(2))
    two = Ref("json", 2, 1)
    table.report("a")
    table.report("f[0]")
    table.report("f[1]", value=[1, two])
    leaf = {"ref": {"data": 2, "size": 1}}
    first, second, third = table.view()["result"]["tuple"]
    assert (first, second) == ({**leaf, "path": ["loss"]}, leaf)
    assert third["path"] == ["x"]


def test_labels_that_no_node_large_enough_has_are_refused_by_condition() -> None:
    nodes = [Node("n1", 4000, labels=(("zone", "a"),)), Node("n2", 8000, labels=(("zone", "b"),))]
    refuse_impossible(Workflow("w", (spec("x", where=("zone == a",)),)), nodes)
    with pytest.raises(Invalid) as caught:
        refuse_impossible(Workflow("w", (spec("x", demand=Demand(8000), where=("zone == a",)),)), nodes)
    assert caught.value.message == "task 'x' wants zone == a: no node could ever hold it"
    assert "of 1 nodes large enough 1 by zone == a are out" in str(caught.value.hint)


def test_a_demand_that_no_node_holds_is_refused_with_what_the_largest_has() -> None:
    small, large = Node("n1", 4000, 2**30), Node("n2", 8000, 2**34)
    fits = Workflow("w", (spec("a"), spec("b", demand=Demand(8000))))
    refuse_impossible(fits, [small, large])
    refuse_impossible(fits, [])
    with pytest.raises(Invalid) as caught:
        refuse_impossible(Workflow("w", (spec("big", demand=Demand(9000, 2**20)),)), [small, large])
    assert caught.value.fields == {
        "task": "big",
        "resource": "cpu",
        "asked": 9000,
        "largest": 8000,
        "node": "n2",
    }
    assert "task 'big' asks for cpu 9, memory 1 MiB" in str(caught.value)
    assert "n2 (cpu 8, memory 16 GiB), has 8 of cpu, not 9" in str(caught.value)


def test_views_page_filter_and_name_what_they_do_not_know() -> None:
    table = Table(spec("f", Value("v"), mapped=1), v=listing(5))
    table.report("f[3]", "started", 4711)
    table.report("f[3]", "progress", 250)
    assert [task["name"] for task in table.runs.tasks_view("r", "queued", 2, 1)] == ["f[1]", "f[2]"]
    assert [(t["name"], t["progress"]) for t in table.runs.tasks_view("r", "running")] == [("f[3]", 250)]
    with pytest.raises(Invalid, match="no task is ever 'runing'"):
        table.runs.tasks_view("r", "runing")
    with pytest.raises(NotFound, match=r"no task 'f\[5\]'"):
        table.runs.task_view("r/f[5]")
    assert [run["id"] for run in table.runs.runs_view("running")] == ["r"]
    assert table.runs.runs_view(after="r") == []


def test_changes_tell_what_moved_and_the_run_once() -> None:
    table = Table(spec("a"), spec("b"))
    table.plan()
    assert [change["type"] for change in table.runs.changes()] == ["run"]
    table.report("a", "started")
    table.report("b")
    table.plan()
    found = [(change["type"], change["id"], change["state"]) for change in table.runs.changes()]
    assert found == [("task", "r/a", "running"), ("task", "r/b", "finished"), ("run", "r", "running")]
    assert table.runs.changes() == []


def test_an_archived_run_comes_back_with_its_tasks_and_can_be_retried() -> None:
    table = Table(spec("a"), spec("b", Output("a"), retries=1))
    table.plan()
    with pytest.raises(Conflict, match="cannot be forgotten"):
        table.runs.forget("r")
    table.report("a")
    for attempt in (1, 2):
        table.report("b", "failed", attempt=attempt)
    table.plan()
    archived = table.runs.archive("r")
    before = table.runs.task_view("r/b")
    table.runs.forget("r")
    assert not table.runs.has("r")
    assert table.runs.adopt(archived) == "r"
    assert table.runs.task_view("r/b") == before
    assert archived["state"] == "failed"
    table.runs.retry("r", 50)
    (offer,) = table.plan().offers
    assert (offer.task.id, offer.inputs) == ("r/b", {"a": ONE})


def test_every_state_but_the_first_is_reached_and_no_terminal_one_moves_but_by_a_retry() -> None:
    reached = {after for after in TABLE.values() if after < len(STATES)}
    assert reached == set(range(len(STATES)))
    terminal = [STATES.index(name) for name in ("finished", "failed", "cancelled", "skipped", "unknown")]
    assert {what for state, what in TABLE if state in terminal} == {"rerun"}
    with pytest.raises(ImpossibleMove, match="task r/a is finished: it cannot start"):
        raise ImpossibleMove(STATES.index("finished"), "start", "r/a")


def test_retries_are_bounded_by_the_ceiling_even_when_the_doubling_overflows() -> None:
    table = Table(TaskSpec("a", "m:a", retry=Retry(60, SECOND, 2 * SECOND)))
    table.plan()
    for attempt in range(1, 61):
        table.report("a", "failed", attempt=attempt)
        (offer,) = table.plan().offers
        assert offer.not_before <= 30 + 2 * SECOND
    assert len(table.runs.task_view("r/a")["attempts"]) == 50
