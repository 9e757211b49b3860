"""Draws a traced workflow: as a tree of text, as Mermaid, or as the JSON that is submitted."""

from __future__ import annotations

import json
import re

from headway.domain.codec import workflow_to_json
from headway.domain.task import Variant
from headway.domain.units import show_time
from headway.domain.workflow import TaskSpec, Workflow, outputs_of, parents


def draw(workflow: Workflow, form: str) -> str:
    """The graph in one of the forms `tree`, `mermaid`, `json`."""
    if form == "json":
        return json.dumps(workflow_to_json(workflow), indent=2, ensure_ascii=False)
    return mermaid(workflow) if form == "mermaid" else tree(workflow)


def tree(workflow: Workflow) -> str:
    """One line a task in an order in which each stands after all it needs, with what it needs and holds."""
    width = max((len(_title(spec)) for spec in workflow.tasks), default=0)
    lines = [f"{workflow.name}: {len(workflow.tasks)} task{'s' if len(workflow.tasks) != 1 else ''}"]
    for spec in workflow.tasks:
        needs = parents(spec)
        after = f"after {', '.join(needs)}" if needs else "at once"
        lines.append(f"  {_title(spec).ljust(width)}  {after}  ({_holds(spec)})")
    result = list(dict.fromkeys(output.task for output in outputs_of(workflow.result)))
    lines.append(
        f"  returns {', '.join(result) if result else 'nothing' if workflow.result is None else 'a value'}"
    )
    return "\n".join(lines)


def _title(spec: TaskSpec) -> str:
    return f"{spec.name}[*]" if spec.mapped else spec.name


def _holds(spec: TaskSpec) -> str:
    parts = [" | ".join(_way(variant) for variant in spec.ways)]
    if spec.priority:
        parts.append(f"priority {spec.priority}")
    if spec.retry.limit:
        parts.append(f"{spec.retry.limit} {'retry' if spec.retry.limit == 1 else 'retries'}")
    if spec.gang:
        parts.append(f"a gang within one {' or '.join(spec.within)}" if spec.within else "a gang")
    if spec.beside is not None:
        parts += [rule.told for rule in spec.beside.rules]
    if spec.at_most_once:
        parts.append("at most once")
    return "; ".join(parts)


def _way(variant: Variant) -> str:
    """One way in which the task may run."""
    parts = [str(variant.demand)]
    if variant.estimate is not None:
        parts.append(f"about {show_time(variant.estimate)}")
    if variant.where:
        parts.append(f"where {' and '.join(variant.where)}")
    return "; ".join(parts)


def mermaid(workflow: Workflow) -> str:
    """A Mermaid flowchart (https://mermaid.js.org/syntax/flowchart.html)."""
    ids = {spec.name: f"t{i}" for i, spec in enumerate(workflow.tasks)}
    lines = ["flowchart TD"]
    for spec in workflow.tasks:
        label = re.sub(r'["<>#]', " ", _title(spec))
        left, right = ("[[", "]]") if spec.mapped else ("[", "]")
        lines.append(f'  {ids[spec.name]}{left}"{label}"{right}')
    for spec in workflow.tasks:
        lines += [f"  {ids[parent]} --> {ids[spec.name]}" for parent in parents(spec)]
    return "\n".join(lines)
