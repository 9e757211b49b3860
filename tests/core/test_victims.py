"""The fewest victims, and of equally few the cheapest: against every subset there is."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.ask import Ask
from headway.core.events import AttemptCheckpointed, AttemptProgressed, Outcome, PreemptionSet
from headway.core.placement.best_fit import PLACEMENT
from headway.core.placement.space import Imagined, Space
from headway.core.preemption.choose import SEARCH, Candidate, Steps, burden_of, fewest
from headway.core.preemption.costs import price
from headway.core.queue import Shape
from headway.core.state import Lease
from headway.domain.resources import Demand, Node
from headway.domain.units import MILLI, SECOND
from tests.builders import demand, node, preempted, task

DEMANDS = (
    demand(1), demand(2), demand(3), demand(1, gpu=0.5), demand(2, gpu=1), demand(1, gpu=2), demand(1, memory=3),
    demand(2, memory=1), demand(1, other={"licence": 1}),
)  # fmt: skip


def shape_of(asked: Demand) -> Shape:
    return Shape(0, Ask(asked))


def filled(node: Node, demands: list[Demand]) -> tuple[Space, list[Lease]]:
    """A node on which as many of the demands as fit are held."""
    space, leases = Space(0, node, "i1", PLACEMENT), []
    for number, asked in enumerate(demands):
        shape = shape_of(asked)
        shape.id = DEMANDS.index(asked)
        if space.fits(shape):
            leases.append(Lease(number, space, shape, space.take(shape)))
    return space, leases


def every_choice(
    space: Space, wanted: Shape, able: list[Candidate], allowance: dict[tuple[int, str], int]
) -> tuple[int, tuple[int, int]] | None:
    """The least number and burden, by trying all."""
    for size in range(1, len(able) + 1):
        found = []
        for chosen in combinations(able, size):
            accounts = [account for one in chosen for account in one.accounts]
            if any(accounts.count(account) > allowance.get(account, size) for account in accounts):
                continue
            if Imagined(space, [one.lease for one in chosen]).fits(wanted):
                found.append(burden_of(list(chosen)))
        if found:
            return size, min(found)
    return None


@settings(max_examples=400, deadline=None)
@given(
    demands=st.lists(st.sampled_from(DEMANDS), min_size=1, max_size=9),
    wanted=st.sampled_from(
        [*DEMANDS, demand(4), demand(6), demand(3, gpu=3), demand(2, gpu=0.8), demand(5, memory=4)]
    ),
    burdens=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=9, max_size=9),
    accounts=st.lists(st.sampled_from([None, "a", "b"]), min_size=9, max_size=9),
    allowed=st.integers(0, 3),
)
def test_no_smaller_set_exists_and_of_equally_small_none_is_cheaper(
    demands, wanted, burdens, accounts, allowed
) -> None:
    space, leases = filled(Node("n", 8 * MILLI, 8, 3, (("licence", 2 * MILLI),)), demands)
    shape = shape_of(wanted)
    if space.fits(shape):
        return
    able = [
        Candidate(burdens[i], lease, () if accounts[i] is None else ((0, accounts[i]),))
        for i, lease in enumerate(leases)
    ]
    allowance = {(0, "a"): allowed, (0, "b"): 1}
    steps = Steps()
    found = fewest(space, shape, able, allowance, steps)
    best = every_choice(space, shape, able, allowance)
    assert (found is None) == (best is None)
    if found is not None:
        assert (len(found), burden_of(found)) == best
        assert Imagined(space, [one.lease for one in found]).fits(shape)
    assert steps.left <= SEARCH


def test_a_thousand_small_ones_on_a_large_node_are_bounded_work() -> None:
    """All differ, so nothing can be proved in the steps there are: the quick choice stands, and is minimal."""
    space, leases = filled_large(1_000)
    shape = shape_of(demand(300))
    able = [Candidate((0, number * 7919 % 1_000), lease) for number, lease in enumerate(leases)]
    steps = Steps()
    found = fewest(space, shape, able, {}, steps)
    assert found is not None
    assert SEARCH - steps.left <= 2_000
    rest = [one.lease for one in found[1:]]
    assert not Imagined(space, rest).fits(shape), "one of them was not needed"


def filled_large(count: int) -> tuple[Space, list[Lease]]:
    space, leases = Space(0, Node("n", 2_000 * MILLI), "i1", PLACEMENT), []
    for number in range(count):
        shape = Shape(number, Ask(Demand(MILLI + number)))
        leases.append(Lease(number, space, shape, space.take(shape)))
    space.cpu = 0
    return space, leases


@pytest.fixture
def h(drive):
    """Two cores, each with a task of a hundred seconds that has run for ten."""
    h = drive(train_span=0)
    h.join(node(cpu=2))
    h.offer(task("a", seconds=100, kind="ka"), task("b", seconds=100, kind="kb", restart=5 * SECOND))
    h.started("a", "b")
    h.sleep(10)
    return h


def test_what_a_restart_takes_counts(h) -> None:
    decisions = h.offer(task("high", priority=1))
    assert preempted(decisions) == ["a"]
    (found,) = (d for d in decisions if getattr(d, "grace", 0))
    assert (found.reason["lost"], found.reason["restart"], found.reason["cost"]) == (
        10 * SECOND,
        0,
        10 * SECOND,
    )


def test_what_waits_behind_it_counts(h) -> None:
    h.offer(task("after", seconds=500, after=["a"]))
    lease = h.engine.world.tasks["r/a"].member.lease
    # Ten seconds delay a, which has a hundred to go, and the 500 behind it.
    assert price(h.engine.world, lease, h.now) == (10 * SECOND, 0, 500 * SECOND, 18_333_333)
    assert preempted(h.offer(task("high", priority=1))) == ["b"]


def test_a_restart_is_learned_from_what_went_on_from_a_checkpoint(h) -> None:
    """Half was kept, so fifty seconds are left; it took sixty."""
    h.apply(AttemptProgressed("r/a", 1, 500, h.now), AttemptCheckpointed("r/a", 1, h.now, 500))
    assert preempted(h.offer(task("high", priority=1))) == ["a"]
    h.ended("a", outcome=Outcome.PREEMPTED)
    h.ended("high")
    entry = h.engine.world.tasks["r/a"]
    h.started("a")
    h.ended("a", took=60)
    assert h.engine.world.restart(entry) == 10 * SECOND
    assert entry.family.recent == [100 * SECOND], "the restart is none of its processing time"


def test_those_of_the_worst_class_go_first_among_equally_many(drive) -> None:
    """Else the one of the middle class would preempt the low one in its turn."""
    h = drive(train_span=0)
    h.join(node(cpu=2))
    h.offer(task("low"), task("middle", priority=1))
    h.started("low")
    h.sleep(50)
    h.started("middle")
    h.sleep(5)
    assert preempted(h.offer(task("high", priority=2))) == ["low"]


def test_other_choices_and_their_costs_are_told(drive) -> None:
    h = drive(train_span=0)
    h.join(node("n1", cpu=2), node("n2", cpu=2))
    h.offer(task("a", cpu=2), task("b", cpu=1), task("c", cpu=1))
    h.started("a", "b", "c")
    h.sleep(10)
    decisions = h.offer(task("high", cpu=2, priority=1))
    assert preempted(decisions) == ["a"]
    (found,) = (d for d in decisions if getattr(d, "grace", 0))
    assert found.reason["others"] == [{"cost": 20 * SECOND, "node": "n2", "victims": ["r/c", "r/b"]}]


def test_a_preempted_one_is_told_by_whom_at_what_cost_and_who_else_it_could_have_been(drive) -> None:
    h = drive(train_span=0)
    h.join(node("n1", cpu=2), node("n2", cpu=2))
    h.offer(task("a", cpu=2, restart=5 * SECOND), task("b", cpu=1), task("c", cpu=1))
    h.started("a", "b", "c")
    h.sleep(10)
    h.offer(task("high", cpu=2, priority=1))
    h.ended("a", outcome=Outcome.PREEMPTED)
    h.sleep(60)
    text = h.engine.why("r/a", h.now).text()
    assert "r/high took its place on n1 1 min ago" in text
    assert "it costs at most 10.0 s since its last checkpoint, a restart of 5.0 s" in text
    assert "on n2 it would have been r/c, r/b, at 20.0 s (1 victim at 15.0 s here)" in text


def test_a_preemptor_is_told_who_has_not_left(h) -> None:
    h.offer(task("high", priority=1))
    assert "r/a has not left yet" in h.engine.why("r/high", h.now).text()
    assert "asked to leave" in h.engine.why("r/a", h.now).text()


def test_terms_of_preemption_are_an_event(h) -> None:
    h.apply(PreemptionSet("no"))
    assert preempted(h.offer(task("high", priority=1))) == []
    assert preempted(h.apply(PreemptionSet("classes"))) == ["a"]
