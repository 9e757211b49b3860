"""What a task may say beside what it asks for, as plain JSON: when it is tried again, when it is due, what it costs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headway.domain.reading import a_flag, a_list, a_text, a_whole, an_object, wrong
from headway.domain.rules import RULES
from headway.domain.workflow import Cache, Deadline, Environment, Retry, TaskSpec
from headway.errors import Invalid

#: Fields of a task that are read and written here, in addition to `retry`.
FIELDS = ("deadline", "cost", "cache", "environment")
_RETRY_FIELDS = ("limit", "delay", "ceiling", "on")
_ENVIRONMENT_FIELDS = ("variables", "cwd", "venv", "requirements", "secrets")
#: The name of a secret.
SECRET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\Z")
_CACHE_FIELDS = ("code", "version", "life", "fresh")
_DEADLINE_FIELDS = ("time", "absolute")
#: The name of a class, as Python writes it: `ConnectionError`, `requests.exceptions.Timeout`.
_CLASS = re.compile(r"[^\W\d][\w.<>]*\Z")
#: More chosen errors than this are refused: each failure is compared with all of them.
_CHOSEN_MOST = 50


def to_json(spec: TaskSpec) -> dict[str, Any]:
    """The fields that say something."""
    tree: dict[str, Any] = {}
    if spec.deadline is not None:
        tree["deadline"] = deadline_to_json(spec.deadline)
    if spec.cost:
        tree["cost"] = spec.cost
    if spec.environment is not None:
        tree["environment"] = environment_to_json(spec.environment)
    if spec.cache is not None:
        usual = Cache()
        said = ((name, getattr(spec.cache, name)) for name in _CACHE_FIELDS)
        tree["cache"] = {name: value for name, value in said if value != getattr(usual, name)}
    return tree


def from_json(fields: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The same as fields of a `TaskSpec`. Raises Invalid."""
    return {
        "deadline": deadline_from_json(fields.get("deadline"), f"{where}.deadline"),
        "cost": a_whole(fields.get("cost", 0), f"{where}.cost"),
        "environment": environment_from_json(fields.get("environment"), f"{where}.environment"),
        "cache": cache_from_json(fields.get("cache"), f"{where}.cache"),
    }


def retry_to_json(retry: Retry) -> dict[str, Any]:
    """What differs from the usual."""
    usual, tree = Retry(), {name: getattr(retry, name) for name in _RETRY_FIELDS[:3]}
    tree = {name: value for name, value in tree.items() if value != getattr(usual, name)}
    return {**tree, "on": list(retry.on)} if retry.on else tree


def retry_from_json(tree: Any, where: str) -> Retry:
    fields, usual = an_object(tree, _RETRY_FIELDS, where), Retry()
    limit, delay, ceiling = (
        a_whole(fields.get(name, getattr(usual, name)), f"{where}.{name}") for name in _RETRY_FIELDS[:3]
    )
    on = a_list(fields.get("on", []), f"{where}.on")
    if len(on) > _CHOSEN_MOST:
        raise wrong(f"{where}.on", on, f"at most {_CHOSEN_MOST} names of errors")
    return Retry(limit, delay, ceiling, tuple(_class(name, f"{where}.on[{i}]") for i, name in enumerate(on)))


def _class(tree: Any, where: str) -> str:
    if not _CLASS.match(a_text(tree, where)):
        raise wrong(where, tree, "the name of an error, as ConnectionError or mypackage.Throttled")
    return str(tree)


def environment_to_json(environment: Environment) -> dict[str, Any]:
    """What it says, as workers get it too."""
    tree: dict[str, Any] = {}
    if environment.variables:
        tree["variables"] = dict(environment.variables)
    if environment.cwd:
        tree["cwd"] = environment.cwd
    if environment.venv:
        tree["venv"] = environment.venv
    if environment.requirements:
        tree["requirements"] = list(environment.requirements)
    if environment.secrets:
        tree["secrets"] = dict(environment.secrets)
    return tree


def environment_from_json(tree: Any, where: str) -> Environment | None:
    """The reverse. Raises Invalid for what no node could give."""
    if tree is None:
        return None
    fields = an_object(tree, _ENVIRONMENT_FIELDS, where)
    variables = _variables(fields, "variables", where)
    secrets = _variables(fields, "secrets", where)
    for name, secret in secrets:
        if not SECRET.match(secret):
            raise wrong(f"{where}.secrets.{name}", secret, "the name of a secret")
        if name in dict(variables):
            raise Invalid(f"{where} has {name} as a variable and as a secret", hint="keep one of the two")
    folders = [_no_nul(fields.get(name, ""), f"{where}.{name}") for name in ("cwd", "venv")]
    for name, folder in zip(("cwd", "venv"), folders, strict=True):
        if folder and not folder.startswith("/"):
            raise wrong(f"{where}.{name}", folder, "an absolute path")
    rows = a_list(fields.get("requirements", []), f"{where}.requirements")
    requirements = tuple(_requirement(row, f"{where}.requirements[{i}]") for i, row in enumerate(rows))
    if requirements and folders[1]:
        raise Invalid(f"{where} has both venv and requirements", hint="keep one of the two")
    return Environment(variables, folders[0], folders[1], tuple(sorted(set(requirements))), secrets)


def _variables(fields: Mapping[str, Any], kind: str, where: str) -> tuple[tuple[str, str], ...]:
    named = an_object(fields.get(kind, {}), None, f"{where}.{kind}")
    for name in named:
        if not _VARIABLE.match(name) or name.startswith("HEADWAY_"):
            raise wrong(
                f"{where}.{kind}", name, "the name of a variable, not one of Headway's own (HEADWAY_...)"
            )
    return tuple((name, _no_nul(named[name], f"{where}.{kind}.{name}")) for name in sorted(named))


def _no_nul(tree: Any, where: str) -> str:
    if "\0" in a_text(tree, where, empty=True):
        raise wrong(where, tree, "text without a zero byte")
    return str(tree)


def _requirement(tree: Any, where: str) -> str:
    """As pip takes it on its command line; an option of pip would not be one requirement, but anything."""
    text = _no_nul(a_text(tree, where), where).strip()
    if not text or text.startswith("-") or "\n" in text:
        raise wrong(where, tree, "a requirement, as numpy==2.1.0 or a path")
    return text


def cache_from_json(tree: Any, where: str) -> Cache | None:
    if tree is None:
        return None
    fields = an_object(tree, _CACHE_FIELDS, where)
    life = fields.get("life")
    return Cache(
        a_text(fields.get("code", ""), f"{where}.code", empty=True),
        a_text(fields.get("version", ""), f"{where}.version", empty=True),
        None if life is None else a_whole(life, f"{where}.life", least=1),
        a_flag(fields.get("fresh", False), f"{where}.fresh"),
    )


def check(spec: TaskSpec, who: str) -> None:
    """What cannot be together. Raises Invalid."""
    if spec.cache is not None and (spec.gang or spec.rule != RULES[0]):
        other = "be a gang" if spec.gang else f"have the rule {spec.rule}"
        raise Invalid(f"{who} cannot have a cache and {other}", hint="drop one of the two")


def deadline_to_json(deadline: Deadline) -> dict[str, Any]:
    """`{"time": microseconds}`, with `"absolute": true` if they are of the wall clock."""
    return {"time": deadline.time, "absolute": True} if deadline.absolute else {"time": deadline.time}


def deadline_from_json(tree: Any, where: str) -> Deadline | None:
    if tree is None:
        return None
    fields = an_object(tree, _DEADLINE_FIELDS, where)
    return Deadline(
        a_whole(fields.get("time"), f"{where}.time", least=1),
        a_flag(fields.get("absolute", False), f"{where}.absolute"),
    )
