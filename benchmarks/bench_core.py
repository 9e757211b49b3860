"""What does a decision cost? The engine alone, reasons on, with a long queue, in pushes and pops of a heap.

python -m benchmarks.bench_core [--data ../shared/bench] [--rounds 41] [--steps 200] [--only TEXT] [--quick]

A *decision* is one placement in steady state: an attempt ends, a new task takes the place in line of the one
that started, and the engine decides who follows. Inside the clock are `apply` of the end, `apply` of the offer and
`decide`, one end at a time (a batch would only be cheaper); outside are the executors' part (which attempt
ends next) and the making of the events. What they cost is divided by the number of placements, and that by the cost of
one push and one pop of an (int, int, int) tuple in a heap of 100,000, measured in turn with it in the same run: medians
of many short rounds, so that what else the machine does in some of them does not count. Nothing preempts: what a search
for victims costs is bounded apart (docs/internals/engine.md). The garbage collector runs with the service's own settings.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from pathlib import Path

from benchmarks.harness import Figure, other_load, report
from benchmarks.references import openb
from headway.core.decisions import Decision, Start
from headway.core.engine import Engine
from headway.core.events import AttemptEnded, NodeJoined, Outcome, TaskOffered
from headway.core.placement import placements
from headway.domain.resources import Demand, Node
from headway.domain.task import Task
from headway.domain.units import MILLI, SECOND

GIB = 2**30
HEAP = 100_000
TENANTS = 200
#: Of openb's own shapes; which pods ask for it.
PODS = "gpu_placement/openb_pods_default.csv.gz"
COMPOSITE = "priority > fair > srpt"


@dataclass(frozen=True)
class Case:
    """What is measured: nodes of 8 GPUs, tasks in line, and how many shapes they have (`openb`: its own).

    Attributes:
        limit: Of the pairs a decision, as the figure shows it.
    """

    order: str
    shapes: int | str = 50
    placement: str = "best_fit"
    nodes: int = 1_000
    queued: int = 100_000
    limit: str | None = None

    @property
    def name(self) -> str:
        """For the table: what differs from the usual."""
        order = self.order.replace(" > ", "_")
        size = "" if (self.nodes, self.queued) == (1_000, 100_000) else f"_{self.nodes}n_{self.queued}q"
        return f"{order}_{self.shapes}_{self.placement}{size}"


def cases() -> list[Case]:
    """The issue's: every policy on every set of shapes with every placement."""
    found = []
    for placement in ("best_fit", "fgd"):
        for order in ("fcfs", "srpt", COMPOSITE):
            for shapes in (50, "openb", 2_000):
                limit = "<= 15" if order != COMPOSITE and shapes == 50 else "<= 40"
                found.append(Case(order, shapes, placement, limit=None if shapes == "openb" else limit))
    return found


def growth() -> list[tuple[str, str, Case, Case]]:
    """(figure, limit, small, large): what a decision costs when there is more of everything."""
    found = []
    for order in ("fcfs", "srpt", COMPOSITE):
        case, name = Case(order), order.replace(" > ", "_")
        few, many = replace(case, queued=1_000), replace(case, queued=1_000_000)
        found.append((f"queue_growth_{name}", "<= 2.5", few, many))
        found.append((f"node_growth_{name}", "<= 4", case, replace(case, nodes=10_000)))
    return found


# ----------------------------------------------------------------------------------------------- what is asked for


def made_shapes(count: int, rng: random.Random) -> list[Demand]:
    """So many different demands as a shared GPU cluster sees them: shares, single devices, whole nodes, none."""
    found: dict[Demand, None] = {}
    while len(found) < count:
        gpu = rng.choice((0, 0, 100, 250, 250, 500, 1000, 1000, 1000, 2000, 4000, 8000))
        cpu = max(gpu, MILLI) * rng.choice((1, 2, 4, 6, 8)) + (
            rng.randrange(0, 64) * 125 if count > 500 else 0
        )
        memory = rng.choice((1, 2, 4, 8, 16, 32, 64)) * max(gpu // MILLI, 1) * GIB
        found[Demand(min(cpu, 96_000), min(memory, 512 * GIB), gpu)] = None
    return list(found)


def openb_shapes(data: Path) -> list[Demand] | None:
    """Each pod's demand as often as pods ask for it; None where the trace is absent."""
    if not (data / PODS).exists():
        return None
    pods = openb.read_pods(data / PODS)
    return [
        Demand(pod.cpu, pod.memory, pod.milli if pod.devices == 1 else pod.devices * MILLI) for pod in pods
    ]


# ------------------------------------------------------------------------------------------------- the measured run


class Bench:
    """An engine in steady state, and the executors around it.

    Args:
        demands: What tasks ask for, each as likely.
    """

    def __init__(self, case: Case, demands: list[Demand], seed: int = 1) -> None:
        self.rng = random.Random(seed)
        self.demands = demands
        self.engine = engine = Engine(case.order, placement=case.placement, preempt=False)
        self.number = self.now = self.placements = 0
        self.ends: list[tuple[int, str, int]] = []
        self.took: dict[str, int] = {}
        for index in range(case.nodes):
            engine.apply(NodeJoined(Node(f"n{index}", 96_000, 768 * GIB, 8)), 0)
        self.queued = case.queued
        self.fill()
        self.warm_up(6 * case.nodes)

    def offer(self) -> TaskOffered:
        """A new task."""
        rng, self.number = self.rng, self.number + 1
        name = f"r{self.number // 100}/t{self.number}"
        index = rng.randrange(len(self.demands))
        took = self.took[name] = int(rng.lognormvariate(4, 1.2) * SECOND) + SECOND  # a minute, in the median
        # The kind stands for the function: ten of them, whatever each call asks for.
        return TaskOffered(
            Task(
                name, f"k{index % 10}", self.demands[index], f"u{rng.randrange(TENANTS)}",
                priority=rng.randrange(3), estimate=took, release=self.now,
            )
        )  # fmt: skip

    def fill(self) -> None:
        """Makes the line as long as it should be."""
        engine = self.engine
        while (missing := self.queued - engine.world.queue.size) > 0:
            for _ in range(missing):
                engine.apply(self.offer(), self.now)
            self.obey(engine.decide(self.now))

    def warm_up(self, steps: int) -> None:
        """Ends until as many start as end: first every hole is filled with something small, and that takes its
        time to go."""
        for _ in range(12):
            before = self.placements
            self.step(steps)
            if abs(self.placements - before - steps) <= steps // 50:
                return

    def obey(self, decisions: list[Decision]) -> None:
        """The executors' part."""
        for one in decisions:
            assert type(one) is Start, f"nothing is called back here: {one}"
            heappush(self.ends, (self.now + self.took[one.task], one.task, one.attempt))
        self.placements += len(decisions)

    def next_end(self) -> AttemptEnded:
        """The next attempt that is complete, at which the clock stands from now on."""
        self.now, task, attempt = heappop(self.ends)
        return AttemptEnded(task, attempt, Outcome.FINISHED, self.took.pop(task))

    def step(self, steps: int) -> tuple[int, int]:
        """So many ends, one by one. Returns nanoseconds in the engine, and placements."""
        engine, clock = self.engine, time.perf_counter_ns
        self.fill()
        spent, placed = 0, self.placements
        for _ in range(steps):
            ended, offered = self.next_end(), self.offer()
            now = self.now
            before = clock()
            engine.apply(ended, now)
            engine.apply(offered, now)
            decisions = engine.decide(now)
            spent += clock() - before
            self.obey(decisions)
        return spent, self.placements - placed


class Pairs:
    """A heap of 100,000, and what a push and a pop of it cost."""

    def __init__(self, seed: int = 2) -> None:
        self.rng = random.Random(seed)
        self.heap = [self.one() for _ in range(HEAP)]
        heapify(self.heap)

    def one(self) -> tuple[int, int, int]:
        """An element, anywhere among the others."""
        return (self.rng.getrandbits(40), self.rng.getrandbits(20), self.rng.getrandbits(20))

    def step(self, count: int) -> float:
        """Nanoseconds a pair."""
        heap, new = self.heap, [self.one() for _ in range(count)]
        before = time.perf_counter_ns()
        for one in new:
            heappush(heap, one)
            heappop(heap)
        return (time.perf_counter_ns() - before) / count


@dataclass(frozen=True)
class Cost:
    """What was measured: nanoseconds a decision and a pair, their ratio, and placements in all."""

    decision: float
    pair: float
    pairs: float
    placements: int


def measure(bench: Bench, rounds: int, steps: int) -> Cost:
    """The engine and the heap in turn, after one round that does not count."""
    pairs = Pairs()
    gc.collect()
    gc.freeze()
    bench.step(steps)
    pairs.step(steps)
    ours: list[float] = []
    theirs: list[float] = []
    placed = 0
    for _ in range(rounds):
        spent, placements = bench.step(steps)
        # By the ends, and not by the placements of this short round: over many rounds they are as many.
        ours.append(spent / steps)
        theirs.append(pairs.step(steps))
        placed += placements
    gc.unfreeze()
    share = placed / (rounds * steps)
    decision, pair = statistics.median(ours) / share, statistics.median(theirs)
    return Cost(decision, pair, decision / pair, placed)


def run(case: Case, data: Path, rounds: int, steps: int) -> Cost | str:
    """Measures a case, or says why it cannot be."""
    if case.placement not in placements():
        return f"the engine has no placement {case.placement!r}"
    if case.shapes == "openb":
        demands = openb_shapes(data)
        if demands is None:
            return f"no {PODS} in {data}"
    else:
        assert isinstance(case.shapes, int)
        demands = made_shapes(case.shapes, random.Random(3))
    cost = measure(Bench(case, demands), rounds, steps)
    gc.collect()
    line = {
        "case": case.name, "policy": case.order, "placement": case.placement, "nodes": case.nodes, "queued": case.queued,
        "shapes": len(set(demands)), "decision_us": round(cost.decision / 1000, 2), "pair_us": round(cost.pair / 1000, 3),
        "heap_pairs_per_decision": round(cost.pairs, 1), "placements": cost.placements,
    }  # fmt: skip
    print(json.dumps(line), flush=True)
    return cost


def figures(data: Path, rounds: int, steps: int, only: str, quick: bool) -> Iterator[Figure]:
    """Every case, and how costs grow."""
    known: dict[Case, Cost | str] = {}

    def cost_of(case: Case) -> Cost | str:
        if replace(case, limit=None) not in known:
            known[replace(case, limit=None)] = run(case, data, rounds, steps)
        return known[replace(case, limit=None)]

    for case in cases():
        if only not in case.name:
            continue
        cost = cost_of(case)
        name = f"heap_pairs_per_decision_{case.name}"
        if isinstance(cost, str):
            yield Figure(name, None, "pairs", note=f"skipped: {cost}")
            continue
        against = f"{cost.decision / 1000:.1f} us / {cost.pair / 1000:.2f} us"
        yield Figure(name, round(cost.pairs, 1), "pairs", case.limit, against)
    for name, limit, small, large in () if quick else growth():
        if only not in name:
            continue
        few, many = cost_of(small), cost_of(large)
        assert isinstance(few, Cost)
        assert isinstance(many, Cost)
        # In pairs of their own minutes, so that a machine that changes its pace meanwhile changes nothing.
        yield Figure(
            name, round(many.pairs / few.pairs, 2), "x", limit, f"{small.name}: {few.pairs:.1f} pairs"
        )


def main() -> int:
    """Measure everything, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/bench"), help="the folder with openb's trace"
    )
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--steps", type=int, default=200, help="ends a round")
    parser.add_argument("--only", default="", help="only cases and figures with this in their name")
    parser.add_argument("--quick", action="store_true", help="leave out how costs grow (a million queued)")
    args = parser.parse_args()
    gc.set_threshold(50_000, 20, 50)  # as `headway.service.main` does
    others = other_load()
    found = list(figures(args.data, args.rounds, args.steps, args.only, args.quick))
    others = max(others, other_load())
    if others > 0.3:
        print(f"others used {others:.1f} cores", file=sys.stderr)
    return report("core", found)


if __name__ == "__main__":
    sys.exit(main())
