"""What lies behind a task, and the orders that look at it."""

from __future__ import annotations

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from headway.core.behind import Behind, behind
from headway.core.engine import Engine
from headway.domain.task import Task
from headway.domain.units import SECOND
from headway.sim.cluster import uniform
from headway.sim.metrics import measure
from headway.sim.simulate import simulate
from headway.sim.trace import Job, Trace
from tests.builders import node, placed, task


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[list[int]], list[int], list[int]]:
    """Places in any order, not sorted by what waits for what."""
    size = draw(st.integers(1, 12))
    rank = draw(st.permutations(range(size)))
    after = [
        [p for p in range(size) if rank[p] < rank[place] and draw(st.booleans())] for place in range(size)
    ]
    amounts = st.lists(st.integers(0, 1000), min_size=size, max_size=size)
    return after, draw(amounts), draw(amounts)


@given(graphs())
def test_the_path_is_the_longest_and_no_weight_is_counted_twice(graph) -> None:
    after, takes, weights = graph
    children = [[c for c, parents in enumerate(after) if p in parents] for p in range(len(after))]

    @cache
    def longest(place: int) -> int:
        return max((takes[child] + longest(child) for child in children[place]), default=0)

    found = behind(after, takes, weights)
    assert [one.path for one in found] == [longest(place) for place in range(len(after))]
    roots = [place for place, parents in enumerate(after) if not parents]
    assert sum(weights[place] + found[place].weight for place in roots) <= sum(weights)
    if all(len(parents) <= 1 for parents in after):  # nothing is shared, so nothing is lost by rounding
        assert sum(weights[place] + found[place].weight for place in roots) == sum(weights)


def test_a_diamond() -> None:
    """a before b and c, d after both: d's weight is shared by b and c, and comes together again in a."""
    found = behind([[], [0], [0], [1, 2]], [1, 20, 3, 4], [1000, 1000, 1000, 4000])
    assert found == [Behind(24, 6000), Behind(4, 2000), Behind(4, 2000), Behind(0, 0)]


def test_a_light_task_that_heavy_ones_wait_for_goes_first(drive) -> None:
    for order in ("wspt", "weighted_remaining"):
        h = drive(order=order)
        h.offer(task("heavy", seconds=10, weight=2), task("light", seconds=10, weight=1, behind=5000))
        assert placed(h.join(node(cpu=1))) == ["light"]


def test_critical_path_first_is_shorter_than_first_come_first_served() -> None:
    """Many short tasks arrive before the head of a chain: it must begin at once to end early."""
    jobs = [Job(Task(f"r/s{i}", "s", estimate=10 * SECOND), 10 * SECOND) for i in range(20)]
    for i in range(8):
        before = (f"r/c{i - 1}",) if i else ()
        jobs.append(Job(Task(f"r/c{i}", "c", estimate=10 * SECOND, after=before), 10 * SECOND))
    trace = Trace.of("chain", jobs)
    spans = {
        order: measure(simulate(trace, uniform(1, cpu=4), order)).makespan
        for order in ("fcfs", "critical_path")
    }
    assert spans["critical_path"] == 80
    assert spans["fcfs"] > 100


def test_it_survives_a_snapshot(drive) -> None:
    h = drive(order="critical_path")
    h.offer(task("a", path=7, behind=3), task("b"))
    tree = h.engine.snapshot()
    copy = Engine.restore(tree)
    assert copy.snapshot() == tree
    assert (copy.world.tasks["r/a"].task.path, copy.world.tasks["r/a"].task.behind) == (7, 3)
