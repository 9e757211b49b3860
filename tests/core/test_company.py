"""Near to, apart from and spread out among other tasks: Kubernetes' required affinity, anti-affinity and topology spread."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core import beside
from headway.core.engine import Engine
from headway.core.events import AttemptEnded, LevelsSet, NodeCordoned, NodeJoined, NodeLost, Outcome
from headway.core.placement import placements
from headway.core.placement.company import FEW
from headway.core.policy import DISCIPLINES
from headway.domain.beside import parse_beside
from headway.errors import Invalid
from tests.builders import Harness, node, placed, started, task

RACKS = tuple(
    node(name, cpu=4, labels={"rack": rack, "zone": zone})
    for name, rack, zone in (("a", "r1", "z1"), ("b", "r1", "z1"), ("c", "r2", "z1"), ("d", "r1", "z2"))
)


def sayer(name: str, run: str = "r", cpu: float = 1, priority: int = 0, tenant: str = "default", **said: Any):
    return task(name, run=run, cpu=cpu, priority=priority, tenant=tenant, beside=said)


def test_near_goes_where_the_group_is_and_waits_until_it_is(drive) -> None:
    h = drive(order="fcfs", train_span=0)
    h.join(*RACKS)
    assert placed(h.offer(sayer("x", near="cache within rack"))) == []
    assert "must be near cache within rack: none runs" in h.engine.why("r/x", h.now).text()
    assert "of 4 nodes: 4 by near cache within rack" in h.engine.why("r/x", h.now).text()
    # The same decision places both: the second may go because the first went.
    found = dict(started(h.offer(task("c", where="rack == r2", beside={"group": "cache"}))))
    assert found == {"c": "c", "x": "c"}


def test_another_runs_group_is_another_unless_the_tenants_is_meant(drive) -> None:
    h = drive(train_span=0)
    h.join(*RACKS)
    h.offer(sayer("c", run="other", group="cache"))
    assert placed(h.offer(sayer("x", near="cache"))) == []
    assert placed(h.offer(sayer("y", near="cache of tenant"))) == ["y"]
    assert placed(h.offer(sayer("z", near="cache of tenant", tenant="bob"))) == []


def test_apart_keeps_away_and_is_kept_away_from(drive) -> None:
    h = drive(order="fcfs", train_span=0)
    h.join(*RACKS)
    found = started(h.offer(*(sayer(f"s{i}", group="s", apart="s within zone") for i in range(3))))
    zones = {one.name: dict(one.labels)["zone"] for one in RACKS}
    assert Counter(zones[where] for _, where in found) == {"z1": 1, "z2": 1}
    # Who has no rule itself is kept off by those that have one about its group.
    assert placed(h.offer(sayer("plain", group="s"))) == []
    assert "4 by apart s within zone, as one there wants it" in h.engine.why("r/plain", h.now).text()
    h.started("s0")
    assert len(h.ended("s0")) == 1


def test_spread_keeps_the_places_even(drive) -> None:
    h = drive(order="fcfs", train_span=0)
    h.join(*RACKS, node("bare", cpu=64))
    found = started(h.offer(*(sayer(f"t{i}", group="t", spread="zone by 2") for i in range(12))))
    zones = {one.name: dict(one.labels)["zone"] for one in RACKS}
    assert Counter(zones[where] for _, where in found) == {"z1": 6, "z2": 4}
    text = h.engine.why("r/t11", h.now).text()
    assert "must be spread over zone by 2: 6 on z1, 4 on z2, the fewest anywhere 4" in text
    # Three nodes of z1 and the one without a zone stand against the rule; d is full.
    assert h.engine.why("r/t11", h.now).facts["blocked"] == {"spread zone by 2": 4, "cpu": 1}


def test_of_places_only_those_count_where_the_task_could_be(drive) -> None:
    """A zone of small nodes, or one that is cordoned, does not hold back the others (KEP-3094)."""
    h = drive(train_span=0)
    h.join(
        node("a", labels={"zone": "a"}),
        node("b", cpu=1, labels={"zone": "b"}),
        node("c", labels={"zone": "c"}),
    )
    assert len(placed(h.offer(*(sayer(f"t{i}", cpu=2, spread="zone") for i in range(6))))) == 6
    h.apply(NodeCordoned("c", True))
    assert (
        len(placed(h.offer(*(sayer(f"u{i}", run="u", cpu=0.5, spread="zone by 1") for i in range(4))))) == 4
    )


def test_levels_tell_places_of_one_name_apart(drive) -> None:
    """Rack r1 of zone z1 and rack r1 of zone z2 are two racks once [topology] says so."""
    h = drive(train_span=0)
    h.join(*RACKS)
    h.offer(*(sayer(f"s{i}", group="s", apart="s within rack") for i in range(4)))
    assert [h.state(f"s{i}") for i in range(4)].count("placed") == 2
    assert len(placed(h.apply(LevelsSet(("zone", "rack"))))) == 1


def test_a_first_of_its_group_may_be_near_to_itself(drive) -> None:
    h = drive(train_span=0, placement="spread")
    h.join(*RACKS)
    found = started(h.offer(*(sayer(f"t{i}", group="t", near="t within rack") for i in range(4))))
    racks = {one.name: dict(one.labels)["rack"] for one in RACKS}
    assert len(found) == 4
    assert len({racks[where] for _, where in found}) == 1


@pytest.mark.parametrize("discipline", DISCIPLINES)
@pytest.mark.parametrize("order", ["fcfs", "priority > fair > srpt", "joint"])
def test_whom_it_waits_for_may_be_behind_it_in_line(drive, discipline: str, order: str) -> None:
    """Even where nothing overtakes the head of the line: or both would wait for ever."""
    h = drive(order=order, discipline=discipline, train_span=0)
    h.join(*RACKS)
    assert placed(h.offer(sayer("x", near="cache within rack", priority=1))) == []
    assert sorted(placed(h.offer(sayer("y"), sayer("c", group="cache")))) == ["c", "x", "y"]


def test_a_node_that_leaves_or_is_relabelled_is_another_place(drive) -> None:
    h = drive(train_span=0)
    h.join(*RACKS)
    h.offer(sayer("c", group="cache"))
    where = h.engine.world.tasks["r/c"].member.lease.space.name
    moved = node(where, cpu=4, labels={"rack": "r9", "zone": "z9"})
    h.apply(NodeJoined(moved, "i1"))
    assert started(h.offer(sayer("x", near="cache within zone"))) == [("x", where)]
    h.apply(NodeLost(where))
    assert placed(h.offer(sayer("y", near="cache within zone"))) == []


def test_a_claim_counts_as_if_it_had_the_place(drive) -> None:
    h = drive(order="priority", min_run=0, train_span=0)
    h.join(node("a", cpu=1), node("b", cpu=1))
    h.offer(task("low0"), task("low1"))
    h.started("low0", "low1")
    h.offer(
        sayer("high0", group="h", apart="h", priority=5), sayer("high1", group="h", apart="h", priority=5)
    )
    claims = h.engine.world.claims
    assert {claim.space.name for claim in claims.values()} == {"a", "b"}
    assert Engine.restore(h.engine.snapshot()).snapshot() == h.engine.snapshot()


def test_shapes_of_runs_that_are_over_are_lent_to_new_ones(drive) -> None:
    h = drive(order="fcfs", train_span=0)
    h.join(*RACKS)
    for number in range(4 * FEW):
        one = sayer("t", run=f"r{number}", apart="k")
        assert len(h.offer(one)) == 1
        entry = h.engine.world.tasks[one.id]
        h.apply(AttemptEnded(one.id, entry.attempt, Outcome.FINISHED, 1_000))
        assert Engine.restore(h.engine.snapshot()).snapshot() == h.engine.snapshot()
    assert len(h.engine.world.queue.shapes) <= FEW + 1


def test_where_nobody_says_anything_of_others_there_is_nothing_to_pay(drive, monkeypatch) -> None:
    monkeypatch.setattr(beside, "count", None)
    monkeypatch.setattr(beside, "moved", None)
    h = drive(train_span=0)
    h.join(*RACKS)
    h.offer(*(task(f"t{i}") for i in range(4)))
    h.ended("t0")
    assert h.engine.world.company.held == {}


# ── against the rules as Kubernetes writes them ─────────────────────────────────────────────────────────────

GROUPS = st.sampled_from(["g", "h"])
LEVELS = st.sampled_from(["node", "rack", "zone"])
RULES = st.fixed_dictionaries(
    {},
    optional={
        "group": GROUPS,
        "near": st.builds("{} within {}".format, GROUPS, LEVELS),
        "apart": st.builds("{} within {}".format, GROUPS, LEVELS),
        "spread": st.builds("{} by {}".format, LEVELS, st.integers(1, 3)),
    },
)


def allowed(said: Any, where: str, held: dict[str, tuple[str, Any]]) -> bool:
    """Whether a task may go to a node, from scratch, given every placed task's node and what it says."""
    nodes = {one.name: {"node": one.name, **dict(one.labels)} for one in RACKS}
    for rule in said.rules:
        group = rule.group or said.group
        at = [nodes[other][rule.level] for other, its in held.values() if its and its.group == group]
        here = at.count(nodes[where][rule.level])
        if rule.kind == "apart" and here:
            return False
        if rule.kind == "near" and not here and not (group == said.group and not at):
            return False
        if rule.kind == "spread":
            every = {labels[rule.level] for labels in nodes.values()}
            if here + 1 - min(at.count(one) for one in every) > rule.most:
                return False
    for other, its in held.values():
        for rule in its.rules if its else ():
            same = nodes[other][rule.level] == nodes[where][rule.level]
            if rule.kind == "apart" and rule.group == said.group and same:
                return False
    return True


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(RULES, st.sampled_from([0.5, 1, 2]), st.integers(0, 1)), min_size=1, max_size=14),
    st.sampled_from(sorted(placements())),
    st.sampled_from(DISCIPLINES),
    st.sampled_from(["fcfs", "priority > srpt", "fair"]),
    st.lists(st.integers(0, 13), max_size=10),
)
def test_every_placement_is_allowed_and_none_that_is_allowed_is_missed(
    asked: list[Any], placement: str, discipline: str, order: str, ends: list[int]
) -> None:
    h = Harness(placement=placement, discipline=discipline, order=order, train_span=0, preempt=False)
    h.join(*RACKS)
    said: dict[str, Any] = {}
    sizes: dict[str, float] = {}
    held: dict[str, tuple[str, Any]] = {}

    def take(decisions: list[Any]) -> None:
        for name, where in started(decisions):
            assert said[name] is None or allowed(said[name], where, held), f"{name} on {where}"
            held[name] = (where, said[name])
        room = {one.name: 4.0 for one in RACKS}
        for name, (where, _) in held.items():
            room[where] -= sizes[name]
        if discipline == "skip":
            for name in said.keys() - held.keys():
                fits = [w for w in room if room[w] >= sizes[name]]
                assert not any(said[name] is None or allowed(said[name], w, held) for w in fits), name

    batch = []
    for number, (rules, cpu, priority) in enumerate(asked):
        try:
            said[f"t{number}"] = parse_beside(rules, "k")
        except Invalid:
            continue  # near and apart at once
        sizes[f"t{number}"] = cpu
        batch.append(task(f"t{number}", cpu=cpu, priority=priority, beside=rules))
    live = {one.id.partition("/")[2] for one in batch}
    take(h.offer(*batch))
    for end in ends:
        name = f"t{end}"
        if name in held and name in live:
            live.discard(name)
            del held[name], said[name]
            take(h.ended(name))
    assert Engine.restore(h.engine.snapshot()).snapshot() == h.engine.snapshot()
