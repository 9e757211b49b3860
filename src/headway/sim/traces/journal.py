"""What a service did, to be decided again under another policy.

The journal is a store's and its letters are the roles': both stand above this room, so what happened is handed in as the
engine's own events (`Recorded`). Each task arrives when it was submitted, takes what it took, and waits for what its
workflow says. Tasks that did not finish are left out, and so is what was offered before the journal begins.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Protocol

from headway.core.events import (
    AttemptCheckpointed,
    AttemptEnded,
    Event,
    NodeJoined,
    Outcome,
    TaskEdited,
    TaskOffered,
)
from headway.domain.resources import Node
from headway.domain.task import Task
from headway.domain.units import MILLI
from headway.domain.workflow import Output, TaskSpec, Workflow, parents
from headway.errors import Invalid
from headway.sim.cluster import Cluster
from headway.sim.trace import Job, Trace

#: The index of an item, at the end of its name.
_ITEM = re.compile(r"\[\d+\]\Z")


class Recorded(Protocol):
    """What happened, by whoever can read it.

    Attributes:
        name: For reports.
    """

    name: str

    def workflows(self) -> Iterable[tuple[str, Workflow]]:
        """Every run with its graph."""
        ...

    def events(self) -> Iterable[tuple[int, Event]]:
        """What the scheduler's engine was told, with the time of each."""
        ...


def read(recorded: Recorded, since: int | None = None) -> tuple[Trace, Cluster]:
    """The tasks, and the nodes that there were.

    Args:
        since: Only tasks that arrived so many microseconds before the last event, or later.

    Raises:
        Invalid: Nothing that finished is kept.
    """
    offered: dict[str, Task] = {}
    took: dict[str, int] = {}
    saved: dict[str, tuple[int, int]] = {}  # attempt and milli of the last checkpoint
    kept: dict[str, tuple[int, int]] = {}  # the same, as of the end of an attempt
    nodes: dict[str, Node] = {}
    unknown, last = Counter[str](), 0
    for at, event in recorded.events():
        last = max(last, at)
        match event:
            case NodeJoined(node):
                nodes[node.name] = node
            case TaskOffered(task):
                offered[task.id] = task
            case TaskEdited(name, priority, weight, deadline) if name in offered:
                task = offered[name]
                offered[name] = replace(
                    task,
                    priority=task.priority if priority is None else priority,
                    weight=task.weight if weight is None else weight,
                    deadline=task.deadline if deadline is None else deadline,
                )
            case AttemptCheckpointed(name, attempt, _, done) if done >= 0:
                if name in saved and saved[name][0] < attempt:
                    kept[name] = saved[name]
                saved[name] = (attempt, done)
            case AttemptEnded(name, attempt, Outcome.FINISHED, length):
                before = saved.get(name, (attempt, 0))
                before = kept.get(name, (0, 0)) if before[0] == attempt else before
                if name in offered:
                    took[name] = length * MILLI // max(MILLI - before[1], 1)
                else:
                    unknown["finished, but offered before what the journal keeps"] += 1
            case _:
                pass
    first = 0 if since is None else last - since
    inside = {name: task for name, task in offered.items() if task.release >= first}
    unknown["did not finish"] += sum(name not in took for name in inside)
    unknown["arrived earlier than asked"] += len(offered) - len(inside)
    graphs = dict(recorded.workflows())
    siblings: dict[tuple[str, str], list[str]] = {}
    for name in took:
        if name in inside:
            siblings.setdefault(_spec_of(name), []).append(name)
    jobs = []
    for name, length in took.items():
        if name in inside:
            graph = graphs.get(inside[name].run)
            after = _after(name, graph, siblings, took)
            task = replace(inside[name], after=after)
            # Which variant it ran as is not among the events: each takes what was said of it, else the same.
            durations = tuple(length if v.estimate is None else v.estimate for v in task.variants)
            spec = _node(graph, _spec_of(name)[1])
            cost = 0 if spec is None else spec.cost
            jobs.append(Job(task, durations[0] if durations else length, durations, cost))
    if not jobs or not nodes:
        raise Invalid(
            f"nothing that finished is kept in {recorded.name}", hint="run something first, or ask for more"
        )
    left = ((reason, count) for reason, count in sorted(unknown.items()) if count)
    return Trace.of(recorded.name, jobs, left), Cluster(recorded.name, tuple(nodes.values()))


def _spec_of(task: str) -> tuple[str, str]:
    """Run and name of the node of the graph: of `run/score[3]` that is `score`."""
    run, _, name = task.partition("/")
    return run, _ITEM.sub("", name)


def _node(workflow: Workflow | None, name: str) -> TaskSpec | None:
    """A node that was submitted; None of a task that a dynamic one called."""
    try:
        return None if workflow is None else workflow[name]
    except KeyError:
        return None


def _after(
    task: str,
    workflow: Workflow | None,
    siblings: dict[tuple[str, str], list[str]],
    took: Collection[str],
) -> tuple[str, ...]:
    run, name = _spec_of(task)
    if workflow is None:
        return ()
    found: dict[str, None] = {}
    spec = _node(workflow, name)
    if spec is None:  # what it takes is not among the events, who called it is
        return _caller(run, name, took)
    for parent in parents(spec):
        ids = siblings.get((run, parent), [])
        index = task.partition("[")[2]
        mine = f"{run}/{parent}[{index}"
        if index and mine in ids and item_by_item(spec, parent):
            ids = [mine]
        found.update(dict.fromkeys(ids))
        if workflow[parent].dynamic:  # its result came from those that it called
            under = tuple(f"{one}." for one in ids)
            found.update(dict.fromkeys(other for other in took if other.startswith(under)))
    return tuple(found)


def _caller(run: str, name: str, took: Collection[str]) -> tuple[str, ...]:
    """The task that called this one, by its name: `train.fit` and `train.2` by `train`, `train.3` by `train.2`."""
    stem, _, last = name.rpartition(".")
    if last.isdigit():
        before = (f"{run}/{stem}.{int(last) - 1}.until", f"{run}/{stem}.{int(last) - 1}")
        if (earlier := next((one for one in before if one in took), None)) is not None:
            return (earlier,)
    while stem:
        if f"{run}/{stem}" in took:
            return (f"{run}/{stem}",)
        stem = stem.rpartition(".")[0]
    return ()


def item_by_item(spec: TaskSpec, parent: str) -> bool:
    """Whether each item needs only the parent's item of the same number."""
    mapped, rest = spec.args[: spec.mapped], (*spec.args[spec.mapped :], *(arg for _, arg in spec.kwargs))
    whole = replace(spec, args=rest, kwargs=(), mapped=0)
    return parent not in parents(whole) and any(
        isinstance(arg, Output) and arg.task == parent for arg in mapped
    )
