"""Tasks that tracing adds by itself."""

from __future__ import annotations

from typing import Any

PICK = "headway.authoring.steps:pick"
TRUTH = "headway.authoring.steps:truth"
TAKE = "headway.authoring.steps:take"


def pick(part: Any) -> Any:
    """Give the part of a result that was selected, so that its length is known to the planner."""
    return part


def truth(value: Any) -> bool:
    """Whether a condition holds: asked in a worker, as `bool()` of a value is the user's code."""
    return bool(value)


def take(condition: bool, then: Any, otherwise: Any) -> Any:
    """The result of the branch that was taken."""
    return then if condition else otherwise
