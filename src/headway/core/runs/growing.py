"""A run that grows: the tasks that a dynamic task called join it, and give its result.

The dynamic task stays `running` until all of them have ended. It is finished with the result of the one that its body
returned, and failed if one of them failed, as a run would be. They may be dynamic in turn, to a depth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from headway.core.runs import flow
from headway.core.runs.graph import Group, Step, add_steps
from headway.core.runs.run import Run
from headway.domain.growth import Growth
from headway.domain.results import Ref
from headway.domain.workflow import Arg, DictOf, ListOf, Output, TaskSpec, Value, When

#: A task may call tasks that call tasks so often.
DEPTH_MOST = 1_000
#: Nodes of a run's graph, grown ones with it, and tasks (items of maps too) that a growth may bring the run to.
STEPS_MOST, ROWS_MOST = 100_000, 2_000_000


def grow(run: Run, step: Step, row: int, growth: Growth, now: int) -> str | None:
    """Take in what the body of a dynamic task called; its attempt is over.

    Returns:
        What is wrong with it, in words, and nothing has changed; or None.
    """
    if level_of(run, step) > DEPTH_MOST:
        return f"tasks call tasks more than {DEPTH_MOST} levels deep"
    if len(run.steps) + len(growth.workflow.tasks) > STEPS_MOST:
        return f"the run would grow to more than {STEPS_MOST} nodes; map one task over a list"
    group = attach(run, step, row, growth)
    new = run.steps[group.first : group.last]
    wrong = _measure(run, new)
    if wrong is not None:
        _detach(run, row, group)
        return wrong
    run.set(step, row, "grow")
    flow.attempt_made_it(run, step, row)
    for one in new:
        one.base = run.grow(one.rows)
        group.live += one.rows
    for one in new:
        run.recount_step(one)
    flow.start(run, new, now)
    return None


def level_of(run: Run, step: Step) -> int:
    """Of what this step calls: 1 if it was submitted."""
    return run.groups[step.owner].level + 1 if step.owner >= 0 else 1


def attach(run: Run, step: Step, row: int, growth: Growth) -> Group:
    """Add the nodes of a growth to the graph, with names and literals of the run; they have no rows yet."""
    own = f"{run.name_of(step, row)}/"
    names: dict[str, str] = {}
    for spec in growth.workflow.tasks:
        name, count = f"{growth.under}.{spec.name}", 1
        while (full := name if count == 1 else f"{name}-{count}") in run.names or full in names.values():
            count += 1
        names[spec.name] = full
    tasks = [_renamed(spec, names, own) for spec in growth.workflow.tasks]
    result = _argument(growth.workflow.result, names, own) if growth.workflow.result is not None else None
    assert result is not None, "a growth has a result"
    run.values.update((own + key, ref) for key, ref in growth.values.items())
    run.priced = run.priced or any(spec.cost for spec in tasks)
    first = len(run.steps)
    add_steps(tasks, run.steps, run.names, owner=row, depth=step.depth + 1)
    group = Group(step.index, first, len(run.steps), level_of(run, step), growth, result)
    run.groups[row] = group
    return group


def _detach(run: Run, row: int, group: Group) -> None:
    own = f"{run.name_of(run.steps[group.step], row)}/"
    for step in run.steps[group.first :]:
        del run.names[step.spec.name]
    del run.steps[group.first :], run.groups[row]
    for key in group.growth.values:
        del run.values[own + key]


def submitted_values(run: Run) -> dict[str, Ref]:
    """The literals that came with the run itself."""
    grown = {
        f"{run.name_of(run.steps[group.step], row)}/{key}"
        for row, group in run.groups.items()
        for key in group.growth.values
    }
    return {key: ref for key, ref in run.values.items() if key not in grown}


def _measure(run: Run, steps: list[Step]) -> str | None:
    """Give maps whose length is known their items; what is wrong, in words."""
    rows = len(run.state)
    for step in steps:
        length = flow.length_of(run, step) if step.mapped else 1
        if isinstance(length, str):
            return f"task {step.spec.name!r}: {length}"
        step.items, step.rows = length, length or 1
        rows += step.rows
    return f"the run would grow to more than {ROWS_MOST} tasks" if rows > ROWS_MOST else None


def _renamed(spec: TaskSpec, names: Mapping[str, str], own: str) -> TaskSpec:
    """The same node under names of the run."""
    return replace(
        spec,
        name=names[spec.name],
        args=tuple(_argument(arg, names, own) for arg in spec.args),
        kwargs=tuple((key, _argument(arg, names, own)) for key, arg in spec.kwargs),
        after=tuple(names[name] for name in spec.after),
        when=None if spec.when is None else When(names[spec.when.task], spec.when.be),
    )


def _argument(arg: Arg, names: Mapping[str, str], own: str) -> Arg:
    match arg:
        case Value(key):
            return Value(own + key)
        case Output(task, path):
            return Output(names[task], path)
        case ListOf(items, as_tuple):
            return ListOf(tuple(_argument(item, names, own) for item in items), as_tuple)
        case DictOf(pairs):
            return DictOf(tuple((key, _argument(item, names, own)) for key, item in pairs))
