"""What follows from what: a finished task frees others, a map grows, a failure skips its heirs.

Nothing here recurses over the graph, as a chain may be longer than Python's stack: what follows is put on the
run's agenda (complete steps, lengths that may be known) and worked off in `settle`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from headway.core.runs import caching, gates
from headway.core.runs.graph import ALL, ITEM, Step
from headway.core.runs.run import AFTER_MOST, EMPTY, GATHER_MOST, KNOWN, OFFERED, UNACKED, Run
from headway.core.runs.states import (
    CANCELLED,
    DEAD,
    FAILED,
    FINISHED,
    LIVE,
    RERUNNABLE,
    STATES,
    UNKNOWN,
    WAITING,
)
from headway.domain.results import Ref
from headway.domain.rules import GO, SKIP
from headway.domain.waits import SIGNAL, ref_of
from headway.domain.workflow import ListOf, Output, Value
from headway.errors import Invalid

#: How many levels below a ready task are offered with it, so that a chain can ride on one train.
LOOK_AHEAD = 16
#: The look-ahead is renewed when a task at a multiple of this depth finishes: it never falls below half, at
#: two visits a task.
RENEW = 8


def begin(run: Run, now: int) -> None:
    """Lay out the rows of a new run and offer what is ready.

    Raises:
        Invalid: Literal lists that are mapped over together differ in length.
    """
    for step in run.steps:
        length = length_of(run, step) if step.mapped else 1
        if isinstance(length, str):
            raise Invalid(f"task {step.spec.name!r}: {length}", task=step.spec.name)
        step.items, step.rows = length, length or 1
        step.base = run.grow(step.rows)
    run.recount()
    start(run, run.steps, now)


def start(run: Run, steps: Sequence[Step], now: int) -> None:
    """Offer what is ready of steps that are new."""
    for step in steps:
        if step.items == 0:
            _finish_empty(run, step, now)
    settle(run, now)
    for step in steps:
        if step.items and not step.blocked:
            free(run, step, run.rows_of(step))
    settle(run, now)


# ── offers ──────────────────────────────────────────────────────────────────────────────────────────────────


def offer(run: Run, step: Step, row: int, not_before: int = 0) -> None:
    """Have the next drain offer the row; an older withdrawal that nobody has seen yet is void."""
    run.flags[row] |= OFFERED
    run.offers[step.index, row] = not_before
    if run.withdrawn and run.withdrawn.pop(run.id_of(step, row), None) is not None:
        run.flags[row] = (run.flags[row] | KNOWN) & ~UNACKED


def withdraw(run: Run, step: Step, row: int, reason: str) -> None:
    """Take the row back from the scheduler, if it has it or is about to get it."""
    run.offers.pop((step.index, row), None)
    if run.flags[row] & KNOWN:
        run.withdrawn[run.id_of(step, row)] = reason
        run.flags[row] |= UNACKED
    run.flags[row] &= ~(OFFERED | KNOWN)


def free(run: Run, step: Step, rows: Iterable[int]) -> None:
    """Queue the rows that wait for nothing any more; one looked ahead is with the scheduler already."""
    if step.ruled:
        run.agenda.append(("judge", step))
        return
    if step.spec.wait is not None:
        run.agenda.append(("ask", step))
        return
    for row in rows:
        if run.state[row] == WAITING and not run.waits[row]:
            run.set(step, row, "ready")
            if step.spec.cache is not None:
                if not run.recalls:
                    run.agenda.append(("recall", step))
                run.recalls.append((step, row))
            elif not run.flags[row] & OFFERED:
                offer(run, step, row)
                if step.children:
                    look_ahead(run, step, row)


def _recall(run: Run, now: int) -> None:
    """Tasks with a cache that are ready: finish those whose result is known, offer the others."""
    for step, row in run.recalls:  # what finishes may free more, which join the list
        ref = caching.recall(run, step, row, now)
        if ref is not None:
            finish(run, step, row, ref)
            run.started[row] = run.ended_at[row] = now
        elif not run.flags[row] & OFFERED:
            offer(run, step, row)
            if step.children:
                look_ahead(run, step, row)
    run.recalls.clear()


def look_ahead(run: Run, step: Step, row: int, *, renew: bool = False) -> None:
    """Offer successors whose unfinished parents are all offered, level by level.

    Args:
        renew: Also walk through successors that are offered already, to reach those behind them.
    """
    level: dict[tuple[int, int], None] = {(step.index, row): None}
    for _ in range(LOOK_AHEAD):
        below: dict[tuple[int, int], None] = {}
        for number, here in level:
            for child, there in _successors(run, run.steps[number], here):
                if run.flags[there] & OFFERED:
                    if renew:
                        below[child.index, there] = None
                elif (
                    run.state[there] == WAITING
                    and child.spec.wait is None
                    and _all_offered(run, child, there)
                ):
                    offer(run, child, there)
                    below[child.index, there] = None
        if not below:
            return
        level = below


def _successors(run: Run, step: Step, row: int) -> Iterable[tuple[Step, int]]:
    for number, kind in step.children:
        child = run.steps[number]
        if child.items is None or child.doomed:
            continue
        if kind == ITEM:
            yield child, child.base + row - step.base
        elif not step.left or (step.left <= AFTER_MOST and step.rows <= GATHER_MOST):
            for index in range(child.rows) if kind == ALL else (child.some or {})[step.index]:
                yield child, child.base + index


def offer_heirs(run: Run, step: Step, row: int) -> None:
    """Offer those that need the row once more, with its result, if they were offered while it was unfinished."""
    for number, kind in step.children:
        child = run.steps[number]
        if child.items is None:
            continue
        if kind == ITEM:
            rows: Iterable[int] = (child.base + row - step.base,)
        else:
            rows = (
                run.rows_of(child)
                if kind == ALL
                else [child.base + i for i in (child.some or {})[step.index]]
            )
        for there in rows:
            if run.flags[there] & OFFERED and run.state[there] in LIVE:
                offer(run, child, there, run.offers.get((child.index, there), 0))


def offer_gang(run: Run, step: Step) -> None:
    """Tell the scheduler by new offers how many members of a gang have finished."""
    if step.spec.gang:
        for row in run.rows_of(step):
            if run.flags[row] & OFFERED and run.state[row] in LIVE:
                offer(run, step, row, run.offers.get((step.index, row), 0))


def _all_offered(run: Run, step: Step, row: int) -> bool:
    waits_for = run.unfinished(step, row)
    return waits_for is not None and all(run.flags[parent] & OFFERED for _, parent in waits_for)


def _levels(run: Run, step: Step) -> int:
    """How many levels of steps that have not finished stand above this one, counted up to the look-ahead."""
    level, count = [step], 0
    while count < LOOK_AHEAD:
        above = {parent: None for below in level for parent, _ in below.parents if run.steps[parent].left}
        if not above:
            break
        level, count = [run.steps[parent] for parent in above], count + 1
    return count


# ── ends ────────────────────────────────────────────────────────────────────────────────────────────────────


def finish(run: Run, step: Step, row: int, ref: Ref) -> None:
    """Record the result and free what waited for it."""
    run.set(step, row, "finish")
    run.result[row] = ref
    attempt_made_it(run, step, row)
    step.left -= 1
    for number, kind in step.children:
        child = run.steps[number]
        if child.ruled:
            run.agenda.append(("judge", child))
        if kind == ITEM and child.items:
            there = child.base + row - step.base
            run.waits[there] -= 1
            if not run.waits[there] and not child.blocked:
                free(run, child, (there,))
    if not step.left:
        run.agenda.append(("complete", step))
    elif not step.depth % RENEW and step.children:
        look_ahead(run, step, row, renew=True)


def attempt_made_it(run: Run, step: Step, row: int) -> None:
    """No offer of the row stands any more, and no error."""
    if (
        run.flags[row] & UNACKED
    ):  # cancelled, retried, and yet the first attempt made it: the new offer must go
        withdraw(run, step, row, "it has finished")
    run.flags[row] &= ~(OFFERED | KNOWN)
    run.offers.pop((step.index, row), None)
    run.errors.pop(row, None)


def request(run: Run, step: Step, now: int) -> None:
    """It is the turn of an approval or a signal: it waits from now on, unless its signal has been given already."""
    wait, row = step.spec.wait, step.base
    if wait is None or run.state[row] != WAITING or row in run.asked or not run.is_free(step, row):
        return
    run.asked[row] = [now, now + wait.timeout if wait.timeout is not None else 0]
    run.touched[step.index, row] = None
    if wait.kind == SIGNAL and wait.text in run.signals:
        answer(run, step, run.signals[wait.text], now)


def answer(run: Run, step: Step, given: dict[str, Any], now: int) -> None:
    """What was asked for is there."""
    row = step.base
    run.started[row], run.ended_at[row] = run.asked.pop(row)[0], now
    run.answers[row] = {**given, "at": now}
    finish(run, step, row, ref_of(given["value"]))


def end(run: Run, step: Step, row: int, what: str, reason: str, now: int, *, unwanted: bool = False) -> None:
    """End a live row in a dead state (`fail`, `cancel`, `skip`, `lose`) and skip all that needs it.

    Args:
        unwanted: A condition or a rule said no: nothing has failed, and what needs it is skipped for that.
    """
    stack = [(step, row, what)]
    while stack:
        step, row, what = stack.pop()
        if run.state[row] not in LIVE:
            continue
        run.set(step, row, what)
        if unwanted:
            run.flags[row] |= gates.UNWANTED
        run.ended_at[row] = now
        run.progress.pop(row, None)
        run.asked.pop(row, None)
        withdraw(run, step, row, reason)
        heirs = [(child, there, "skip") for child, there in _heirs(run, step, row)]
        if run.groups and row in run.groups:
            heirs += [(child, there, what) for child, there in run.rows_in(run.groups[row])]
        stack.extend(reversed(heirs))


def _heirs(run: Run, step: Step, row: int) -> Iterable[tuple[Step, int]]:
    """Rows that cannot run without this one."""
    for number, kind in step.children:
        child = run.steps[number]
        if child.ruled and not (child.spec.when is not None and child.spec.when.task == step.spec.name):
            run.agenda.append(("judge", child))
        elif kind == ALL:
            if not child.doomed:
                child.doomed = True
                for there in run.rows_of(child):
                    yield child, there
        elif kind == ITEM:
            if child.items is not None:
                yield child, child.base + row - step.base
            elif step.items is None:  # it will never have items, so neither will the child
                yield child, child.base
        elif child.items is not None:
            for index in (child.some or {})[step.index]:
                yield child, child.base + index


# ── growth ──────────────────────────────────────────────────────────────────────────────────────────────────


def settle(run: Run, now: int) -> None:
    """Work off the agenda: steps that are complete free or grow others, which may be complete in turn."""
    done = 0
    while done < len(run.agenda):
        what, step = run.agenda[done]
        done += 1
        if what == "grow":
            _grow(run, step, now)
            continue
        if what == "judge":
            _judge(run, step, now)
            continue
        if what == "recall":
            _recall(run, now)
            continue
        if what == "ripe":
            _ripen(run, step.owner, now)
            continue
        if what == "ask":
            request(run, step, now)
            continue
        for number, kind in step.children:
            child = run.steps[number]
            if kind == ALL:
                child.blocked -= 1
                rows: Iterable[int] = run.rows_of(child)
            elif kind == ITEM or child.items is None:
                rows = ()
            else:
                rows = [child.base + index for index in (child.some or {})[step.index]]
                for row in rows:
                    run.waits[row] -= 1
            if child.spec.when is not None and child.spec.when.task == step.spec.name:
                _ask(run, child, now)
            if child.items is None:
                _grow(run, child, now)
            elif not child.blocked and child.items:
                free(run, child, rows)
        if not step.depth % RENEW and step.children and step.items:
            look_ahead(run, step, step.base + step.rows - 1, renew=True)
    run.agenda.clear()


def _ripen(run: Run, row: int, now: int) -> None:
    """All that a dynamic task called has ended, and so does the task: as a run of it would."""
    group = run.groups[row]
    step = run.steps[group.step]
    if group.live or run.state[row] not in LIVE:
        return
    run.ended_at[row] = now
    for code, what in ((FAILED, "fail"), (UNKNOWN, "lose"), (CANCELLED, "cancel")):
        for other in run.steps[group.first : group.last]:
            found = run.state.find(code, other.base, other.base + other.rows)
            if found >= 0:
                run.errors[row] = _passed_on(run, other, found)
                end(run, step, row, what, run.errors[row]["message"], now)
                return
    if isinstance(group.result, Output):
        from_step = run.names[group.result.task]
        result = run.ref(from_step.base)
        if result is None:
            message = f"{run.id_of(from_step, from_step.base)}, whose result it returned, was skipped"
            run.errors[row] = {"type": "Skipped", "message": message, "traceback": ""}
            end(run, step, row, "skip", message, now, unwanted=True)
            return
    else:
        assert isinstance(group.result, Value), "a growth's result is checked when it comes"
        result = run.values[group.result.key]
    finish(run, step, row, result)


def _passed_on(run: Run, step: Step, row: int) -> dict[str, Any]:
    """The error of a dynamic task, of which this task failed; through many levels it stays that of the last."""
    error = run.errors.get(row)
    if error is not None and row in run.groups:
        return error
    who, state = run.id_of(step, row), STATES[run.state[row]]
    if error is None:
        return {"type": state.capitalize(), "message": f"{who}, which it called, is {state}", "traceback": ""}
    return {
        "type": error["type"],
        "message": f"{who}, which it called, is {state}: {error['message']}",
        "traceback": "",
    }


def _ask(run: Run, step: Step, now: int) -> None:
    """Its condition is known: skip the step if it does not hold."""
    asked = run.names[step.spec.when.task] if step.spec.when is not None else step
    if run.state[asked.base] == FINISHED and gates.condition(run, step) == SKIP:
        for row in run.rows_of(step):
            end(run, step, row, "skip", "its condition does not hold", now, unwanted=True)


def _judge(run: Run, step: Step, now: int) -> None:
    """Ask the rule of a step for each of its rows that waits: queue it, skip it, or leave it waiting."""
    if step.items is None:
        _grow(run, step, now)
    for row in run.rows_of(step):
        if run.state[row] != WAITING:
            continue
        found = gates.verdict(run, step, row)
        if found == SKIP:
            # A map whose list will never be there is skipped for that, not by its rule.
            unwanted = step.items is not None or not gates.ends_of(run, step, row).failed
            end(run, step, row, "skip", f"its rule {step.spec.rule} does not hold", now, unwanted=unwanted)
        elif found == GO and step.spec.wait is not None:
            request(run, step, now)
        elif found == GO:
            run.set(step, row, "ready")
            if not run.flags[row] & OFFERED:
                offer(run, step, row)
                if step.children:
                    look_ahead(run, step, row)


def _grow(run: Run, step: Step, now: int) -> None:
    """Give an unexpanded map its items, if their number is known by now."""
    if step.items is not None or run.state[step.base] != WAITING:
        return
    length = length_of(run, step)
    if length is None:
        return
    if isinstance(length, str):
        run.errors[step.base] = {"type": "Invalid", "message": length, "traceback": ""}
        note_failure(run, step, step.base)
        end(run, step, step.base, "fail", length, now)
        return
    step.items = length
    if length == 0:
        _finish_empty(run, step, now)
    else:
        if step.owner >= 0:
            run.groups[step.owner].live += length
        run.set(step, step.base, "expand")
        step.base, step.rows, step.left = run.grow(length), length, length
        run.count_waits(step)
        _skip_orphans(run, step, now)
        if not step.blocked or step.ruled:
            free(run, step, run.rows_of(step))
        if _levels(run, step) < LOOK_AHEAD:
            for row in run.rows_of(step):
                if (
                    run.state[row] == WAITING
                    and not run.flags[row] & OFFERED
                    and _all_offered(run, step, row)
                ):
                    offer(run, step, row)
            look_ahead(run, step, step.base + step.rows - 1, renew=True)
    for number, _ in step.children:
        if run.steps[number].items is None:
            run.agenda.append(("grow", run.steps[number]))


def _finish_empty(run: Run, step: Step, now: int) -> None:
    """A map over nothing is done, with an empty list."""
    finish(run, step, step.base, EMPTY)
    run.started[step.base] = run.ended_at[step.base] = now


def _skip_orphans(run: Run, step: Step, now: int) -> None:
    """Of a map that just grew: skip the items whose own parent is dead already."""
    if step.ruled:
        return
    if any(kind != ALL and run.has_dead(run.steps[parent]) for parent, kind in step.parents):
        for row in run.rows_of(step):
            if any(run.state[other] in DEAD for _, other in run.parents_of(step, row)):
                end(run, step, row, "skip", "what it needs has failed", now)


def length_of(run: Run, step: Step) -> int | str | None:
    """How many items a map has: the number, None if not known yet, or what is wrong, in words."""
    lengths: list[tuple[str, int]] = []
    for position, arg in enumerate(step.spec.args[: step.spec.mapped]):
        length: int | None = None
        if isinstance(arg, ListOf):
            length = len(arg.items)
        elif isinstance(arg, Value):
            ref = run.values[arg.key]
            if (length := ref.items) is None:
                return f"it is mapped over {ref.text or 'a value'}, which is not a list"
        elif isinstance(arg, Output):
            parent = run.names[arg.task]
            if parent.mapped:
                length = parent.items
            elif (result := run.ref(parent.base)) is not None:
                length = result.items
                if length is None:
                    what = result.text or "a value"
                    return f"it is mapped over the result of {arg.task!r}, which is not a list: {what}"
        if length is None:
            return None
        lengths.append((f"argument {position + 1}", length))
    if len({length for _, length in lengths}) > 1:
        return "it is mapped over lists of different length: " + ", ".join(
            f"{who} has {n} items" for who, n in lengths
        )
    return lengths[0][1]


def note_failure(run: Run, step: Step, row: int) -> None:
    """Keep the first failure as the run's own error."""
    if run.error is None:
        error = run.errors[row]
        run.error = {"task": run.id_of(step, row), "type": error["type"], "message": error["message"]}


def rerun(run: Run, now: int) -> int:
    """Bring what failed, was cancelled or skipped back to life, with fresh tries.

    A task that may not run twice stays `unknown`, and what needs it is skipped again.

    Returns:
        How many tasks were brought back; 0 if there was nothing to do.
    """
    if not run.counts[FAILED] + run.counts[CANCELLED]:
        return 0
    chosen = [(step, row) for step, row in run.all_rows() if run.state[row] in RERUNNABLE]
    for step, row in chosen:
        run.set(step, row, "rerun")
        run.flags[row] &= ~gates.UNWANTED
        run.errors.pop(row, None)
        run.answers.pop(row, None)
        if row in run.groups:  # its own attempt was good: what it called runs again
            run.set(step, row, "grow")
            run.ended_at[row] = 0
            run.agenda.append(("ripe", run.steps[run.groups[row].first]))
            continue
        # The scheduler may have forgotten the task, and then counts its attempts from 1 again.
        run.ended_at[row] = run.started[row] = run.took[row] = run.fence[row] = run.attempt[row] = 0
        run.tries.pop(row, None)
        if step.spec.gang:
            run.tries.pop(step.base, None)
    run.ended, run.cancelled, run.error = 0, None, None
    run.recount()
    if run.counts[UNKNOWN]:
        for step, row in chosen:
            if not step.ruled and any(run.state[parent] in DEAD for _, parent in run.parents_of(step, row)):
                end(run, step, row, "skip", "what it needs has failed", now)
    for step in run.steps:
        if step.spec.when is not None:
            _ask(run, step, now)
        if step.ruled:
            run.agenda.append(("judge", step))
        elif step.items is None:
            run.agenda.append(("grow", step))
        elif not step.blocked and step.items:
            free(run, step, run.rows_of(step))
    settle(run, now)
    return len(chosen)
