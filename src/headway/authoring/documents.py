"""A workflow written as a document (YAML, JSON, TOML) instead of in Python; `docs/how-to/documents.md` shows one.

A document is played as the body of a workflow would run: each of its tasks is called with the results of others. So everything
that is checked of a workflow in Python is checked of it, by the same code, and it runs in the same ways.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from headway.authoring import steps
from headway.authoring.attributes import Retry
from headway.authoring.decorators import TaskFunction, WorkflowFunction
from headway.authoring.document_files import read_document
from headway.authoring.options import (
    TASK_OPTIONS,
    WORKFLOW_OPTIONS,
    TaskOptions,
    task_options,
    workflow_options,
)
from headway.authoring.shell import ShellTask
from headway.authoring.tracing import Trace, mode
from headway.domain.codec import nearest
from headway.domain.workflow import When
from headway.errors import HeadwayError, Invalid

#: What a document may say, and what each of its tasks may say beside the options of `@task`.
FIELDS = ("name", "tenant", "weight", "deadline", "params", "tasks", "result")
TASK_FIELDS = ("name", "shell", "function", "args", "map", "with", "after", "when")
#: Types that a parameter may have, by the name in the document.
TYPES: dict[str, type] = {
    "text": str, "str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict, "path": Path,
}  # fmt: skip
_NAME = re.compile(r"\w[\w.\-]{0,99}\Z")
_REFERENCE = ("output", "path", "param", "value")
#: Values in a document that are looked at: aliases in YAML can make a short text a large value.
_MOST_VALUES = 200_000
_UNSAID: Any = inspect.Parameter.empty


def load(path: Path | str) -> WorkflowFunction[..., Any]:
    """The workflow in a file. What it names (`module:function`) is imported from the file's folder or from what is installed.

    Raises:
        Invalid: What is wrong, and at which of its keys.
    """
    path = Path(path)
    return workflow_of(read_document(path), path.name, path.resolve().parent)


def workflow_of(document: Any, where: str, folder: Path | None = None) -> WorkflowFunction[..., Any]:
    """The same of a document that was read.

    Args:
        where: Its name, for errors.
        folder: From where its functions are imported too.
    """
    try:
        return _Document(document, folder).workflow(re.sub(r"\W", "_", where.partition(".")[0]))
    except Invalid as error:
        raise Invalid(f"{where}: {error.message}", hint=error.hint) from None


class _Document:
    """A document, checked for what needs no call."""

    def __init__(self, document: Any, folder: Path | None) -> None:
        fields = _mapping(document, FIELDS, "the document")
        self._fields, self._budget = fields, _MOST_VALUES
        self._params = _params(fields.get("params", {}))
        self._tasks = {name: self._task(name, said, folder) for name, said in _tasks(fields.get("tasks"))}
        waits = {name: list(task.names()) for name, task in self._tasks.items()}
        for name, names in waits.items():
            for other in names:
                self._known(other, f"tasks.{name}")
        try:
            self._order = list(TopologicalSorter(waits).static_order())
        except CycleError as error:
            story = " -> ".join(error.args[1])
            raise Invalid(f"its tasks wait for each other in a circle: {story}") from None
        for other in self._references(fields.get("result")):
            self._known(other, "result")

    def workflow(self, usual: str) -> WorkflowFunction[..., Any]:
        name = self._fields.get("name", usual)
        if not isinstance(name, str) or not name.strip():
            raise Invalid(f"name is {name!r}, expected a text")
        said = {key: self._fields[key] for key in WORKFLOW_OPTIONS if key in self._fields and key != "name"}

        def play(**params: Any) -> Any:
            return self._play(params)

        play.__name__ = play.__qualname__ = name
        play.__doc__ = f"The workflow {name} of a document."
        annotations = {name: kind for name, (kind, _) in self._params.items() if kind is not _UNSAID}
        play.__annotations__ = annotations
        keyword = inspect.Parameter.KEYWORD_ONLY
        play.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # how `inspect` is told of it
            [
                inspect.Parameter(name, keyword, default=usual, annotation=annotations.get(name, _UNSAID))
                for name, (_, usual) in self._params.items()
            ]
        )
        return WorkflowFunction(play, name, workflow_options(f"workflow {name!r}", said))

    def _play(self, given: Mapping[str, Any]) -> Any:
        """The body: call every task, in an order in which each comes after all it waits for."""
        params = {name: usual for name, (_, usual) in self._params.items()} | dict(given)
        results: dict[str, Any] = {}
        for name in self._order:
            results[name] = self._tasks[name].call(params, results)
        return (
            None
            if "result" not in self._fields
            else _filled(self._fields["result"], params, results, "result")
        )

    def _task(self, name: str, said: Any, folder: Path | None) -> _Task:
        where = f"tasks.{name}"
        if not _NAME.match(name):
            raise Invalid(
                f"{where}: {name!r} cannot be the name of a task", hint="letters, digits, '_', '-' and '.'"
            )
        fields = _mapping(said, (*TASK_FIELDS, *TASK_OPTIONS), where)
        if ("shell" in fields) == ("function" in fields):
            raise Invalid(f"{where} has {'both' if 'shell' in fields else 'neither'} of shell and function",
                          hint='say shell: "sort data", or function: module:name')  # fmt: skip
        try:
            return _Task(name, fields, folder, list(self._references([fields.get(key) for key in _USES])))
        except HeadwayError as error:
            raise Invalid(f"{where}: {error.message}", hint=error.hint) from None

    def _references(self, value: Any, depth: int = 60) -> Iterator[str]:
        """Names of the tasks whose results are inside."""
        self._budget -= 1
        if self._budget < 0 or not depth:
            raise Invalid(
                "it holds too many values, or too deeply nested ones", hint="keep data in files of its own"
            )
        if isinstance(value, Mapping):
            if "output" in value:
                yield str(value["output"])
            elif "value" not in value or len(value) > 1:
                for inside in value.values():
                    yield from self._references(inside, depth - 1)
        elif isinstance(value, list):
            for inside in value:
                yield from self._references(inside, depth - 1)

    def _known(self, name: str, where: str) -> None:
        if name not in self._tasks:
            raise Invalid(
                f"{where} takes the output of {name!r}, which is no task of it",
                hint=nearest(name, self._tasks),
            )


#: Fields of a task that may hold results of others.
_USES = ("args", "map", "with", "when")


class _Task:
    """One task of a document."""

    def __init__(self, name: str, fields: Mapping[str, Any], folder: Path | None, uses: list[str]) -> None:
        self._name, self._fields, self._uses = name, fields, uses
        self._after = _texts(fields.get("after", []), "after")
        said = {key: fields[key] for key in TASK_OPTIONS if key in fields and key != "name"}
        if isinstance(said.get("retry"), Mapping):
            retry = _mapping(said["retry"], ("limit", "on", "delay", "ceiling"), "retry")
            said["retry"] = Retry(**retry)
        if "when" in fields:
            _mapping(fields["when"], ("output", "path", "be"), "when")
            if not isinstance(fields["when"].get("be", True), bool):
                raise Invalid(f"when: be is {fields['when']['be']!r}, expected true or false")
            if "output" not in fields["when"]:
                raise Invalid("when names no output", hint="write when: {output: check}")
        if "map" in fields and "args" in fields:
            raise Invalid("it has both args and map", hint="what is the same for all items stands in with")
        options = task_options(f"task {name!r}", said, name)
        self._call: TaskFunction[..., Any] | ShellTask = (
            self._shell(fields, options)
            if "shell" in fields
            else _function(fields, name, options, bool(said), folder)
        )

    def names(self) -> Iterator[str]:
        """The tasks it waits for."""
        yield from self._uses
        yield from self._after

    def _shell(self, fields: Mapping[str, Any], options: TaskOptions) -> ShellTask:
        if not isinstance(fields["shell"], str) or not fields["shell"].strip():
            raise Invalid(f"shell is {fields['shell']!r}, expected a command")
        if "args" in fields:
            raise Invalid(
                "a command takes no args", hint="name them: {file} in the command, and with: {file: ...}"
            )
        return ShellTask(fields["shell"], self._name, options)

    def call(self, params: Mapping[str, Any], results: Mapping[str, Any]) -> Any:
        fields, where = self._fields, f"tasks.{self._name}"
        args = _filled(fields.get("args", []), params, results, f"{where}.args")
        over = _filled(fields.get("map", []), params, results, f"{where}.map")
        kwargs = _filled(fields.get("with", {}), params, results, f"{where}.with")
        if not isinstance(args, list) or not isinstance(over, list | Mapping) or not isinstance(kwargs, dict):
            raise Invalid(f"{where}: args is a list, map a list (of a command an object), with an object")
        after = [results[name] for name in self._after]
        called: Any = self._call.after(*after) if after else self._call
        with self._condition(params, results):
            if isinstance(over, Mapping):
                return (
                    called.map(**over, **kwargs)
                    if isinstance(self._call, ShellTask)
                    else called.map(*over.values(), **kwargs)
                )
            return called.map(*over, **kwargs) if over else called(*args, **kwargs)

    def _condition(self, params: Mapping[str, Any], results: Mapping[str, Any]) -> Any:
        when, here = self._fields.get("when"), mode.get()
        if when is None:
            return nullcontext()
        holds = _filled(
            {key: when[key] for key in ("output", "path") if key in when}, params, results, "when"
        )
        if not isinstance(here, Trace):
            raise Invalid(f"tasks.{self._name} has a condition, which a plain call of a document does not know",
                          hint="run it: .run(), or headway run")  # fmt: skip
        asked: Any = TaskFunction(steps.truth, "when", TaskOptions())(holds)
        return here.under(When(asked.output.task, when.get("be", True)))


def _function(
    fields: Mapping[str, Any], name: str, options: TaskOptions, said: bool, folder: Path | None
) -> TaskFunction[..., Any]:
    """The task that `module:function` names; what it says of itself as `@task` holds if the document says nothing."""
    key = fields["function"]
    module, colon, qualname = key.partition(":") if isinstance(key, str) else ("", "", "")
    if not colon or not module or not qualname:
        raise Invalid(f"function is {key!r}, expected module:name")
    if folder is not None and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        found: Any = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise Invalid(
            f"there is no {key}: {error}", hint="it is looked for in the document's folder first"
        ) from None
    except HeadwayError:
        raise
    except Exception as error:
        raise Invalid(f"{module} raised at its import: {type(error).__name__}: {error}") from None
    if isinstance(found, TaskFunction):
        return TaskFunction(found.function, name, options if said else found.options)
    if not inspect.isroutine(found):
        raise Invalid(f"{key} is {found!r}, which is not a function")
    return TaskFunction(found, name, options)


def _filled(value: Any, params: Mapping[str, Any], results: Mapping[str, Any], where: str) -> Any:
    """The value with results and parameters in their places."""
    if isinstance(value, list):
        return [_filled(item, params, results, f"{where}[{i}]") for i, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    marks = [mark for mark in ("output", "param", "value") if mark in value]
    if not marks:
        return {key: _filled(item, params, results, f"{where}.{key}") for key, item in value.items()}
    _mapping(value, _REFERENCE, where)
    if len(marks) > 1 or ("path" in value and marks != ["output"]):
        raise Invalid(
            f"{where} has {' and '.join(value)}, expected one of output (with path), param and value"
        )
    if marks == ["value"]:
        return value["value"]
    if marks == ["param"]:
        if value["param"] not in params:
            raise Invalid(
                f"{where}: there is no parameter {value['param']!r}",
                hint=nearest(str(value["param"]), params),
            )
        return params[value["param"]]
    found = results[value["output"]]
    path = value.get("path", [])
    for step in path if isinstance(path, list) else [path]:
        if isinstance(step, bool) or not isinstance(step, str | int):
            raise Invalid(f"{where}.path holds {step!r}, expected keys and indices")
        found = found[step]
    return found


def _params(said: Any) -> dict[str, tuple[Any, Any]]:
    """(type, default) by name; each empty if it is not said."""
    found: dict[str, tuple[Any, Any]] = {}
    for name, one in _mapping(said, None, "params").items():
        if not name.isidentifier():
            raise Invalid(f"params: {name!r} cannot be the name of a parameter")
        if not isinstance(one, Mapping):
            found[name] = (_UNSAID if one is None else type(one), one)
            continue
        fields = _mapping(one, ("type", "default"), f"params.{name}")
        kind = fields.get("type")
        if kind is not None and kind not in TYPES:
            raise Invalid(f"params.{name}: type is {kind!r}", hint=nearest(str(kind), TYPES))
        usual = fields.get("default", _UNSAID)
        found[name] = (_UNSAID if kind is None else TYPES[kind], usual)
    return found


def _tasks(said: Any) -> Iterator[tuple[str, Any]]:
    """(name, fields): of an object by name, or of a list of objects that have one."""
    if isinstance(said, Mapping) and said:
        yield from _mapping(said, None, "tasks").items()
        return
    if not isinstance(said, list) or not said:
        raise Invalid("it has no tasks", hint='write tasks: {hello: {shell: "echo hello"}}')
    seen: set[str] = set()
    for number, one in enumerate(said):
        name = one.get("name") if isinstance(one, Mapping) else None
        if not isinstance(name, str):
            raise Invalid(f"tasks[{number}] has no name")
        if name in seen:
            raise Invalid(f"two tasks are called {name!r}", hint="names are unique in a workflow")
        seen.add(name)
        yield name, one


def _texts(said: Any, where: str) -> list[str]:
    texts = [said] if isinstance(said, str) else said
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Invalid(f"{where} is {said!r}, expected names of tasks")
    return texts


def _mapping(said: Any, known: Sequence[str] | None, where: str) -> Mapping[str, Any]:
    if not isinstance(said, Mapping):
        raise Invalid(f"{where} is {str(said)[:80]!r}, expected an object")
    for key in said:
        if not isinstance(key, str) or (known is not None and key not in known):
            raise Invalid(f"{where} has an unknown field {key!r}", hint=nearest(str(key), known or ()))
    return said
