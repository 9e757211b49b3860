"""A workflow's body becomes a graph: which calls become which tasks, which uses of a result are refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from headway import shell, task, workflow
from headway.authoring.tracing import Traced
from headway.authoring.values import decode
from headway.domain.beside import Beside
from headway.domain.codec import workflow_from_json, workflow_to_json
from headway.domain.resources import Demand
from headway.domain.units import SECOND
from headway.domain.workflow import DictOf, ListOf, Output, Retry, Value
from headway.errors import Invalid


@task
def double(x: float) -> float:
    return 2 * x


@task
def add(x: float, y: float = 0, *more: float, **named: float) -> float:
    return x + y + sum(more) + sum(named.values())


@task
def numbers(n: int) -> list[int]:
    return list(range(n))


@task
def words(text: str) -> list[str]:
    return text.split()


@task
async def total(xs: Sequence[float]) -> float:
    return float(sum(xs))


@task
def both() -> dict[str, Any]:
    return {"xs": [1, 2], "n": 2}


@task
def anything(x: Any = None) -> Any:
    return x


def traced(body: Callable[[], Any]) -> Traced:
    return workflow(name="w")(body).trace()


def literal(made: Traced, arg: Any) -> Any:
    assert isinstance(arg, Value)
    return decode(made.refs[arg.key], lambda sha: made.blobs[sha])


# ── what becomes what ───────────────────────────────────────────────────────────────────────────────────────


def test_calls_become_tasks_and_results_become_edges() -> None:
    made = traced(lambda: add(double(1), y=double(2)))
    first, second, last = made.workflow.tasks
    assert (first.name, second.name, last.name) == ("double", "double-2", "add")
    assert literal(made, first.args[0]) == 1
    assert (last.args, last.kwargs) == ((Output("double"),), (("y", Output("double-2")),))
    assert made.workflow.result == Output("add")
    assert first.function.endswith("test_tracing:double")
    assert made.functions[first.function] is double.function


def test_results_are_found_in_lists_tuples_and_dicts_and_parts_are_selected() -> None:
    made = traced(lambda: {"a": (both()["xs"][0], 1), "b": [anything({"k": [double(1)]})]})
    assert made.workflow["anything"].args == (DictOf((("k", ListOf((Output("double"),))),)),)
    result = made.workflow.result
    assert isinstance(result, DictOf)
    (_, first), (_, second) = result.items
    assert isinstance(first, ListOf)
    assert first.as_tuple
    assert first.items[0] == Output("both", ("xs", 0))
    assert second == ListOf((Output("anything"),))


def test_a_container_without_results_is_one_literal() -> None:
    made = traced(lambda: anything([1, {"a": (2,)}]))
    assert literal(made, made.workflow["anything"].args[0]) == [1, {"a": (2,)}]


def test_a_list_changed_between_two_calls_is_two_values() -> None:
    def body() -> None:
        config = {"lr": 1}
        anything(config)
        config["lr"] = 2
        anything(config)

    made = traced(body)
    assert [literal(made, spec.args[0]) for spec in made.workflow.tasks] == [{"lr": 1}, {"lr": 2}]
    assert made.workflow.result is None


def test_equal_literals_are_sent_once_and_large_ones_as_blobs() -> None:
    large = bytes(100_000)
    made = traced(
        lambda: [anything(large), anything(bytes(100_000)), anything(1), anything(True), anything(1.0)]
    )
    assert len(made.blobs) == 1
    assert [literal(made, spec.args[0]) for spec in made.workflow.tasks] == [large, large, 1, True, 1.0]
    assert [type(literal(made, spec.args[0])) for spec in made.workflow.tasks[2:]] == [int, bool, float]
    assert len(made.values) == 4


def test_map_iterates_positions_and_keeps_keywords_for_all() -> None:
    made = traced(lambda: total(add.map(range(3), (4, 5, 6), z=7)))
    spec = made.workflow["add"]
    assert (spec.mapped, [literal(made, arg) for arg in spec.args]) == (2, [[0, 1, 2], [4, 5, 6]])
    assert [(name, literal(made, arg)) for name, arg in spec.kwargs] == [("z", 7)]
    assert made.workflow["total"].args == (Output("add"),)
    assert [made.refs[arg.key].items for arg in spec.args if isinstance(arg, Value)] == [3, 3]


def test_map_over_results_of_lists_of_maps_and_of_literals_that_hold_results() -> None:
    def body() -> Any:
        ns = numbers(3)
        once = double.map(ns)
        twice = double.map(once)
        return add.map(twice, ns), double.map([ns[0], 5])

    made = traced(body)
    tasks = made.workflow.tasks
    assert [spec.args[0] for spec in tasks[1:3]] == [Output("numbers"), Output("double")]
    assert tasks[3].args == (Output("double-2"), Output("numbers"))
    assert isinstance(tasks[4].args[0], ListOf)
    assert tasks[4].args[0].items[0] == Output("numbers", (0,))


def test_a_part_of_a_result_is_picked_by_a_task_so_that_its_length_is_known() -> None:
    made = traced(lambda: double.map(both()["xs"]))
    _, pick, mapped = made.workflow.tasks
    assert pick.args == (Output("both", ("xs",)),)
    assert pick.name == "both-part"
    assert mapped.args == (Output("both-part"),)
    assert made.functions[pick.function]([1]) == [1]


def test_options_arrive_in_the_core_s_units() -> None:
    @task(
        cpu=0.5,
        memory="1GiB",
        gpu=2,
        resources={"license": 1},
        estimate="2s",
        priority=3,
        retries=4,
        timeout="1h30m",
    )
    def tuned() -> None: ...

    made = workflow(tenant="t", weight=1.5, name="w")(lambda: tuned()).trace()
    spec = made.workflow["tuned"]
    assert str(spec.demand) == "cpu 0.5, memory 1 GiB, gpu 2, license 1"
    assert (spec.estimate, spec.timeout, spec.priority) == (2 * SECOND, 5400 * SECOND, 3)
    assert spec.retry == Retry(4)
    assert (made.workflow.tenant, made.workflow.weight) == ("t", 1500)


def test_a_workflow_in_a_workflow_adds_its_tasks_and_may_return_any_structure() -> None:
    @workflow
    def inner(x: float) -> Any:
        return {"y": double(x)}

    made = traced(lambda: inner(inner(1)["y"])["y"])
    assert [spec.name for spec in made.workflow.tasks] == ["inner.double", "inner-2.double"]
    assert made.workflow.result == Output("inner-2.double")


def test_a_traced_workflow_passes_the_check_of_the_service() -> None:
    made = traced(lambda: total(double.map(numbers(3))))
    assert workflow_from_json(workflow_to_json(made.workflow)) == made.workflow


def test_names_are_unique_even_when_a_task_is_called_like_a_numbered_one() -> None:
    named = task(name="double-2")(double.function)
    made = traced(lambda: [named(1), double(1), double(1), double(1), task(name="a b/c!")(lambda: 1)()])
    names = [spec.name for spec in made.workflow.tasks]
    assert len(set(names)) == 5
    assert names[-1] == "abc"


def test_shell_commands_are_tasks() -> None:
    count = shell("sort {file} | head -n {n}", name="count", cpu=2)
    made = traced(lambda: [count(file=words("a")[0], n=3), shell("date"), shell("echo {name}", name="x")])
    first, second, third = made.workflow.tasks[1:]
    assert (first.name, first.shell, first.demand.cpu) == ("count", "sort {file} | head -n {n}", 2000)
    assert first.kwargs[0] == ("file", Output("words", (0,)))
    assert (second.name, second.shell, second.kwargs) == ("date", "date", ())
    assert literal(made, third.kwargs[0][1]) == "x", (
        "a place in the command wins over the option of that name"
    )
    with pytest.raises(Invalid, match=r"no place \{fil\}"):
        count(fil=1)
    with pytest.raises(Invalid, match=r"no place \{cpus\}") as caught:
        traced(lambda: shell("sort {file}", file="f", cpus=1))
    assert caught.value.hint == "did you mean 'cpu'?"


# ── what is refused, and how ────────────────────────────────────────────────────────────────────────────────


class Pair(NamedTuple):
    x: Any


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda: 1 if double(1) else 2, "double is used as a truth value"),
        (lambda: not double(1), "double is used as a truth value"),
        (lambda: list(numbers(1)), "numbers is used as something to iterate over"),
        (lambda: len(numbers(1)), "numbers is used as something with a length"),
        (lambda: 1 in numbers(1), "numbers is used as something to look into"),
        (lambda: double(1) == 2, "double is used as something to compare"),
        (lambda: double(1) != 2, "double is used as a number or text (!=)"),
        (lambda: double(1) + 1, "double is used as a number or text (+)"),
        (lambda: 1 - double(1), "double is used as a number or text (-)"),
        (lambda: double(1) < 1, "double is used as a number or text (<)"),
        (lambda: float(double(1)), "double is used as a number or text (float())"),
        (lambda: [1, 2][numbers(1)[0]], "numbers[0] is used as a number or text (as an index)"),
        (lambda: f"{double(1)}", "double is used as text"),
        (lambda: both().xs, "both is used as an object with .xs"),
        (lambda: both()["a"]["b"].c, "both['a']['b'] is used as an object with .c"),
        (lambda: numbers(1)[0:1], "numbers is used as [slice(0, 1, None)]"),
        (lambda: double(1)(2), "double is used as a function"),
        (lambda: anything({double(1)}), "task 'anything': double is used as part of a value"),
        (lambda: Pair(double(1)), "the result of workflow 'w': double is used as part of a value"),
        (lambda: anything({1: double(1)}), "a dict that holds results has the key 1"),
    ],
)
def test_a_result_used_too_early_teaches(body: Callable[[], Any], message: str) -> None:
    with pytest.raises(Invalid) as caught:
        traced(body)
    assert message in caught.value.message
    assert caught.value.hint


def test_a_result_knows_no_attributes_to_python_s_protocols_but_says_who_it_is() -> None:
    seen: list[str] = []

    def body() -> None:
        result = both()["xs"]
        seen.append(repr(result))
        assert not hasattr(result, "shape")
        assert not hasattr(result, "__array__")

    traced(body)
    assert seen == ["<result of both['xs']>"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda: double("fast"), "task 'double': parameter 'x' is 'fast' (str), expected float"),
        (lambda: double(), "task 'double': missing a required argument: 'x'"),
        (lambda: double(1, 2), "task 'double': too many positional arguments"),
        (lambda: double(1, factor=2), "task 'double' has no parameter 'factor'"),
        (lambda: add(1, 2, "3"), "parameter '*more' is '3' (str)"),
        (lambda: add(1, z="3"), "parameter 'z' is '3' (str)"),
        (lambda: total([1, "x"]), "at [1]: input should be a valid number"),
        (lambda: double.map([1, 2, "x"]), "parameter 'x[2]' is 'x' (str), expected float"),
        (lambda: double.map("abc"), ".map() over 'abc', which is one str"),
        (lambda: double.map({"a": 1}), "which is one dict"),
        (lambda: double.map(5), ".map() over 5 (int), which cannot be iterated"),
        (lambda: double.map(), ".map() has nothing to iterate over"),
        (lambda: add.map([1], [1, 2]), ".map() over lists of different length: 1 and 2 items"),
        (lambda: add.map([1], w=[double(1)], y="s"), "parameter 'y' is 's' (str)"),
        (
            lambda: words(double(1)),
            "parameter 'text' is the result of 'double', which returns float, expected str",
        ),
        (lambda: words.map(double.map([1])), "which returns float, expected str"),
        (lambda: double.map(words("a")), "which returns str, expected float"),
        (
            lambda: double.map(double(1)),
            ".map() over the result of 'double', which returns float and not a list",
        ),
        (
            lambda: words(double.map([1])),
            "parameter 'text' is the result of 'double', which returns list, expected str",
        ),
        (lambda: anything(threading.Lock()), "task 'anything': <unlocked _thread.lock"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_task_and_parameter(
    body: Callable[[], Any], message: str
) -> None:
    with pytest.raises(Invalid) as caught:
        traced(body)
    assert message in caught.value.message


def test_what_may_fit_is_not_refused() -> None:
    made = traced(
        lambda: [
            double(1), double(True), anything(double(1)), double(numbers(1)[0]), add(1, *[2], w=3),
            double(anything()), double.map(anything()), total(double.map([1])), total([double(1), 2]),
        ]
    )  # fmt: skip
    assert len(made.workflow.tasks) == 15


def test_a_result_of_another_trace_is_refused() -> None:
    kept: list[Any] = []
    traced(lambda: kept.append(double(1)))
    with pytest.raises(Invalid, match="of another run of a workflow"):
        traced(lambda: double(kept[0]))


def test_parameters_of_the_workflow_are_checked_before_its_body_runs() -> None:
    ran: list[int] = []

    @workflow
    def typed(folds: int, options: Mapping[str, int] | None = None) -> None:
        ran.append(folds)

    with pytest.raises(Invalid, match=r"workflow 'typed': parameter 'folds' is 'x' \(str\), expected int"):
        typed.trace("x")
    with pytest.raises(
        Invalid, match=r"parameter 'options' is .*at \['a'\]: input should be a valid integer"
    ):
        typed.trace(1, {"a": "b"})
    with pytest.raises(Invalid, match="workflow 'typed' has no parameter 'fold'") as caught:
        typed.trace(fold=1)
    assert caught.value.hint == "did you mean 'folds'?"
    assert ran == []
    typed.trace(3, {"a": 1})
    assert ran == [3]


def test_a_workflow_that_raises_raises_its_own_error_and_leaves_no_trace_behind() -> None:
    def body() -> None:
        double(1)
        raise ValueError("folds=1")

    with pytest.raises(ValueError, match="folds=1"):
        traced(body)
    assert double(1) == 2


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"cpus": 1}, "task 'f' has no option 'cpus'", "did you mean 'cpu'?"),
        ({"cpu": "many"}, "task 'f': cpu='many' is not a number", "write cpu=1"),
        ({"memory": "2 GX"}, "task 'f': memory='2 GX'", "2GiB"),
        ({"gpu": 1.5}, "task 'f': gpu=1.5 asks for a fraction", "gpu=0.5"),
        ({"timeout": "soon"}, "task 'f': timeout='soon'", "1h30m"),
        ({"timeout": 0}, "task 'f': timeout=0 would end", None),
        ({"retries": -1}, "task 'f': retries=-1 must be zero or more", None),
        ({"retries": 1.5}, "task 'f': retries=1.5 is not a whole number", None),
        ({"priority": "high"}, "task 'f': priority='high'", None),
        ({"at_most_once": 1}, "task 'f': at_most_once=1 is not True or False", None),
        ({"at_most_once": True, "retries": 1}, "cannot be at_most_once and have retries", None),
        ({"variants": [{"gpu": 1}]}, "task 'f': it has 1 variants, not 2 to 8", "dict(gpu=1"),
        (
            {"variants": [{"gpu": 1}, {"gpus": 1}]},
            "task 'f': variant 2 has no option 'gpus'",
            "did you mean 'gpu'?",
        ),
        ({"variants": [{"gpu": 1}, {"cpu": "x"}]}, "task 'f': variant 2: cpu='x' is not a number", None),
        ({"variants": "gpu"}, "task 'f': variants='gpu' is not a list of dicts", None),
        ({"where": "zone = a"}, "task 'f': where='zone = a': '=' means nothing here, at character 6", "=="),
        ({"gpu_memory": "1GiB"}, "task 'f': gpu_memory is asked of no device", "gpu=0.25"),
        ({"gpu": 1, "gpu_memory": "1 cow"}, "task 'f': gpu_memory='1 cow' is not an amount of memory", None),
        ({"near": "a on rack"}, "task 'f': near='a on rack' means nothing", 'write near="cache within rack"'),
        (
            {"near": "a of run within r", "apart": "a within r"},
            "it cannot be near and apart: a within r",
            "drop one",
        ),
        ({"spread": "zone by 0"}, "task 'f': spread='zone by 0' by 0 could never be", None),
        ({"apart": "a of all"}, "task 'f': apart='a of all': 'all' is not run or tenant", None),
        ({"group": "a b"}, "task 'f': group='a b' is not a name", None),
        ({"gang": True, "spread": "zone"}, "task 'f': it cannot be a gang and have spread=", 'within="rack"'),
        (
            {"variants": [{"gpu": 1}, {"cpu": 9}], "apart": "f"},
            "it cannot have variants and have apart=",
            None,
        ),
        ({"resources": ["license"]}, "task 'f': resources=['license']", None),
        ({"resources": {"cpu": 1}}, "resources has 'cpu', which has an option of its own", "write cpu="),
    ],
)
def test_options_that_make_no_sense_name_the_task(
    options: dict[str, Any], message: str, hint: str | None
) -> None:
    def f() -> None: ...

    with pytest.raises(Invalid) as caught:
        task(**options)(f)
    assert message in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")


def test_a_variant_takes_what_it_does_not_say_from_beside_it() -> None:
    @task(
        memory="1GiB",
        where="zone == a",
        variants=[{"gpu": 1, "estimate": 10}, {"cpu": 16, "where": "zone == b"}],
    )
    def f() -> int: ...  # type: ignore[empty-body]

    first, second = f.options.variants
    assert (first.demand, first.estimate, first.where) == (
        Demand(1000, 2**30, 1000),
        10_000_000,
        ("zone == a",),
    )
    assert (second.demand, second.estimate, second.where) == (Demand(16_000, 2**30), None, ("zone == b",))
    assert (f.options.demand, f.options.estimate, f.options.where) == (
        first.demand,
        first.estimate,
        first.where,
    )


def test_what_cannot_be_a_task_or_a_workflow_is_refused() -> None:
    def gives() -> Any:
        yield 1

    async def waits() -> None: ...

    for decorate, thing, message in (
        (task, gives, "task 'gives' yields"),
        (task, 5, "which is not a function"),
        (task, double, "which is decorated already"),
        (workflow, waits, "workflow 'waits' is async"),
    ):
        with pytest.raises(Invalid, match=message):
            decorate(thing)  # type: ignore[call-overload, operator]
    with pytest.raises(Invalid, match="workflow 'waits' has no option 'tennant'") as caught:
        workflow(tennant="x", name="waits")(lambda: None)
    assert caught.value.hint == "did you mean 'tenant'?"
    with pytest.raises(Invalid, match="weight=0"):
        workflow(weight=0)(lambda: None)


def test_who_is_called_by_the_name_of_its_function_is_in_that_group() -> None:
    @task
    def cache() -> int: ...  # type: ignore[empty-body]

    @task(near="cache within rack", apart="serve")
    def serve(number: int) -> int: ...  # type: ignore[empty-body]

    @workflow
    def flow() -> list[int]:
        cache()
        return [serve(1), serve(2)]

    specs = flow.trace().workflow.tasks
    assert [spec.beside for spec in specs] == [
        Beside("cache"),
        *[Beside("serve", near=("cache within rack",), apart=("serve within node",))] * 2,
    ]


def test_rules_that_could_never_be_kept_are_refused() -> None:
    @task
    def load() -> int: ...  # type: ignore[empty-body]

    @task(near="load")
    def use(number: int) -> int: ...  # type: ignore[empty-body]

    @task(near="lod")
    def typo() -> int: ...  # type: ignore[empty-body]

    @workflow
    def waits() -> int:
        return use(load())

    @workflow
    def nobody() -> int:
        load()
        return typo()

    with pytest.raises(Invalid, match="never run at the same time: one waits for the other"):
        waits.trace()
    with pytest.raises(Invalid, match="no task of the workflow is in group 'lod'"):
        nobody.trace()
