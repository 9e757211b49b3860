"""Dominant resource fairness: the paper's example, its four properties, trees, and Kueue's measure."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.ordering import orders
from headway.core.ordering.drf import Tenant, borrowed_share, dominant_share, fill, fill_tree, water_fill
from headway.errors import Invalid

PAPER = {"cpu": 9, "mem": 18}
A, B = Tenant("A", {"cpu": 1, "mem": 4}), Tenant("B", {"cpu": 3, "mem": 1})


def test_the_example_of_the_paper() -> None:
    filling = fill(PAPER, [A, B])
    assert filling.tasks == {"A": 3, "B": 2}
    assert filling.picks == ("A", "B", "A", "B", "A")
    assert dominant_share({"cpu": 3, "mem": 12}, PAPER) == (Fraction(2, 3), "mem")
    water = water_fill(PAPER, [A, B])
    assert water.shares == {"A": Fraction(2, 3), "B": Fraction(2, 3)}
    assert water.levels[0].full == ("cpu",)


def test_twice_the_weight_is_twice_the_share() -> None:
    tenants = [Tenant("heavy", {"gpu": 1}, weight=2), Tenant("light", {"gpu": 1})]
    assert fill({"gpu": 9}, tenants).tasks == {"heavy": 6, "light": 3}
    assert water_fill({"gpu": 9}, tenants).tasks == {"heavy": 6, "light": 3}


def test_who_needs_nothing_that_ran_out_goes_on() -> None:
    tenants = [Tenant("g", {"cpu": 1, "gpu": 1}, weight=2), Tenant("c", {"cpu": 1})]
    water = water_fill({"cpu": 100, "gpu": 2}, tenants)
    assert [(level.share, level.full, level.stopped) for level in water.levels] == [
        (Fraction(1, 2), ("gpu",), ("g",)),
        (Fraction(98, 100), ("cpu",), ("c",)),
    ]
    assert water.tasks == {"g": 2, "c": 98}


def test_who_has_enough_stops_and_leaves_the_rest() -> None:
    tenants = [Tenant("few", {"cpu": 1}, tasks=2), Tenant("many", {"cpu": 1})]
    assert water_fill({"cpu": 10}, tenants).tasks == {"few": 2, "many": 8}
    assert fill({"cpu": 10}, tenants).tasks == {"few": 2, "many": 8}


def test_a_queue_is_not_held_back_by_its_saturated_child() -> None:
    # The case that plain trees of DRF get wrong and rescaling repairs (Bhattacharya et al. 2013).
    tree = {"root": {"sci": 50, "eng": 50}, "root/eng": {"dev": 50, "prod": 50}}
    tenants = [
        ("root/sci", Tenant("pg1", {"cpu": 1, "mem": 1}, tasks=10)),
        ("root/eng/dev", Tenant("pg21", {"cpu": 1, "mem": 0}, tasks=10)),
        ("root/eng/prod", Tenant("pg22", {"cpu": 0, "mem": 1}, tasks=10)),
    ]
    assert fill_tree({"cpu": 10, "mem": 10}, tree, tenants).tasks == {"pg1": 5, "pg21": 5, "pg22": 5}


def test_a_tree_splits_by_the_weights_of_its_queues_first() -> None:
    tree = {"root": {"big": 3, "small": 1}}
    tenants = [("root/big", Tenant("b", {"cpu": 1}))] + [
        ("root/small", Tenant(f"s{i}", {"cpu": 1})) for i in range(4)
    ]
    assert fill_tree({"cpu": 16}, tree, tenants).tasks == {"b": 12, "s0": 1, "s1": 1, "s2": 1, "s3": 1}


def test_only_what_is_borrowed_counts_for_kueue() -> None:
    nominal, lendable = {"cpu": 2, "gpu": 5}, {"cpu": 10, "gpu": 10}
    found = borrowed_share({"cpu": 3, "gpu": 7}, nominal, lendable)
    assert (found.resource, found.shown) == ("gpu", 200)
    assert borrowed_share({"gpu": 501}, {"gpu": 500}, {"gpu": 1500}).shown == 1  # a little is never nothing
    assert borrowed_share({"cpu": 2}, nominal, lendable).share == 0
    assert borrowed_share({"cpu": 3}, nominal, lendable, weight=0).share is None


@pytest.mark.parametrize(
    ("tenants", "said"),
    [
        ([Tenant("a", {"cpu": 1}, weight=0)], "weight 0"),
        ([Tenant("a", {"cpu": 0})], "without number"),
        ([Tenant("a", {"cpu": 1}), Tenant("a", {"cpu": 2})], "named twice"),
        ([Tenant("a", {"tpu": 1})], "there is no tpu"),
        ([Tenant("a", {"cpu": -1})], "less than nothing"),
    ],
)
def test_what_has_no_answer_is_refused(tenants: list[Tenant], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        fill({"cpu": 4}, tenants)
    with pytest.raises(Invalid, match=said):
        water_fill({"cpu": 4}, tenants)


def test_a_queue_that_is_not_in_the_tree_is_named() -> None:
    with pytest.raises(Invalid, match="'root/x', which is not in the tree"):
        fill_tree({"cpu": 1}, {"root": {}}, [("root/x", A)])


def test_this_module_is_no_order_of_its_own() -> None:
    assert "drf" not in orders()


resources = ("cpu", "mem", "gpu")
capacities = st.fixed_dictionaries({name: st.integers(5, 60) for name in resources})
demands = st.fixed_dictionaries({name: st.integers(0, 6) for name in resources}).filter(
    lambda d: any(d.values())
)
groups = st.lists(st.tuples(demands, st.integers(1, 3)), min_size=1, max_size=5)


def named(rows: list[tuple[dict[str, int], int]]) -> list[Tenant]:
    return [Tenant(f"t{i}", demand, weight) for i, (demand, weight) in enumerate(rows)]


def could_run(demand: dict[str, int], held: dict[str, Fraction]) -> Fraction:
    """How many tasks fit in a bundle."""
    return min(held[name] / amount for name, amount in demand.items() if amount)


@given(capacities, groups)
def test_nobody_envies_and_nobody_is_worse_off_than_with_its_part(
    capacity: dict[str, int], rows: list
) -> None:
    tenants = named(rows)
    water = water_fill(capacity, tenants)
    weights = sum(tenant.weight for tenant in tenants)
    for mine in tenants:
        part = {name: Fraction(amount * mine.weight, weights) for name, amount in capacity.items()}
        assert water.tasks[mine.name] >= could_run(mine.demand, part)  # sharing incentive
        for other in tenants:
            scaled = {
                name: other.demand[name] * water.tasks[other.name] * mine.weight / other.weight
                for name in resources
            }
            assert water.tasks[mine.name] >= could_run(mine.demand, scaled)  # envy-freeness, by weight


@given(capacities, groups)
def test_nothing_usable_is_left_over_and_nothing_is_overdrawn(capacity: dict[str, int], rows: list) -> None:
    tenants = named(rows)
    water = water_fill(capacity, tenants)
    left = {
        name: amount - sum(water.tasks[t.name] * t.demand[name] for t in tenants)
        for name, amount in capacity.items()
    }
    assert min(left.values()) >= 0
    for tenant in tenants:
        assert any(left[name] == 0 for name, amount in tenant.demand.items() if amount)  # Pareto efficiency


@given(capacities, groups, demands)
def test_lying_about_the_demand_gains_nothing(
    capacity: dict[str, int], rows: list, lie: dict[str, int]
) -> None:
    honest = named(rows)
    liar = Tenant(honest[0].name, lie, honest[0].weight)
    told = water_fill(capacity, [liar, *honest[1:]])
    got = {name: lie[name] * told.tasks[liar.name] for name in resources}
    assert could_run(honest[0].demand, got) <= water_fill(capacity, honest).tasks[honest[0].name]


@given(capacities, groups)
def test_whole_tasks_fill_up_and_a_flat_tree_is_no_tree(capacity: dict[str, int], rows: list) -> None:
    tenants = named(rows)
    filling = fill(capacity, tenants)
    left = {
        name: amount - sum(filling.tasks[t.name] * t.demand[name] for t in tenants)
        for name, amount in capacity.items()
    }
    assert min(left.values()) >= 0
    for tenant in tenants:
        assert any(left[name] < amount for name, amount in tenant.demand.items() if amount)
    assert fill_tree(capacity, {"root": {}}, [("root", tenant) for tenant in tenants]) == filling
