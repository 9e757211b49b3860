"""Forecasts: which method a series deserves, honest quantiles, and nothing from too little."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.capacity.forecast import FEW, forecast
from headway.errors import Invalid


def test_a_day_that_repeats_is_seen() -> None:
    day = [0, 0, 5, 40, 80, 90, 60, 10]
    found = forecast(day * 6, 8, seasons=(8,))
    assert found.method == "season of 8"
    assert list(found.median) == day
    assert found.error == 0


def test_a_steady_rise_is_followed_further() -> None:
    found = forecast([100 + 20 * i for i in range(40)], 5, seasons=(7,))
    assert found.method == "trend"
    assert found.median[-1] > 100 + 20 * 39
    assert found.error < 40


def test_noise_around_a_level_is_its_mean() -> None:
    chance = random.Random(3)
    found = forecast([1000 + chance.randrange(-200, 200) for _ in range(300)], 1, seasons=(7,))
    assert abs(found.median[0] - 1000) < 120
    # Its own errors give the quantiles: the true ones are 1000 - 160 and 1000 + 160.
    assert 780 < found.quantile(100)[0] < 900
    assert 1100 < found.quantile(900)[0] < 1220


def test_nine_in_ten_stay_under_the_quantile_of_nine_in_ten() -> None:
    """Out of sample, over many series of unlike shape."""
    chance, under, total = random.Random(11), 0, 0
    for _ in range(60):
        level, swing = chance.randrange(50, 500), chance.random()
        series = [
            max(0, round(level * (1 + swing * ((i % 12) / 6 - 1)) * chance.lognormvariate(0, 0.3)))
            for i in range(121)
        ]
        found = forecast(series[:-1], 1, seasons=(12,))
        under += series[-1] <= found.quantile(900)[0]
        total += 1
    assert 0.82 <= under / total <= 0.98


def test_a_short_series_says_so_and_is_as_wide_as_what_was_seen() -> None:
    found = forecast([10, 200, 30], 4)
    assert found.judged < FEW
    assert found.quantile(900) == (200,) * 4
    assert forecast([7], 2).median == (7, 7)
    with pytest.raises(Invalid):
        forecast([], 1)
    with pytest.raises(Invalid):
        forecast([1], 0)
    with pytest.raises(Invalid):
        forecast([1], 1).quantile(0)


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=60),
    st.integers(1, 20),
    st.sets(st.integers(1, 40), max_size=3),
)
def test_any_series_gives_quantiles_in_order_and_none_below_zero(
    series: list[int], ahead: int, seasons: set[int]
) -> None:
    found = forecast(series, ahead, tuple(seasons))
    low, middle, high = (found.quantile(milli) for milli in (100, 500, 900))
    assert len(found.median) == ahead
    assert all(0 <= a <= b <= c for a, b, c in zip(low, middle, high, strict=True))
    assert found == forecast(list(series), ahead, tuple(sorted(seasons, reverse=True)))
