"""The duty `prediction`: when waiting tasks will start, and what would start one sooner."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from headway.core.engine import Engine
from headway.core.events import AttemptEnded, AttemptStarted, Event, Outcome, TaskOffered, TaskWithdrawn
from headway.domain.units import MILLI, SECOND, show_time
from headway.errors import NotFound
from headway.sim.arrivals import Arrivals
from headway.sim.calibration import Calibration
from headway.sim.changes import Tried, tried
from headway.sim.experience import Experience
from headway.sim.what_if import Prediction, predict, waiting

#: Moments that an answer's predictions may take, and those of its changes: about a second each on a small machine.
BUDGET, CHANGES = 12_000, 12_000
#: Predictions are good for so long (microseconds), or for three times what they cost, if that is longer.
FRESH = 2 * SECOND
#: While tasks wait and nobody asks, one is made after so long, so that the correction learns; never more than a tenth
#: of the time is spent on it.
UNASKED = 10 * SECOND
#: Tasks predicted at once, those that came first.
MOST = 2_000
#: Changes that are told.
LISTED = 5


class Predicting:
    """Learns from what it hears how long tasks take, who arrives, and how right it was."""

    name = "prediction"

    def __init__(self) -> None:
        self.experience, self.arrivals, self.calibration = Experience(), Arrivals(), Calibration()
        self._made: dict[str, Prediction] = {}
        self._tree: dict[str, Any] = {}
        self._at, self._until, self._next = 0, -1, 0

    def heard(self, engine: Engine, event: Event, now: int) -> None:
        """Learns from the outcome of attempts and from arrivals."""
        match event:
            case TaskOffered(task) if not engine.knows(task.id):
                self.arrivals.heard(now, task)
            case AttemptStarted(task):
                self.calibration.started(task, now)
            case AttemptEnded(task, attempt, outcome, took) if engine.expects(task, attempt):
                self.calibration.started(task, now)
                entry = engine.world.tasks[task]
                left = MILLI - entry.done
                if outcome is Outcome.FINISHED and left > 0 and entry.member is not None:
                    work = engine.world.work(entry.member, max(took, 0))
                    self.experience.learn(entry.task.kind, entry.task.estimate, work * MILLI // left)
            case TaskWithdrawn(task):
                self.calibration.gone(task)
            case _:
                pass

    def answer(self, engine: Engine, now: int, body: dict[str, Any]) -> dict[str, Any]:
        """`{"task": id}` -> P50 and P90 of its start, and the changes that would start it sooner.

        Raises:
            NotFound: There is no such task, or it has started.
        """
        task = str(body["task"])
        entry = engine.world.tasks.get(task)
        if entry is None or (entry.member is not None and entry.member.started >= 0):
            raise NotFound(f"the follower has no task {task} that waits", hint="it may just have started")
        if now >= self._until or task not in self._made:
            self._refresh(engine, now, task, BUDGET)
        told = self._made[task]
        changes = tried(self._tree, self._at, self.experience, task, budget=CHANGES)
        half = self.calibration.half
        return view(
            told,
            [
                replace(c, start=half.apply(self._at, c.start), before=half.apply(self._at, c.before))
                for c in changes
            ],
        )

    def idle(self, engine: Engine, now: int) -> None:
        """Now and then predicts for nobody, to learn from what comes of it."""
        self.calibration.passed(now)
        if now >= self._next:
            self._next = now + UNASKED
            if waiting(engine):
                self._refresh(engine, now, None, BUDGET // 4)

    def _refresh(self, engine: Engine, now: int, task: str | None, budget: int) -> None:
        began = time.perf_counter_ns() // 1000
        self.calibration.passed(now)
        self._tree, self._at = engine.snapshot(), now
        tasks = waiting(engine)[:MOST]
        asked = tasks if task is None or task in tasks else [*tasks, task]
        found = predict(self._tree, now, self.experience, asked, arrivals=self.arrivals, budget=budget)
        self._made = {name: self.calibration.corrected(one) for name, one in found.items()}
        for one in self._made.values():
            self.calibration.promised(one)
        cost = time.perf_counter_ns() // 1000 - began
        self._until = now + max(FRESH, 3 * cost)
        self._next = now + max(UNASKED, 10 * cost)


def view(told: Prediction, changes: list[Tried]) -> dict[str, Any]:
    """As plain JSON. Times are microseconds from `now`; None: later than `horizon`."""
    now = told.now
    return {
        "now": now,
        "start_p50": None if told.p50 is None else told.p50 - now,
        "start_p90": None if told.p90 is None else told.p90 - now,
        "horizon": told.horizon - now,
        "scenarios": told.scenarios,
        "sooner": [
            {
                "kind": change.kind,
                "change": change.text,
                "start": change.start - now if change.start is not None else None,
                "instead_of": None if change.before is None else change.before - now,
                "price": change.price,
                "delays_others": change.delay,
                "loses": change.lost,
                "buys": change.bought,
            }
            for change in changes[:LISTED]
        ],
    }


def lines(predicted: dict[str, Any]) -> list[str]:
    """For a reader."""
    if "unavailable" in predicted:
        return [f"predictions are not available right now: {predicted['unavailable']}"]
    half, most = predicted["start_p50"], predicted["start_p90"]
    if most is None and half is None:
        beyond = show_time(predicted["horizon"])
        said = f"does not start within {beyond}" if predicted["horizon"] else "does not start"
        found = [f"{said} in most of {predicted['scenarios']} simulated futures"]
    else:
        later = "later than can be told" if most is None else f"by {show_time(most)} from now"
        found = [
            f"should start in {show_time(half)} (P50), {later} (P90), by {predicted['scenarios']} simulated futures"
        ]
    if predicted["sooner"]:
        found.append("would start sooner, the cheapest first:")
    for change in predicted["sooner"]:
        instead = "" if change["instead_of"] is None else f" instead of {show_time(change['instead_of'])}"
        found.append(f"  {change['change']}: in {show_time(change['start'])}{instead}; {_price(change)}")
    return found


def _price(change: dict[str, Any]) -> str:
    parts = []
    if change["delays_others"] > 0:
        parts.append(f"the others end {show_time(change['delays_others'])} later in all")
    if change["loses"]:
        lost = show_time(change["loses"])
        parts.append(f"it runs {lost} longer" if change["kind"] == "smaller" else f"{lost} of work are lost")
    if change["buys"]:
        parts.append(f"a node for {show_time(change['buys'])}")
    return ", ".join(parts) or "costs the others nothing"
