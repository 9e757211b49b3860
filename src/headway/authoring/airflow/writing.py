"""A DAG that was read, written as a file of Headway's: plain Python, to be read and changed by people."""

from __future__ import annotations

import keyword
import pprint
import re
from graphlib import CycleError, TopologicalSorter
from typing import Any

from headway.authoring.airflow.dag import Dag, Operator, Result
from headway.errors import Invalid

#: Names that the written file uses itself.
_TAKEN = frozenset(("task", "workflow", "shell", "Retry"))


def write(dag: Dag, source: str) -> str:
    """The text of a Python file.

    Args:
        source: The name of the DAG file, for the head.

    Raises:
        Invalid: The tasks wait for each other in a circle.
    """
    order = _ordered(dag)
    names = _named(dag)
    uses = {"workflow", *("shell" if one.command is not None else "task" for one in dag.operators.values())}
    uses |= {"Retry"} if any("retry" in one.options for one in dag.operators.values()) else set()
    parts = [_head(dag, source), f"from headway import {', '.join(sorted(uses))}"]
    parts += dag.sources
    parts.append("\n".join(_declared(dag.operators[one], names[one]) for one in order))
    parts.append(_body(dag, order, names))
    return "\n\n\n".join(part for part in parts if part) + "\n"


def _ordered(dag: Dag) -> list[str]:
    waits = {one.id: _waits(one) for one in dag.operators.values()}
    try:
        return list(TopologicalSorter(waits).static_order())
    except CycleError as error:
        raise Invalid(f"the tasks wait for each other in a circle: {' -> '.join(error.args[1])}") from None


def _waits(one: Operator) -> list[str]:
    given = [arg.id for arg in (*one.args, *one.kwargs.values()) if isinstance(arg, Result)]
    return list(dict.fromkeys([*given, *one.before]))


def _named(dag: Dag) -> dict[str, str]:
    """A variable for each task, that hides nothing of the file."""
    text, names, used = "\n".join(dag.sources), {}, set(_TAKEN)
    for one in dag.operators:
        name = re.sub(r"\W", "_", one)
        name = f"t_{name}" if not name.isidentifier() or keyword.iskeyword(name) else name
        while name in used or re.search(rf"\b{name}\b", text) or name == _function_name(dag):
            name += "_"
        names[one] = name
        used |= {name, f"{name}_task"}
    return names


def _function_name(dag: Dag) -> str:
    name = re.sub(r"\W", "_", dag.id)
    return f"flow_{name}" if not name.isidentifier() or keyword.iskeyword(name) or name in _TAKEN else name


def _head(dag: Dag, source: str) -> str:
    lines = [f"The workflow {dag.id}, read from the Airflow DAG {source}."]
    if dag.schedule is not None:
        how = f"--every {dag.schedule}s" if isinstance(dag.schedule, int) else f"--cron '{dag.schedule}'"
        lines += ["", f"It ran by itself: headway schedule {_function_name(dag)} FILE {how}"]
    if dag.notes:
        lines += ["", *(f"* {note}" for note in dag.notes)]
    return '"""' + "\n".join(lines).replace("\\", "\\\\").replace('"""', "'''") + '\n"""'


def _declared(one: Operator, name: str) -> str:
    said = [f"name={one.id!r}"] + [f"{key}={_option(key, value)}" for key, value in one.options.items()]
    if one.command is not None:
        return f"{name}_task = shell({one.command!r}, {', '.join(said)})"
    return f"{name}_task = task({', '.join(said)})({one.function})"


def _option(key: str, value: Any) -> str:
    if key == "retry":
        limit, delay, ceiling = value
        return f"Retry({limit!r}, delay={delay!r}, ceiling={ceiling!r})"
    return pprint.pformat(value, width=10_000, sort_dicts=False)


def _body(dag: Dag, order: list[str], names: dict[str, str]) -> str:
    lines = [f"@workflow(name={dag.id!r})", f"def {_function_name(dag)}():"]
    needed = {other for one in dag.operators.values() for other in _waits(one)}
    for ident in order:
        one = dag.operators[ident]
        given = [_argument(arg, names) for arg in one.args]
        given += [f"{key}={_argument(arg, names)}" for key, arg in one.kwargs.items()]
        results = {arg.id for arg in (*one.args, *one.kwargs.values()) if isinstance(arg, Result)}
        after = ", ".join(names[other] for other in one.before if other not in results)
        call = f"{names[ident]}_task" + (f".after({after})" if after else "") + f"({', '.join(given)})"
        lines.append(f"    {names[ident]} = {call}" if ident in needed else f"    {call}")
    return "\n".join(lines)


def _argument(arg: Any, names: dict[str, str]) -> str:
    return f"{names[arg.id]}{arg.part}" if isinstance(arg, Result) else str(arg)
