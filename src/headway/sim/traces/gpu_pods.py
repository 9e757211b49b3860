"""Alibaba's list of GPU pods ("openb", published with "Beware of Fragmentation", USENIX ATC 2023).

Columns: name, cpu_milli, memory_mib, num_gpu, gpu_milli, gpu_spec (device models, `|` between them; empty for any),
qos, creation_time, deletion_time, scheduled_time. A pod with one GPU and less than 1000 milli has a share of one.
It arrives when it was created and takes from its scheduling to its deletion, in seconds. Where those are absent
(lists of demands alone), pods arrive a second apart in the order of the file and take an hour.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from headway.domain.resources import Demand
from headway.domain.task import Task
from headway.domain.units import MILLI, SECOND
from headway.errors import Invalid
from headway.sim.cluster import MODELS
from headway.sim.files import rows_of
from headway.sim.trace import Job, Trace

HOUR = 3600 * SECOND


def read(path: Path) -> Trace:
    """The pods of a list; `qos` becomes the kind."""
    jobs, left = [], Counter[str]()
    for number, row in enumerate(rows_of(path), 1):
        try:
            job = _job(row, number)
        except (KeyError, ValueError) as error:
            raise Invalid(
                f"{path}, row {number}: {error!r}",
                hint="columns: name, cpu_milli, memory_mib, num_gpu, gpu_milli",
            ) from None
        if job is None:
            left["never scheduled"] += 1
        else:
            jobs.append(job)
    return Trace.of(path.name.split(".")[0], jobs, sorted(left.items()))


def _job(row: dict[str, str], number: int) -> Job | None:
    gpus, milli = int(row["num_gpu"]), int(row["gpu_milli"])
    gpu = milli if gpus == 1 and milli < MILLI else gpus * MILLI
    spec = row.get("gpu_spec", "")
    other = ((f"{MODELS}{spec}", gpu),) if spec and gpu else ()
    if "creation_time" in row:
        if not row.get("scheduled_time") or not row.get("deletion_time"):
            return None
        release = int(float(row["creation_time"]) * SECOND)
        duration = int((float(row["deletion_time"]) - float(row["scheduled_time"])) * SECOND)
    else:
        release, duration = (number - 1) * SECOND, HOUR
    demand = Demand(int(row["cpu_milli"]), int(row["memory_mib"]) << 20, gpu, other)
    task = Task(row["name"], row.get("qos") or "pod", demand, estimate=duration, release=release)
    return Job(task, duration)
