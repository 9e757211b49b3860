"""Workflows as JSON: what is written comes back equal, and what a stranger sends is refused at its place."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.domain.beside import parse_beside
from headway.domain.codec import (
    demand_from_json,
    demand_to_json,
    in_order,
    node_from_json,
    node_to_json,
    ref_from_json,
    ref_to_json,
    validate_workflow,
    values_of,
    workflow_from_json,
    workflow_to_json,
)
from headway.domain.resources import Demand, Node
from headway.domain.results import Ref
from headway.domain.task import Variant
from headway.domain.workflow import DictOf, ListOf, Output, Retry, TaskSpec, Value, Workflow
from headway.errors import Invalid

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
amounts = st.integers(0, 2**62)
names = st.from_regex(r"[a-z_][a-z0-9_.\-]{0,8}", fullmatch=True)
named = st.dictionaries(names, st.integers(1, 2**62), max_size=3).map(lambda d: tuple(sorted(d.items())))
demands = st.builds(Demand, amounts, amounts, st.sampled_from([0, 300, 1000, 4000]), named)
wishes = st.sampled_from([(), ("gpu_type in (a100, h100)", "zone != eu-1")])
estimates = st.none() | amounts
refs = st.one_of(
    st.builds(
        Ref, st.just("json"), st.none() | st.integers() | st.text(), amounts, st.none() | amounts, st.text()
    ),
    st.builds(Ref, st.just("pickle"), st.text(min_size=1), amounts, st.none() | amounts, st.text()),
    st.builds(Ref, st.just("blob"), st.from_regex(r"[0-9a-f]{64}", fullmatch=True), amounts),
)


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """Any graph that is valid: each task takes results of earlier ones, in trees."""
    tasks: list[TaskSpec] = []
    for name in draw(st.lists(names, max_size=5, unique=True)):
        leaves = st.builds(Value, st.just("v"))
        if tasks:
            path = st.lists(st.text(max_size=3) | st.integers(-3, 3), max_size=2).map(tuple)
            leaves = leaves | st.builds(Output, st.sampled_from([t.name for t in tasks]), path)
        trees = st.recursive(
            leaves,
            lambda inner: (
                st.builds(ListOf, st.lists(inner, max_size=3).map(tuple), st.booleans())
                | st.builds(
                    DictOf,
                    st.dictionaries(st.text(max_size=3), inner, max_size=2).map(lambda d: tuple(d.items())),
                )
            ),
            max_leaves=4,
        )
        retry = draw(st.builds(Retry, st.integers(0, 3), amounts, amounts))
        common = {
            "demand": draw(demands),
            "estimate": draw(st.none() | amounts),
            "priority": draw(st.integers(-5, 5)),
            "retry": retry,
            "timeout": draw(st.none() | st.integers(1, 2**40)),
            "at_most_once": draw(st.booleans()) and not retry.limit,
            "kwargs": tuple(draw(st.dictionaries(names, trees, max_size=2)).items()),
            "where": draw(wishes),
            "variants": tuple(
                draw(
                    st.just([])
                    | st.lists(st.builds(Variant, demands, estimates, wishes), min_size=2, max_size=3)
                )
            ),
        }
        if not common["variants"]:
            near = draw(st.sampled_from(["g", "x of tenant within rack"]))
            spread = draw(st.sampled_from([[], ["zone", "node of tenant by 3"]]))
            rules = {"group": "g", "near": near, "spread": spread}
            common["beside"] = draw(
                st.sampled_from([None, parse_beside({"group": "g"}), parse_beside(rules)])
            )
        if common["variants"]:
            first = common["variants"][0]
            common |= {"demand": first.demand, "estimate": first.estimate, "where": first.where}
        if draw(st.booleans()):
            tasks.append(TaskSpec(name, shell="echo {x}", **common))
        else:
            args = tuple(draw(st.lists(trees, max_size=3)))
            tasks.append(TaskSpec(name, "m:f", args=args, **common))
    result = draw(st.none() | st.builds(Output, st.sampled_from([t.name for t in tasks]))) if tasks else None
    return Workflow(draw(names), tuple(tasks), result, draw(names), draw(st.integers(1, 2**40)))


@quick
@given(workflows())
def test_a_workflow_comes_back_equal_through_text(workflow: Workflow) -> None:
    assert workflow_from_json(json.loads(json.dumps(workflow_to_json(workflow)))) == workflow


@quick
@given(workflows(), st.randoms(use_true_random=False))
def test_tasks_may_be_sent_in_any_order(workflow: Workflow, chance: Any) -> None:
    tree = workflow_to_json(workflow)
    chance.shuffle(tree["tasks"])
    read = workflow_from_json(tree)
    validate_workflow(read)
    assert {spec.name: spec for spec in read.tasks} == {spec.name: spec for spec in workflow.tasks}


@given(refs)
def test_a_reference_comes_back_equal(ref: Ref) -> None:
    assert ref_from_json(json.loads(json.dumps(ref_to_json(ref)))) == ref


@given(demands)
def test_a_demand_comes_back_equal(demand: Demand) -> None:
    assert demand_from_json(demand_to_json(demand)) == demand


def test_a_node_comes_back_equal_and_defaults_are_omitted() -> None:
    node = Node("n", 4000, 2**30, 2, (("license", 1000),), (("zone", "a"),))
    assert node_from_json(node_to_json(node)) == node
    assert node_to_json(Node("n", 1000)) == {"name": "n", "cpu": 1000}
    assert demand_to_json(Demand()) == {}
    assert ref_to_json(Ref("json", None)) == {}


FIELDS = ["name", "tasks", "args", "demand", "value", "output", "x"]
nonsense = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(FIELDS), inner),
)


@given(nonsense)
def test_nonsense_is_refused_by_our_error_or_not_at_all(tree: Any) -> None:
    with suppress(Invalid):
        validate_workflow(workflow_from_json(tree))


def _task(**fields: Any) -> dict[str, Any]:
    return {"name": "a", "function": "m:a", **fields}


@pytest.mark.parametrize(
    ("tree", "message", "hint"),
    [
        ([], "workflow is [], expected an object", None),
        ({"name": "w", "taks": []}, "workflow has an unknown field 'taks'", "did you mean 'tasks'?"),
        ({"name": "w", "tasks": {}}, "tasks is {}, expected a list", None),
        ({"tasks": []}, "name is None, expected text that is not empty", None),
        ({"name": "w", "weight": 0}, "weight is 0, expected a whole number from 1", None),
        ({"name": "w", "tasks": [_task(), _task(name="b", demand={"cpu": "2"})]},
         "tasks[1].demand.cpu is '2', expected a whole number", None),
        ({"name": "w", "tasks": [_task(demand={"cpus": 1})]}, "tasks[0].demand has an unknown field 'cpus'", "'cpu'"),
        ({"name": "w", "tasks": [_task(demand={"gpu": 1500})]}, "tasks[0].demand: gpu=1.5 asks", "whole devices"),
        ({"name": "w", "tasks": [_task(demand={"other": {"x": -1}})]}, "tasks[0].demand.other.x is -1", None),
        ({"name": "w", "tasks": [_task(mapped=True)]}, "tasks[0].mapped is True, expected a whole number", None),
        ({"name": "w", "tasks": [_task(priority=2**70)]}, "expected a number of 64 bits", None),
        ({"name": "w", "tasks": [_task(variants=[{}])]}, "tasks[0] has 1 variants", "2 to 8"),
        ({"name": "w", "tasks": [_task(variants=[{}, {}], estimate=1)]}, "tasks[0] has 'estimate' beside variants", None),
        ({"name": "w", "tasks": [_task(variants=[{}, {"gpu": 1}])]}, "tasks[0].variants[1] has an unknown field 'gpu'", None),
        ({"name": "w", "tasks": [_task(where="zone eq a")]}, "tasks[0].where='zone eq a': expected ==", "gpu_type"),
        ({"name": "w", "tasks": [_task(at_most_once=1)]}, "tasks[0].at_most_once is 1, expected true or false", None),
        ({"name": "w", "tasks": [_task(retry={"limit": -1})]}, "tasks[0].retry.limit is -1", None),
        ({"name": "w", "tasks": [_task(args=[{"list": [{"valu": "v"}]}])]},
         "tasks[0].args[0].list[0] has an unknown field 'valu'", "did you mean 'value'?"),
        ({"name": "w", "tasks": [_task(args=[{"value": "v", "output": "a"}])]}, "exactly one of value, output", None),
        ({"name": "w", "tasks": [_task(args=[{"output": "b", "path": [1.5]}])]}, "tasks[0].args[0].path[0] is 1.5", None),
        ({"name": "w", "tasks": [_task(), _task()]}, "two tasks are called 'a'", "unique"),
        ({"name": "w", "tasks": [_task(name="a/b")]}, "'a/b' cannot be the name of a task", "letters"),
        ({"name": "w", "tasks": [_task(name="..")]}, "'..' cannot be the name of a task", "letters"),
        ({"name": "w", "tasks": [_task(args=[{"output": "x"}])]}, "task 'a' depends on 'x', which is no task", "known are: a"),
        ({"name": "w", "tasks": [], "result": {"output": "a"}}, "the workflow's result depends on 'a'", "(none)"),
        ({"name": "w", "tasks": [_task(shell="true")]}, "task 'a' must have either a function or a shell command", None),
        ({"name": "w", "tasks": [{"name": "a", "shell": "ls", "args": [{"value": "v"}]}]}, "takes no positional", "name them"),
        ({"name": "w", "tasks": [_task(mapped=1)]}, "iterates 1 arguments but has 0", "lower"),
        ({"name": "w", "tasks": [_task(mapped=1, args=[{"dict": {}}])]}, "argument 1 is mapped over but is a dict", "list"),
        ({"name": "w", "tasks": [_task(), _task(name="b", mapped=1, args=[{"output": "a", "path": [0]}])]},
         "only a part of a result", "return that part"),
        ({"name": "w", "tasks": [_task(at_most_once=True, retry={"limit": 1})]}, "cannot be at_most_once and be retried", None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(tree: Any, message: str, hint: str | None) -> None:
    with pytest.raises(Invalid) as caught:
        workflow_from_json(tree)
    assert message in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")


def test_a_circle_is_named_in_full() -> None:
    def takes(name: str, other: str) -> dict[str, Any]:
        return _task(name=name, args=[{"output": other}])

    tree = {"name": "w", "tasks": [takes("c", "b"), takes("a", "c"), takes("b", "a"), takes("d", "c")]}
    with pytest.raises(Invalid) as caught:
        workflow_from_json(tree)
    assert caught.value.message == "the tasks wait for each other in a circle: a -> b -> c -> a"
    with pytest.raises(Invalid, match="in a circle: a -> a"):
        workflow_from_json({"name": "w", "tasks": [takes("a", "a")]})


def test_a_chain_longer_than_the_stack_is_put_in_order() -> None:
    specs = [TaskSpec(f"t{n}", "m:f", args=(Output(f"t{n + 1}"),) if n < 5000 else ()) for n in range(5001)]
    assert [spec.name for spec in in_order(specs)] == [f"t{n}" for n in range(5000, -1, -1)]
    with pytest.raises(Invalid, match="stands before a task it depends on"):
        validate_workflow(Workflow("w", tuple(specs)))


def test_a_tree_deeper_than_any_program_writes_is_refused() -> None:
    tree: dict[str, Any] = {"value": "v"}
    for _ in range(500):
        tree = {"list": [tree]}
    with pytest.raises(Invalid, match="nested deeper than 60 levels"):
        workflow_from_json({"name": "w", "tasks": [_task(args=[tree])]})


def test_with_values_at_hand_literals_must_be_there_and_mapped_ones_be_lists() -> None:
    workflow = Workflow("w", (TaskSpec("a", "m:a", args=(Value("v"), ListOf((Value("u"),))), mapped=1),))
    assert values_of(workflow["a"]) == ["v", "u"]
    one = Ref("json", 1, 1, None, "1")
    with pytest.raises(Invalid, match="'v', which was not sent"):
        validate_workflow(workflow, {})
    with pytest.raises(Invalid, match="argument 1 is mapped over but is not a list: 1"):
        validate_workflow(workflow, {"v": one, "u": one})
    validate_workflow(workflow, {"v": Ref("json", [1], 3, 1, "[1]"), "u": one})
