"""A run that grows: what dynamic tasks call joins it, in any depth, and survives a restart at any moment."""

from __future__ import annotations

import json
from collections import Counter
from heapq import heappop, heappush
from typing import Any

import pytest

from headway.core.runs import Runs, growing
from headway.domain.growth import Growth
from headway.domain.results import Ref
from headway.domain.workflow import Output, TaskSpec, Value, Workflow
from tests.core.runs_office import ONE, listing, spec
from tests.core.test_runs import Table

FAILED: list[Any] = [5, {"type": "E", "message": "no", "traceback": ""}]


def growth(under: str, *tasks: TaskSpec, result: str = "", **values: Ref) -> list[Any]:
    """A report's value: what a dynamic task called; the last one's result is its own."""
    found = Output(result or tasks[-1].name)
    return [5, Growth(under, Workflow("called", tasks, found), values)]


def test_a_dynamic_task_runs_until_what_it_called_has_ended_and_gives_its_result() -> None:
    table = Table(spec("a", dynamic=True), spec("b", Output("a")), result=Output("b"))
    assert table.offered() == ["a"], (
        "what needs its result is not looked ahead: the attempt's end may not bring it"
    )
    two = Ref("json", 2, 1, None, "2")
    table.report("a", value=growth("a", spec("x"), spec("y", Output("x"))))
    assert table.offered() == ["a.x", "a.y"]
    assert table.states() == {"a": "running", "b": "waiting", "a.x": "queued", "a.y": "waiting"}
    called = "its body called 2 tasks: 2 of them have not ended, the first is r/a.x"
    assert table.runs.task_view("r/a")["notes"] == [called]
    assert table.runs.task_view("r/a.x")["notes"] == ["was called by r/a"]
    table.report("a.x")
    assert table.states()["a"] == "running"
    table.report("a.y", value=[5, two])
    plan = table.plan()
    assert [(offer.task.id, offer.inputs) for offer in plan.offers] == [("r/b", {"a": two})]
    table.report("b")
    assert table.view()["state"] == "finished"


def test_a_failure_among_them_fails_it_after_all_have_ended_and_a_retry_repeats_only_that() -> None:
    table = Table(spec("a", dynamic=True), spec("b", Output("a")))
    table.offered()
    table.report("a", value=growth("a", spec("x"), spec("y")))
    table.report("a.x", "failed", FAILED)
    assert table.states()["a"] == "running"
    table.report("a.y")
    assert table.states() == {"a": "failed", "b": "skipped", "a.x": "failed", "a.y": "finished"}
    assert table.view()["error"]["task"] == "r/a.x"
    assert table.runs.task_view("r/a")["error"]["message"] == "r/a.x, which it called, is failed: no"
    table.offered()
    table.runs.retry("r", 40)
    assert table.states() == {"a": "running", "b": "waiting", "a.x": "queued", "a.y": "finished"}
    table.runs.check()
    table.offered()
    table.report("a.x")
    table.report("b")
    assert table.view()["state"] == "finished"


def test_late_reports_of_its_attempt_and_the_loss_of_its_node_change_nothing() -> None:
    table = Table(spec("a", dynamic=True))
    table.offered()
    assert table.report("a", value=growth("a", spec("x")))
    assert not table.report("a", "started", 7)
    assert not table.report("a", attempt=2)
    assert not table.runs.lost("r/a", 1, True, 40)
    assert table.states() == {"a": "running", "a.x": "queued"}


def test_what_priced_tasks_that_were_called_have_cost_stands_with_the_run() -> None:
    table = Table(spec("a", dynamic=True))
    assert table.view()["cost"] is None
    table.offered()
    table.report("a", value=growth("a", spec("x", cost=3_600_000)))
    table.report("a.x", value=[2_000_000, ONE])
    assert table.view()["cost"] == 2_000_000, "two seconds at 3,600 an hour, in millionths"


def test_a_cancelled_one_takes_with_it_what_it_called() -> None:
    table = Table(spec("a", dynamic=True), spec("b"))
    table.offered()
    table.report("a", value=growth("a", spec("x", dynamic=True)))
    table.report("a.x", value=growth("a.x", spec("y")))
    assert table.offered() == ["a.x.y"]
    table.runs.cancel("r/a", "enough", 40)
    table.runs.check()
    assert table.states() == {"a": "cancelled", "b": "queued", "a.x": "cancelled", "a.x.y": "cancelled"}
    assert [task for task, _ in table.plan().withdraw] == ["r/a.x.y"]


def test_names_that_are_taken_are_counted_on() -> None:
    table = Table(spec("a", dynamic=True), spec("a.x"))
    table.offered()
    table.report("a", value=growth("a", spec("x"), spec("y", Output("x"))))
    assert list(table.states()) == ["a", "a.x", "a.x-2", "a.y"]
    assert table.plan().offers[1].task.after == ("r/a.x-2",)


def test_what_cannot_run_or_grows_for_ever_fails_the_task_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(spec("a", dynamic=True))
    table.offered()
    zipped = spec("m", Value("one"), Value("two"), mapped=2)
    table.report("a", value=growth("a", zipped, spec("n"), one=listing(1), two=listing(2)))
    assert "lists of different length" in table.runs.task_view("r/a")["error"]["message"]
    assert list(table.states()) == ["a"], "nothing of it is left"
    monkeypatch.setattr(growing, "DEPTH_MOST", 3)
    table = Table(spec("a", dynamic=True))
    name = "a"
    for number in range(2, 6):
        table.offered()
        table.report(name, value=growth("a", spec(str(number), dynamic=True)))
        name = f"a.{number}"
    assert "more than 3 levels deep" in table.view()["error"]["message"]
    assert table.view()["state"] == "failed"


def test_a_chain_of_a_thousand_levels_ends_without_recursion() -> None:
    runs = Runs()
    runs.submit("r", Workflow("w", (spec("a", dynamic=True),), Output("a")), {}, "b", 10_000)
    name = "a"
    for number in range(2, growing.DEPTH_MOST + 2):
        runs.report(f"r/{name}", 1, "finished", 20, growth("a", spec(str(number), dynamic=True)), 30)
        name = f"a.{number}"
    runs.report(f"r/{name}", 1, "finished", 20, [5, ONE], 30)
    runs.check()
    assert runs.run_view("r")["state"] == "finished"


class Shop:
    """A scheduler with so many slots that goes by `fcfs`, over one growing run of 100 x 99 tasks.

    `fan` gives a list; each item of `item` calls a map of `parts` and a sum of it; the first `bad` parts it chooses fail.
    """

    def __init__(self, slots: int, items: int, parts: int, bad: int = 0) -> None:
        self.runs = Runs()
        tasks = (
            spec("fan"),
            spec("item", Output("fan"), mapped=1, dynamic=True),
            spec("end", Output("item")),
        )
        self.runs.submit("r", Workflow("w", tasks, Output("end")), {}, "b", 1_000_000)
        self.slots, self.items, self.parts, self.bad = slots, items, parts, bad
        self.queue: list[tuple[int, int, str]] = []
        self.waiting: dict[str, tuple[int, int, set[str]]] = {}
        self.attempts: Counter[str] = Counter()
        self.order: list[str] = []
        self.failed = self.offers = 0

    def step(self) -> bool:
        """Run what fits; whether there was anything."""
        for offer in self.runs.drain().offers:
            self.offers += 1
            self.waiting[offer.task.id] = (offer.task.release, self.offers, set(offer.task.after))
        self.release()
        batch = [heappop(self.queue)[2] for _ in range(min(self.slots, len(self.queue)))]
        for task in batch:
            self.attempts[task] += 1
            self.order.append(task.removeprefix("r/"))
            what, value = self.outcome(task.removeprefix("r/"))
            self.runs.report(task, self.attempts[task], what, 5, value, 6)
            for _, _, after in self.waiting.values():
                after.discard(task)
        return bool(batch)

    def release(self) -> None:
        for task in [task for task, (_, _, after) in self.waiting.items() if not after]:
            release, number, _ = self.waiting.pop(task)
            heappush(self.queue, (release, number, task))

    def outcome(self, name: str) -> tuple[str, Any]:
        if name == "fan":
            return "finished", [1, listing(self.items)]
        if name.startswith("item[") and "." not in name:
            part = spec("part", Value("v"), mapped=1)
            return "finished", growth(name, part, spec("sum", Output("part")), v=listing(self.parts))
        if ".part[" in name and self.failed < self.bad and sum(name.encode()) % 9 == 0:
            self.failed += 1
            return "failed", FAILED
        return "finished", [1, ONE]


def test_a_finished_item_is_carried_through_before_the_next_one_begins() -> None:
    shop = Shop(slots=1, items=3, parts=2)
    while shop.step():
        pass
    one = ["item[{}]", "item[{}].part[0]", "item[{}].part[1]", "item[{}].sum"]
    assert shop.order == ["fan", *(name.format(i) for i in range(3) for name in one), "end"]


def test_items_of_a_chain_of_maps_are_carried_through_one_after_another() -> None:
    runs = Runs()
    tasks = (spec("l"), spec("f", Output("l"), mapped=1), spec("g", Output("f"), mapped=1))
    runs.submit("r", Workflow("w", tasks, None), {}, "b", 1_000_000)
    runs.drain()
    runs.report("r/l", 1, "finished", 5, [1, listing(3)], 6)
    offers = {offer.task.id: offer.task.release for offer in runs.drain().offers}
    assert offers["r/g[0]"] < offers["r/f[1]"], (
        "what is through the first map goes before the next item of it"
    )


@pytest.mark.slow
def test_ten_thousand_nested_tasks_with_a_thousand_failures_and_a_resume() -> None:
    """1,000 parts fail, the planner is restored from its snapshot halfway, and a retry runs only what is missing."""

    shop = Shop(slots=64, items=100, parts=98, bad=1_000)
    rounds = 0
    while shop.step():
        rounds += 1
        if rounds == 80:
            saved = json.loads(json.dumps(shop.runs.snapshot()))
            shop.runs = Runs.restore(saved)
            shop.runs.check()
            assert json.loads(json.dumps(shop.runs.snapshot())) == saved
    shop.runs.check()
    view = shop.runs.run_view("r")
    assert (view["state"], shop.failed) == ("failed", 1_000)
    done = {task["name"] for task in shop.runs.tasks_view("r", "finished", limit=20_000)}
    shop.order, shop.attempts, shop.bad = [], Counter(), 0
    shop.runs.retry("r", 7)
    while shop.step():
        pass
    shop.runs.check()
    view = shop.runs.run_view("r")
    assert view["state"] == "finished"
    assert view["counts"] == {"finished": 100 * 100 + 2}
    assert not done & set(shop.order), "what had finished is not run again"
