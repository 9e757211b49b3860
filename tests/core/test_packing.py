"""Which nodes to add, and which can go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.capacity.packing import Growth, Held, Kind, Want, nodes_to_add, nodes_to_release
from headway.errors import Invalid

# A table of machine types as clouds sell them, in whole units for legibility.
LARGE = Kind("m4.large", {"cpu": 2}, 10)
XLARGE = Kind("m4.4xlarge", {"cpu": 16}, 8)
HUGE = Kind("m4.16xlarge", {"cpu": 64}, 4)
GPU = Kind("p2.xlarge", {"cpu": 16, "gpu": 1}, 10)
GPUS = Kind("p2.8xlarge", {"cpu": 32, "gpu": 8}, 4)
KINDS = [LARGE, XLARGE, HUGE, GPU, GPUS]


def added(*wants: Want, **options: object) -> dict[str, int]:
    return dict(nodes_to_add(wants, KINDS, **options).add)  # type: ignore[arg-type]


def test_large_nodes_are_taken_while_they_fill_up_then_smaller_ones() -> None:
    assert added(Want({"cpu": 1}, 100)) == {"m4.16xlarge": 1, "m4.4xlarge": 2, "m4.large": 2}


def test_gpu_nodes_are_spared_for_those_who_ask_for_gpus() -> None:
    assert added(Want({"gpu": 1}, 8), Want({"cpu": 1}, 64)) == {"p2.8xlarge": 1, "m4.4xlarge": 2}


def test_what_fits_nowhere_is_said() -> None:
    growth = nodes_to_add([Want({"cpu": 64, "gpu": 1}, 3)], KINDS)
    assert growth == Growth((), (Want({"cpu": 64, "gpu": 1}, 3),))


def test_room_there_is_comes_first() -> None:
    assert added(Want({"cpu": 16}, 2), free=[{"cpu": 40}]) == {}
    assert added(Want({"cpu": 16}, 3), free=[{"cpu": 40}]) == {"m4.4xlarge": 1}


def test_limits_count_what_exists_and_what_may_be_added() -> None:
    assert added(Want({"cpu": 64}, 9), existing={"m4.16xlarge": 3}) == {"m4.16xlarge": 1}
    growth = nodes_to_add([Want({"cpu": 2}, 9)], [LARGE], limit=2)
    assert growth == Growth((("m4.large", 2),), (Want({"cpu": 2}, 7),))


def test_demands_below_zero_are_refused() -> None:
    with pytest.raises(Invalid, match="cannot be negative"):
        nodes_to_add([Want({"cpu": -1})], KINDS)


def test_an_idle_node_goes_unless_the_queue_or_the_pool_needs_it() -> None:
    nodes = [
        Held("a", {"cpu": 4}, True, "p"),
        Held("b", {"cpu": 1}, False, "p"),
        Held("c", {"cpu": 4}, True, "p"),
    ]
    assert nodes_to_release(nodes, []) == ("c", "a")
    assert nodes_to_release(nodes, [], keep={"p": 2}) == ("c",)
    assert nodes_to_release(nodes, [Want({"cpu": 3}, 2)]) == ()
    assert nodes_to_release(nodes, [Want({"cpu": 2}, 2)]) == ("c",)


demands = st.dictionaries(st.sampled_from(["cpu", "gpu"]), st.integers(0, 20), max_size=2)
wants = st.lists(st.builds(Want, demands, st.integers(0, 30)), max_size=6)


@given(wants)
def test_what_is_added_holds_all_that_is_not_unmet(rows: list[Want]) -> None:
    growth = nodes_to_add(rows, KINDS)
    kinds = {kind.name: kind for kind in KINDS}
    for name, count in growth.add:
        assert count <= kinds[name].most
    room = [dict(kinds[name].has) for name, count in growth.add for _ in range(count)]
    asked = sum(want.count * sum(want.demand.values()) for want in rows)
    unmet = sum(want.count * sum(want.demand.values()) for want in growth.unmet)
    assert asked - unmet <= sum(sum(node.values()) for node in room)
    # Adding those nodes as free room leaves just the unmet ones without, and asks for no node twice. First fit depends on
    # the order of the nodes, and `add` does not tell it where kinds were added in turns: so of one kind only.
    again = nodes_to_add(rows, [], free=room)
    if len(growth.add) == 1:
        assert sum(want.count for want in again.unmet) <= sum(want.count for want in growth.unmet)


@given(wants, st.randoms(use_true_random=False))
def test_the_order_of_demands_does_not_matter(rows: list[Want], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert nodes_to_add(rows, KINDS) == nodes_to_add(shuffled, KINDS)
