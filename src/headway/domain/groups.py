"""The groups of a workflow's tasks: every one that a rule names must be there, and able to run at the same time."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from headway.domain.beside import NODE, Beside, levels
from headway.domain.resources import Node
from headway.domain.workflow import TaskSpec, Workflow, parents
from headway.errors import Invalid


def grouped(specs: Sequence[TaskSpec], names: Mapping[str, str]) -> list[TaskSpec]:
    """With a group for each task that a rule calls by the name of its function and that says no group itself.

    Args:
        names: The function's name by the task's.
    """
    called = {rule.group for spec in specs if spec.beside for rule in spec.beside.rules if rule.group}
    found = []
    for spec in specs:
        name = names.get(spec.name, spec.name)
        if name in called and (spec.beside is None or not spec.beside.group) and not _alone(spec):
            spec = replace(spec, beside=replace(spec.beside or Beside(), group=name))
        found.append(spec)
    return found


def _alone(spec: TaskSpec) -> bool:
    return spec.gang or bool(spec.variants)


def check_groups(workflow: Workflow) -> None:
    """Raises Invalid for a rule about a group of the run that no task is in, or that could never be kept."""
    ruled = [spec for spec in workflow.tasks if spec.beside is not None]
    for spec in ruled:
        if _alone(spec):
            what = "is a gang" if spec.gang else "has variants"
            raise Invalid(
                f"task {spec.name!r} {what}, and has a group or rules about others",
                hint="drop one of the two",
                task=spec.name,
            )
    groups: dict[str, list[str]] = {}
    for spec in ruled:
        if spec.beside is not None and spec.beside.group:
            groups.setdefault(spec.beside.group, []).append(spec.name)
    for spec in ruled:
        for rule in spec.beside.rules if spec.beside is not None else ():
            if not rule.group or rule.scope != "run":
                continue
            if rule.group not in groups:
                raise _unknown(spec, rule.told, rule.group, groups)
            if rule.kind == "near" and spec.name not in groups[rule.group]:
                _check_at_once(workflow, spec, rule.told, groups[rule.group])


def _unknown(spec: TaskSpec, told: str, group: str, groups: Iterable[str]) -> Invalid:
    near = difflib.get_close_matches(group, list(groups), 1)
    known = f"did you mean {near[0]!r}?" if near else f"say group={group!r} of the tasks that are meant"
    return Invalid(
        f"task {spec.name!r} is {told}, and no task of the workflow is in group {group!r}",
        hint=f"{known} (of other runs of the tenant: {group} of tenant)",
        task=spec.name,
    )


def _check_at_once(workflow: Workflow, spec: TaskSpec, told: str, group: Sequence[str]) -> None:
    """A task can only be near to what may run while it does: not to what it waits for, or what waits for it."""
    before = _before(workflow, spec.name)
    if all(name in before or spec.name in _before(workflow, name) for name in group):
        raise Invalid(
            f"task {spec.name!r} is {told}, and they never run at the same time: one waits for the other",
            hint="to run where an input lies, choose placement = locality",
            task=spec.name,
        )


def _before(workflow: Workflow, name: str) -> set[str]:
    found: set[str] = set()
    ahead = [name]
    while ahead:
        for parent in parents(workflow[ahead.pop()]):
            if parent not in found:
                found.add(parent)
                ahead.append(parent)
    return found


def check_levels(name: str, beside: Beside, nodes: Iterable[Node]) -> None:
    """Raises Invalid for a rule about a label that none of the nodes has."""
    there = {key for node in nodes for key, _ in node.labels}
    for level in levels(beside):
        if level not in there:
            near = difflib.get_close_matches(level, [*there, NODE], 1)
            raise Invalid(
                f"task {name!r} has a rule about {level!r}, a label that no node has",
                hint=f"did you mean {near[0]!r}?" if near else "see the labels with `headway nodes -o json`",
                task=name,
            )
