"""What history teaches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headway.core.capacity.estimates import LONGEST_TRAIN, UNKNOWN, WINDOW, Estimates, Family
from headway.domain.resources import Demand

TIMES = st.lists(st.integers(0, 10**9), min_size=1, max_size=80)


def family() -> Family:
    return Family(0, "k", Demand())


@given(TIMES, st.integers(1, 1000))
def test_a_quantile_is_one_of_the_last_and_splits_them(times: list[int], milli: int) -> None:
    f = family()
    for took in times:
        f.learn(took, 50_000)
    found, recent = f.quantile(milli), times[-WINDOW:]
    assert found in recent
    assert sum(t <= found for t in recent) * 1000 >= milli * len(recent)
    assert sum(t < found for t in recent) * 1000 < milli * len(recent)


@given(TIMES)
def test_the_mean_stays_within_what_was_seen(times: list[int]) -> None:
    f = family()
    for took in times:
        f.learn(took, 50_000)
    assert min(times) - 1 <= f.mean <= max(times)


@given(st.lists(st.booleans(), max_size=300))
def test_the_cap_doubles_on_evidence_and_starts_over_with_a_long_one(short: list[bool]) -> None:
    f = family()
    for one in short:
        before = f.cap
        f.learn(10 if one else 10**6, 50_000)
        assert f.cap == 1 if not one else f.cap in (before, min(2 * before, LONGEST_TRAIN))
    run = 0
    for one in reversed(short):
        if not one:
            break
        run += 1
    assert f.cap <= max(1, run + 1)


def test_what_to_reckon_with() -> None:
    estimates = Estimates()
    known, new = estimates.family("a", Demand()), estimates.family("b", Demand())
    assert estimates.total(new, None) == UNKNOWN
    for took in (100, 300, 200):
        estimates.learn(known, took, 50)
    assert estimates.total(known, None) == 200
    assert estimates.total(known, 7) == 7
    assert estimates.total(new, None) == estimates.overall
    assert estimates.remaining(known, 1000, 900) == 100
    assert estimates.remaining(known, 1000, 1000) == 1
