"""Watching a run from the terminal: a line of progress, Ctrl-C, the result, the exit code."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from headway.cli import output as out
from headway.cli.options import Output
from headway.client import outcome
from headway.errors import HeadwayError

if TYPE_CHECKING:
    from headway.client import RunHandle

INTERRUPTED = 130
_SLICE = 1.0
"""Seconds between looks while a line of progress is shown; the end of the run is told at once all the
same.
"""


class Interrupted(HeadwayError):
    """The person pressed Ctrl-C."""

    code = "interrupted"
    exit_code = INTERRUPTED


def follow(handle: RunHandle, timeout: float | None = None) -> dict[str, Any]:
    """Wait for the end. The first Ctrl-C cancels the run and waits on, the second leaves at once.

    Returns:
        The run's view.

    Raises:
        Interrupted: After Ctrl-C.
        WaitTimeout: It is still running.
    """
    try:
        return _wait(handle, timeout)
    except KeyboardInterrupt:
        return _cancel(handle)


def _cancel(handle: RunHandle) -> dict[str, Any]:
    try:
        out.say(f"\ncancelling {handle.id}; Ctrl-C again leaves at once")
        try:
            handle.cancel("Ctrl-C")
        except HeadwayError as error:
            if error.code != "conflict":
                raise
        view = _wait(handle, None)
    except KeyboardInterrupt:
        raise Interrupted(
            f"left; {handle.id} was asked to end", hint=f"look at it: `headway runs {handle.id}`"
        ) from None
    raise Interrupted(f"{handle.id} is {view['state']}", run=view)


def _wait(handle: RunHandle, timeout: float | None) -> dict[str, Any]:
    if not sys.stderr.isatty():
        return handle.wait(timeout)
    until = None if timeout is None else time.monotonic() + timeout
    try:
        while True:
            left = _SLICE if until is None else min(_SLICE, max(0.0, until - time.monotonic()))
            try:
                return handle.wait(left)
            except outcome.WaitTimeout:
                if until is not None and time.monotonic() >= until:
                    raise outcome.timed_out(handle.view, timeout or 0) from None
            print(
                f"\r\x1b[K{handle.id}: {out.counts(handle.view['counts'])}",
                end="",
                file=sys.stderr,
                flush=True,
            )
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def show(view: dict[str, Any], output: Output, read_blob: Any) -> None:
    """Print how a run on a service ended, and raise if it has no result.

    Raises:
        RunFailed: It failed or was cancelled.
    """
    print_end(view, output, _value(view, read_blob) if view["state"] == "finished" else None)
    outcome.check_finished(view)


def print_end(view: dict[str, Any], output: Output, value: Any) -> None:
    """For people the result; for programs the run with its state, counts and result on one line."""
    if output is not Output.table:
        keys = ("id", "name", "tenant", "state", "submitted", "ended", "counts", "error")
        out.print_json({**{key: view.get(key) for key in keys}, "result": value})
    elif value is not None:
        print(value if isinstance(value, str) else repr(value), flush=True)


def _value(view: dict[str, Any], read_blob: Any) -> Any:
    """The result, or where it cannot be read here, what is known of it."""
    try:
        return outcome.decode(view.get("result"), read_blob)
    except HeadwayError as error:
        out.say(f"the result cannot be shown here: {error.message}")
        return view.get("result")
