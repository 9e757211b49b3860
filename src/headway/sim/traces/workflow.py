"""A workflow that has not run: its graph, with what its author says of each task's length.

A mapped task has as many items as the list it is mapped over, or as the mapped task whose results flow on; how many items a
task will give is not known before it ran, so it is said, or reckoned as one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from headway.core.capacity.estimates import UNKNOWN
from headway.domain.results import Ref
from headway.domain.rules import SKIP, Ends, judge
from headway.domain.task import Gang, Task
from headway.domain.units import show_time
from headway.domain.workflow import Deadline, Output, TaskSpec, Value, Workflow, parents
from headway.errors import Invalid
from headway.sim.trace import Job, Trace
from headway.sim.traces.journal import item_by_item


def read(
    workflow: Workflow,
    values: Mapping[str, Ref],
    *,
    durations: Mapping[str, int] | None = None,
    items: Mapping[str, int] | None = None,
) -> tuple[Trace, list[str]]:
    """One run of the workflow, and what had to be assumed.

    Args:
        values: Its literal arguments.
        durations: Processing time of a task (each item, if mapped) in microseconds, by name; else its estimate. Of a task
            with variants that of the first; the others take what was said of them.
        items: How many items a mapped task has, by name, where that is not known before it ran.

    Raises:
        Invalid: A name that is no task of the workflow.
    """
    durations, items = durations or {}, items or {}
    notes: list[str] = []
    there = relative(workflow)
    if there is not workflow:
        notes.append(
            "deadlines at a point in time are left out: the simulated run begins at no point in time"
        )
        workflow = there
    if cached := [spec.name for spec in workflow.tasks if spec.cache is not None]:
        notes.append(f"what a cache holds is not looked at: {', '.join(cached)} are reckoned to run")
    known = {spec.name: spec for spec in workflow.tasks}
    for name in (*durations, *items):
        if name not in known:
            raise Invalid(
                f"workflow {workflow.name!r} has no task {name!r}", hint=f"its tasks: {', '.join(known)}"
            )
    counts: dict[str, int] = {}
    jobs: list[Job] = []
    left_out = _left_out(workflow, notes)
    for spec in workflow.tasks:
        if spec.name in left_out:
            continue
        length = durations.get(spec.name, spec.estimate)
        if length is None:
            notes.append(f"nobody says how long {spec.name} takes: reckoned as {show_time(UNKNOWN)}")
        if spec.dynamic:
            notes.append(f"what {spec.name} calls is not known before the run: reckoned as nothing")
        if spec.mapped:
            counts[spec.name] = _count(spec, values, counts, items, notes)
        takes = UNKNOWN if length is None else length
        others = tuple(UNKNOWN if v.estimate is None else v.estimate for v in spec.variants[1:])
        ways = (takes, *others) if others else ()
        made = (
            _job(workflow, spec, index, counts, takes, left_out) for index in range(counts.get(spec.name, 1))
        )
        jobs += [replace(job, durations=ways, cost=spec.cost) for job in made]
    return Trace.of(workflow.name, jobs), notes


def relative(workflow: Workflow) -> Workflow:
    """Without deadlines of the wall clock: the run of a simulation is submitted at its time 0."""

    def kept(deadline: Deadline | None) -> Deadline | None:
        return None if deadline is None or deadline.absolute else deadline

    if not any(one is not None and one.absolute for one in _deadlines(workflow)):
        return workflow
    tasks = tuple(replace(spec, deadline=kept(spec.deadline)) for spec in workflow.tasks)
    return replace(workflow, tasks=tasks, deadline=kept(workflow.deadline))


def _deadlines(workflow: Workflow) -> list[Deadline | None]:
    return [workflow.deadline, *(spec.deadline for spec in workflow.tasks)]


def _left_out(workflow: Workflow, notes: list[str]) -> set[str]:
    """What does not run if every condition holds and nothing fails: the other branches, and what waits for a failure."""
    found: set[str] = set()
    asked: dict[str, None] = {}
    for spec in workflow.tasks:
        before = [name for name in parents(spec) if spec.when is None or name != spec.when.task]
        skipped = sum(name in found for name in before)
        if spec.when is not None:
            asked[spec.when.task] = None
        if (spec.when is not None and (not spec.when.be or spec.when.task in found)) or (
            judge(spec.rule, Ends(done=len(before) - skipped, skipped=skipped)) == SKIP
        ):
            found.add(spec.name)
    notes += [f"whether {name} is true is not known before the run: reckoned as true" for name in asked]
    if found:
        notes.append(f"not run if so, and if nothing fails: {', '.join(sorted(found))}")
    return found


def _count(spec: TaskSpec, values: Mapping[str, Ref], counts: Mapping[str, int], said: Mapping[str, int],
           notes: list[str]) -> int:  # fmt: skip
    for arg in spec.args[: spec.mapped]:
        if isinstance(arg, Value) and (found := values[arg.key].items) is not None:
            return found
        if isinstance(arg, Output) and arg.task in counts:
            return counts[arg.task]
    if spec.name in said:
        return said[spec.name]
    notes.append(f"how many items {spec.name} has is not known before the run: reckoned as one")
    return 1


def _job(workflow: Workflow, spec: TaskSpec, index: int, counts: Mapping[str, int], length: int, left_out: Collection[str]
) -> Job:  # fmt: skip
    run = workflow.name
    after: dict[str, None] = {}
    for parent in parents(spec):
        if parent in left_out:
            continue
        if parent not in counts:
            after[f"{run}/{parent}"] = None
        elif spec.mapped and item_by_item(spec, parent):
            after[f"{run}/{parent}[{index}]"] = None
        else:
            after.update((f"{run}/{parent}[{i}]", None) for i in range(counts[parent]))
    fields: dict[str, Any] = {
        "priority": spec.priority,
        "estimate": spec.estimate,
        "tenant": workflow.tenant,
        "deadline": workflow.due(spec, 0),
        "where": spec.where,
        "variants": spec.variants,
        "gang": Gang(f"{run}/{spec.name}", index, counts[spec.name], 0, spec.within)
        if spec.gang and counts[spec.name] > 1
        else None,
        "beside": spec.beside,
    }
    name = f"{run}/{spec.name}[{index}]" if spec.mapped else f"{run}/{spec.name}"
    return Job(
        Task(name, spec.kind, spec.demand, weight=workflow.weight, after=tuple(after), **fields), length
    )
