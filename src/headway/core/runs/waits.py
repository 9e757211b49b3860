"""Approvals and signals: tasks that nobody runs. Asked when it is their turn, they hold no slot and are offered to nobody.

Such a task stays `waiting` until a person or a program answers, or its time is over. A signal stays given: a task that waits
for it later has it at once.
"""

from __future__ import annotations

from typing import Any

from headway.core.runs import flow
from headway.core.runs.graph import Step
from headway.core.runs.run import Run
from headway.core.runs.states import LIVE, STATES
from headway.domain.units import show_time
from headway.domain.waits import APPROVAL, SIGNAL
from headway.errors import Conflict, Invalid


def approve(run: Run, name: str, yes: bool, by: str, reason: str, now: int) -> None:
    """Answer an approval.

    Raises:
        NotFound: There is no such task.
        Invalid: It is no approval.
        Conflict: It has been answered otherwise, has ended, or it is not its turn.
    """
    step, row = run.get(name)
    wait, told = step.spec.wait, run.id_of(step, row)
    if wait is None or wait.kind != APPROVAL:
        raise Invalid(f"{told} is no approval", hint=f"list them with: headway tasks {run.id}", task=told)
    said = "true" if yes else "false"
    if row not in run.asked:
        before = run.answers.get(row)
        if before is not None and before["value"] == said:
            return
        if before is not None:
            word = "approved" if before["value"] == "true" else "refused"
            raise Conflict(f"{told} was {word} by {before['by']}", task=told)
        if run.state[row] in LIVE:
            raise Conflict(f"{told} is not asked yet: it waits for others", task=told)
        raise Conflict(f"{told} has ended: it is {STATES[run.state[row]]}", task=told)
    flow.answer(run, step, {"value": said, "by": by, "reason": reason}, now)


def signal(run: Run, name: str, value: str, by: str, reason: str, now: int) -> int:
    """Give a signal to the run; tasks that wait for it finish with the value, and those that will.

    Args:
        value: As JSON.

    Returns:
        How many tasks it finished.

    Raises:
        Conflict: The run is over, or nothing in it waits for such a signal.
    """
    if not run.live:
        raise Conflict(f"run {run.id} has ended: it is {run.outcome}", run=run.id)
    mine = [
        s
        for s in run.steps
        if s.spec.wait is not None and (s.spec.wait.kind, s.spec.wait.text) == (SIGNAL, name)
    ]
    if not mine:
        known = sorted(
            {s.spec.wait.text for s in run.steps if s.spec.wait is not None and s.spec.wait.kind == SIGNAL}
        )
        raise Conflict(
            f"nothing in run {run.id} waits for signal {name!r}",
            hint=f"it waits for: {', '.join(known)}" if known else "it waits for none",
            run=run.id,
        )
    run.signals[name] = {"value": value, "by": by, "reason": reason}
    waiting = [step for step in mine if step.base in run.asked]
    for step in waiting:
        flow.answer(run, step, run.signals[name], now)
    return len(waiting)


def expire(run: Run, now: int) -> None:
    """Whose time is over gets its default, or fails."""
    over = [row for row, (_, until) in run.asked.items() if until and until <= now]
    for step in [step for step in run.steps if step.spec.wait is not None and step.base in over]:
        wait, row = step.spec.wait, step.base
        assert wait is not None
        if wait.default is not None:
            flow.answer(run, step, {"value": wait.default, "by": "", "reason": "the time was over"}, now)
            continue
        length = show_time(wait.timeout or 0)
        message = (
            f"nobody answered within {length}" if wait.kind == APPROVAL else f"no signal came within {length}"
        )
        run.started[row] = run.asked[row][0]
        run.errors[row] = {"type": "TimedOut", "message": message, "traceback": ""}
        flow.note_failure(run, step, row)
        flow.end(run, step, row, "fail", message, now)


def next_expiry(run: Run) -> int | None:
    """When the next one's time is over, or None."""
    return min((until for _, until in run.asked.values() if until), default=None)


def view(run: Run, step: Step, row: int) -> dict[str, Any] | None:
    """What the task waits for, or who answered, as plain JSON; None for a task that runs."""
    wait = step.spec.wait
    if wait is None:
        return None
    since, until = run.asked.get(row, (0, 0))
    answer = run.answers.get(row)
    return {
        "kind": wait.kind,
        "text": wait.text,
        "since": since or None,
        "until": until or None,
        "by": answer["by"] if answer else None,
        "reason": answer["reason"] if answer else None,
    }


def line(run: Run, step: Step, row: int) -> str | None:
    """The same as a sentence for `why`."""
    wait, told = step.spec.wait, run.id_of(step, row)
    if wait is None:
        return None
    if row in run.answers:
        answer = run.answers[row]
        what = (
            "the signal was given"
            if wait.kind == SIGNAL
            else "approved"
            if answer["value"] == "true"
            else "refused"
        )
        by = f" by {answer['by']}" if answer["by"] else ""
        return f"{what}{by}" + (f": {answer['reason']}" if answer["reason"] else "")
    if row not in run.asked:
        return None
    if wait.kind == APPROVAL:
        return f"asks: {wait.text} (headway approve {told} --yes, or --no)"
    return f"waits for signal {wait.text!r} (headway signal {run.id} {wait.text})"
