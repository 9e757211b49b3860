"""HEFT: a whole task graph on nodes of different speed, with transfer between them.

Heterogeneous Earliest Finish Time (Topcuoglu, Hariri and Wu, IEEE TPDS 13(3), 2002): tasks in the order of
their upward rank, the longest way from a task to the end in mean processing and transfer times; each on the node
on which it finishes first, in the first gap that is long enough. It is serial generation of one list, so what is
here is the list and the reasons.
"""

from __future__ import annotations

from dataclasses import dataclass

from headway.core.joint.listing import by_key, upward_rank
from headway.core.joint.plan import Plan
from headway.core.joint.problem import Problem
from headway.core.joint.serial import ANYWHERE, Builder


@dataclass(frozen=True, slots=True)
class Heft:
    """What HEFT decided.

    Attributes:
        plan: Start and place of each job.
        order: The jobs as they were placed: by falling rank.
        ranks: Upward ranks; comparable with one another, not times (see `listing.upward_rank`).
        makespan: Microseconds.
    """

    plan: Plan
    order: tuple[int, ...]
    ranks: tuple[int, ...]
    makespan: int


def heft(problem: Problem) -> Heft:
    """Place a whole graph. Nodes are the problem's places; related speeds are durations divided by the speed.

    Args:
        problem: Its objective is not looked at: HEFT aims at the makespan.
    """
    builder = Builder(problem)
    ranks = upward_rank(builder)
    order = by_key(builder, [-rank for rank in ranks])
    starts, at = builder.forward(order, [ANYWHERE] * builder.count)
    ends = (start + builder.durations[job][at[job]] for job, start in enumerate(starts))
    return Heft(builder.plan(starts, at), tuple(order), tuple(ranks), max(ends, default=0))
