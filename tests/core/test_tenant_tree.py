"""Tenants that are part of tenants: hierarchical DRF in the engine, against the exact arithmetic of `ordering.drf`."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core import standing
from headway.core.engine import Engine
from headway.core.events import TaskOffered, TenantSet
from headway.core.ordering import drf
from headway.errors import Invalid
from tests.builders import Harness, node, started, task


def held(h: Harness) -> dict[str, int]:
    """How many attempts of each tenant are out."""
    found: dict[str, int] = {}
    for member in h.engine.world.members():
        found[member.entry.task.tenant] = found.get(member.entry.task.tenant, 0) + 1
    return found


def offer(h: Harness, tenant: str, count: int, **asks: int) -> None:
    for i in range(count):
        h.engine.apply(TaskOffered(task(f"{tenant}-{i}", tenant=tenant, **asks)), h.now)


def finish_all(h: Harness) -> None:
    """Everything that is out ends, and others start."""
    h.ended(*[member.entry.task.id.removeprefix("r/") for member in h.engine.world.members()])


def test_departments_share_first_and_their_members_then(drive) -> None:
    """One department of one and one of four share as two, not as five."""
    h = drive(order="fair > fcfs", train_span=0)
    h.join(node(cpu=16))
    for name in ("b1", "b2", "b3", "b4"):
        h.apply(TenantSet(name, parent="b"))
    h.apply(TenantSet("a1", parent="a"))
    for name in ("a1", "b1", "b2", "b3", "b4"):
        offer(h, name, 16, cpu=1)
    h.decide()
    assert held(h) == {"a1": 8, "b1": 2, "b2": 2, "b3": 2, "b4": 2}


def test_the_tree_may_change_while_tasks_wait(drive) -> None:
    h = drive(order="priority > fair > fcfs", train_span=0)
    for name in ("a", "b", "c"):
        offer(h, name, 12, cpu=1)
    h.join(node(cpu=12))
    h.decide()
    assert held(h) == {"a": 4, "b": 4, "c": 4}
    h.apply(TenantSet("b", parent="house"))
    h.apply(TenantSet("c", parent="house"))
    finish_all(h)
    assert held(h) == {"a": 6, "b": 3, "c": 3}
    h.apply(TenantSet("house", weight=3000))
    finish_all(h)
    assert held(h)["a"] == 2  # all that is left of it: 12 less 4 and 6
    h.apply(TenantSet("b"))
    h.apply(TenantSet("c"))
    assert h.engine.world.policy.depth == 1


def test_why_says_how_the_branches_stand(drive) -> None:
    h = drive(order="fair > fcfs", train_span=0)
    h.join(node(cpu=2))
    h.apply(TenantSet("vision", parent="research"))
    offer(h, "vision", 3, cpu=1)
    h.decide()
    text = h.engine.why("r/vision-2", h.now).text()
    assert "research: its tenant holds 100.0 % over its weight" in text
    assert "its tenant holds 100.0 % over its weight" in text.replace(
        "research: its tenant holds 100.0 %", ""
    )


def test_nobody_is_below_itself(drive) -> None:
    h = drive(order="fair")
    h.apply(TenantSet("a", parent="b"))
    h.apply(TenantSet("b", parent="c"))
    with pytest.raises(Invalid, match="below itself"):
        h.engine.apply(TenantSet("c", parent="a"), h.now)
    with pytest.raises(Invalid, match="below itself"):
        h.engine.apply(TenantSet("c", parent="c"), h.now)
    with pytest.raises(Invalid, match="below itself"):
        standing.events({"tenants": {"x": {"parent": "y"}, "y": {"parent": "x"}}})
    before = {"tenants": {"x": {"parent": "y"}, "y": {}}}
    swapped = {"tenants": {"x": {}, "y": {"parent": "x"}}}
    engine = Engine("fair")
    for event in (*standing.events(before), *standing.events(swapped, before)):
        engine.apply(event, 0)
    assert engine.world.parents == {"y": "x"}


class Exact:
    """The rule with fractions: every step of the engine must be one that it allows."""

    def __init__(
        self, cpu: int, memory: int, houses: list[int], people: list[tuple[int, int, int, int, int]]
    ) -> None:
        self.free = {"cpu": cpu * 1000, "memory": memory}
        self.capacity = dict(self.free)
        self.houses = houses
        self.asks = [{"cpu": cores * 1000, "memory": space} for _, cores, space, _, _ in people]
        self.weights = [weight for _, _, _, weight, _ in people]
        self.left = [count for *_, count in people]
        self.house = [house for house, *_ in people]
        self.got = [0] * len(people)

    def fits(self, who: int) -> bool:
        return self.left[who] > 0 and all(
            amount <= self.free[name] for name, amount in self.asks[who].items()
        )

    def level(self, who: int) -> Fraction:
        used = {name: amount * self.got[who] for name, amount in self.asks[who].items()}
        return drf.dominant_share(used, self.capacity)[0] / self.weights[who]

    def level_of_house(self, house: int) -> Fraction:
        mine = [who for who, where in enumerate(self.house) if where == house]
        levels = {who: self.level(who) for who in mine}
        last = min((levels[who] for who in mine if self.left[who] and levels[who]), default=Fraction(0))
        used: dict[str, Fraction] = {}
        for who in mine:
            scale = last / levels[who] if last and levels[who] and self.left[who] else Fraction(1)
            for name, amount in self.asks[who].items():
                used[name] = used.get(name, Fraction(0)) + amount * self.got[who] * scale
        return drf.dominant_share(used, self.capacity)[0] / self.houses[house]

    def serve(self, who: int) -> None:
        able = [other for other in range(len(self.asks)) if self.fits(other)]
        levels = {house: self.level_of_house(house) for house in {self.house[other] for other in able}}
        assert levels[self.house[who]] <= min(levels.values()) + TIE
        siblings = [self.level(other) for other in able if self.house[other] == self.house[who]]
        assert self.level(who) <= min(siblings) + TIE
        self.got[who] += 1
        self.left[who] -= 1
        for name, amount in self.asks[who].items():
            self.free[name] -= amount


#: The engine's shares are fixed point, and a scaled sum rounds at each level.
TIE = Fraction(1, 1 << 12)
PEOPLE = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(1, 5),
        st.integers(0, 4),
        st.sampled_from([1, 2, 3]),
        st.integers(1, 30),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(5, 40),
    st.integers(5, 40),
    st.lists(st.sampled_from([1, 2, 4]), min_size=3, max_size=3),
    PEOPLE,
)
def test_every_step_is_one_of_the_exact_rule(cpu: int, memory: int, houses: list[int], people) -> None:
    h = Harness(order="fair > fcfs", train_span=0, preempt=False)
    # Memory in GiB: a share of a few bytes would be all rounding.
    h.join(node(cpu=cpu, memory=memory << 30))
    for house, weight in enumerate(houses):
        h.engine.apply(TenantSet(f"h{house}", weight * 1000), 0)
    for number, (house, cores, space, weight, count) in enumerate(people):
        h.engine.apply(TenantSet(f"u{number}", weight * 1000, parent=f"h{house}"), 0)
        offer(h, f"u{number}", count, cpu=cores, memory=space << 30)
    exact = Exact(cpu, memory, houses, people)
    for name, _ in started(h.decide()):
        exact.serve(int(name.partition("-")[0].removeprefix("u")))
    assert not any(exact.fits(who) for who in range(len(people)))
    h.engine.check()


def test_a_member_with_nothing_left_to_ask_for_does_not_hold_its_siblings_back(drive) -> None:
    """Bhattacharya et al. 2013: without scaling, n2's idle child would count against n2.2 for ever."""
    h = drive(order="fair > fcfs", train_span=0)
    h.join(node(cpu=20, memory=20))
    for name, parent in (("n11", "n1"), ("n21", "n2"), ("n22", "n2")):
        h.apply(TenantSet(name, parent=parent))
    offer(h, "n21", 20, memory=1, cpu=0)
    offer(h, "n11", 20, cpu=1)
    offer(h, "n22", 20, cpu=1)
    h.decide()
    assert held(h) == {"n11": 10, "n22": 10, "n21": 20}


def test_a_restored_engine_goes_on_as_the_first(drive) -> None:
    h = drive(order="fair > fcfs", train_span=0)
    h.join(node(cpu=4))
    for name, parent in (("a", "x"), ("b", "x"), ("c", "y"), ("y", "z")):
        h.apply(TenantSet(name, parent=parent))
    for name in ("a", "b", "c", "y"):
        offer(h, name, 6, cpu=1)
    h.decide()
    copy = Engine.restore(h.engine.snapshot())
    assert copy.snapshot() == h.engine.snapshot()
    copy.check()
