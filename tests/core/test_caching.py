"""Results of earlier runs: when they are taken, when not, and that all of it survives a restart."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from headway.core.runs import Runs, caching
from headway.core.runs.caching import Kept
from headway.domain.codec import workflow_from_json, workflow_to_json
from headway.domain.results import Ref
from headway.domain.rules import RULES
from headway.domain.workflow import Cache, DictOf, Environment, ListOf, Output, TaskSpec, Value, Workflow
from headway.errors import Invalid
from tests.core.runs_office import ONE, Office, listing, random_workflow


def text(word: str) -> Ref:
    return Ref("json", word, len(word) + 2, None, repr(word))


def cached(name: str, *args: Any, code: str = "c", **fields: Any) -> TaskSpec:
    return TaskSpec(name, f"m:{name}", args=args, cache=Cache(code, **fields))


class Book:
    """Runs one after another; every task finishes with what its name says."""

    def __init__(self) -> None:
        self.runs, self.now, self.count = Runs(), 1000, 0

    def run(self, *tasks: TaskSpec, gives: dict[str, Ref] | None = None, **values: Ref) -> list[str]:
        """Names of the tasks that ran."""
        self.count += 1
        run, ran = f"r{self.count}", []
        self.runs.submit(run, Workflow("w", tasks), values, "b", self.now)
        self.runs.check()
        while offers := self.runs.drain().offers:
            for offer in offers:
                name = offer.task.id.partition("/")[2]
                ran.append(name)
                self.now += 10
                result = (gives or {}).get(name, text(name))
                self.runs.report(offer.task.id, 1, "finished", self.now, [5, result], self.now)
                self.runs.check()
        assert self.runs.run_view(run)["state"] == "finished"
        return ran

    def restart(self) -> None:
        self.runs = Runs.restore(json.loads(json.dumps(self.runs.snapshot())))


def test_the_same_again_does_not_run_and_says_whose_result_it_is() -> None:
    book = Book()
    tasks = (cached("a", Value("v")), cached("b", Output("a")), TaskSpec("c", "m:c", args=(Output("b"),)))
    assert book.run(*tasks, v=ONE) == ["a", "b", "c"]
    book.restart()
    assert book.run(*tasks, v=ONE) == ["c"]
    view = book.runs.task_view("r2/b")
    assert (view["state"], view["cached"], view["result"]["data"]) == ("cached", "r1/b", "b")
    assert view["notes"][0].startswith("its result is that of r1/b, made ")
    assert book.runs.run_view("r2")["counts"] == {"cached": 2, "finished": 1}
    assert [task["id"] for task in book.runs.tasks_view("r2", "cached")] == ["r2/a", "r2/b"]
    assert [task["id"] for task in book.runs.tasks_view("r2", "finished")] == ["r2/c"]


@pytest.mark.parametrize(
    "other",
    [
        cached("a", Value("v"), code="other"),
        cached("a", Value("v"), version="2"),
        cached("a", Value("w")),
        cached("a", Value("v"), Value("v")),
        cached("a", ListOf((Value("v"),))),
        cached("a", ListOf((Value("v"),), as_tuple=True)),
        cached("a", DictOf((("v", Value("v")),))),
        cached("b", Value("v")),
        replace(cached("a"), kwargs=(("v", Value("v")),)),
        TaskSpec("a", shell="echo", cache=Cache("c")),
        replace(cached("a", Value("v")), environment=Environment(cwd="/data")),
    ],
)
def test_whatever_differs_runs(other: TaskSpec) -> None:
    book = Book()
    assert book.run(cached("a", Value("v")), v=ONE, w=text("w")) == ["a"]
    assert book.run(other, v=ONE, w=text("w")) == [other.name]
    assert book.run(cached("a", Value("v")), v=ONE) == []


def test_numbers_that_are_equal_in_python_are_not_the_same_argument() -> None:
    book = Book()
    for data in (1, 1.0, True, "1", [1], None):
        assert book.run(cached("a", Value("v")), v=Ref("json", data, 1)) == ["a"], data


def test_another_result_before_it_is_another_argument() -> None:
    book = Book()
    tasks = (TaskSpec("a", "m:a"), cached("b", Output("a")), cached("part", Output("a", ("x",))))
    assert book.run(*tasks) == ["a", "b", "part"]
    assert book.run(*tasks) == ["a"]
    assert book.run(*tasks, gives={"a": text("new")}) == ["a", "b", "part"]


def test_a_list_that_grew_runs_its_new_items_only() -> None:
    book = Book()
    mapped = replace(cached("m", Value("v")), mapped=1)
    assert book.run(mapped, v=listing(2)) == ["m[0]", "m[1]"]
    assert book.run(mapped, v=listing(4)) == ["m[2]", "m[3]"]
    large = Ref("blob", "a" * 64, 10_000, 2, "a list")
    assert book.run(mapped, v=large) == ["m[0]", "m[1]"]
    assert book.run(mapped, v=large) == []
    assert book.run(mapped, v=replace(large, data="b" * 64)) == ["m[0]", "m[1]"]


def test_a_result_that_is_too_old_is_made_anew_and_then_kept() -> None:
    book = Book()
    task = cached("a", life=100)
    assert book.run(task) == ["a"]
    book.now += 100
    assert book.run(task) == []
    book.now += 1
    assert book.run(task) == ["a"]
    assert book.run(task) == []
    assert book.runs.task_view("r4/a")["cached"] == "r3/a"


def test_a_fresh_one_looks_nothing_up_and_is_kept() -> None:
    book = Book()
    assert book.run(cached("a")) == ["a"]
    assert book.run(cached("a", fresh=True)) == ["a"]
    assert book.run(cached("a")) == []
    assert book.runs.task_view("r3/a")["cached"] == "r2/a"


def test_of_two_at_once_the_first_that_ends_is_kept() -> None:
    runs = Runs()
    for run in ("r1", "r2"):
        runs.submit(run, Workflow("w", (cached("a"),)), {}, "b", 1)
        assert [offer.task.id for offer in runs.drain().offers] == [f"{run}/a"]
    runs.report("r2/a", 1, "finished", 5, [1, text("two")], 5)
    runs.report("r1/a", 1, "finished", 9, [1, text("one")], 9)
    runs.submit("r3", Workflow("w", (cached("a"),)), {}, "b", 10)
    assert runs.task_view("r3/a")["cached"] == "r2/a"
    assert runs.drain().ended == ["r2", "r1", "r3"]


def test_what_failed_is_not_kept() -> None:
    runs = Runs()
    runs.submit("r1", Workflow("w", (cached("a"),)), {}, "b", 1)
    runs.drain()
    runs.report("r1/a", 1, "failed", 5, [1, {"type": "E", "message": "x"}], 5)
    runs.submit("r2", Workflow("w", (cached("a"),)), {}, "b", 6)
    assert [offer.task.id for offer in runs.drain().offers] == ["r2/a"]


def test_a_task_with_a_cache_is_not_started_ahead_of_what_it_waits_for() -> None:
    runs = Runs()
    runs.submit("r", Workflow("w", (TaskSpec("a", "m:a"), cached("b", Output("a")))), {}, "b", 1)
    assert [offer.task.id for offer in runs.drain().offers] == ["r/a"]


def test_a_deep_chain_of_hits_needs_no_deep_stack() -> None:
    """Longer than Python's stack; here it is the planner alone that is slow, so the runs are not checked step by step."""
    runs, length = Runs(), 1500
    chain = [cached("t0", Value("v"))]
    chain += [cached(f"t{n}", Output(f"t{n - 1}")) for n in range(1, length)]
    runs.submit("r1", Workflow("w", tuple(chain)), {"v": ONE}, "b", 1)
    for number in range(length):
        runs.report(f"r1/t{number}", 1, "finished", 5, [1, text(f"t{number}")], 5)
    runs.submit("r2", Workflow("w", tuple(chain)), {"v": ONE}, "b", 6)
    runs.check()
    assert runs.run_view("r2")["counts"] == {"cached": length}


def test_the_table_is_bounded_and_forgets_what_was_used_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "MOST", 3)
    kept = Kept()
    for number, key in enumerate("abc"):
        kept.keep(key, ONE, key, number, life=None, fresh=False)
    assert kept.find("a", None, 5) is not None
    kept.keep("d", ONE, "d", 6, life=None, fresh=False)
    assert [key for key, *_ in kept.snapshot()] == ["c", "a", "d"]
    assert Kept.restore(json.loads(json.dumps(kept.snapshot()))).snapshot() == kept.snapshot()


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**40))
def test_any_run_repeated_computes_nothing_anew(seed: int) -> None:
    """Whatever trouble the first one had, and with restarts of the planner in both."""
    workflow, values = random_workflow(seed)
    assume(all(spec.wait is None for spec in workflow.tasks))  # what somebody answers is asked again
    tasks = tuple(
        replace(spec, rule=RULES[0], when=None, cache=Cache("c"), dynamic=False) for spec in workflow.tasks
    )
    workflow = replace(workflow, tasks=tasks)
    first = Office(seed, workflow, values)
    view = first.until_over()
    again = Office(seed + 1, workflow, values, trouble=0.0, runs=_sharing(first.runs))
    ended = again.until_over()
    if view["state"] == "finished":
        assert again.recorded == {}, f"seed {seed}"
        assert ended["result"] == view["result"]
        # A map over nothing has no task that could be looked up.
        assert ended["counts"].get("cached", 0) >= sum(
            again.workflow[name].mapped == 0 for name in _names(again)
        )


def _sharing(runs: Runs) -> Runs:
    """Another planner's runs, with the results that the first has kept."""
    other = Runs()
    other.kept = Kept.restore(runs.kept.snapshot())
    return other


def _names(office: Office) -> list[str]:
    return [spec.name for spec in office.workflow.tasks]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cache": {"life": 0}}, "tasks[0].cache.life is 0"),
        ({"cache": {"versoin": "2"}}, "did you mean 'version'?"),
        ({"cache": True}, "tasks[0].cache is True, expected an object"),
        ({"cache": {}, "rule": "all_done"}, "cannot have a cache and have the rule all_done"),
        (
            {"cache": {}, "gang": True, "mapped": 1, "args": [{"value": "v"}]},
            "cannot have a cache and be a gang",
        ),
    ],
)
def test_documents_that_make_no_sense_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid) as refused:
        workflow_from_json({"name": "w", "tasks": [{"name": "t", "function": "m:f", **fields}]})
    assert message in f"{refused.value.message} {refused.value.hint}"


def test_json_brings_a_cache_back() -> None:
    flow = Workflow("w", (cached("a", life=5, version="2", fresh=True), replace(cached("b"), cache=Cache())))
    assert workflow_from_json(json.loads(json.dumps(workflow_to_json(flow)))) == flow
