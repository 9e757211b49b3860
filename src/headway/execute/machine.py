"""What this machine has to give: the capacity of its node."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from headway.domain.resources import Node
from headway.domain.units import GPU_MEMORY, MILLI
from headway.errors import Invalid
from headway.settings import AUTO, NodeSettings

_V2 = Path("/sys/fs/cgroup")
_MEMORY_FILES = ("memory.max", "memory/memory.limit_in_bytes")


def this_machine(settings: NodeSettings | None = None, state: Path | None = None) -> Node:
    """The node that an executor on this machine stands for.

    Args:
        settings: What the operator says of it; what they leave open is looked up. GPUs are counted only if
            somebody says
            how many: in the settings or in `HEADWAY_GPUS`; disk and network only if the settings say how much.
        state: Whose file system `disk = "auto"` is about; the current folder's without it.

    Raises:
        Invalid: `HEADWAY_GPUS` is not a number.
    """
    said = settings or NodeSettings()
    return Node(
        said.name,
        cpus() if said.cpus is None else said.cpus,
        memory_bytes() if said.memory is None else said.memory,
        _gpus(os.environ.get("HEADWAY_GPUS", "")) if said.gpus is None else said.gpus,
        _other(said, state or Path()),
        tuple(sorted({**_found_labels(), **_said_labels(said.labels)}.items())),
    )


def _other(said: NodeSettings, state: Path) -> tuple[tuple[str, int], ...]:
    disk = free_bytes(state) if said.disk == AUTO else said.disk
    named = (("disk", disk), (GPU_MEMORY, said.gpu_memory), ("network", said.network))
    return tuple((name, amount) for name, amount in named if amount)


def free_bytes(folder: Path) -> int:
    """What a user may still write to the file system of the folder, or of the nearest above it that is there."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _found_labels() -> dict[str, str]:
    return {"arch": platform.machine(), "os": platform.system().lower()}


def _said_labels(text: str) -> dict[str, str]:
    """Of `rack=r1,zone=a`, as the settings keep it."""
    return dict(pair.split("=", 1) for pair in text.split(",")) if text else {}


def cpus(cgroup: Path = _V2) -> int:
    """Milli-cores: what the scheduler lets us run on, and not more than the control group's quota."""
    cores = len(os.sched_getaffinity(0)) * MILLI
    quota = _quota(cgroup)
    return min(cores, quota) if quota else cores


def _quota(cgroup: Path) -> int:
    """Milli-cores that the group may use, 0 if unlimited. v2: `cpu.max`; v1: quota and period."""
    own = _own_group()
    for folder in (cgroup / own, cgroup):
        words = _read(folder / "cpu.max").split()
        if len(words) == 2 and words[0].isdigit():
            return max(1, int(words[0]) * MILLI // int(words[1]))
    quota, period = _read(cgroup / "cpu/cpu.cfs_quota_us"), _read(cgroup / "cpu/cpu.cfs_period_us")
    if quota.isdigit() and period.isdigit() and int(period):
        return max(1, int(quota) * MILLI // int(period))
    return 0


def memory_bytes(cgroup: Path = _V2) -> int:
    """Bytes: the machine's memory, or the control group's limit if it is less."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for folder in (cgroup / _own_group(), cgroup):
        for name in _MEMORY_FILES:
            text = _read(folder / name)
            if text.isdigit():
                total = min(total, int(text))
    return total


def _own_group() -> str:
    """Our group in the unified hierarchy, relative to its root."""
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        if line.startswith("0::"):
            return line[3:].strip().lstrip("/")
    return ""


def _gpus(text: str) -> int:
    if not text:
        return 0
    if not text.isdigit():
        raise Invalid(
            f"HEADWAY_GPUS={text!r} is not a number of devices", hint="set HEADWAY_GPUS=2, or leave it unset"
        )
    return int(text)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
