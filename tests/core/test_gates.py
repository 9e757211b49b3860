"""Conditions and trigger rules: what runs, what is skipped, and what is said of it."""

from __future__ import annotations

import json

import pytest

from headway.core.runs import Runs
from headway.domain.codec import workflow_from_json, workflow_to_json
from headway.domain.results import Ref
from headway.domain.rules import RULES, Ends, judge
from headway.domain.workflow import Output, When, Workflow
from headway.errors import Invalid
from tests.core.runs_office import spec
from tests.core.test_runs import Table

YES, NO = Ref("json", True, 4), Ref("json", False, 5)


def test_a_branch_runs_only_on_its_condition_and_is_not_started_ahead() -> None:
    table = Table(
        spec("ok"),
        spec("then", when=When("ok")),
        spec("later", Output("then")),
        spec("otherwise", when=When("ok", False)),
        spec("take", Output("later"), Output("otherwise"), rule="none_failed"),
    )
    assert table.offered() == ["ok"]
    table.report("ok", value=[1, NO])
    assert table.offered() == ["otherwise"]
    assert table.states()["then"] == table.states()["later"] == "skipped"
    said = {name: table.runs.task_view(f"r/{name}")["error"]["message"] for name in ("then", "later")}
    assert said["then"] == "it runs only if r/ok is True, and it is False"
    assert said["later"] == f"it needs r/then, which is skipped: {said['then']}"
    table.report("otherwise")
    (offer,) = table.plan().offers
    assert (offer.task.id, offer.inputs["later"].data) == ("r/take", None)
    table.report("take")
    assert table.view()["state"] == "finished"


def test_a_condition_that_fails_skips_both_branches() -> None:
    table = Table(spec("ok"), spec("a", when=When("ok")), spec("b", when=When("ok", False)))
    table.report("ok", "failed")
    assert table.states() == {"ok": "failed", "a": "skipped", "b": "skipped"}
    assert "needs r/ok, which is failed" in table.runs.task_view("r/a")["error"]["message"]


@pytest.mark.parametrize(
    ("rule", "after_success", "after_failure", "after_skip"),
    [
        ("all_success", True, False, False),
        ("all_done", True, True, True),
        ("one_failed", False, True, False),
        ("none_failed", True, False, True),
        ("none_skipped", True, True, False),
    ],
)
def test_each_rule_after_each_end(
    rule: str, after_success: bool, after_failure: bool, after_skip: bool
) -> None:
    for end, runs in (("finished", after_success), ("failed", after_failure), ("skipped", after_skip)):
        table = Table(
            spec("ok"), spec("a", when=When("ok")), spec("b"), spec("c", after=("a", "b"), rule=rule)
        )
        table.report("ok", value=[1, NO if end == "skipped" else YES])
        table.report("b")
        if end != "skipped":
            assert table.states()["c"] == "waiting"
            table.report("a", end)
        assert table.states()["c"] == ("queued" if runs else "skipped"), (rule, end)


def test_one_failed_does_not_wait_for_the_others() -> None:
    table = Table(spec("a"), spec("b"), spec("c", Output("a"), Output("b"), rule="one_failed"))
    table.report("a", "failed")
    assert table.states() == {"a": "failed", "b": "queued", "c": "queued"}
    assert judge("all_done", Ends(live=1, failed=1)) == "wait"


def test_items_of_a_map_are_judged_one_by_one() -> None:
    table = Table(
        spec("list"), spec("f", Output("list"), mapped=1), spec("g", Output("f"), mapped=1, rule="all_done")
    )
    table.report("list", value=[1, Ref("json", [1, 2], 2, 2)])
    table.report("f[1]", "failed")
    assert table.states()["g[0]"] == "waiting"
    assert table.states()["g[1]"] == "queued"


def test_a_retry_asks_conditions_and_rules_anew() -> None:
    table = Table(spec("ok"), spec("a", when=When("ok")), spec("b"), spec("c", Output("b"), rule="one_failed"),
                  spec("d", Output("b")))  # fmt: skip
    table.report("ok", value=[1, NO])
    table.report("b", "failed")
    table.report("c")
    table.runs.retry("r", 50)
    table.runs.check()
    assert table.states() == {
        "ok": "finished",
        "a": "skipped",
        "b": "queued",
        "c": "finished",
        "d": "waiting",
    }
    table.report("b")
    table.report("d")
    saved = json.loads(json.dumps(table.runs.snapshot()))
    assert json.loads(json.dumps(Runs.restore(saved).snapshot())) == saved
    assert table.view()["state"] == "finished"


def test_json_carries_them_and_refuses_what_makes_no_sense() -> None:
    given = Workflow("w", (spec("ok"), spec("a", when=When("ok", False), after=("ok",), rule="all_done")))
    tree = workflow_to_json(given)
    assert workflow_from_json(json.loads(json.dumps(tree))) == given
    for field, value, match in (
        ("rule", "all_dun", "all_done"),
        ("after", ["nobody"], "nobody"),
        ("when", {"task": "a"}, "circle"),
        ("when", {"task": "ok", "be": 1}, "true or false"),
    ):
        wrong = json.loads(json.dumps(tree))
        wrong["tasks"][1][field] = value
        with pytest.raises(Invalid) as caught:
            workflow_from_json(wrong)
        assert match in f"{caught.value.message} {caught.value.hint}"
    assert len(RULES) == 5
