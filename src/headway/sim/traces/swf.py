"""Standard Workload Format, version 2.2 (Chapin et al. 1999; cs.huji.ac.il/labs/parallel/workload/swf.html).

Times are seconds. A job asks for as many cores as it was allocated or requested, whichever is more; its estimate
is the requested time, or the run time where none is given. Users become tenants, the executable becomes the kind.
Jobs without a run time (cancelled before they started, or not known) are left out.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from headway.domain.resources import Demand
from headway.domain.task import Task
from headway.domain.units import MILLI, SECOND
from headway.errors import Invalid
from headway.sim.files import read_text
from headway.sim.trace import Job, Trace

_NUMBER, _SUBMIT, _RUN, _USED, _ASKED, _LIMIT = 0, 1, 3, 4, 7, 8
_MEMORY, _USER, _PROGRAM, _QUEUE = 9, 11, 13, 14


def read(path: Path) -> Trace:
    """A log; each job needs its processors on one node, so name a cluster of one large node for a machine that
    counts processors."""
    jobs, left = [], Counter[str]()
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(";"):
            continue
        fields = line.split()
        try:
            values = [float(field) for field in fields]
            if len(values) < 9:
                raise ValueError(f"{len(values)} fields, 18 are due")
        except ValueError as error:
            raise Invalid(f"{path}, line {number}: {error}", hint="is it a file in SWF?") from None
        values += [-1.0] * (18 - len(values))
        cores = int(max(values[_USED], values[_ASKED]))
        if values[_RUN] <= 0:
            left["no run time"] += 1
        elif cores < 1:
            left["no processors"] += 1
        elif values[_SUBMIT] < 0:
            left["no submit time"] += 1
        else:
            jobs.append(_job(values, cores))
    return Trace.of(path.name.split(".")[0], jobs, sorted(left.items()))


def _job(values: list[float], cores: int) -> Job:
    run = round(values[_RUN] * SECOND)
    limit = round(values[_LIMIT] * SECOND) if values[_LIMIT] > 0 else run
    program, user = int(values[_PROGRAM]), int(values[_USER])
    task = Task(
        str(int(values[_NUMBER])),
        f"program-{program}" if program >= 0 else "job",
        Demand(cores * MILLI),
        tenant=f"user-{user}" if user >= 0 else "default",
        estimate=limit,
        release=round(values[_SUBMIT] * SECOND),
    )
    return Job(task, run)
