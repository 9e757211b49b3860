"""What the code of a cached task is: the source of its function, and the values it has closed over."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from headway.authoring.values import encode
from headway.domain.units import parse_time
from headway.domain.workflow import Cache, Workflow
from headway.errors import Invalid


def read_cache(given: Mapping[str, Any]) -> Cache | None:
    """What `cache` and `version` say. Raises Invalid."""
    cache, version = given.get("cache", False), given.get("version", "")
    if isinstance(version, bool) or not isinstance(version, str | int):
        raise Invalid(f"version={version!r} is not a text", hint='write version="2"')
    if cache is False or cache is None:
        if "version" in given:
            raise Invalid(
                f"version={version!r} says which result a cache holds, but it has none", hint="add cache=True"
            )
        return None
    life = None if cache is True else parse_time(cache, "cache")
    if life == 0:
        raise Invalid("cache=0 would keep nothing", hint='write cache=True, or cache="7d"')
    return Cache(version=str(version), life=life)


def coded(cache: Cache | None, function: Callable[..., Any], who: str) -> Cache | None:
    """The cache of a task with this function."""
    return None if cache is None else replace(cache, code=code_of(function, who))


def code_of(function: Callable[..., Any], who: str) -> str:
    """SHA-256 of what a function is: its source without decorators, comments and layout, its defaults, what it closed over.

    Raises:
        Invalid: It has closed over something that cannot be compared.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                node.decorator_list = []
        text = ast.unparse(tree)
    except (OSError, TypeError, SyntaxError):  # of a REPL, of a builtin, a lambda in the middle of a line
        code = getattr(function, "__code__", None)
        text = repr(function) if code is None else _compiled(code)
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    held = [getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None), cells]
    try:
        ref, _ = encode(held)
    except Invalid as error:
        raise Invalid(
            f"{who} cannot be cached: what it has closed over {error.message}", hint="drop cache="
        ) from None
    return hashlib.sha256(f"{text}\n{ref.kind}:{ref.data}".encode()).hexdigest()


def _compiled(code: Any) -> str:
    inner = [_compiled(const) if inspect.iscode(const) else repr(const) for const in code.co_consts]
    return f"{code.co_code.hex()} {inner} {code.co_names} {code.co_varnames}"


def fresh(workflow: Workflow) -> Workflow:
    """The workflow with nothing taken from a cache; what comes out is kept."""
    tasks = tuple(
        spec if spec.cache is None else replace(spec, cache=replace(spec.cache, fresh=True))
        for spec in workflow.tasks
    )
    return replace(workflow, tasks=tasks)
