"""How many replicas: Kubernetes' rule, case by case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.capacity.replicas import (
    NoMetrics,
    Phase,
    Reading,
    Replica,
    by_total,
    by_total_each,
    by_utilisation,
    by_value,
    stabilised,
    within,
)
from headway.domain.units import SECOND
from headway.errors import Invalid

NOW = 10_000 * SECOND


def replicas(count: int, **state: object) -> list[Replica]:
    """So many replicas that ask for one core each and have been ready for long."""
    return [Replica(f"r{i}", 1000, **state) for i in range(count)]  # type: ignore[arg-type]


def used(*milli: int) -> dict[str, Reading]:
    return {f"r{i}": Reading(value, NOW) for i, value in enumerate(milli)}


def test_use_over_target_adds_replicas_rounded_up() -> None:
    answer = by_utilisation(3, 30, replicas(3), used(300, 500, 700), NOW)
    assert (answer.replicas, answer.usage, answer.target, answer.reason) == (5, 50, 30, "ratio")


def test_use_near_the_target_changes_nothing() -> None:
    answer = by_utilisation(3, 50, replicas(3), used(540, 540, 540), NOW)
    assert (answer.replicas, answer.reason) == (3, "tolerance")


def test_the_edge_of_the_tolerance_is_that_of_doubles_as_in_kubernetes() -> None:
    # 1.0 - 1.1 is a little below -0.1, and 1.12 * 25 a little above 28.
    assert by_utilisation(10, 100, replicas(10), used(*[1100] * 10), NOW).replicas == 11
    assert by_utilisation(25, 100, replicas(25), used(*[1120] * 25), NOW).replicas == 29
    assert by_utilisation(10, 100, replicas(10), used(*[900] * 10), NOW).replicas == 10


def test_a_replica_that_just_started_counts_as_idle_when_growing() -> None:
    crowd = [*replicas(2), Replica("r2", 1000, ready=False, started=NOW, changed=NOW)]
    answer = by_utilisation(3, 30, crowd, used(500, 700, 9999), NOW)
    assert (answer.replicas, answer.unready) == (4, ("r2",))


def test_a_replica_that_says_nothing_counts_as_busy_when_shrinking() -> None:
    answer = by_utilisation(3, 50, replicas(3), used(100, 450), NOW)
    assert (answer.replicas, answer.missing) == (3, ("r2",))


def test_leaving_and_failed_replicas_count_for_nothing() -> None:
    crowd = [Replica("r0", 1000), Replica("r1", 1000, leaving=True), Replica("r2", 1000, Phase.FAILED)]
    assert by_utilisation(1, 50, crowd, used(500, 9000, 9000), NOW).replicas == 1


def test_nothing_measured_is_an_error_and_not_zero_replicas() -> None:
    with pytest.raises(NoMetrics, match="no usable reading: 0 replicas are not ready, 2 say nothing"):
        by_utilisation(2, 50, replicas(2), {}, NOW)
    with pytest.raises(NoMetrics, match="known replica"):
        by_utilisation(1, 50, replicas(1), {"stranger": Reading(100, NOW)}, NOW)


def test_a_request_of_nothing_has_no_share() -> None:
    with pytest.raises(Invalid, match="'r0' asks for nothing"):
        by_utilisation(1, 50, [Replica("r0")], used(10), NOW)


def test_plain_values_ignore_readiness() -> None:
    crowd = [Replica("r0"), Replica("r1", ready=False, started=NOW), Replica("r2")]
    readings = {"r0": Reading(50), "r1": Reading(10), "r2": Reading(30)}
    assert by_value(3, 15, crowd, readings).replicas == 6


def test_totals_scale_the_ready_ones_and_wake_from_zero() -> None:
    one_ready = [Replica("a"), Replica("b", ready=False), Replica("c", phase=Phase.PENDING)]
    assert by_total(3, 10, 50, one_ready).replicas == 5
    assert by_total(0, 10, 25, []).replicas == 3
    assert by_total_each(3, 2150, 8600).replicas == 4
    assert by_total_each(4, 2150, 8600).reason == "tolerance"


def test_bounds_and_a_step_that_at_most_doubles() -> None:
    assert [within(wanted, 5, 2, 40) for wanted in (0, 7, 30, 99)] == [2, 7, 10, 10]
    assert within(9, 0, 0, 40) == 4
    with pytest.raises(Invalid, match="bounds 5 to 2"):
        within(1, 1, 5, 2)


def test_shrinking_waits_for_the_window() -> None:
    earlier = [(NOW - 400 * SECOND, 9), (NOW - 200 * SECOND, 6), (NOW - 100 * SECOND, 4)]
    assert stabilised(3, earlier, NOW) == 6
    assert stabilised(8, earlier, NOW) == 8


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=12), st.integers(1, 200))
def test_the_answer_never_goes_against_the_measured_ratio(values: list[int], target: int) -> None:
    current = len(values)
    answer = by_utilisation(current, target, replicas(current), used(*values), NOW)
    if answer.usage > target:
        assert answer.replicas >= current
    else:
        assert answer.replicas <= current


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.booleans(), st.booleans()), min_size=1, max_size=10),
    st.integers(1, 20),
    st.integers(10, 150),
)
def test_replicas_that_say_nothing_only_ever_damp_a_change(
    rows: list[tuple[int, bool, bool]], current: int, target: int
) -> None:
    crowd = [
        Replica(f"r{i}", 1000, ready=ready, started=0 if ready else NOW, changed=0 if ready else NOW)
        for i, (_, ready, _) in enumerate(rows)
    ]
    readings = {f"r{i}": Reading(value, NOW) for i, (value, _, heard) in enumerate(rows) if heard}
    try:
        answer = by_utilisation(current, target, crowd, readings, NOW)
    except NoMetrics:
        return
    if answer.missing and answer.reason == "ratio":
        assert answer.replicas <= current if answer.usage < target else answer.replicas >= current
