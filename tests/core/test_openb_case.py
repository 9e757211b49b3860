"""FGD on a few nodes and pods of the openb trace, inline, against the published rule written out beside it.

Nodes and pods: Alibaba's trace as published with "Beware of Fragmentation" (USENIX ATC'23; Apache-2.0), a sample. The
rule is that of the plug-in, with its doubles and its fixed order of nodes. `benchmarks/references/openb.py` meets the
published figures on the whole trace; a clone alone has this.
"""

from __future__ import annotations

import math
from collections import Counter

from headway.core.placement.fgd import Fgd
from headway.core.placement.fleet import Ask, Fleet, Machine, Placer
from headway.core.placement.min_waste import MinWaste

MIB = 2**20
G2, T4 = Machine(96_000, 393_216 * MIB, 8, "G2"), Machine(104_000, 524_288 * MIB, 2, "T4")
MACHINES = [G2, G2, T4, G2, T4, T4, T4]
#: Milli-cores, MiB, milli of each GPU, GPUs; and how many such pods there are in the sample.
SAMPLE = [
    ((3152, 5600, 810, 1), 14), ((3152, 5600, 1000, 1), 6), ((11300, 49152, 1000, 1), 9), ((11908, 47104, 470, 1), 7),
    ((12500, 57344, 0, 0), 6), ((4000, 30517, 220, 1), 4), ((4000, 24576, 1000, 1), 3), ((11400, 48128, 1000, 1), 4),
    ((24200, 93184, 1000, 1), 2), ((11908, 47104, 650, 1), 2), ((8000, 30517, 470, 1), 1), ((32000, 49152, 0, 0), 1),
    ((18708, 64512, 1000, 1), 2), ((4152, 10600, 370, 1), 1), ((15700, 58368, 1000, 1), 2), ((96000, 393216, 1000, 8), 1),
]  # fmt: skip
Pod = tuple[int, int, int, int]


def stream() -> list[Pod]:
    """The pods, shuffled by a stride that is prime to their number, and once more over: more than fit."""
    flat = [pod for pod, count in SAMPLE for _ in range(count)]
    assert math.gcd(37, len(flat)) == 1
    return [flat[37 * i % len(flat)] for i in range(len(flat))] + flat[::3]


class Published:
    """The rule in the published code's own terms: doubles, every node scored, the first of the best taken."""

    def __init__(self) -> None:
        self.cpu = [machine.cpu for machine in MACHINES]
        self.memory = [machine.memory for machine in MACHINES]
        self.free = [[1000] * machine.devices for machine in MACHINES]
        seen = Counter[tuple[int, int, int]]()
        for (cpu, _, milli, count), number in SAMPLE:
            seen[cpu, milli, count] += number
        kept, total = {}, 0
        for kind, number in sorted(seen.items(), key=lambda item: (item[1], item[0]), reverse=True):
            if total >= 0.95 * seen.total():
                break
            kept[kind], total = number, total + number
        self.mix = {kind: number / total for kind, number in kept.items()}

    def fragment(self, cpu: int, free: list[int]) -> float:
        found = 0.0
        for (asked, milli, count), weight in self.mix.items():
            enough = [left for left in free if left >= milli]
            lost = not count or len(enough) < count or cpu < asked
            found += weight * (sum(free) if lost else sum(left for left in free if left < milli))
        return found

    def place(self, pod: Pod) -> tuple[int, tuple[int, ...]] | None:
        cpu, memory, milli, count = pod
        best: tuple[int, int, tuple[int, ...]] | None = None
        for n, free in enumerate(self.free):
            fitting = [device for device, left in enumerate(free) if left >= milli]
            if self.cpu[n] < cpu or self.memory[n] < memory * MIB or len(fitting) < count:
                continue
            ways = (
                [(device,) for device in fitting] if count == 1 and milli < 1000 else [tuple(fitting[:count])]
            )
            for way in ways if count else [()]:
                after = [left - milli * (device in way) for device, left in enumerate(free)]
                delta = self.fragment(self.cpu[n], free) - self.fragment(self.cpu[n] - cpu, after)
                score = math.floor(100 / (1 + math.exp(-delta / 1000)))
                if best is None or score > best[0]:
                    best = (score, n, way)
        if best is None:
            return None
        _, n, way = best
        self.cpu[n] -= cpu
        self.memory[n] -= memory * MIB
        for device in way:
            self.free[n][device] -= milli
        return n, way


def test_fgd_places_each_pod_as_the_published_rule_does() -> None:
    history = [
        Ask(cpu, memory * MIB, n, milli) for (cpu, memory, milli, n), count in SAMPLE for _ in range(count)
    ]
    fleet = Fleet(MACHINES)
    ours, theirs = Placer(fleet, Fgd(fleet, history)), Published()
    refused = 0
    for number, pod in enumerate(stream()):
        cpu, memory, milli, count = pod
        placed = ours.place(Ask(cpu, memory * MIB, count, milli))
        found = (placed.node, placed.devices) if placed is not None else None
        assert found == theirs.place(pod), f"pod {number}: {pod}"
        refused += placed is None
    assert refused > 5  # the last ones meet a full cluster
    assert fleet.gpu_free < fleet.gpu_size // 10


def test_ours_places_no_less_of_the_sample() -> None:
    history = [
        Ask(cpu, memory * MIB, n, milli) for (cpu, memory, milli, n), count in SAMPLE for _ in range(count)
    ]
    left = {}
    for name, rule in (("fgd", Fgd), ("min_waste", MinWaste)):
        fleet = Fleet(MACHINES)
        placer = Placer(fleet, rule(fleet, history))
        for cpu, memory, milli, count in stream():
            placer.place(Ask(cpu, memory * MIB, count, milli))
        left[name] = fleet.gpu_free
    assert left["min_waste"] <= left["fgd"]
