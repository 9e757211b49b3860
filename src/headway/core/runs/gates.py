"""Whether a task runs: its condition, and what its trigger rule makes of how those before it ended.

The run and the explanation of a skipped task ask the same functions here; the rules themselves are `domain.rules.judge`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.core.runs.graph import ALL, ITEM, Step
from headway.core.runs.states import CANCELLED, FAILED, FINISHED, LIVE, SKIPPED, STATES, UNKNOWN
from headway.domain.rules import GO, RULES, SKIP, WAIT, Ends, judge

if TYPE_CHECKING:
    from headway.core.runs.run import Run

#: Flag of a row that was skipped because of a condition or a rule, not because something failed.
UNWANTED = 8


def verdict(run: Run, step: Step, row: int) -> str:
    """Whether a row of a step with a rule may run. Costs a count of bytes for each parent."""
    asked = condition(run, step)
    if asked != GO:
        return asked
    ends = ends_of(run, step, row)
    if step.items is None:  # its items are not known: with nothing left to wait for they never will be
        return WAIT if ends.live else SKIP
    return judge(step.spec.rule, ends)


def condition(run: Run, step: Step) -> str:
    """What its condition says: `go` if it has none."""
    if step.spec.when is None:
        return GO
    asked = run.names[step.spec.when.task]
    state = run.state[asked.base]
    if state in LIVE:
        return WAIT
    if state != FINISHED:
        return SKIP
    ref = run.ref(asked.base)
    return GO if ref is not None and ref.data is step.spec.when.be else SKIP


def ends_of(run: Run, step: Step, row: int) -> Ends:
    """How those before the row ended, its condition apart."""
    ends = Ends()
    index = row - step.base
    asked = -1 if step.spec.when is None else run.names[step.spec.when.task].index
    for number, kind in step.parents:
        if number == asked:
            continue
        parent = run.steps[number]
        low, high = parent.base, parent.base + parent.rows
        if kind == ITEM and step.items is not None and parent.plural:
            low, high = parent.base + index, parent.base + index + 1
        elif kind not in (ALL, ITEM) and number not in (step.needed_by or {}).get(index, ()):
            continue
        _count(run, low, high, ends)
    return ends


def _count(run: Run, low: int, high: int, ends: Ends) -> None:
    count = run.state.count
    ends.live += sum(count(code, low, high) for code in LIVE)
    ends.done += count(FINISHED, low, high)
    ends.failed += sum(count(code, low, high) for code in (FAILED, CANCELLED, UNKNOWN))
    if count(SKIPPED, low, high):
        skipped = [row for row in range(low, high) if run.state[row] == SKIPPED]
        unwanted = sum(1 for row in skipped if run.flags[row] & UNWANTED)
        ends.skipped += unwanted
        ends.failed += len(skipped) - unwanted


def why_skipped(run: Run, step: Step, row: int) -> str | None:
    """In words, of a skipped row whose own condition or rule said no; None if it was another's end."""
    spec = step.spec
    if spec.when is not None and condition(run, step) == SKIP:
        asked = run.names[spec.when.task]
        if run.state[asked.base] == FINISHED:
            return f"it runs only if {run.id_of(asked, asked.base)} is {spec.when.be}, and it is {not spec.when.be}"
        return None
    if spec.rule == RULES[0]:
        return None
    ends = ends_of(run, step, row)
    found = ((ends.done, STATES[FINISHED]), (ends.failed, STATES[FAILED]), (ends.skipped, STATES[SKIPPED]))
    counts = ", ".join(f"{count} {name}" for count, name in found if count) or "nothing"
    return f"its rule is {spec.rule}, and of what it waited for there is: {counts}"
