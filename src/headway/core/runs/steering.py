"""What a person changes about a run under way: paused and resumed, priority, weight and deadline edited.

A target is named as in the run: empty for the run itself, `train` for a task or all items of a map, `train[3]` for one item.
Both are kept with the run, so that tasks that are offered later are offered so; what the scheduler must hear of at once is
put down in `run.notices` for the next drain.
"""

from __future__ import annotations

from typing import Any

from headway.core.runs.graph import Step
from headway.core.runs.run import OFFERED, Run
from headway.core.runs.states import LIVE
from headway.errors import Conflict, Invalid

#: Priority, milli-weight and deadline as a person set them; None where as submitted.
Edit = tuple[int | None, int | None, int | None]
FIELDS = ("priority", "weight", "deadline")


def pause(run: Run, name: str, by: str, reason: str, stop: bool, now: int) -> None:
    """Let nothing of the target start any more; with `stop` what runs is asked to checkpoint and end.

    Again it changes nothing, unless it now says `stop`.

    Raises:
        NotFound: There is no such task.
        Conflict: It has ended.
    """
    _live(run, name)
    known = run.paused.get(name)
    if known is not None and (known["stop"] or not stop):
        return
    run.paused[name] = {"by": by, "reason": reason, "at": now, "stop": stop}
    run.notices.append(["pause", target_of(run, name), by, reason, stop])


def resume(run: Run, name: str) -> None:
    """Let the target start again; one that is not paused stays as it is.

    Raises:
        NotFound: There is no such task.
        Conflict: It is paused as part of something larger.
    """
    if name:
        _rows(run, name)
    if run.paused.pop(name, None) is not None:
        run.notices.append(["resume", target_of(run, name)])
    elif (wider := next((one for one in _wider(name)[1:] if one in run.paused), None)) is not None:
        whole = target_of(run, wider)
        raise Conflict(
            f"{target_of(run, name)} is paused with {whole}", hint=f"resume that: headway resume {whole}"
        )


def resume_all(run: Run) -> None:
    """The run is over: nothing of it is paused any more."""
    run.notices.extend(["resume", target_of(run, name)] for name in run.paused)
    run.paused.clear()


def pause_on(run: Run, name: str) -> dict[str, Any] | None:
    """What keeps a task from starting: the narrowest pause that concerns it, or None."""
    for one in _wider(name):
        if (known := run.paused.get(one)) is not None:
            return {
                "target": target_of(run, one),
                "by": known["by"],
                "reason": known["reason"],
                "at": known["at"],
            }
    return None


def edit(run: Run, name: str, changes: dict[str, int], by: str, reason: str, now: int) -> None:
    """Change priority, milli-weight or deadline of what has not ended.

    Raises:
        NotFound: There is no such task.
        Invalid: There is nothing to change.
        Conflict: It has ended.
    """
    if not changes:
        raise Invalid(
            f"nothing to change about {target_of(run, name)}", hint=f"give one of: {', '.join(FIELDS)}"
        )
    rows = _live(run, name)
    known = run.edits.get(name, {})
    run.edits[name] = {**known, **changes, "by": by, "reason": reason, "at": now}
    for step, row in rows:
        # One that was edited by itself keeps that: the narrower goes before.
        if run.flags[row] & OFFERED and (whole := edit_of(run, step, row)) is not None:
            run.notices.append(["edit", run.id_of(step, row), *whole])


def edit_of(run: Run, step: Step, row: int) -> Edit | None:
    """What was edited about a task, the narrowest first, or None."""
    found = [run.edits[one] for one in _wider(run.name_of(step, row)) if one in run.edits]
    if not found:
        return None
    priority, weight, deadline = (
        next((one[field] for one in found if field in one), None) for field in FIELDS
    )
    return priority, weight, deadline


def due(run: Run, step: Step, row: int) -> int | None:
    """When a task should be complete, as edited, or as the workflow says; None for no deadline."""
    edited = edit_of(run, step, row) if run.edits else None
    return run.workflow.due(step.spec, run.submitted) if edited is None or edited[2] is None else edited[2]


def run_due(run: Run) -> int | None:
    """When the run should be complete."""
    said = run.workflow.deadline
    edited: int | None = run.edits[""].get("deadline") if "" in run.edits else None
    return edited if edited is not None or said is None else said.due(run.submitted)


def target_of(run: Run, name: str) -> str:
    """As it is named from outside."""
    return f"{run.id}/{name}" if name else run.id


def _wider(name: str) -> list[str]:
    """The target and all it is part of, from the narrowest: `train[3]`, `train`, the run."""
    if not name:
        return [""]
    bare = name.rpartition("[")[0] if name.endswith("]") else ""
    return [name, bare, ""] if bare else [name, ""]


def _rows(run: Run, name: str) -> list[tuple[Step, int]]:
    if not name:
        return list(run.all_rows())
    step = run.names.get(name)
    return [run.get(name)] if step is None else [(step, row) for row in run.rows_of(step)]


def _live(run: Run, name: str) -> list[tuple[Step, int]]:
    rows = [(step, row) for step, row in _rows(run, name) if run.state[row] in LIVE]
    if not rows:
        raise Conflict(f"{target_of(run, name)} has ended", hint=f"run it again: headway retry {run.id}")
    return rows
