"""What may be said of a task beside what it asks for: when it is tried again, when it is due, what it costs."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from headway.authoring import names
from headway.authoring.secrets import Secret
from headway.domain import workflow
from headway.domain.attributes import environment_from_json, retry_from_json
from headway.domain.units import parse_milli, parse_time
from headway.domain.workflow import Deadline, Environment
from headway.errors import Invalid

#: Options of a task that are read here.
OPTIONS = ("retry", "deadline", "cost", "cache", "version", "env", "cwd", "venv", "requirements")


@dataclass(frozen=True)
class Retry:
    """When a task is tried again after a failure of its own: `@task(retry=Retry(5, on=ConnectionError))`.

    Attributes:
        limit: How many more attempts after the first.
        on: The errors after which it is tried again, with those that inherit from them: classes, or their names
            (`"ConnectionError"`, `"mypackage.Throttled"`); any if empty. After another one it fails at once. A time-out
            is a `TimeoutError`, a command that failed a `CommandFailed`.
        delay: Before the second attempt (seconds or "10s"); doubles each time, with up to half of it as jitter.
        ceiling: The longest delay.
    """

    limit: int = 3
    on: Any = ()
    delay: float | str = 1
    ceiling: float | str = 60

    def read(self) -> workflow.Retry:
        """In the core's units. Raises Invalid."""
        limit = _whole(self.limit, "retry: limit")
        delay, ceiling = parse_time(self.delay, "retry: delay"), parse_time(self.ceiling, "retry: ceiling")
        chosen = self.on if isinstance(self.on, list | tuple | set | frozenset) else (self.on,)
        on = sorted({_error(one) for one in chosen})
        return retry_from_json({"limit": limit, "delay": delay, "ceiling": ceiling, "on": on}, "retry")


def _error(one: Any) -> str:
    """The whole name of a class of errors, as a worker will see it; a text is one already."""
    if isinstance(one, str) and one:
        return one
    if isinstance(one, type) and issubclass(one, BaseException):
        module = names.module_of(one)
        return one.__qualname__ if module in (None, "builtins") else f"{module}.{one.__qualname__}"
    raise Invalid(
        f"retry: on={one!r} is no class of errors",
        hint='write on=ConnectionError or on="mypackage.Throttled"',
    )


def read_retry(given: Mapping[str, Any]) -> workflow.Retry:
    """What `retries` or `retry` says. Raises Invalid."""
    retry = given.get("retry")
    if retry is None:
        retries = _whole(given.get("retries", 0), "retries")
        return workflow.Retry(retries)
    if "retries" in given:
        raise Invalid("it has both retries and retry", hint="write retry=Retry(limit=3, ...) alone")
    if not isinstance(retry, Retry):
        raise Invalid(f"retry={retry!r} is no Retry", hint="write retry=headway.Retry(3, on=ConnectionError)")
    return retry.read()


def read_deadline(given: Any) -> Deadline | None:
    """`"2h"` or seconds after the submission; a `datetime` or `"2026-12-01T08:00"`, local time unless it says a zone."""
    if given is None:
        return None
    if isinstance(given, datetime) or (isinstance(given, str) and given[:4].isdigit() and "-" in given):
        return Deadline(_moment(given), absolute=True)
    try:
        length = parse_time(given, "deadline")
    except Invalid as error:
        raise Invalid(error.message, hint='write deadline="2h", or deadline="2026-12-01T08:00"') from None
    if not length:
        raise Invalid("deadline=0 would be missed by every run", hint='write deadline="2h"')
    return Deadline(length)


def _moment(given: datetime | str) -> int:
    try:
        moment = datetime.fromisoformat(given) if isinstance(given, str) else given
        found = round(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError, OSError):
        raise Invalid(f"deadline={given!r} is no point in time", hint='write "2026-12-01T08:00"') from None
    if found <= time.time_ns() // 1000:
        raise Invalid(
            f"deadline={str(given)!r} is over",
            hint='write one that is still to come, or "2h" after the submission',
        )
    return found


def read_environment(given: Mapping[str, Any]) -> Environment | None:
    """What `env`, `cwd`, `venv` and `requirements` say. Raises Invalid.

    A folder that is not absolute is one of the author's: it is made absolute here, and must be the same on the nodes.
    """
    env = given.get("env")
    if env is not None and not (
        isinstance(env, Mapping) and all(isinstance(v, str | int | float | Secret) for v in env.values())
    ):
        raise Invalid(f"env={env!r} is not a dict of texts", hint='write env={"MODE": "fast"}')
    requirements = given.get("requirements")
    if requirements is not None and not isinstance(requirements, list | tuple):
        raise Invalid(
            f"requirements={requirements!r} is not a list", hint='write requirements=["numpy==2.1.0"]'
        )
    tree: dict[str, Any] = {}
    if env:
        plain = {name: value for name, value in env.items() if not isinstance(value, Secret)}
        tree["variables"] = {name: _written(value) for name, value in plain.items()}
        tree["secrets"] = {name: value.name for name, value in env.items() if isinstance(value, Secret)}
    for name in ("cwd", "venv"):
        if given.get(name) is not None:
            tree[name] = _folder(given[name], name)
    if requirements:
        tree["requirements"] = list(requirements)
    return environment_from_json(tree, "environment") if tree else None


def _written(value: Any) -> str:
    return ("1" if value else "0") if isinstance(value, bool) else str(value)


def _folder(value: Any, what: str) -> str:
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise Invalid(f"{what}={value!r} is not a folder", hint=f'write {what}="/data/work"')
    return os.path.abspath(os.path.expanduser(str(value)))


def read_cost(given: Any) -> int:
    """The price of an hour, in milli-units."""
    return parse_milli(given, "cost")


def _whole(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid(f"{what}={value!r} is not a whole number", hint=f"write {what.rpartition(' ')[2]}=2")
    if value < 0:
        raise Invalid(f"{what}={value} must be zero or more")
    return value
