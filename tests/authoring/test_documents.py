"""Workflows as documents: what they become, and every way in which one can be wrong."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.authoring.document_files import read_document
from headway.authoring.document_schema import schema
from headway.authoring.documents import load, workflow_of
from headway.authoring.options import TASK_OPTIONS
from headway.domain.resources import Demand
from headway.domain.units import SECOND
from headway.domain.workflow import ListOf, Output, Retry, Value, When
from headway.errors import Invalid

TASKS = """
from headway import task

def parts(n: int) -> list[int]:
    return list(range(n))

@task(cpu=2)
def square(x: int, add: int = 0) -> int:
    return x * x + add

def good(x: int) -> bool:
    return x == 1

NUMBER = 5
"""

FLOW = """
name: nightly
tenant: research
weight: 2
params:
  day: 2026-01-01
  folds: {type: int, default: 2}
tasks:
  bye:
    shell: echo bye
    after: [say]
    when: {output: check}
  squared:
    function: doc_tasks:square
    map: [{output: parts}]
    with: {add: 1}
    cpu: 0.5
    retry: {limit: 2, on: [ConnectionError], delay: 1s}
  parts: {function: "doc_tasks:parts", args: [{param: folds}]}
  say:
    shell: "echo {day}: {rows}"
    with: {day: {param: day}, rows: {output: squared}}
  check: {function: "doc_tasks:good", args: [{output: squared, path: [0]}]}
result: [{output: squared}, {value: {output: no reference}}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "doc_tasks.py").write_text(TASKS)
    return tmp_path


def written(folder: Path, text: str, name: str = "flow.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_a_document_is_the_graph_that_python_would_have_drawn(folder: Path) -> None:
    flow = load(written(folder, FLOW))
    graph = flow.trace(folds=3).workflow
    assert (graph.name, graph.tenant, graph.weight) == ("nightly", "research", 2000)
    assert sorted(spec.name for spec in graph.tasks) == ["bye", "check", "parts", "say", "squared", "when"]
    squared = graph["squared"]
    assert (squared.function, squared.mapped, squared.args) == ("doc_tasks:square", 1, (Output("parts"),))
    assert squared.demand == Demand(500)
    assert squared.retry == Retry(2, SECOND, on=("ConnectionError",))
    assert graph["check"].args == (Output("squared", (0,)),)
    assert (graph["bye"].after, graph["bye"].when) == (("say",), When("when"))
    assert dict(graph["say"].kwargs)["rows"] == Output("squared")
    assert isinstance(graph.result, ListOf)
    assert graph.result.items[0] == Output("squared")
    assert isinstance(graph.result.items[1], Value)


def test_parameters_are_typed_by_what_the_document_says_and_by_their_defaults(folder: Path) -> None:
    flow = load(written(folder, FLOW))
    assert flow.parse({"folds": "7", "day": "monday"}) == {"folds": 7, "day": "monday"}
    with pytest.raises(Invalid, match="parameter 'folds' is 'x', expected int"):
        flow.parse({"folds": "x"})
    with pytest.raises(Invalid, match="has no parameter 'fold'"):
        flow.trace(fold=1)
    needed = workflow_of({"params": {"n": {"type": "int"}}, "tasks": {"a": {"shell": "true"}}}, "d")
    with pytest.raises(Invalid, match="missing a required argument: 'n'"):
        needed.trace()


def test_it_runs_in_place_like_any_workflow(folder: Path) -> None:
    document = {
        "tasks": [
            {"name": "each", "shell": "echo {x} {y}", "map": [{"output": "parts"}], "with": {"y": "b"}},
            {"name": "parts", "function": "doc_tasks:parts", "args": [2]},
        ],
        "result": {"said": {"output": "each"}},
    }
    found = workflow_of(document, "d.json", folder)()
    assert [one.stdout for one in found["said"]] == ["0 b\n", "1 b\n"]


def test_a_task_keeps_its_own_options_if_the_document_gives_none(folder: Path) -> None:
    def demand(**options: Any) -> Demand:
        document = {"tasks": {"t": {"function": "doc_tasks:square", "args": [1], **options}}}
        return workflow_of(document, "d", folder).trace().workflow["t"].demand

    assert demand() == Demand(2000)
    assert demand(memory="1KiB") == Demand(1000, 1024)


def test_json_toml_and_yaml_say_the_same(folder: Path) -> None:
    document = {
        "name": "w",
        "params": {"n": 1},
        "tasks": {"a": {"shell": "echo {n}", "with": {"n": {"param": "n"}}}},
    }
    toml = 'name = "w"\nparams.n = 1\n[tasks.a]\nshell = "echo {n}"\nwith.n.param = "n"\n'
    yaml = "name: w\nparams: {n: 1}\ntasks:\n  a: {shell: 'echo {n}', with: {n: {param: n}}}\n"
    paths = [
        written(folder, json.dumps(document), "a.json"),
        written(folder, toml, "a.toml"),
        written(folder, yaml, "a.yaml"),
    ]
    graphs = [load(path).trace().workflow for path in paths]
    assert graphs[0] == graphs[1] == graphs[2]


def test_yaml_is_read_by_version_1_2(folder: Path) -> None:
    text = "a: on\nb: yes\nc: 2026-01-01\nd: 1:30\ne: true\nf: ~\ng: 010\nh: 1e3\ni: [0x1f, -2, .5]\non: x"
    found = read_document(written(folder, text))
    assert found == {
        "a": "on", "b": "yes", "c": "2026-01-01", "d": "1:30", "e": True, "f": None, "g": 10, "h": 1000.0,
        "i": [31, -2, 0.5], "on": "x",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("d.yaml", "a: [", "line 1"),
        ("d.yaml", "a: 1\na: 2", "has the key 'a' twice"),
        ("d.yaml", "1: x", "the key 1 is no text"),
        ("d.yaml", "a: !!python/object:os.system x", "could not determine a constructor"),
        ("d.json", '{"a": 1, "a": 2}', "has the key 'a' twice"),
        ("d.json", '{"a": NaN}', "NaN is not JSON"),
        ("d.json", "{", "line 1"),
        ("d.json", "[" * 100_000, "nested too deeply"),
        ("d.toml", "a = ", "Invalid value"),
        ("d.yaml", "x: " + "y" * 2**20, "keep data in files of its own"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    folder: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(Invalid) as refused:
        load(written(folder, text, name))
    assert message in f"{refused.value.message} {refused.value.hint}"


def test_a_small_text_that_stands_for_very_much_is_refused(folder: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    text = "tasks: {t: {shell: 'echo {x}', with: {x: *a8}}}"
    with pytest.raises(Invalid, match="unknown field 'a0'"):
        load(written(folder, "\n".join([*lines, text])))
    bomb = "tasks:\n  t:\n    shell: 'echo {x}'\n    with:\n      x:\n" + "".join(
        f"        {line}\n" for line in lines
    )
    with pytest.raises(Invalid, match="too many values"):
        load(written(folder, bomb))


def one(**fields: Any) -> dict[str, Any]:
    return {"tasks": {"t": {"shell": "echo {x}", **fields}}}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (5, "the document is '5', expected an object"),
        ({"task": {}}, "unknown field 'task'"),
        ({}, "it has no tasks"),
        ({"tasks": {}}, "it has no tasks"),
        ({"tasks": "x"}, "it has no tasks"),
        ({"tasks": [{"shell": "x"}]}, "tasks[0] has no name"),
        ({"tasks": [{"name": "a", "shell": "x"}] * 2}, "two tasks are called 'a'"),
        ({"tasks": {"a b": {"shell": "x"}}}, "cannot be the name of a task"),
        ({"tasks": {"t": {}}}, "tasks.t has neither of shell and function"),
        (one(function="m:f"), "tasks.t has both of shell and function"),
        (one(cpus=2), "tasks.t has an unknown field 'cpus'"),
        (one(cpu="x"), "tasks.t: task 't': cpu='x' is not a number"),
        (one(retry={"limt": 2}), "retry has an unknown field 'limt'"),
        (one(retry=2), "retry=2 is no Retry"),
        (one(args=[1]), "a command takes no args"),
        (one(shell=""), "shell is '', expected a command"),
        (one(with_={}), "unknown field 'with_'"),
        (one(**{"with": {"y": 1}}), "its command has no place {y}"),
        (one(**{"with": [1]}), "with an object"),
        (one(**{"with": {"x": {"output": "u"}}}), "tasks.t takes the output of 'u', which is no task"),
        (one(**{"with": {"x": {"output": "t"}}}), "wait for each other in a circle: t -> t"),
        (one(**{"with": {"x": {"param": "p"}}}), "there is no parameter 'p'"),
        (one(**{"with": {"x": {"param": "p", "value": 1}}}), "expected one of output"),
        (one(after="u"), "takes the output of 'u'"),
        (one(after=5), "after is 5, expected names of tasks"),
        (one(when={"be": True}), "when names no output"),
        (one(when={"output": "t", "be": 1}), "be is 1, expected true or false"),
        (one(map=[[1]], args=[1]), "both args and map"),
        (one(map=[[1], [2]]), ".map() over 2 lists"),
        ({**one(), "result": {"output": "u"}}, "result takes the output of 'u'"),
        ({**one(), "weight": 0}, "weight=0"),
        ({**one(), "name": 5}, "name is 5"),
        ({**one(), "params": {"a b": 1}}, "cannot be the name of a parameter"),
        ({**one(), "params": {"a": {"type": "integer"}}}, "type is 'integer'"),
        ({"tasks": {"t": {"function": "f"}}}, "function is 'f', expected module:name"),
        ({"tasks": {"t": {"function": "doc_tasks:nothing"}}}, "there is no doc_tasks:nothing"),
        ({"tasks": {"t": {"function": "no_such_module:f"}}}, "there is no no_such_module:f"),
        ({"tasks": {"t": {"function": "doc_tasks:NUMBER"}}}, "which is not a function"),
        ({"tasks": {"t": {"function": "doc_tasks:square", "args": ["x"]}}}, "parameter 'x' is 'x' (str), expected int"),
        ({"tasks": {"t": {"function": "doc_tasks:square"}}}, "missing a required argument: 'x'"),
    ],
)  # fmt: skip
def test_every_part_wrong_once(folder: Path, document: Any, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        workflow_of(document, "d.yaml", folder).trace()
    assert message in f"{refused.value.message} {refused.value.hint}"


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["output", "param", "value", "path", "shell", "when", "t", "x"]), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(_JUNK, _JUNK, _JUNK, _JUNK)
def test_whatever_stands_in_it_the_error_is_ours(given_: Any, when: Any, result: Any, over: Any) -> None:
    document = {
        "tasks": {"t": {"shell": "echo {x}", "with": given_, "when": when, "map": over}},
        "result": result,
    }
    with contextlib.suppress(Invalid):
        workflow_of(document, "d").trace()


def test_the_schema_knows_every_option_and_refuses_others() -> None:
    found = schema()
    task = found["$defs"]["task"]
    assert set(TASK_OPTIONS) <= set(task["properties"])
    assert task["additionalProperties"] is found["additionalProperties"] is False
    json.dumps(found)
