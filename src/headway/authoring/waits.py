"""`approval` and `signal`: tasks that hold no slot until somebody answers."""

from __future__ import annotations

import re
from contextlib import nullcontext
from inspect import Parameter
from typing import Any

from headway.authoring.options import task_options
from headway.authoring.tracing import Trace, mode
from headway.domain.units import parse_time
from headway.domain.waits import APPROVAL, SIGNAL, Wait, json_of
from headway.errors import Invalid

_NONE: Any = object()


def approval(
    question: str,
    *,
    after: Any = None,
    timeout: Any = None,
    default: Any = _NONE,
    estimate: Any = None,
    name: str = "approval",
) -> Any:
    """Ask a person, and go on when they have answered: `headway approve RUN/TASK --yes`, or `--no`.

    Args:
        question: What they are asked.
        after: The result of a task, or a list of such, after which it is asked; else at once.
        timeout: How long from when it is asked; none: for ever.
        default: The answer when the time is over. Without one the task fails then.
        estimate: How long a simulation reckons that it takes.
        name: Of the task.

    Returns:
        (A stand-in for) True or False: give it to `when`, or to a task.

    Raises:
        Invalid: An argument makes no sense, or nobody can be asked here and there is no default.
    """
    if default is not _NONE and not isinstance(default, bool):
        raise Invalid(f"approval(): default={default!r} is not True or False")
    return _wait(APPROVAL, question, after, timeout, default, estimate, name)


def signal(
    name: str, *, after: Any = None, timeout: Any = None, default: Any = _NONE, estimate: Any = None
) -> Any:
    """Wait for a signal from outside: `headway signal RUN NAME --value JSON`.

    Args:
        name: Of the signal, and of the task.
        after: The result of a task, or a list of such, after which it waits; else at once.
        timeout: How long from when it is the task's turn; none: for ever.
        default: The value when the time is over. Without one the task fails then.
        estimate: How long a simulation reckons that it takes.

    Returns:
        (A stand-in for) the value of the signal.

    Raises:
        Invalid: An argument makes no sense, or no signal can come here and there is no default.
    """
    return _wait(
        SIGNAL,
        name,
        after,
        timeout,
        default,
        estimate,
        re.sub(r"[^\w.\-]", "-", name) if isinstance(name, str) else "",
    )


def _wait(kind: str, text: str, after: Any, timeout: Any, default: Any, estimate: Any, name: str) -> Any:
    if not isinstance(text, str) or not text.strip():
        raise Invalid(f"{kind}({text!r}) says nothing", hint=f'write {kind}("deploy")')
    limit = None if timeout is None else parse_time(timeout, "timeout")
    if limit == 0:
        raise Invalid(f"{kind}({text!r}): timeout=0 is over at once", hint="leave it out for no limit")
    if default is not _NONE and limit is None:
        raise Invalid(f"{kind}({text!r}): default= counts when the time is over", hint='add timeout="1h"')
    encoded = None if default is _NONE else json_of(default, f"{kind}({text!r}): default")
    here = mode.get()
    if isinstance(here, Trace):
        options = task_options(
            f"{kind} {text!r}", {"cpu": 0, **({} if estimate is None else {"estimate": estimate})}
        )
        result = bool if kind == APPROVAL else Parameter.empty
        with here.behind([after], kind) if after is not None else nullcontext():
            return here.wait(name, Wait(kind, text, limit, encoded), options, result)
    if default is _NONE:
        raise Invalid(
            f"{kind}({text!r}): nobody can answer a plain call",
            hint="submit the workflow to a service, or give timeout= and default=",
        )
    return default
