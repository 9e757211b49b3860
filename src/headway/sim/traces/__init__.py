"""Where tasks come from: one file a format. Each has `read(path) -> Trace`.

| format      | what it is                                                                                |
|-------------|-------------------------------------------------------------------------------------------|
| `swf`       | Standard Workload Format of the Parallel Workloads Archive: one line of 18 numbers a job  |
| `csv`       | our own table, see `headway.sim.traces.csv`                                               |
| `gpu_pods`  | Alibaba's list of GPU pods ("openb"): cpu, memory, GPUs or a share of one, GPU models     |
| `wfcommons` | a workflow instance of WfCommons, JSON                                                    |

Two more are not files: `journal`, what a service of Headway did, and `workflow`, one that has not run yet.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from headway.errors import Invalid, NotFound
from headway.sim.files import read_bytes
from headway.sim.trace import Trace

FORMATS = ("swf", "csv", "gpu_pods", "wfcommons")


def read_trace(path: Path, form: str | None = None) -> Trace:
    """Reads a file of tasks.

    Args:
        form: One of `FORMATS`; by the file's name and header if not given.

    Raises:
        NotFound: There is no such file.
        Invalid: It is not of that format; the error names the line.
    """
    if not path.is_file():
        raise NotFound(f"there is no trace {path}", hint="name a file: .swf, .csv, .json, also with .gz")
    form = form or guess(path)
    if form not in FORMATS:
        raise Invalid(f"no trace format {form!r}", hint=f"one of: {', '.join(FORMATS)}")
    found: Trace = importlib.import_module(f"{__name__}.{form}").read(path)
    if not found.jobs:
        left = "; ".join(f"{reason}: {count}" for reason, count in found.left_out)
        raise Invalid(f"{path} has no task to simulate", hint=left or "the file is empty")
    return found


def guess(path: Path) -> str:
    """The format, by the file's name; of a CSV by its header. Raises Invalid if neither says."""
    if ".swf" in path.suffixes:
        return "swf"
    if ".json" in path.suffixes:
        return "wfcommons"
    if ".csv" in path.suffixes:
        head = read_bytes(path).partition(b"\n")[0]
        return "gpu_pods" if b"num_gpu" in head and b"gpu_milli" in head else "csv"
    raise Invalid(f"cannot tell the format of {path}", hint=f"say it: --format {'|'.join(FORMATS)}")
