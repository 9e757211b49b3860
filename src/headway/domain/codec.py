"""Workflows, demands, nodes and references as plain JSON: the one shape that files, HTTP and journal share.

Reading validates in full, because a submission is somebody else's text: an unknown field is refused with the
nearest known one, and every error says where (`tasks[3].demand.cpu`). Writing omits what has its default
value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from headway.domain import attributes, waits
from headway.domain.beside import BESIDE_FIELDS, beside_to_json, parse_beside
from headway.domain.groups import check_groups
from headway.domain.reading import a_flag as _flag
from headway.domain.reading import a_list as _list
from headway.domain.reading import a_text as _text
from headway.domain.reading import a_whole as _whole
from headway.domain.reading import amounts as _amounts
from headway.domain.reading import an_object as _object
from headway.domain.reading import nearest as nearest
from headway.domain.reading import wrong as _wrong
from headway.domain.resources import Demand, Node
from headway.domain.results import Ref
from headway.domain.rules import RULES
from headway.domain.task import MOST_VARIANTS, Variant
from headway.domain.units import MILLI
from headway.domain.where import parse_where
from headway.domain.workflow import (
    Arg,
    DictOf,
    ListOf,
    Output,
    Retry,
    TaskSpec,
    Value,
    When,
    Workflow,
    iterated_places,
    outputs_of,
    parents,
)
from headway.errors import Invalid

#: A name becomes part of task ids (`<run>/<name>[3]`) and of file names.
_NAME = re.compile(r"\w[\w.\-]*\Z")
_NAME_LENGTH = 120
#: Deeper argument trees are refused: no program writes them, and readers recurse.
_TREE_DEPTH = 60

_WORKFLOW_FIELDS = ("name", "tasks", "result", "tenant", "weight", "deadline")
_TASK_FIELDS = (
    "name", "function", "shell", "args", "kwargs", "mapped", "demand", "estimate", "priority", "retry",
    "timeout", "at_most_once", "where", "restart", "variants", "gang", "within", "after", "rule", "when", "wait",
    *attributes.FIELDS,
    "dynamic",
    "beside",
)  # fmt: skip
_WHEN_FIELDS = ("task", "be")
_VARIANT_FIELDS = ("demand", "estimate", "where")
_DEMAND_FIELDS = ("cpu", "memory", "gpu", "other", "rates")
_NODE_FIELDS = ("name", "cpu", "memory", "gpus", "other", "labels")
_REF_FIELDS = ("kind", "data", "size", "items", "text")
_ARG_FORMS = ("value", "output", "list", "tuple", "dict")


# ── demand, node, reference ─────────────────────────────────────────────────────────────────────────────────


def demand_to_json(demand: Demand) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    if demand.cpu != MILLI:
        tree["cpu"] = demand.cpu
    if demand.memory:
        tree["memory"] = demand.memory
    if demand.gpu:
        tree["gpu"] = demand.gpu
    if demand.other:
        tree["other"] = dict(demand.other)
    if demand.rates:
        tree["rates"] = dict(demand.rates)
    return tree


def demand_from_json(tree: Any, where: str = "demand") -> Demand:
    fields = _object(tree, _DEMAND_FIELDS, where)
    cpu, memory, gpu = (
        _whole(fields.get(name, usual), f"{where}.{name}")
        for name, usual in (("cpu", MILLI), ("memory", 0), ("gpu", 0))
    )
    other, rates = (
        tuple((name, amount) for name, amount in _amounts(fields.get(kind, {}), f"{where}.{kind}") if amount)
        for kind in ("other", "rates")
    )
    try:
        return Demand(cpu, memory, gpu, other, rates)
    except Invalid as error:
        raise Invalid(f"{where}: {error.message}", hint=error.hint, where=where) from None


def node_to_json(node: Node) -> dict[str, Any]:
    tree: dict[str, Any] = {"name": node.name, "cpu": node.cpu}
    if node.memory:
        tree["memory"] = node.memory
    if node.gpus:
        tree["gpus"] = node.gpus
    if node.other:
        tree["other"] = dict(node.other)
    if node.labels:
        tree["labels"] = dict(node.labels)
    return tree


def node_from_json(tree: Any, where: str = "node") -> Node:
    fields = _object(tree, _NODE_FIELDS, where)
    labels = _object(fields.get("labels", {}), None, f"{where}.labels")
    return Node(
        _text(fields.get("name"), f"{where}.name"),
        _whole(fields.get("cpu"), f"{where}.cpu"),
        _whole(fields.get("memory", 0), f"{where}.memory"),
        _whole(fields.get("gpus", 0), f"{where}.gpus"),
        _amounts(fields.get("other", {}), f"{where}.other"),
        tuple((key, _text(labels[key], f"{where}.labels.{key}", empty=True)) for key in sorted(labels)),
    )


def ref_to_json(ref: Ref) -> dict[str, Any]:
    """The wire's `RefModel`, without what has its default value."""
    tree: dict[str, Any] = {}
    if ref.kind != "json":
        tree["kind"] = ref.kind
    if ref.data is not None:
        tree["data"] = ref.data
    if ref.size:
        tree["size"] = ref.size
    if ref.items is not None:
        tree["items"] = ref.items
    if ref.text:
        tree["text"] = ref.text
    return tree


def ref_from_json(tree: Any, where: str = "ref") -> Ref:
    fields = _object(tree, _REF_FIELDS, where)
    kind, data = fields.get("kind", "json"), fields.get("data")
    if kind not in ("json", "pickle", "blob"):
        raise _wrong(f"{where}.kind", kind, "json, pickle or blob")
    if kind == "pickle":
        _text(data, f"{where}.data")
    elif kind == "blob" and not (isinstance(data, str) and re.fullmatch(r"[0-9a-f]{64}", data)):
        raise _wrong(f"{where}.data", data, "a SHA-256 in 64 hexadecimal digits")
    items = fields.get("items")
    return Ref(
        kind,
        data,
        _whole(fields.get("size", 0), f"{where}.size"),
        None if items is None else _whole(items, f"{where}.items"),
        _text(fields.get("text", ""), f"{where}.text", empty=True),
    )


# ── argument trees ──────────────────────────────────────────────────────────────────────────────────────────


def arg_to_json(arg: Arg) -> dict[str, Any]:
    """`{"value": key} | {"output": task, "path": […]} | {"list": […]} | {"tuple": […]} | {"dict": {…}}`."""
    match arg:
        case Value(key):
            return {"value": key}
        case Output(task, path):
            return {"output": task, "path": list(path)} if path else {"output": task}
        case ListOf(items, as_tuple):
            return {"tuple" if as_tuple else "list": [arg_to_json(item) for item in items]}
        case DictOf(pairs):
            return {"dict": {key: arg_to_json(item) for key, item in pairs}}


def arg_from_json(tree: Any, where: str = "arg", depth: int = 0) -> Arg:
    fields = _object(tree, (*_ARG_FORMS, "path"), where)
    forms = [form for form in _ARG_FORMS if form in fields]
    if len(forms) != 1 or ("path" in fields and forms != ["output"]):
        raise _wrong(where, tree, f"exactly one of {', '.join(_ARG_FORMS)} (and path with output)")
    if depth > _TREE_DEPTH:
        raise Invalid(f"{where} is nested deeper than {_TREE_DEPTH} levels", where=where)
    form, inside = forms[0], fields[forms[0]]
    here = f"{where}.{form}"
    if form == "value":
        return Value(_text(inside, here))
    if form == "output":
        steps = _list(fields.get("path", []), f"{where}.path")
        return Output(
            _text(inside, here), tuple(_path_step(step, f"{where}.path[{i}]") for i, step in enumerate(steps))
        )
    if form == "dict":
        pairs = _object(inside, None, here)
        return DictOf(
            tuple((key, arg_from_json(item, f"{here}.{key}", depth + 1)) for key, item in pairs.items())
        )
    items = tuple(
        arg_from_json(item, f"{here}[{i}]", depth + 1) for i, item in enumerate(_list(inside, here))
    )
    return ListOf(items, as_tuple=form == "tuple")


def _path_step(step: Any, where: str) -> str | int:
    if isinstance(step, bool) or not isinstance(step, (str, int)):
        raise _wrong(where, step, "an index or a key")
    return step


# ── workflow ────────────────────────────────────────────────────────────────────────────────────────────────


def workflow_to_json(workflow: Workflow) -> dict[str, Any]:
    """The whole graph; `workflow_from_json` of it is equal to it."""
    tree: dict[str, Any] = {"name": workflow.name, "tasks": [_spec_to_json(spec) for spec in workflow.tasks]}
    if workflow.result is not None:
        tree["result"] = arg_to_json(workflow.result)
    if workflow.tenant != "default":
        tree["tenant"] = workflow.tenant
    if workflow.weight != MILLI:
        tree["weight"] = workflow.weight
    if workflow.deadline is not None:
        tree["deadline"] = attributes.deadline_to_json(workflow.deadline)
    return tree


def _spec_to_json(spec: TaskSpec) -> dict[str, Any]:
    tree: dict[str, Any] = {"name": spec.name}
    if spec.function:
        tree["function"] = spec.function
    if spec.shell is not None:
        tree["shell"] = spec.shell
    if spec.args:
        tree["args"] = [arg_to_json(arg) for arg in spec.args]
    if spec.kwargs:
        tree["kwargs"] = {name: arg_to_json(arg) for name, arg in spec.kwargs}
    if spec.variants:
        tree["variants"] = [variant_to_json(variant) for variant in spec.variants]
    else:
        tree.update(variant_to_json(Variant(spec.demand, spec.estimate, spec.where)))
    if spec.retry != Retry():
        tree["retry"] = attributes.retry_to_json(spec.retry)
    tree.update(attributes.to_json(spec))
    if spec.within:
        tree["within"] = list(spec.within)
    if spec.beside is not None:
        tree["beside"] = beside_to_json(spec.beside)
    plain = (
        ("mapped", 0),
        ("priority", 0),
        ("timeout", None),
        ("at_most_once", False),
        ("restart", None),
        ("gang", False),
        ("rule", RULES[0]),
        ("dynamic", False),
    )
    if spec.after:
        tree["after"] = list(spec.after)
    if spec.wait is not None:
        tree["wait"] = waits.to_json(spec.wait)
    if spec.when is not None:
        tree["when"] = {"task": spec.when.task, "be": spec.when.be}
    tree.update(
        (name, getattr(spec, name)) for name, usual_value in plain if getattr(spec, name) != usual_value
    )
    return tree


def workflow_from_json(tree: Any) -> Workflow:
    """Read and check a workflow that somebody sent.

    Args:
        tree: Parsed JSON. The tasks may stand in any order; they come back each after all it depends on.

    Raises:
        Invalid: What is wrong, and where in the document.
    """
    fields = _object(tree, _WORKFLOW_FIELDS, "workflow")
    specs = [
        _spec_from_json(task, f"tasks[{i}]") for i, task in enumerate(_list(fields.get("tasks", []), "tasks"))
    ]
    result = fields.get("result")
    _check_names(specs)
    workflow = Workflow(
        _text(fields.get("name"), "name"),
        tuple(in_order(specs)),
        None if result is None else arg_from_json(result, "result"),
        _text(fields.get("tenant", "default"), "tenant"),
        _whole(fields.get("weight", MILLI), "weight", least=1),
        attributes.deadline_from_json(fields.get("deadline"), "deadline"),
    )
    validate_workflow(workflow)
    return workflow


def _spec_from_json(tree: Any, where: str) -> TaskSpec:
    fields = _object(tree, _TASK_FIELDS, where)
    args = _list(fields.get("args", []), f"{where}.args")
    kwargs = _object(fields.get("kwargs", {}), None, f"{where}.kwargs")
    shell, timeout, restart = (fields.get(name) for name in ("shell", "timeout", "restart"))
    variants = _variants_from_json(fields, where)
    first = variants[0] if variants else variant_from_json(fields, where)
    return TaskSpec(
        name=_text(fields.get("name"), f"{where}.name"),
        function=_text(fields.get("function", ""), f"{where}.function", empty=True),
        shell=None if shell is None else _text(shell, f"{where}.shell"),
        args=tuple(arg_from_json(arg, f"{where}.args[{i}]") for i, arg in enumerate(args)),
        kwargs=tuple((name, arg_from_json(arg, f"{where}.kwargs.{name}")) for name, arg in kwargs.items()),
        mapped=_whole(fields.get("mapped", 0), f"{where}.mapped"),
        demand=first.demand,
        estimate=first.estimate,
        priority=_whole(fields.get("priority", 0), f"{where}.priority", least=None),
        retry=attributes.retry_from_json(fields.get("retry", {}), f"{where}.retry"),
        timeout=None if timeout is None else _whole(timeout, f"{where}.timeout", least=1),
        at_most_once=_flag(fields.get("at_most_once", False), f"{where}.at_most_once"),
        where=first.where,
        restart=None if restart is None else _whole(restart, f"{where}.restart"),
        variants=variants,
        gang=_flag(fields.get("gang", False), f"{where}.gang"),
        within=tuple(
            _text(label, f"{where}.within[{i}]")
            for i, label in enumerate(_list(fields.get("within", []), f"{where}.within"))
        ),
        after=tuple(
            _text(name, f"{where}.after[{i}]")
            for i, name in enumerate(_list(fields.get("after", []), f"{where}.after"))
        ),
        rule=_text(fields.get("rule", RULES[0]), f"{where}.rule"),
        when=_when_from_json(fields.get("when"), f"{where}.when"),
        wait=waits.from_json(fields.get("wait"), f"{where}.wait"),
        **attributes.from_json(fields, where),
        dynamic=_flag(fields.get("dynamic", False), f"{where}.dynamic"),
        beside=parse_beside(_object(fields.get("beside", {}), BESIDE_FIELDS, f"{where}.beside")),
    )


def _when_from_json(tree: Any, where: str) -> When | None:
    if tree is None:
        return None
    fields = _object(tree, _WHEN_FIELDS, where)
    return When(_text(fields.get("task"), f"{where}.task"), _flag(fields.get("be", True), f"{where}.be"))


def variant_to_json(variant: Variant) -> dict[str, Any]:
    """What a variant has, without what has its default value."""
    tree: dict[str, Any] = {}
    if demand := demand_to_json(variant.demand):
        tree["demand"] = demand
    if variant.estimate is not None:
        tree["estimate"] = variant.estimate
    if variant.where:
        tree["where"] = list(variant.where)
    return tree


def variant_from_json(fields: Mapping[str, Any], where: str) -> Variant:
    """The reverse of `variant_to_json`, of an object whose fields are known to exist."""
    estimate = fields.get("estimate")
    return Variant(
        demand_from_json(fields.get("demand", {}), f"{where}.demand"),
        None if estimate is None else _whole(estimate, f"{where}.estimate"),
        parse_where(fields.get("where", []), f"{where}.where"),
    )


def _variants_from_json(fields: Mapping[str, Any], where: str) -> tuple[Variant, ...]:
    rows = _list(fields.get("variants", []), f"{where}.variants")
    if not rows:
        return ()
    beside = [name for name in _VARIANT_FIELDS if name in fields]
    if beside or not MOST_VARIANTS >= len(rows) > 1:
        said = f"has {beside[0]!r} beside variants" if beside else f"has {len(rows)} variants"
        raise Invalid(
            f"{where} {said}",
            hint=f"give demand, estimate and where in each of 2 to {MOST_VARIANTS} variants, or no variants",
            where=f"{where}.variants",
        )
    places = [f"{where}.variants[{i}]" for i in range(len(rows))]
    return tuple(
        variant_from_json(_object(row, _VARIANT_FIELDS, place), place)
        for row, place in zip(rows, places, strict=True)
    )


# ── what must hold of any workflow, traced or read ──────────────────────────────────────────────────────────


def validate_workflow(workflow: Workflow, values: Mapping[str, Ref] | None = None) -> None:
    """Refuse a graph that could not run.

    Args:
        workflow: The graph.
        values: If given, every literal must be among them, and a literal that is mapped over must be a list.

    Raises:
        Invalid: A name twice or malformed, an unknown or cyclic dependency, a mapped argument that cannot be
            iterated.
    """
    if not workflow.name.strip():
        raise Invalid("a workflow needs a name")
    _check_names(workflow.tasks)
    for spec in workflow.tasks:
        _check_spec(workflow, spec, values)
    for output in outputs_of(workflow.result):
        _check_known(workflow, output.task, "the workflow's result")
    _check_values([workflow.result] if workflow.result else [], "the workflow's result", values)
    placed: set[str] = set()
    for spec in workflow.tasks:
        if not placed.issuperset(parents(spec)):
            in_order(workflow.tasks)  # names the cycle, if it is one
            raise Invalid(
                f"task {spec.name!r} stands before a task it depends on", hint="order the tasks with in_order"
            )
        placed.add(spec.name)
    check_groups(workflow)


def _check_names(specs: Sequence[TaskSpec]) -> None:
    seen: set[str] = set()
    for spec in specs:
        if not _NAME.match(spec.name) or len(spec.name) > _NAME_LENGTH:
            raise Invalid(
                f"{spec.name!r} cannot be the name of a task",
                hint=f"use at most {_NAME_LENGTH} letters, digits, '_', '-' and '.', "
                "the first a letter, digit or '_'",
            )
        if spec.name in seen:
            raise Invalid(f"two tasks are called {spec.name!r}", hint="names are unique in a workflow")
        seen.add(spec.name)


def _check_known(workflow: Workflow, name: str, who: str) -> None:
    if name not in workflow._index:
        raise Invalid(
            f"{who} depends on {name!r}, which is no task", hint=nearest(name, workflow._index or ["(none)"])
        )


def _check_spec(workflow: Workflow, spec: TaskSpec, values: Mapping[str, Ref] | None) -> None:
    who = f"task {spec.name!r}"
    for parent in parents(spec):
        _check_known(workflow, parent, who)
    _check_values([*spec.args, *(arg for _, arg in spec.kwargs)], who, values)
    if bool(spec.function) + (spec.shell is not None) + (spec.wait is not None) != 1:
        raise Invalid(
            f"{who} must have either a function or a shell command, or wait",
            hint='set "function", "shell" or "wait"',
        )
    if spec.wait is not None and (spec.args or spec.kwargs or spec.mapped or spec.gang):
        raise Invalid(f"{who} waits, and takes no arguments", hint="let it stand after others by `after`")
    if spec.shell is not None and spec.args:
        free = iterated_places(spec.shell, (name for name, _ in spec.kwargs))
        if len(spec.args) > spec.mapped:
            raise Invalid(
                f"{who} is a shell task and takes no positional arguments", hint="name them: {x} and x=..."
            )
        if len(spec.args) > len(free):
            raise Invalid(
                f"{who} iterates {len(spec.args)} arguments, and its command has {len(free)} places for them",
                hint="write {name} in the command for each",
            )
    if spec.at_most_once and spec.retry.limit:
        raise Invalid(
            f"{who} cannot be at_most_once and be retried", hint="drop retries, or drop at_most_once"
        )
    if spec.gang and spec.at_most_once:
        raise Invalid(
            f"{who} cannot be a gang and at_most_once: what ends one member ends all, to run again together",
            hint="drop one of the two",
        )
    if spec.gang and spec.variants:
        raise Invalid(f"{who} cannot be a gang and have variants", hint="drop one of the two")
    if spec.gang and not spec.mapped:
        raise Invalid(
            f"{who} is a gang, but is not mapped", hint="the items of a map are the members of a gang"
        )
    attributes.check(spec, who)
    if spec.dynamic and spec.cache is not None:
        raise Invalid(f"{who} cannot be dynamic and have a cache", hint="give one to the tasks that it calls")
    if spec.dynamic and (spec.gang or spec.shell is not None):
        raise Invalid(
            f"{who} cannot be dynamic and {'a gang' if spec.gang else 'a shell task'}",
            hint="let it call such a task",
        )
    if spec.within and not spec.gang:
        raise Invalid(f"{who} says within, but is no gang", hint="add gang, or say where")
    if spec.rule not in RULES:
        raise Invalid(f"{who} has the rule {spec.rule!r}", hint=nearest(spec.rule, RULES))
    if spec.gang and spec.rule != RULES[0]:
        raise Invalid(f"{who} cannot be a gang and have the rule {spec.rule}", hint="drop one of the two")
    if spec.when is not None and workflow[spec.when.task].mapped:
        raise Invalid(
            f"{who}: its condition {spec.when.task!r} is a mapped task", hint="let one task say yes or no"
        )
    if spec.mapped > len(spec.args):
        raise Invalid(
            f"{who} iterates {spec.mapped} arguments but has {len(spec.args)}", hint='lower "mapped"'
        )
    for position, arg in enumerate(spec.args[: spec.mapped]):
        _check_mapped(who, position, arg, values)


def _check_mapped(who: str, position: int, arg: Arg, values: Mapping[str, Ref] | None) -> None:
    where = f"{who}: argument {position + 1} is mapped over"
    if isinstance(arg, DictOf):
        raise Invalid(f"{where} but is a dict", hint="map over a list")
    if isinstance(arg, Output) and arg.path:
        raise Invalid(
            f"{where} but is only a part of a result: its length is not known", hint="return that part itself"
        )
    if isinstance(arg, Value) and values is not None and values[arg.key].items is None:
        raise Invalid(
            f"{where} but is not a list: {values[arg.key].text or 'no length'}", hint="map over a list"
        )


def _check_values(args: Sequence[Arg | None], who: str, values: Mapping[str, Ref] | None) -> None:
    if values is None:
        return
    for arg in args:
        for key in _keys_of(arg):
            if key not in values:
                raise Invalid(f"{who} takes the value {key!r}, which was not sent with the workflow")


def _keys_of(arg: Arg | None) -> list[str]:
    match arg:
        case Value(key):
            return [key]
        case ListOf(items):
            return [key for item in items for key in _keys_of(item)]
        case DictOf(pairs):
            return [key for _, item in pairs for key in _keys_of(item)]
        case _:
            return []


def values_of(spec: TaskSpec) -> list[str]:
    """Keys of the literal arguments a task takes, each once, in reading order."""
    seen: dict[str, None] = {}
    for arg in (*spec.args, *(item for _, item in spec.kwargs)):
        seen.update((key, None) for key in _keys_of(arg))
    return list(seen)


def in_order(specs: Sequence[TaskSpec]) -> list[TaskSpec]:
    """The tasks, each after all it depends on, otherwise as they stood.

    Raises:
        Invalid: They depend on each other in a circle, which is named in full.
    """
    by_name = {spec.name: spec for spec in specs}
    wants = {spec.name: [name for name in parents(spec) if name in by_name] for spec in specs}
    done: dict[str, None] = {}
    for spec in specs:
        _place(spec.name, wants, done)
    return [by_name[name] for name in done]


def _place(name: str, wants: Mapping[str, list[str]], done: dict[str, None]) -> None:
    """Depth first, with a stack of our own: a chain may be longer than Python may recurse."""
    path: dict[str, int] = {
        name: 0
    }  # the tasks we are inside of -> how many of their parents we have visited
    while path:
        top = next(reversed(path))
        if top in done or path[top] == len(wants[top]):
            done[top] = None
            del path[top]
            continue
        parent = wants[top][path[top]]
        path[top] += 1
        if parent in path:
            circle = list(path)[list(path).index(parent) :]
            story = " -> ".join([*reversed(circle), circle[-1]])
            raise Invalid(
                f"the tasks wait for each other in a circle: {story}", hint="remove one of these dependencies"
            )
        if parent not in done:
            path[parent] = 0
