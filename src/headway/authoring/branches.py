"""`when`: one of two branches, by the result of a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headway.authoring.inplace import Missing
from headway.authoring.tracing import Trace, holds_future, mode
from headway.errors import Invalid


def when(condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any] | None = None) -> Any:
    """Run the tasks of one branch only.

    Args:
        condition: The result of a task, or a part of it; is it true? That is asked in a worker, never in the service. A
            plain value decides at once.
        then: Calls the tasks that run if so: `lambda: deploy(model)`.
        otherwise: Calls those that run if not.

    Returns:
        What the branch gave that was taken; None of one that is not there. The tasks of the other are skipped.

    Raises:
        Invalid: A branch is not a function.
    """
    for name, branch in (("then", then), ("otherwise", otherwise)):
        if not (callable(branch) or (branch is None and name == "otherwise")) or holds_future(branch):
            raise Invalid(
                f"when(): {name}={branch!r} is not a function that calls tasks",
                hint="write when(ok, lambda: deploy(model))",
            )
    here = mode.get()
    if isinstance(here, Trace) and holds_future(condition):
        return here.branch(condition, then, otherwise)
    if isinstance(condition, Missing):
        return condition
    branch = then if condition else otherwise
    return None if branch is None else branch()
