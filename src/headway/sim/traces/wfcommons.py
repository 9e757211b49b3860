"""Workflow instances of WfCommons (wfcommons.org), schema 1.3 to 1.5: what a real workflow did, task by task.

Since 1.4 a workflow has a `specification` (tasks, parents) and an `execution` (run times, cores, memory); before that
each task holds both. All tasks arrive at time zero as one run; the program's name is the kind, so that
estimates are learned per program.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headway.domain.resources import Demand
from headway.domain.task import Task
from headway.domain.units import MILLI, SECOND
from headway.errors import Invalid
from headway.sim.files import read_text
from headway.sim.trace import Job, Trace


def read(path: Path) -> Trace:
    """One workflow instance."""
    try:
        tree = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise Invalid(f"{path} is no JSON: {error}", hint="is it a file of WfCommons?") from None
    try:
        return _read(path, tree)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Invalid(
            f"{path} is no workflow instance of WfCommons: {error!r}", hint="schema 1.3 to 1.5 is read"
        ) from None


def _read(path: Path, tree: dict[str, Any]) -> Trace:
    workflow = tree["workflow"]
    if "specification" in workflow:
        specs = workflow["specification"]["tasks"]
        ran = {task["id"]: task for task in workflow.get("execution", {}).get("tasks", ())}
    else:
        specs = workflow.get("tasks") or workflow["jobs"]
        ran = {}
    run = path.name.split(".")[0]
    # Before 1.4 parents are named by id where there is one, else by name.
    ids = {
        key: spec.get("id", spec["name"]) for spec in specs for key in (spec.get("id"), spec["name"]) if key
    }
    jobs = []
    for spec in specs:
        ident = spec.get("id", spec["name"])
        done = {**spec, **ran.get(ident, {})}
        duration = round(float(done.get("runtimeInSeconds", done.get("runtime", 0))) * SECOND)
        task = Task(
            f"{run}/{ident}",
            spec["name"].rstrip("0123456789").rstrip("_-") or spec["name"],
            Demand(
                max(round(float(done.get("coreCount", done.get("cores", 1)) or 1) * MILLI), 1),
                round(float(done.get("memoryInBytes", done.get("memory", 0)) or 0)),
            ),
            estimate=duration,
            after=tuple(f"{run}/{ids[parent]}" for parent in dict.fromkeys(spec.get("parents", ()))),
        )
        jobs.append(Job(task, duration))
    return Trace.of(tree.get("name") or run, jobs)
