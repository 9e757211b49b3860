"""List scheduling: a list by each of several priority rules, the best schedule of them, and, for the
makespan, its justification.

Which rule wins depends on the problem, and a schedule costs a fraction of a millisecond a job, so all that
make sense are tried. Sources: Kolisch 1996 (latest finish, latest start, successors, rank position weight),
Smith 1956 (WSPT), Topcuoglu, Hariri and Wu 2002 (upward rank), Panwalkar and Iskander 1977 for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from headway.core.joint.bounds import heads, quickest, tails
from headway.core.joint.problem import PPM, Objective, Problem
from headway.core.joint.serial import ANYWHERE, Builder

#: Ratios are compared as integers of this fineness.
_FINE = 1 << 40


@dataclass(frozen=True, slots=True)
class Listed:
    """A schedule and the list that builds it.

    Attributes:
        measure: (use missing to the floor, cost).
        rule: The rule the list came from.
        closed: Priced places that were not to be used.
    """

    measure: tuple[int, int]
    rule: str
    order: list[int]
    starts: list[int]
    at: list[int]
    closed: frozenset[int] = frozenset()


def best_list(builder: Builder) -> Listed:
    """The best schedule of all rules, with priced places open and without them."""
    priced = frozenset(index for index, place in enumerate(builder.problem.places) if place.price)
    found = [
        listed(builder, rule, closed)
        for rule in RULES
        for closed in dict.fromkeys((frozenset[int](), priced))
    ]
    return min(found, key=lambda schedule: schedule.measure)


def listed(builder: Builder, rule: str, closed: frozenset[int] = frozenset()) -> Listed:
    """The schedule of one rule; justified until that no longer helps if the makespan is wanted."""
    order = by_key(builder, RULES[rule](builder))
    starts, at = builder.forward(order, [ANYWHERE] * builder.count, closed)
    best = Listed(builder.measure(starts, at), rule, order, starts, at, closed)
    while builder.problem.objective is Objective.MAKESPAN:
        starts, order = builder.justify(best.starts, best.at)
        measure = builder.measure(starts, best.at)
        if measure >= best.measure:
            break
        best = Listed(measure, rule, order, starts, best.at, closed)
    return best


def by_key(builder: Builder, keys: Sequence[int]) -> list[int]:
    """Of the jobs whose predecessors are listed, always the one with the smallest key (ties: index)."""
    waits = [len(earlier) for earlier in builder.before]
    heap = [(keys[job], job) for job in range(builder.count) if not waits[job]]
    heapify(heap)
    order = []
    while heap:
        _, job = heappop(heap)
        order.append(job)
        for later, _ in builder.after[job]:
            waits[later] -= 1
            if not waits[later]:
                heappush(heap, (keys[later], later))
    return order


# ------------------------------------------------------------------------------- rules: smaller keys go first


def _critical_path(builder: Builder) -> list[int]:
    return [-tail for tail in tails(builder)]


def _latest_finish(builder: Builder) -> list[int]:
    return [quickest(builder, job) - tail for job, tail in enumerate(tails(builder))]


def _successors(builder: Builder) -> list[int]:
    behind = [0] * builder.count  # a set of jobs as the bits of one integer
    for job in reversed(builder.topological):
        for later, _ in builder.after[job]:
            behind[job] |= behind[later] | 1 << later
    return [-bits.bit_count() for bits in behind]


def _rank_position(builder: Builder) -> list[int]:
    least = [quickest(builder, job) for job in range(builder.count)]
    return [
        -least[job] - sum(least[later] for later, _ in builder.after[job]) for job in range(builder.count)
    ]


def _upward(builder: Builder) -> list[int]:
    return [-rank for rank in upward_rank(builder)]


def _arrival(builder: Builder) -> list[int]:
    return heads(builder)


def _shortest(builder: Builder) -> list[int]:
    return [quickest(builder, job) for job in range(builder.count)]


def _heaviest(builder: Builder) -> list[int]:
    return [-job.weight for job in builder.problem.jobs]


def _wspt(builder: Builder) -> list[int]:
    jobs = builder.problem.jobs
    return [-job.weight * _FINE // max(1, quickest(builder, index)) for index, job in enumerate(jobs)]


def _wspt_by_area(builder: Builder) -> list[int]:
    """Weight per resource-time: what a job keeps others from counts, not only how long."""
    jobs = builder.problem.jobs
    return [-job.weight * _FINE // max(1, _area(builder, index)) for index, job in enumerate(jobs)]


def _wspt_downstream(builder: Builder) -> list[int]:
    """With all that waits for a job counted in: a light job in front of heavy ones is heavy."""
    behind = [1 << job for job in range(builder.count)]
    for job in reversed(builder.topological):
        for later, _ in builder.after[job]:
            behind[job] |= behind[later]
    keys = []
    for bits in behind:
        weight = area = 0
        while bits:
            job = (bits & -bits).bit_length() - 1
            bits &= bits - 1
            weight += builder.problem.jobs[job].weight
            area += _area(builder, job)
        keys.append(-weight * _FINE // max(1, area))
    return keys


def _due_and_short(builder: Builder) -> list[int]:
    """Release plus processing time over weight, which is how a heavy late job and a light early one compare."""
    jobs, head = builder.problem.jobs, heads(builder)
    mean = max(1, sum(job.weight for job in jobs) // max(1, len(jobs)))
    return [head[i] + quickest(builder, i) * mean // max(1, job.weight) for i, job in enumerate(jobs)]


def _largest(builder: Builder) -> list[int]:
    return [-_area(builder, job) for job in range(builder.count)]


def _area(builder: Builder, job: int) -> int:
    return quickest(builder, job) * max(1, builder.shares[job]) // max(1, PPM // 1000)


def upward_rank(builder: Builder) -> list[int]:
    """HEFT's rank: mean processing time over the job's places plus the worst of mean transfer and rank behind
    it.

    Means are over ordered pairs of *different* places (the paper's), and sums stand for means so that
    integers stay exact: the ranks are the paper's, times places, times pairs of places.
    """
    problem: Problem = builder.problem
    count = len(problem.places)
    pairs = max(1, count * (count - 1))
    crossing = sum(sum(row) for row in problem.lag) - sum(row[i] for i, row in enumerate(problem.lag))
    rank = [0] * builder.count
    for job in reversed(builder.topological):
        options = builder.choices[job]
        # A job that may run at few places still counts the mean over those: scaled to `count` of them.
        own = sum(builder.durations[job][place] for place in options) * count * pairs // len(options)
        rank[job] = own + max(
            (rank[later] + size * crossing * count for later, size in builder.after[job]), default=0
        )
    return rank


#: By the name that an explanation cites.
RULES: dict[str, Callable[[Builder], list[int]]] = {
    "critical_path": _critical_path,
    "latest_finish": _latest_finish,
    "upward_rank": _upward,
    "successors": _successors,
    "rank_position": _rank_position,
    "arrival": _arrival,
    "shortest": _shortest,
    "heaviest": _heaviest,
    "wspt": _wspt,
    "wspt_by_area": _wspt_by_area,
    "wspt_downstream": _wspt_downstream,
    "due_and_short": _due_and_short,
    "largest": _largest,
}
