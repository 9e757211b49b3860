"""Our own table: a header with names, one row a task, `#` begins a comment line.

| column         | meaning                                                              | if absent or empty |
|----------------|----------------------------------------------------------------------|--------------------|
| `id`           | unique; `<run>/<name>` groups tasks into runs                        | needed             |
| `arrival`      | when it is submitted                                                 | needed             |
| `duration`     | processing time                                                      | needed             |
| `estimate`     | what is believed of it; `?` for nothing, so that it is learned       | the duration       |
| `cpu`          | cores, to three decimals                                             | 1                  |
| `memory`       | `2GiB`, or bytes                                                     | 0                  |
| `gpu`          | a share of one, or whole ones                                        | 0                  |
| `tenant`       | whose it is                                                          | `default`          |
| `weight`       | of its completion time                                               | 1                  |
| `priority`     | higher first                                                         | 0                  |
| `deadline`     | when it should be complete, on the clock of `arrival`                | none               |
| `cost`         | price of an hour that it runs                                        | 0                  |
| `dependencies` | ids that must have finished, separated by blanks or `;`              | none               |
| `kind`         | what tasks of like length have in common                             | `task`             |
| `inputs`       | what it reads of which dependencies: `a=2GiB; b=5MB`                 | nothing            |
| `where`        | what its node's labels must say: `zone != eu-1 and ssd exists`       | any node           |
| `variants`     | ways to run it: `gpu=1 duration=10min | cpu=16 duration=2h`          | one way            |
| `gang`         | a name: all rows with it start together, or none does                | none               |
| `within`       | labels of nodes that must be the same for the gang, narrowest first  | any nodes          |
| `group`        | what others may call it by in `near` and `apart`                     | none               |
| `near`         | near to a group: `cache within rack`; several with `;`               | no rule            |
| `apart`        | apart from a group: `server within rack`                             | no rule            |
| `spread`       | its group evenly: `zone by 2`                                        | no rule            |

A variant takes from the other columns what it does not say.
Times are seconds, or with a unit: `90s`, `1h30m`. Any other column is a named resource, e.g. `license`; `gpu_memory` is that
of each device.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from headway.domain.beside import Beside, parse_beside
from headway.domain.resources import Demand
from headway.domain.task import MOST_VARIANTS, Gang, Task, Variant
from headway.domain.units import MILLI, parse_bytes, parse_milli, parse_time
from headway.domain.where import parse_where
from headway.errors import Invalid
from headway.sim.files import rows_of
from headway.sim.trace import Job, Trace

#: A column whose name begins so is what a task takes of a rate: `rate:tokens`.
RATE = "rate:"
COLUMNS = (
    "id", "arrival", "duration", "estimate", "cpu", "memory", "gpu", "tenant", "weight", "priority", "deadline",
    "dependencies", "kind", "where", "inputs", "variants", "gang", "within", "cost",
    "group", "near", "apart", "spread",
)  # fmt: skip
#: Columns that a variant may have of its own.
_OF_A_WAY = ("duration", "estimate", "cpu", "memory", "gpu")


def read(path: Path) -> Trace:
    """A table of tasks."""
    jobs = []
    for number, row in enumerate(rows_of(path), 1):
        try:
            jobs.append(_job(row))
        except Invalid as error:
            raise Invalid(f"{path}, row {number}: {error.message}", hint=error.hint) from None
    return Trace.of(path.name.split(".")[0], _counted(jobs))


def _counted(jobs: list[Job]) -> list[Job]:
    """With each gang's size, and the place of each member, by the order of the rows."""
    sizes = Counter(job.task.gang.id for job in jobs if job.task.gang is not None)
    places: Counter[str] = Counter()
    counted = []
    for job in jobs:
        gang = job.task.gang
        if gang is not None:
            made = replace(gang, index=places[gang.id], size=sizes[gang.id])
            places[gang.id] += 1
            job = replace(job, task=replace(job.task, gang=made if made.size > 1 else None))
        counted.append(job)
    return counted


def _job(row: dict[str, str]) -> Job:
    for needed in COLUMNS[:3]:
        if not row.get(needed):
            raise Invalid(f"no {needed}", hint=f"columns: {', '.join(COLUMNS)}; any other is a resource")
    said = {name: value for name, value in row.items() if value}
    ways = [_way(way) for way in _ways(said)] if "variants" in said else [_way(said)]
    first, duration = ways[0]
    task = Task(
        said["id"],
        said.get("kind", "task"),
        first.demand,
        tenant=said.get("tenant", "default"),
        priority=_priority(said.get("priority", "0")),
        weight=parse_milli(said.get("weight", 1), "weight") or MILLI,
        estimate=first.estimate,
        release=parse_time(said["arrival"], "arrival"),
        deadline=parse_time(said["deadline"], "deadline") if "deadline" in said else None,
        after=tuple(re.split(r"[\s;]+", said.get("dependencies", "").strip()))
        if "dependencies" in said
        else (),
        where=first.where,
        inputs=tuple(_inputs(said.get("inputs", ""))),
        variants=tuple(way for way, _ in ways) if len(ways) > 1 else (),
        gang=Gang(said["gang"], 0, 1, 0, tuple(said.get("within", "").replace(";", " ").split()))
        if "gang" in said
        else None,
        beside=_beside(said),
    )
    durations = tuple(length for _, length in ways) if len(ways) > 1 else ()
    return Job(task, duration, durations, parse_milli(said.get("cost", 0), "cost"))


def _beside(said: Mapping[str, str]) -> Beside | None:
    """What the row says of others; a rule's own group is its kind unless it says another."""
    rules = {name: said[name].split(";") for name in ("near", "apart", "spread") if name in said}
    beside = parse_beside({"group": said.get("group"), **rules}, said.get("kind", "task"))
    if beside is not None and ("gang" in said or "variants" in said):
        raise Invalid(
            f"it has {'a gang' if 'gang' in said else 'variants'}, and a group or rules about others",
            hint="drop one of the two",
        )
    return beside


def _way(said: Mapping[str, str]) -> tuple[Variant, int]:
    """One way to run the task, and how long it takes that way."""
    duration = parse_time(said["duration"], "duration")
    memory = said.get("memory", "0")
    estimate: int | None = duration
    if "estimate" in said:
        estimate = None if said["estimate"] == "?" else parse_time(said["estimate"], "estimate")
    demand = Demand.parse(
        cpu=said.get("cpu", 1),
        memory=int(memory) if memory.isdigit() else memory,
        gpu=said.get("gpu", 0),
        other={
            name: amount for name, amount in said.items() if name not in COLUMNS and not name.startswith(RATE)
        },
        rates={name.removeprefix(RATE): amount for name, amount in said.items() if name.startswith(RATE)},
    )
    return Variant(demand, estimate, parse_where(said.get("where", []))), duration


def _ways(said: Mapping[str, str]) -> list[dict[str, str]]:
    """Each variant: what it says of its own, over what the row says."""
    found = []
    for text in said["variants"].split("|"):
        pairs = [word.partition("=") for word in text.split()]
        if not pairs or not all(name and mark and value for name, mark, value in pairs):
            raise Invalid(
                f"the variant {text.strip()!r} is not name=amount pairs",
                hint="write gpu=1 duration=10min | cpu=16 duration=2h",
            )
        way = {name: value for name, _, value in pairs}
        shared = [name for name in COLUMNS if name in way and name not in _OF_A_WAY]
        if shared:
            raise Invalid(
                f"a variant cannot have its own {shared[0]}", hint=f"it may have {', '.join(_OF_A_WAY)}"
            )
        if "duration" in way:
            said = {name: value for name, value in said.items() if name != "estimate"}
        found.append({**said, **way})
    if not 2 <= len(found) <= MOST_VARIANTS:
        raise Invalid(f"{len(found)} variants, not 2 to {MOST_VARIANTS}", hint="put | between them")
    return found


def _inputs(text: str) -> Iterator[tuple[str, int]]:
    for part in re.split(r"[\s;]+", text.strip()):
        if part:
            task, equals, size = part.rpartition("=")
            if not equals or not task:
                raise Invalid(f"inputs: {part!r} is no task and size", hint="write e.g. prepare=2GiB")
            yield task, parse_bytes(int(size) if size.isdigit() else size, "inputs")


def _priority(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Invalid(f"priority={text!r} is not a whole number", hint="write priority 0, 10 or -5") from None
