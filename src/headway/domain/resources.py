"""What a task asks for and what a node has: integer vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headway.domain.units import (
    GPU_MEMORY,
    MILLI,
    parse_amount,
    parse_bytes,
    parse_milli,
    show_amount,
    show_bytes,
    show_milli,
)
from headway.domain.where import Where, unmet
from headway.errors import Invalid

#: Before the name of a pool, among the rates of a demand: slots of it are held, and not taken in a time.
POOL = "pool:"


@dataclass(frozen=True, slots=True)
class Demand:
    """What one attempt of a task holds while it runs.

    Attributes:
        cpu: Milli-cores.
        memory: Bytes.
        gpu: Milli-GPUs. Below 1000 a share of one single device; else whole devices (a multiple of 1000).
        other: Any named resource, sorted by name, without zeros: `disk` in bytes, `network` in bits a second, all others
            in milli-units; `gpu_memory` in bytes of each device, of which a share then takes at least that part.
        rates: What it takes, once and when it is granted, of rate-limited resources such as model tokens a minute: milli by
            name, sorted, without zeros. It is not held, and no node has it.
    """

    cpu: int = MILLI
    memory: int = 0
    gpu: int = 0
    other: tuple[tuple[str, int], ...] = ()
    rates: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        if min(self.cpu, self.memory, self.gpu, 0, *(amount for _, amount in (*self.other, *self.rates))) < 0:
            raise Invalid(f"a demand cannot be negative: {self}")
        if self.gpu > MILLI and self.gpu % MILLI:
            raise Invalid(
                f"gpu={show_milli(self.gpu)} asks for a fraction above one device",
                hint="ask for a share of one device (gpu=0.5) or for whole devices (gpu=2)",
            )
        if not self.gpu and any(name == GPU_MEMORY for name, _ in self.other):
            raise Invalid(
                "gpu_memory is asked of no device", hint="say of how much of one, too: gpu=0.25, or gpu=1"
            )

    @classmethod
    def parse(
        cls,
        *,
        cpu: float | int | str = 1,
        memory: int | str = 0,
        gpu: float | int | str = 0,
        other: Mapping[str, float | int | str] | None = None,
        rates: Mapping[str, float | int | str] | None = None,
    ) -> Demand:
        """From what a person writes: `cpu=0.5, memory="2GiB", gpu=1, other={"license": 1}, rates={"tokens": 2000}`."""
        named = sorted((name, parse_amount(name, amount)) for name, amount in (other or {}).items())
        taken = sorted((name, parse_milli(amount, name)) for name, amount in (rates or {}).items())
        return cls(
            parse_milli(cpu, "cpu"),
            parse_bytes(memory),
            parse_milli(gpu, "gpu"),
            tuple((name, amount) for name, amount in named if amount),
            tuple((name, amount) for name, amount in taken if amount),
        )

    @property
    def devices(self) -> int:
        """How many devices it touches: a share counts as one."""
        return -(-self.gpu // MILLI)

    @property
    def named(self) -> tuple[tuple[str, int], ...]:
        """All that it holds of named resources, memory of devices over all devices."""
        return tuple((name, much * self.devices if name == GPU_MEMORY else much) for name, much in self.other)

    def __str__(self) -> str:
        parts = [f"cpu {show_milli(self.cpu)}"]
        if self.memory:
            parts.append(f"memory {show_bytes(self.memory)}")
        if self.gpu:
            parts.append(f"gpu {show_milli(self.gpu)}")
        parts += [f"{name} {show_amount(name, amount)}" for name, amount in self.other]
        parts += [f"{show_milli(amount)} {name}" for name, amount in self.rates]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that runs tasks, and its whole capacity.

    Attributes:
        name: Unique in the site.
        cpu: Milli-cores.
        memory: Bytes.
        gpus: Number of devices; each holds 1000 milli.
        other: Named resources, sorted by name, in the units of `Demand.other`.
        labels: Sorted (key, value) pairs.
    """

    name: str
    cpu: int
    memory: int = 0
    gpus: int = 0
    other: tuple[tuple[str, int], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def named(self) -> tuple[tuple[str, int], ...]:
        """All that it has of named resources, memory of devices over all devices."""
        return tuple((name, much * self.gpus if name == GPU_MEMORY else much) for name, much in self.other)

    def lacks(self, demand: Demand) -> tuple[str, int, int] | None:
        """The first resource of which the empty node has less than asked: (name, asked, has), or None if it could hold it."""
        if demand.cpu > self.cpu:
            return ("cpu", demand.cpu, self.cpu)
        if demand.memory > self.memory:
            return ("memory", demand.memory, self.memory)
        if demand.devices > self.gpus:
            return ("gpu", demand.gpu, self.gpus * MILLI)
        mine = dict(self.other)
        for name, amount in demand.other:
            if amount > mine.get(name, 0):
                return (name, amount, mine.get(name, 0))
        return None

    def refuses(self, demand: Demand, where: Where) -> bool:
        """Whether it could not run the task even if nothing else did: too small, or its labels say otherwise."""
        return self.lacks(demand) is not None or unmet(where, dict(self.labels)) is not None

    def __str__(self) -> str:
        return f"{self.name} ({Demand(self.cpu, self.memory, self.gpus * MILLI, self.other)})"
