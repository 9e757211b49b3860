"""When waiting tasks will start: the engine's own future, many times.

Each scenario is a `Future` with its own chances; the starts that a task has in all of them are its predictive
distribution, and P50 and P90 are order statistics of it. All waiting tasks are predicted from the same scenarios.
A scenario in which the task does not start before its horizon counts as later than any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from headway.core.engine import Engine
from headway.domain.units import MILLI
from headway.sim.arrivals import Arrivals
from headway.sim.experience import Experience
from headway.sim.future import Future

#: Scenarios of a prediction, and the fewest.
SCENARIOS, FEWEST = 32, 8
#: Moments that all scenarios together may take, and how many one task of the snapshot costs to restore.
BUDGET, RESTORE = 120_000, 1


@dataclass(frozen=True, slots=True)
class Prediction:
    """When a task will start, seen from `now`; times in microseconds.

    Attributes:
        p50, p90: Half of the scenarios, and nine of ten, start it by then; None: not within the horizon.
        scenarios: How many there were.
        horizon: So far all scenarios looked: a start that is None is later than this.
    """

    task: str
    now: int
    p50: int | None
    p90: int | None
    scenarios: int
    horizon: int


def waiting(engine: Engine) -> list[str]:
    """Tasks that have not started, in order of their arrival."""
    return [
        task for task, entry in engine.world.tasks.items() if entry.member is None or entry.member.started < 0
    ]


def predict(
    tree: dict[str, Any],
    now: int,
    experience: Experience,
    tasks: Iterable[str],
    *,
    arrivals: Arrivals | None = None,
    scenarios: int = SCENARIOS,
    budget: int = BUDGET,
    change: Callable[[Engine, int], None] | None = None,
) -> dict[str, Prediction]:
    """The predicted starts of the named tasks.

    Args:
        tree: `Engine.snapshot()`.
        now: Microseconds; not before the snapshot.
        tasks: Those that have started already, or are not there, are left out.
        arrivals: Who may come; None: nobody does.
        scenarios: At most so many; as `budget` (in moments) allows, but not fewer than `FEWEST`.
        change: What is done to the engine first.
    """
    asked = dict.fromkeys(tasks)
    starts: dict[str, list[int]] = {task: [] for task in asked}
    count, horizon, left = 0, -1, budget
    size = len(tree["tasks"]) // 50 * RESTORE
    while count < scenarios and (left > 0 or count < FEWEST):
        moments = max(left // (FEWEST - count), 100) if count < FEWEST else left
        future = Future(
            tree,
            now,
            experience,
            count,
            until=asked,
            newcomers=arrivals.drawn(now, count) if arrivals is not None else (),
            change=change,
            moments=moments,
        )
        allowed = future.moments
        future.run_on()
        left -= allowed - future.moments + size
        count += 1
        if future.awaited:
            horizon = future.now if horizon < 0 else min(horizon, future.now)
        for task in asked:
            if task in future.starts:
                starts[task].append(future.starts[task])
    return {
        task: Prediction(
            task, now, quantile(found, 500, count), quantile(found, 900, count), count, max(horizon, now)
        )
        for task, found in starts.items()
    }


def quantile(found: list[int], milli: int, count: int) -> int | None:
    """Nearest rank among `count`, of which those not found are later than any."""
    rank = -(-count * milli // MILLI)
    return sorted(found)[rank - 1] if 0 < rank <= len(found) else None
