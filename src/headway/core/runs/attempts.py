"""What an attempt's report means for its task: recorded once, tried again, or given up.

Each attempt has a number that only grows (the scheduler's fence). A report about an attempt that has ended
already, about one older than the newest, or about a task that has ended, changes nothing and is counted.
"""

from __future__ import annotations

import zlib
from typing import Any

from headway.core.runs import caching, flow, growing
from headway.core.runs.graph import Step
from headway.core.runs.run import UNACKED, Run
from headway.core.runs.states import LIVE
from headway.domain.growth import Growth
from headway.domain.results import Ref
from headway.domain.units import show_time
from headway.domain.workflow import Retry

#: A worker's death is more often the machine's fault than the task's: so many more attempts, whatever the
#: task says.
DEATHS_MOST = 2
#: A task that takes its node down every time must end some day.
LOSSES_MOST = 20
#: Attempts kept in a task's history.
HISTORY_MOST = 50

_OWN, _DEATHS, _LOSSES = 0, 1, 2


def report(run: Run, step: Step, row: int, attempt: int, what: str, at: int, value: Any, now: int) -> bool:
    """Take one row of an executor's report.

    Args:
        what: As in `bus.messages.ReportRow`.
        at: Microseconds of the wall clock.
        value: started: pid; progress and checkpoint: done in milli; finished: [took, Ref]; other outcomes:
            [took, error].

    Returns:
        False if it was stale or a repetition, and nothing has changed.
    """
    if what == "returned":
        return True
    if run.state[row] not in LIVE or (run.groups and row in run.groups):
        if what == "cancelled" and run.flags[row] & UNACKED:
            run.flags[row] &= ~UNACKED
            return True
        return False
    if attempt <= run.fence[row] or (attempt < run.attempt[row] and what != "preempted"):
        return False
    run.attempt[row] = max(attempt, run.attempt[row])
    if what == "started":
        run.started[row] = at
        run.set(step, row, "start")
    elif what in ("progress", "checkpoint"):
        if isinstance(value, int) and value >= 0:
            run.progress[row] = value
            run.touched[step.index, row] = None
    else:
        took, detail = (value[0], value[1]) if value else (0, None)
        _ended(run, step, row, attempt, what, at, took, detail, now)
    return True


def _ended(
    run: Run, step: Step, row: int, attempt: int, what: str, at: int, took: int, detail: Any, now: int
) -> None:
    spec = step.spec
    run.fence[row] = attempt
    run.took[row] = took
    run.spent += took * spec.cost
    run.progress.pop(row, None)
    if what == "finished":
        run.ended_at[row] = at
        run.started[row] = run.started[row] or at - took
        if isinstance(detail, Growth | str):
            _called(run, step, row, attempt, took, detail, now)
        else:
            flow.finish(run, step, row, detail if isinstance(detail, Ref) else Ref(*detail))
            if spec.cache is not None:
                caching.remember(run, step, row, run.result[row], now)
        return
    run.flags[row] &= ~UNACKED
    _remember(run, row, attempt, what, took)
    if what in ("failed", "timed_out"):
        run.errors[row] = _error(what, detail, took)
        chosen = not spec.retry.on or spec.retry.covers(_names(what, detail))
        if not chosen:
            run.errors[row]["note"] = f"not tried again: its retry is for {', '.join(spec.retry.on)} only"
        if not chosen or spec.at_most_once or _failures(run, step, row, attempt, _OWN) > spec.retry.limit:
            _give_up(run, step, row, "fail", now)
        else:
            again(run, step, row, now + _delay(run, step, row, attempt, _OWN))
    elif what == "worker_died":
        run.errors[row] = _error(what, detail, took)
        if spec.at_most_once:
            _give_up(run, step, row, "lose", now)
        elif _failures(run, step, row, attempt, _DEATHS) > max(spec.retry.limit, DEATHS_MOST):
            _give_up(run, step, row, "fail", now)
        else:
            again(run, step, row, now + _delay(run, step, row, attempt, _DEATHS))
    elif what == "preempted":
        if spec.at_most_once:
            run.errors[row] = _error(what, None, took)
            _give_up(run, step, row, "lose", now, held=True)
        elif attempt == run.attempt[row]:
            again(run, step, row, None)
    else:  # cancelled, lost: not by our wish, or by one that was taken back since
        lost(run, step, row, attempt, True, now, remember=False)


def _called(run: Run, step: Step, row: int, attempt: int, took: int, growth: Growth | str, now: int) -> None:
    """A dynamic task called others, or (text) what is no graph. That would be so again: it is not tried again."""
    run.ended_at[row] = 0
    wrong = growth if isinstance(growth, str) else growing.grow(run, step, row, growth, now)
    if wrong is None:
        return
    _remember(run, row, attempt, "failed", took)
    message = f"the tasks that it called cannot run: {wrong}"
    run.errors[row] = {"type": "Invalid", "message": message, "traceback": ""}
    _give_up(run, step, row, "fail", now)


def lost(
    run: Run, step: Step, row: int, attempt: int, started: bool, now: int, *, remember: bool = True
) -> bool:
    """The attempt went down with its node.

    Args:
        started: Whether it may have run.
        remember: False if the caller has put it into the history.

    Returns:
        False if the attempt was known to have ended.
    """
    if run.state[row] not in LIVE or (remember and attempt <= run.fence[row]):
        return False
    if run.groups and row in run.groups:  # its attempt made it: what it called is what runs
        return False
    started = started or (run.attempt[row] == attempt and run.started[row] > 0)
    run.fence[row] = max(attempt, run.fence[row])
    run.attempt[row] = max(attempt, run.attempt[row])
    run.progress.pop(row, None)
    if remember:
        _remember(run, row, attempt, "lost", 0)
    if step.spec.at_most_once and started:
        run.errors[row] = _error("lost", None, 0)
        _give_up(run, step, row, "lose", now)
    elif _count(run, row, _LOSSES) > LOSSES_MOST:
        message = f"the node it ran on was lost {LOSSES_MOST + 1} times"
        run.errors[row] = {"type": "Lost", "message": message, "traceback": ""}
        _give_up(run, step, row, "fail", now)
    else:
        again(run, step, row, 0)
    return True


def again(run: Run, step: Step, row: int, not_before: int | None) -> None:
    """Back to the queue; offered anew, unless the scheduler does that by itself (`not_before` None)."""
    if run.is_free(step, row):
        run.set(step, row, "again")
    else:
        run.set(step, row, "wait")
    run.touched[step.index, row] = None
    if not_before is not None:
        flow.offer(run, step, row, not_before)


def _give_up(run: Run, step: Step, row: int, what: str, now: int, *, held: bool = False) -> None:
    """End the task for good; `held` says that the scheduler still has it, so that it must be withdrawn."""
    flow.note_failure(run, step, row)
    if not held:
        run.flags[row] = 0
    run.offers.pop((step.index, row), None)
    flow.end(run, step, row, what, run.errors[row]["message"], now)
    if step.spec.gang:
        for other in run.rows_of(step):
            flow.end(run, step, other, "cancel", f"{run.id_of(step, row)} of its gang has failed", now)


def _remember(run: Run, row: int, attempt: int, outcome: str, took: int) -> None:
    history = run.earlier.setdefault(row, [])
    history.append((attempt, outcome, took))
    if len(history) > HISTORY_MOST:
        del history[0]


def _count(run: Run, row: int, which: int) -> int:
    tries = run.tries.setdefault(row, [0, 0, 0])
    tries[which] += 1
    return tries[which]


def _failures(run: Run, step: Step, row: int, attempt: int, which: int) -> int:
    """How often it has failed so. A gang counts as a whole: all its members start with one attempt number, and however
    many of them then fail, that is one failure."""
    if not step.spec.gang:
        return _count(run, row, which)
    tries = run.tries.setdefault(step.base, [0, 0, 0])
    counted = tries[3] if len(tries) > 3 else 0
    if attempt > counted:
        tries[which] += 1
        tries[3:] = [attempt]
    return tries[which]


def _delay(run: Run, step: Step, row: int, attempt: int, which: int) -> int:
    """Exponential back-off with equal jitter (half of it by chance); chance is a hash, so a replay agrees."""
    retry: Retry = step.spec.retry
    before = run.tries[step.base if step.spec.gang else row][which]
    whole = min(retry.ceiling, retry.delay << max(min(before - 1, 40), 0))
    chance = zlib.crc32(f"{run.id_of(step, row)}:{attempt}".encode())
    return whole - ((whole >> 1) * chance >> 32)


def _names(what: str, detail: Any) -> list[str]:
    """The whole names of an error's class and of what that inherits from."""
    told = detail.get("names") if isinstance(detail, dict) else None
    names = [name for name in told if isinstance(name, str)] if isinstance(told, list) else []
    if isinstance(detail, dict) and not names:
        names = [str(detail.get("type", ""))]
    return [*names, "TimedOut", "TimeoutError"] if what == "timed_out" else names


def _error(what: str, detail: Any, took: int) -> dict[str, Any]:
    usual = {
        "timed_out": ("TimedOut", f"it ran longer than its timeout ({show_time(took)})"),
        "worker_died": ("WorkerDied", "the worker process died"),
        "preempted": ("Unknown", "it was stopped for another task and may not run twice"),
        "lost": ("Unknown", "its node went away while it ran, and it may not run twice"),
    }
    kind, message = usual.get(what, ("Error", "it failed without saying why"))
    given = detail if isinstance(detail, dict) else {}
    return {
        "type": str(given.get("type") or kind),
        "message": str(given.get("message") or message),
        "traceback": str(given.get("traceback") or ""),
    }
