"""HEFT: the paper's own example to the digit, and a graph on which its list is far from the best."""

from __future__ import annotations

from headway.core.joint.bounds import lower
from headway.core.joint.plan import cost, faults
from headway.core.joint.port import Budget
from headway.core.joint.problem import Edge, Job, Objective, Place, Problem
from headway.core.joint.search import Lists, Search
from headway.core.joint.serial import Builder
from headway.core.placement.heft import heft

#: Topcuoglu, Hariri and Wu 2002, figure 2 and table 1: processing times on three processors, and data between tasks.
TIMES = [
    (14, 16, 9), (13, 19, 18), (11, 13, 19), (13, 8, 17), (12, 13, 10),
    (13, 16, 9), (7, 15, 11), (5, 11, 14), (18, 12, 20), (21, 7, 16),
]  # fmt: skip
DATA = [
    (0, 1, 18), (0, 2, 12), (0, 3, 9), (0, 4, 11), (0, 5, 14), (1, 7, 19), (1, 8, 16), (2, 6, 23),
    (3, 7, 27), (3, 8, 23), (4, 8, 13), (5, 7, 15), (6, 9, 17), (7, 9, 11), (8, 9, 13),
]  # fmt: skip
#: A layered graph of the dag references on two machines of speed 3 and 2, in tenths of the file's units.
COSTS = [270, 480, 760, 160, 450, 350, 520, 380, 770, 300, 70, 1000, 570, 540, 570, 1000]
LAYERED = [
    (0, 1, 381), (0, 2, 738), (0, 3, 596), (0, 4, 418), (1, 6, 327), (2, 6, 391), (3, 5, 591), (4, 5, 623),
    (4, 6, 318), (5, 7, 297), (5, 8, 533), (5, 9, 563), (6, 8, 462), (7, 11, 376), (7, 12, 573), (8, 10, 265),
    (9, 10, 417), (9, 11, 500), (10, 14, 759), (11, 13, 595), (12, 13, 720), (12, 14, 507), (13, 15, 382),
    (14, 15, 388),
]  # fmt: skip
#: The best of the 14 published heuristics on it (Sufferage), and HEFT as published, in the file's units.
BEST_PUBLISHED, HEFT_PUBLISHED = 247.5333, 306.2333


def graph(times: list[tuple[int, ...]], data: list[tuple[int, int, int]], lag: int = 1) -> Problem:
    """Tasks on machines that run one at a time; data takes `lag` a unit between machines."""
    count = len(times[0])
    return Problem(
        resources=("slot",),
        places=tuple(Place(f"p{index}", (1,)) for index in range(count)),
        jobs=tuple(Job(f"t{index}", row, (1,)) for index, row in enumerate(times)),
        edges=tuple(Edge(before, after, size) for before, after, size in data),
        lag=tuple(tuple(lag * (a != b) for b in range(count)) for a in range(count)),
        objective=Objective.MAKESPAN,
    )


PAPER = graph(TIMES, DATA)


def test_the_papers_example_ends_at_80() -> None:
    placed = heft(PAPER)
    assert placed.makespan == cost(PAPER, placed.plan) == 80
    assert faults(PAPER, placed.plan) == []


def test_the_papers_ranks_give_its_order() -> None:
    placed = heft(PAPER)
    # The paper lists t1, t3, t4, t2, t5, t6, t9, t7, t8, t10, counted from 1.
    assert placed.order == (0, 2, 3, 1, 4, 5, 8, 6, 7, 9)
    # Ranks are the paper's (108.000 … 14.667) times three processors times six ordered pairs of them.
    assert placed.ranks[0] == 108 * 18
    assert placed.ranks[9] == 44 * 6


def test_search_beats_every_published_heuristic_on_a_layered_graph() -> None:
    # Sixths of a tenth: processing time is cost over speed 3 or 2.
    made = graph([(2 * cost_, 3 * cost_) for cost_ in COSTS], LAYERED, lag=6)
    listed, searched = (solver.solve(made, Budget(6_000)).cost / 60 for solver in (Lists(), Search()))
    assert lower(Builder(made)) / 60 <= searched <= listed <= HEFT_PUBLISHED
    assert searched <= BEST_PUBLISHED


def test_a_task_that_may_run_on_one_node_only_runs_there() -> None:
    jobs = (Job("gpu", (None, 9), (1,)), Job("any", (2, 1), (1,)))
    made = Problem(("slot",), (Place("cpu", (1,)), Place("gpu", (1,))), jobs, objective=Objective.MAKESPAN)
    assert heft(made).plan.places == (1, 0)


def test_an_empty_graph_takes_no_time() -> None:
    assert heft(Problem(("slot",), (Place("a", (1,)),), ())).makespan == 0
