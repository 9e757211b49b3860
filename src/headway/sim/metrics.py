"""What a simulation comes to: figures for people, so they are floating point. Times are seconds.

* A task is *ready* when it has arrived and all it depends on has finished; its response time runs from then to its end.
* Slowdown is response over processing time; bounded slowdown counts shorter tasks as `SHORT` (Feitelson et al. 1997).
* Finish-time fairness (Themis, NSDI 2020) is response over what it would have been on an n-th of the cluster alone, for n
  tenants: there a task takes its processing time, and all of a tenant's tasks together what their dominant shares come to.
* Jain's index is taken over the dominant shares held by tenants with tasks waiting, while there are two or more.
* Fragmentation is the share of free capacity (of GPUs where there are any, else of cores) on nodes where a task of the
  trace's own mix would not fit, in the mean over the mix and over time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headway.domain.resources import Demand, Node
from headway.domain.units import HOUR, MILLI, SECOND
from headway.sim.records import Record, Result

Floats = npt.NDArray[np.float64]
#: Seconds that a shorter task counts as in its bounded slowdown.
SHORT = 10.0
#: Moments at which fragmentation and shares are looked at, and demands of the mix.
MOMENTS, MIX = 200, 32


@dataclass(frozen=True, slots=True)
class Spread:
    """How a quantity is distributed; percentiles by nearest rank. All 0 for nothing."""

    mean: float
    weighted: float
    p50: float
    p95: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """All figures of one simulation.

    Attributes:
        failed: Given up after too many losses, with what needed them. `unfinished`: still there at the end.
        wait: Response less processing time.
        makespan: From the first arrival to the last end.
        utilisation: Share of what was up that was held, by resource.
        fragmentation: None where nothing was ever free.
        shares: Of the dominant-share time given to all, by tenant.
        finish_time: Finish-time fairness in the mean by tenant; above 1 a tenant would rather be alone.
        jain: 1 is equal; None where no two tenants ever waited at once.
        losses: Attempts lost with their nodes. `work_lost`: processing time done and not kept; `work_lost_share`:
            of all processing. `overhead`: spent on checkpoints and restarts.
        deadlines: Tasks that have one. `late`: of these not complete by then.
        cost: Of all nodes while they were up, in the currency of the cluster file; None if it names none.
        charged: For all attempts, by the price of an hour that their tasks say (`cost=`); None if none says one.
    """

    policy: str
    tasks: int
    finished: int
    failed: int
    unfinished: int
    unfit: int
    response: Spread
    wait: Spread
    slowdown: Spread
    bounded_slowdown: Spread
    makespan: float
    utilisation: dict[str, float]
    fragmentation: float | None
    shares: dict[str, float]
    finish_time: dict[str, float]
    jain: float | None
    preemptions: int
    losses: int
    work_lost: float
    work_lost_share: float
    overhead: float
    deadlines: int
    late: int
    cost: float | None
    charged: float | None
    decisions: int

    def tree(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


def measure(result: Result) -> Metrics:
    """The figures of a simulation."""
    done = [record for record in result.records if record.ended >= 0]
    weights = np.array([record.job.task.weight for record in done], float)
    response = seconds(record.ended - ready(record) for record in done)
    takes = seconds(record.job.duration for record in done)
    end = last_end(result)
    lost = sum(record.lost for record in result.records) / SECOND
    processed = lost + sum(record.job.duration for record in done) / SECOND
    dated = [record for record in result.records if record.job.task.deadline is not None]
    ideal = isolated(result)
    return Metrics(
        policy=result.choice.name,
        tasks=len(result.records),
        finished=len(done),
        failed=sum(record.failed for record in result.records) - result.unfit,
        unfinished=sum(record.ended < 0 and not record.failed for record in result.records),
        unfit=result.unfit,
        response=spread(response, weights),
        wait=spread(np.maximum(response - takes, 0), weights),
        slowdown=spread(response / np.maximum(takes, 1e-6), weights),
        bounded_slowdown=spread(bounded(response, takes), weights),
        makespan=(end - result.start) / SECOND,
        utilisation=utilisation(result),
        fragmentation=fragmentation(result),
        shares=tenant_shares(result),
        finish_time=_by_tenant(done, response / np.maximum(ideal, 1e-6)),
        jain=jain(result),
        preemptions=sum(record.preemptions for record in result.records),
        losses=sum(record.losses for record in result.records),
        work_lost=lost,
        work_lost_share=lost / processed if processed else 0.0,
        overhead=sum(record.overhead for record in result.records) / SECOND,
        deadlines=len(dated),
        late=sum(r.ended < 0 or r.ended > (r.job.task.deadline or 0) for r in dated),
        cost=cost(result),
        charged=charged(result),
        decisions=result.decisions,
    )


def ready(record: Record) -> int:
    """When nothing but a place was missing, in microseconds."""
    return max([record.job.task.release, *(parent.ended for parent in record.after)])


def last_end(result: Result) -> int:
    """When the last attempt ended, in microseconds."""
    return max((span.end for span in result.spans), default=result.end)


def seconds(micros: Iterable[int]) -> Floats:
    """Microseconds as an array of seconds."""
    return np.fromiter(micros, float) / SECOND


def bounded(response: Floats, takes: Floats) -> Floats:
    """Bounded slowdown of each."""
    return np.maximum(response / np.maximum(takes, SHORT), 1.0)


def spread(values: Floats, weights: Floats) -> Spread:
    """Its distribution."""
    if not len(values):
        return Spread(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    ordered = np.sort(values)
    p50, p95, p99 = (float(ordered[max(-(-len(ordered) * part // 100), 1) - 1]) for part in (50, 95, 99))
    total = float(weights.sum())
    weighted = float(values @ weights) / total if total else float(values.mean())
    return Spread(float(values.mean()), weighted, p50, p95, p99, float(ordered[-1]))


# ── resources ───────────────────────────────────────────────────────────────────────────────────────────────


def amounts(of: Demand | Node) -> dict[str, int]:
    """What is asked, or what is there, by resource; choices of device models are none."""
    gpu = of.gpu if isinstance(of, Demand) else of.gpus * MILLI
    named = {"cpu": of.cpu, "memory": of.memory, "gpu": gpu, **dict(of.named)}
    return {name: amount for name, amount in named.items() if amount and not name.startswith("models:")}


def capacity(result: Result) -> dict[str, int]:
    """Of all nodes together, by resource."""
    total = Counter[str]()
    for node in result.cluster.nodes:
        total.update(amounts(node))
    return dict(total)


def dominant(demand: Demand, total: dict[str, int]) -> float:
    """The largest share of the cluster that it takes of any resource."""
    return max(
        (amount / total[name] for name, amount in amounts(demand).items() if total.get(name)), default=0.0
    )


def main_resource(result: Result) -> str:
    """GPUs where any are asked for, else cores, else what there is."""
    asked = {name for job in result.trace.jobs for name in amounts(job.task.demand)}
    there = capacity(result)
    return next((name for name in ("gpu", "cpu", *sorted(there)) if name in there and name in asked), "cpu")


def down_time(result: Result) -> list[int]:
    """Microseconds that each node was away, up to the last end."""
    away, end = [0] * len(result.cluster.nodes), last_end(result)
    for node, down, up in result.outages:
        away[node] += max(min(up, end) - min(down, end), 0)
    return away


def utilisation(result: Result) -> dict[str, float]:
    """Held over available, by resource."""
    length, away = last_end(result) - result.start, down_time(result)
    there, held = Counter[str](), Counter[str]()
    for node, gone in zip(result.cluster.nodes, away, strict=True):
        for name, amount in amounts(node).items():
            there[name] += amount * (length - gone)
    for span in result.spans:
        for name, amount in amounts(result.demand(span)).items():
            held[name] += amount * (span.end - span.start)
    return {name: held[name] / there[name] for name in there if there[name]}


def cost(result: Result) -> float | None:
    """What the nodes cost while they were up."""
    prices = result.cluster.prices
    if not prices:
        return None
    length = last_end(result) - result.start
    up = (length - gone for gone in down_time(result))
    return sum(price * time for price, time in zip(prices, up, strict=True)) / 1e6 / (3600 * SECOND)


def charged(result: Result) -> float | None:
    """What the attempts cost by the prices of their tasks: those too whose work was lost."""
    jobs = result.trace.jobs
    if not any(job.cost for job in jobs):
        return None
    return sum((span.end - span.start) * jobs[span.job].cost for span in result.spans) / MILLI / HOUR


def moments(result: Result) -> list[int]:
    """Times evenly over the simulation, in microseconds."""
    length = last_end(result) - result.start
    return [result.start + length * (2 * i + 1) // (2 * MOMENTS) for i in range(MOMENTS)] if length else []


def fragmentation(result: Result) -> float | None:
    """See the head of this file."""
    nodes, main = result.cluster.nodes, main_resource(result)
    mix = Counter(
        job.task.demand for job in result.trace.jobs if amounts(job.task.demand).get(main)
    ).most_common(MIX)
    if not mix or main not in ("gpu", "cpu"):
        return None
    room = _Room(nodes)
    reach = [np.array([node.lacks(demand) is None for node in nodes]) for demand, _ in mix]
    total = sum(times for _, times in mix)
    edges = sorted(
        [(span.end, 0, i) for i, span in enumerate(result.spans)]
        + [(span.start, 1, i) for i, span in enumerate(result.spans)]
    )
    found, place = [], 0
    for now in moments(result):
        while place < len(edges) and edges[place][0] <= now:
            _, starts, index = edges[place]
            span = result.spans[index]
            room.change(span.node, result.demand(span), span.devices, -1 if starts else 1)
            place += 1
        free = room.gpus.sum(axis=1) if main == "gpu" else room.cpu
        spare = float(free.sum())
        if spare > 0:
            wasted = sum(
                times * float(free[~(room.fits(demand) & able)].sum())
                for (demand, times), able in zip(mix, reach, strict=True)
            )
            found.append(wasted / total / spare)
    return float(np.mean(found)) if found else None


class _Room:
    """What is free on each node, device by device."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        most = max((node.gpus for node in nodes), default=0)
        self.cpu = np.array([node.cpu for node in nodes], np.int64)
        self.memory = np.array([node.memory for node in nodes], np.int64)
        self.gpus = np.array(
            [[MILLI if i < node.gpus else 0 for i in range(most)] for node in nodes], np.int64
        ).reshape(len(nodes), most)

    def change(self, node: int, demand: Demand, devices: tuple[int, ...], sign: int) -> None:
        self.cpu[node] += sign * demand.cpu
        self.memory[node] += sign * demand.memory
        for device in devices:
            self.gpus[node, device] += sign * min(demand.gpu, MILLI)

    def fits(self, demand: Demand) -> npt.NDArray[np.bool_]:
        able: npt.NDArray[np.bool_] = (self.cpu >= demand.cpu) & (self.memory >= demand.memory)
        if demand.gpu:
            per = min(demand.gpu, MILLI)
            able &= (self.gpus >= per).sum(axis=1) >= demand.devices
        return able


# ── tenants ─────────────────────────────────────────────────────────────────────────────────────────────────


def tenant_shares(result: Result) -> dict[str, float]:
    """Each tenant's part of the dominant-share time that was given."""
    total, given = capacity(result), defaultdict[str, float](float)
    jobs = result.trace.jobs
    share = [dominant(job.task.demand, total) for job in jobs]
    for span in result.spans:
        given[jobs[span.job].task.tenant] += share[span.job] * (span.end - span.start)
    whole = sum(given.values())
    return {tenant: given[tenant] / whole for tenant in sorted(given)} if whole else {}


def isolated(result: Result) -> Floats:
    """Response time of each finished task if its tenant had an equal part of the cluster to itself."""
    total = capacity(result)
    done = [record for record in result.records if record.ended >= 0]
    tenants = len({record.job.task.tenant for record in result.records})
    fluid: dict[str, float] = {}
    found = np.zeros(len(done))
    for place in sorted(range(len(done)), key=lambda i: ready(done[i])):
        record, came = done[place], ready(done[place])
        task, takes = record.job.task, record.job.duration
        served = max(fluid.get(task.tenant, 0.0), came) + takes * dominant(task.demand, total) * tenants
        fluid[task.tenant] = served
        found[place] = (max(served, came + takes) - came) / SECOND
    return found


def _by_tenant(records: list[Record], values: Floats) -> dict[str, float]:
    groups: dict[str, list[float]] = {}
    for record, value in zip(records, values.tolist(), strict=True):
        groups.setdefault(record.job.task.tenant, []).append(value)
    return {tenant: sum(found) / len(found) for tenant, found in sorted(groups.items())}


def jain(result: Result) -> float | None:
    """See the head of this file."""
    tenants = sorted({job.task.tenant for job in result.trace.jobs})
    if len(tenants) < 2:
        return None
    total, place = capacity(result), {tenant: i for i, tenant in enumerate(tenants)}
    times = np.array(moments(result))
    held, inside, running = (np.zeros((len(tenants), len(times) + 1)) for _ in range(3))

    def add(to: Floats, tenant: str, start: int, end: int, amount: float) -> None:
        """A difference array over the moments: taken up to sums below."""
        low, high = np.searchsorted(times, (start, end))
        to[place[tenant], low] += amount
        to[place[tenant], high] -= amount

    for span in result.spans:
        task = result.trace.jobs[span.job].task
        add(held, task.tenant, span.start, span.end, dominant(result.demand(span), total))
        add(running, task.tenant, span.start, span.end, 1)
    for record in result.records:
        if record.ended >= 0:
            add(inside, record.job.task.tenant, ready(record), record.ended, 1)
    shares, waiting = held.cumsum(axis=1)[:, :-1], (inside - running).cumsum(axis=1)[:, :-1] > 0.5
    found = []
    for moment in range(len(times)):
        mine = shares[waiting[:, moment], moment]
        if len(mine) > 1 and mine.sum() > 0:
            found.append(float(mine.sum() ** 2 / (len(mine) * (mine**2).sum())))
    return sum(found) / len(found) if found else None


# ── curves ──────────────────────────────────────────────────────────────────────────────────────────────────


def curve(steps: list[tuple[int, int, float]], start: int, end: int, bins: int) -> Floats:
    """The mean in each of so many equal stretches of time of a sum of intervals (from, to, amount)."""
    if not steps or end <= start:
        return np.zeros(bins)
    rows = np.array(steps, float)
    times = np.concatenate([rows[:, 0], rows[:, 1]])
    jumps = np.concatenate([rows[:, 2], -rows[:, 2]])
    order = np.argsort(times, kind="stable")
    times, level = times[order], np.cumsum(jumps[order])
    area = np.concatenate([[0.0], np.cumsum(level[:-1] * np.diff(times))])
    cuts = np.linspace(start, end, bins + 1)
    filled: Floats = np.diff(np.interp(cuts, times, area)) / np.diff(cuts)
    return filled


def held_over_time(result: Result, bins: int, until: int | None = None) -> Floats:
    """Share of the main resource that is held, stretch by stretch."""
    name = main_resource(result)
    total = max(capacity(result).get(name, 0), 1)
    steps = [(s.start, s.end, amounts(result.demand(s)).get(name, 0) / total) for s in result.spans]
    return curve(steps, result.start, until or last_end(result), bins)


def waiting_over_time(result: Result, bins: int, until: int | None = None) -> Floats:
    """Tasks that are ready and do not run, stretch by stretch."""
    end = until or last_end(result)
    inside = [(ready(r), r.ended, 1.0) for r in result.records if r.ended >= 0]
    running = [(span.start, span.end, 1.0) for span in result.spans]
    away = curve(inside, result.start, end, bins) - curve(running, result.start, end, bins)
    filled: Floats = np.maximum(away, 0.0)
    return filled
