"""Long poll: hold a request until the run is over or the time is up."""

from __future__ import annotations

import asyncio

from headway.service.ports import PlannerPort, View
from headway.service.stream import Hub

MAX_WAIT = 60.0
"""Seconds a request may be held; clients ask again."""


async def run_when_over(planner: PlannerPort, hub: Hub, run: str, wait: float) -> View:
    """The run's view, at once if it is over, else when it ends or after `wait` seconds.

    Raises:
        NotFound: There is no such run.
    """
    view = await planner.run(run)
    if view["state"] != "running" or wait <= 0:
        return view
    until = asyncio.get_running_loop().time() + min(wait, MAX_WAIT)
    with hub.watch(lambda change: change.get("type") == "run" and change.get("id") == run) as watcher:
        # Between the first look and the subscription it may have ended.
        while (view := await planner.run(run))["state"] == "running" and not hub.closing:
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                break
            await watcher.next(left)
    return view
