"""One function per thing a person starts: run a workflow inline, submit it to a service, simulate it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def run_inline(workflow: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
    """Run a workflow in this process, through the same engine, roles, broker and workers as a service; return its result.

    Args:
        workflow: A function decorated with `@workflow`.

    Raises:
        Invalid: It was refused before anything ran.
        RunFailed: A task failed for good.
    """
    from headway.api.inline import run

    return run(workflow, args, kwargs or {}).result


def submit(workflow: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
    """Hand a workflow to the service of this state folder; returns a `RunHandle`.

    Raises:
        Unavailable: No service runs: `headway up` starts one.
        Invalid: It was refused.
    """
    from headway.client import Client

    return Client().submit(workflow, *args, **(kwargs or {}))


def simulate(
    workflow: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
) -> Any:
    """Simulate one run of a workflow under the production engine; none of its tasks is run.

    Args:
        workflow: A function decorated with `@workflow`.
        options: policies, cluster, durations, items, rules, injected: see `headway.api.simulating.simulate_workflow`.

    Returns:
        A `Comparison`: `print(it)` shows its table, `.tree()` is plain JSON, `.html()` a page.

    Raises:
        Invalid: It was refused before anything was simulated.
    """
    from headway.api.simulating import simulate_workflow

    return simulate_workflow(workflow, args, kwargs, **options)


__all__ = ["run_inline", "simulate", "submit"]
