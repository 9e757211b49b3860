"""`loop`: the same task or workflow again and again, on what it gave last, until that is good enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from headway.authoring import names
from headway.authoring.decorators import Decorated
from headway.authoring.inplace import Missing, attempt
from headway.authoring.tracing import Trace, holds_future, mode
from headway.domain.rules import RULES
from headway.errors import Invalid

if TYPE_CHECKING:
    from headway.authoring.growing import Growing

#: Each turn is called by the one before it, and tasks may call tasks so often (`core.runs.growing`).
LIMIT_MOST = 1_000


def loop(body: Any, start: Any, *, until: Callable[[Any], Any], limit: int) -> Any:
    """Call the body on `start`, then on what it gave, until `until` says that this is good enough.

    The turns are tasks of the run: `train.1`, `train.2`, … for a body called `train`.

    Args:
        body: A task or a workflow of one parameter.
        start: What the first turn is given: a value, or the result of a task.
        until: A plain function of what the body gave; asked in a worker after each turn.
        limit: How many turns there are at most; after them the last result stands.

    Returns:
        What the last turn gave.

    Raises:
        Invalid: The body is neither a task nor a workflow, `until` no function, `limit` not from 1 to 1,000.
    """
    if not isinstance(body, Decorated):
        raise Invalid(f"loop(): {body!r} is neither a task nor a workflow", hint="write @task above its def")
    if not callable(until) or holds_future(until):
        raise Invalid(f"loop(): until={until!r} is not a function", hint="write until=lambda x: x > 0.9")
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= LIMIT_MOST:
        raise Invalid(f"loop(): limit={limit!r} is not a whole number from 1 to {LIMIT_MOST}")
    until = names.unwrap(until)
    here = mode.get()
    if isinstance(here, Trace):
        return here.loop(turn, body, start, until, limit)
    value = start
    for _ in range(limit):
        value = body(value)
        enough = attempt(until, (value,), {}, RULES[0], ())
        if isinstance(enough, Missing):
            return enough
        if enough:
            break
    return value


def turn(value: Any, *, body: Any, until: Callable[[Any], Any], limit: int, done: int) -> Any:
    """In a worker, before each turn and after the last: whether there is another one, and if so its tasks.

    Args:
        done: How many turns there were.
    """
    if done and (done >= limit or until(value)):
        return value
    here = mode.get()
    assert isinstance(here, Trace), "turns are dynamic tasks"
    return cast("Growing", here).turn(turn, body, value, until, limit, done + 1)
