"""What theory proves of a policy, the simulated engine keeps."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from headway.domain.units import SECOND
from headway.sim.records import Rules
from headway.sim.simulate import simulate
from tests.sim.builders import cores, job, trace

FREE = "preempt=longer, min_run=0, max_preemptions=1000, train_span=0"


def best_total(arrivals: list[tuple[int, int]]) -> int:
    """The smallest sum of response times that any schedule of one machine has, by trying all of them second by second."""

    @cache
    def rest(now: int, left: tuple[int, ...]) -> int:
        waiting = [i for i, (at, _) in enumerate(arrivals) if at <= now and left[i]]
        later = [at for i, (at, _) in enumerate(arrivals) if at > now and left[i]]
        if not waiting:
            return rest(min(later), left) if later else 0
        found = []
        for i in waiting:
            after = (*left[:i], left[i] - 1, *left[i + 1 :])
            found.append(len(waiting) + rest(now + 1, after))
        return min(found)

    return rest(0, tuple(takes for _, takes in arrivals))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from([1, 2, 4, 5, 8])), min_size=1, max_size=5))
def test_srpt_is_never_beaten_by_any_schedule_of_one_machine(arrivals: list[tuple[int, int]]) -> None:
    """Checkpoints keep thousandths of a task and all lengths here divide a thousand, so remaining times are exact."""
    jobs = trace(*(job(f"t{i}", at, takes) for i, (at, takes) in enumerate(arrivals)))
    result = simulate(jobs, cores(1), f"remaining, {FREE}", rules=Rules(checkpoint=0))
    total = sum(record.ended - record.job.task.release for record in result.records)
    assert total == best_total(arrivals) * SECOND


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=5))
def test_smith_s_rule_is_never_beaten_by_any_order_of_what_is_there(tasks: list[tuple[int, int]]) -> None:
    """wspt on one machine, all there from the start: the smallest weighted sum of completion times (Smith 1956)."""
    from itertools import permutations

    def weighted(order: tuple[tuple[int, int], ...]) -> int:
        now = total = 0
        for takes, weight in order:
            now += takes
            total += weight * now
        return total

    jobs = trace(*(job(f"t{i}", 0, takes, weight=1000 * weight) for i, (takes, weight) in enumerate(tasks)))
    result = simulate(jobs, cores(1), "wspt, strict, train_span=0")
    total = sum(record.ended * record.job.task.weight for record in result.records)
    assert total == min(weighted(order) for order in permutations(tasks)) * 1000 * SECOND
