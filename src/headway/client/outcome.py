"""How a run ended, as a value or as an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from headway.domain.units import show_time
from headway.errors import HeadwayError


class RunFailed(HeadwayError):
    """The run is over without a result. Its view is in `fields["run"]`."""

    code = "run_failed"
    status = 409
    exit_code = 3


class WaitTimeout(HeadwayError):
    """The run is not over yet; it goes on."""

    code = "wait_timeout"
    status = 408
    exit_code = 8


def check_finished(view: Mapping[str, Any]) -> None:
    """Raises RunFailed unless the run finished."""
    if view["state"] == "finished":
        return
    run, error = view["id"], view.get("error") or {}
    if view["state"] == "cancelled":
        why = f": {error['message']}" if error.get("message") else ""
        raise RunFailed(
            f"run {run} was cancelled{why}", hint=f"run it again: `headway retry {run}`", run=dict(view)
        )
    where = f" in {error['task']}" if error.get("task") else ""
    what = f": {error.get('type', 'error')}: {error['message']}" if error.get("message") else ""
    hint = (
        f"`headway logs {error['task']}` shows what it printed; `headway retry {run}` runs what failed again"
        if where
        else None
    )
    raise RunFailed(f"run {run} failed{where}{what}", hint=hint, run=dict(view))


def timed_out(view: Mapping[str, Any], seconds: float) -> WaitTimeout:
    """The error of a wait whose time is up."""
    return WaitTimeout(
        f"run {view['id']} is still {view['state']} after {show_time(int(seconds * 1_000_000))}",
        hint=f"it goes on: `headway wait {view['id']}`, or `headway cancel {view['id']}`",
        run=dict(view),
    )


def blobs_in(tree: Any) -> list[str]:
    """The blobs that a result needs, each once."""
    found: dict[str, None] = {}

    def walk(part: Any) -> None:
        if not part:
            return
        if (part.get("ref") or {}).get("kind") == "blob":
            found[str(part["ref"]["data"])] = None
        for item in (*part.get("list", ()), *part.get("tuple", ()), *part.get("dict", {}).values()):
            walk(item)

    walk(tree)
    return list(found)


def decode(tree: Any, read_blob: Callable[[str], bytes]) -> Any:
    """The Python value of a result tree. Unpickles: only results of code that you submitted yourself."""
    from headway.authoring.values import decode_tree

    return decode_tree(tree, read_blob)
