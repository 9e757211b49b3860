"""Kubernetes' node scores."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.placement.scores import least_allocated, most_allocated
from headway.errors import Invalid


def test_scores_as_published() -> None:
    assert least_allocated([4000, 10000], [0, 0], [3000, 5000]) == 37
    assert least_allocated([4000, 10000], [0, 0], [3000, 5000], [1, 2]) == 41
    assert least_allocated([4000, 10000], [3000, 0], [3000, 0]) == 50  # cpu would be overdrawn: it scores 0
    assert most_allocated([4000, 10000], [0, 0], [3000, 5000]) == 62


def test_a_resource_the_node_has_none_of_does_not_count() -> None:
    assert least_allocated([4000, 0], [0, 0], [1000, 0]) == 75
    assert least_allocated([0], [0], [0]) == 0


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(Invalid, match="1 capacities, 2 used"):
        least_allocated([1], [0, 0], [1])


rows = st.lists(
    st.tuples(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12), st.integers(1, 9)),
    min_size=1,
)


@given(rows)
def test_both_stay_in_range_and_add_up_to_100_where_all_fits(found: list[tuple[int, int, int, int]]) -> None:
    capacity, used, asked, weights = (list(column) for column in zip(*found, strict=True))
    least, most = (score(capacity, used, asked, weights) for score in (least_allocated, most_allocated))
    assert 0 <= least <= 100
    assert 0 <= most <= 100
    if all(size and has + more <= size for size, has, more in zip(capacity, used, asked, strict=True)):
        assert 98 <= least + most <= 100  # each is rounded down, resource by resource and once more
