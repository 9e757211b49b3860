"""A workflow's edges, worked out once: which rows of a step wait for which rows of another.

A *step* is one node of the graph (a `TaskSpec`) in one run; a *row* is one task: a plain step has one, a
mapped step one for each item as soon as their number is known. There are three kinds of edge:

    ALL   every row of the child needs every row of the parent (a plain parent has one; else it is the gather)
    ITEM  row i of the child needs row i of the parent (a map over a map: each item flows on alone)
    SOME  row i of the child needs all of the parent, for listed i only (a literal list that holds results)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from headway.domain.growth import Growth
from headway.domain.rules import RULES
from headway.domain.workflow import Arg, ListOf, Output, TaskSpec, Workflow, outputs_of

ALL, ITEM, SOME = 0, 1, 2


@dataclass(slots=True)
class Step:
    """One node of the graph in one run.

    Attributes:
        parents: (step, kind of edge), in reading order.
        children: The same edges from the other end.
        some: Of a SOME edge: parent -> the rows that need it.
        needed_by: The other end of it: row -> parents, built only where there is a SOME edge.
        base: Index of the first row in the run's columns.
        rows: How many rows it has; at least 1, as an unexpanded step stands as one row.
        items: Number of items, None while it is not known; of a plain step 1.
        left: Rows that have not finished.
        blocked: Parents on ALL edges that are not complete.
        doomed: A parent on an ALL edge is dead, so all rows were skipped already.
    """

    index: int
    spec: TaskSpec
    parents: tuple[tuple[int, int], ...] = ()
    children: list[tuple[int, int]] = field(default_factory=list)
    some: dict[int, tuple[int, ...]] | None = None
    needed_by: dict[int, tuple[int, ...]] | None = None
    #: Levels below the first tasks of the run.
    depth: int = 0
    base: int = 0
    rows: int = 1
    items: int | None = None
    left: int = 1
    blocked: int = 0
    doomed: bool = False
    #: The row of the dynamic task that called it, -1 of what was submitted.
    owner: int = -1

    @property
    def mapped(self) -> bool:
        return self.spec.mapped > 0

    @property
    def ruled(self) -> bool:
        """Whether a rule other than `all_success` says when it runs: `gates.verdict` is asked, not the counters."""
        return self.spec.rule != RULES[0]

    @property
    def gated(self) -> bool:
        """Whether it may not run though nothing failed (skipped, cached, or not answered), so that nobody may start it ahead."""
        spec = self.spec
        return spec.when is not None or spec.rule != RULES[0] or spec.cache is not None or spec.wait is not None

    @property
    def plural(self) -> bool:
        """Whether its rows are items: `name[0]`, `name[1]`, …"""
        return self.spec.mapped > 0 and bool(self.items)


@dataclass(slots=True)
class Group:
    """What one dynamic task called: the steps from `first` to before `last`.

    Attributes:
        step: Of the dynamic task.
        level: 1 if that was submitted, one more each time a grown task grows.
        growth: As it came.
        result: Where the result of the dynamic task is found, by names in the run.
        live: Rows that have not ended.
    """

    step: int
    first: int
    last: int
    level: int
    growth: Growth
    result: Arg
    live: int = 0


def build(workflow: Workflow) -> tuple[list[Step], dict[str, Step]]:
    """The steps in the workflow's order, and by name."""
    steps: list[Step] = []
    names: dict[str, Step] = {}
    add_steps(workflow.tasks, steps, names)
    return steps, names


def add_steps(
    tasks: Sequence[TaskSpec], steps: list[Step], names: dict[str, Step], *, owner: int = -1, depth: int = 0
) -> None:
    """Put more nodes behind those there are; they may wait for one another only.

    Args:
        depth: Of those that wait for nothing.
    """
    for index, spec in enumerate(tasks, len(steps)):
        step = Step(index, spec, owner=owner, depth=depth)
        edges, some = _edges(spec, names)
        step.parents = tuple(edges.items())
        for parent, kind in step.parents:
            steps[parent].children.append((index, kind))
            step.depth = max(step.depth, steps[parent].depth + 1)
        if some:
            step.some = {parent: tuple(rows) for parent, rows in some.items()}
            needed: dict[int, list[int]] = {}
            for parent, rows in some.items():
                for row in rows:
                    needed.setdefault(row, []).append(parent)
            step.needed_by = {row: tuple(needed[row]) for row in sorted(needed)}
        if not spec.mapped:
            step.items = 1
        steps.append(step)
        names[spec.name] = step


def _edges(spec: TaskSpec, names: dict[str, Step]) -> tuple[dict[int, int], dict[int, list[int]]]:
    """Edges of one step to its parents, by parent; where two kinds meet, ALL covers both."""
    edges: dict[int, int] = {}
    some: dict[int, list[int]] = {}

    def add(parent: int, kind: int) -> None:
        edges[parent] = kind if edges.get(parent, kind) == kind else ALL

    for position, arg in enumerate(spec.args):
        if position >= spec.mapped:
            _gather(arg, names, add)
        elif isinstance(arg, Output):
            parent = names[arg.task]
            add(parent.index, ITEM if parent.mapped else ALL)
        elif isinstance(arg, ListOf):
            for row, item in enumerate(arg.items):
                for output in outputs_of(item):
                    index = names[output.task].index
                    add(index, SOME)
                    listed = some.setdefault(index, [])
                    if not listed or listed[-1] != row:
                        listed.append(row)
    for _, arg in spec.kwargs:
        _gather(arg, names, add)
    for name in (*spec.after, *((spec.when.task,) if spec.when is not None else ())):
        add(names[name].index, ALL)
    return edges, {parent: sorted(set(rows)) for parent, rows in some.items() if edges[parent] == SOME}


def _gather(arg: Arg, names: dict[str, Step], add: Callable[[int, int], None]) -> None:
    for output in outputs_of(arg):
        add(names[output.task].index, ALL)
