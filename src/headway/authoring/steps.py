"""Tasks that tracing adds by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PICK = "headway.authoring.steps:pick"
TRUTH = "headway.authoring.steps:truth"
TAKE = "headway.authoring.steps:take"
CALL = "headway.authoring.steps:call"
#: The argument by which `call` is given the function.
FUNCTION = "headway_function"


def pick(part: Any) -> Any:
    """Give the part of a result that was selected, so that its length is known to the planner."""
    return part


def truth(value: Any) -> bool:
    """Whether a condition holds: asked in a worker, as `bool()` of a value is the user's code."""
    return bool(value)


def take(condition: bool, then: Any, otherwise: Any) -> Any:
    """The result of the branch that was taken."""
    return then if condition else otherwise


def call(*args: Any, headway_function: Callable[..., Any], **kwargs: Any) -> Any:
    """Call a function that came as a value: one that a dynamic task calls and no import finds."""
    return headway_function(*args, **kwargs)
