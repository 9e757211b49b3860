"""Every order that exists, under every discipline, with every placement: what must hold whatever the rule.

`crowd.py` keeps its own books of what is held, so that an engine that miscounts cannot vouch for itself. The histories
are drawn from the name of the combination: other for each, the same in every run.
"""

from __future__ import annotations

from zlib import crc32

import pytest

from headway.core.decisions import Decision, Start
from headway.core.engine import Engine
from headway.core.events import AttemptEnded, Outcome
from headway.core.ordering import Turns, orders
from headway.core.ordering.srpt import AGING
from headway.core.placement import placements
from headway.core.policy import DISCIPLINES
from headway.core.state import State
from headway.domain.task import Gang
from headway.domain.units import SECOND
from tests.builders import Harness, node, placed, task
from tests.core.crowd import CLUSTER, Crowd, arrivals, fits

ORDERS, PLACEMENTS = sorted(orders()), sorted(placements())
#: Orders that the table in docs/internals/engine.md says nothing starves under; of `fair` ones: no tenant does.
AGED = ("fcfs", "aging", "srpt", "weighted_remaining", "joint")
#: Rounds of newcomers in one history; then it runs dry.
ROUNDS = 10
COMBINATIONS = [(order, discipline) for order in ORDERS for discipline in DISCIPLINES]


def composed(order: str, seed: int) -> str:
    """The order alone, behind priorities, or before another: a policy as users write them."""
    other = "srpt" if order == "fcfs" else "fcfs"
    return (order, f"{order} > {other}", order if order == "priority" else f"priority > {order}")[seed % 3]


@pytest.mark.parametrize(("order", "discipline"), COMBINATIONS)
def test_what_every_policy_keeps(order: str, discipline: str) -> None:
    for placement in PLACEMENTS:
        seed = crc32(f"{order} {discipline} {placement}".encode())
        policy = composed(order, seed)
        crowd = Crowd(lambda: engine(policy, discipline, placement, seed), seed)  # noqa: B023
        for number in range(ROUNDS):
            crowd.now += SECOND
            arrivals(crowd, number)
            if "joint" in policy and number % 5 == 2:
                crowd.plan()
            look(crowd, crowd.decide(), discipline)
            crowd.begin()
            crowd.end_some()
            if number == seed % ROUNDS:
                crowd.swap_the_twin()
        for _ in range(200):
            if not crowd.engine.world.tasks:
                break
            crowd.now += SECOND
            look(crowd, crowd.decide(), discipline)
            crowd.begin()
            crowd.end_some(1)
        assert not crowd.engine.world.tasks, f"{policy}, {discipline}, {placement}: some never ran"


def engine(policy: str, discipline: str, placement: str, seed: int) -> Engine:
    """Trains in every other history, preemption within a class in every third."""
    return Engine(
        policy, discipline, placement=placement, train_span=50_000 * (seed // 3 % 2), min_run=SECOND // 2,
        preempt_longer=not seed % 3, preempt_attained=not seed % 3,
    )  # fmt: skip


def look(crowd: Crowd, decisions: list[Decision], discipline: str) -> None:
    """Capacity, gangs, work conservation and explanations after one decision."""
    room = crowd.free()
    starts = [one for one in decisions if isinstance(one, Start)]
    for start in starts:
        gang = crowd.tasks[start.task].gang
        if gang is not None:
            together = [one for one in starts if crowd.tasks[one.task].gang in _members(crowd, gang.id)]
            running = [t for t in crowd.engine.world.tasks if crowd.tasks[t].gang in _members(crowd, gang.id)]
            assert len(together) == len(running), f"{gang.id} is half held"
    world = crowd.engine.world
    claimed = {claim.space.name for claim in world.claims.values()}
    for start in starts[-3:]:
        if (start.task, start.attempt) in crowd.asked_back:
            continue
        told = crowd.engine.why(start.task, crowd.now)
        assert (told.facts["node"], told.facts["devices"]) == (start.node, list(start.devices))
        assert told.facts["placed"]["code"] == start.reason.code
    for ident, entry in world.tasks.items():
        if entry.state is not State.QUEUED:
            continue
        told = crowd.engine.why(ident, crowd.now)
        assert sum(told.facts["blocked"].values()) == told.facts["nodes"] == len(CLUSTER)
        if entry.task.gang is not None:
            continue
        might = [
            one.name for one in CLUSTER if one.name not in claimed and fits(one, room[one.name], entry.task)
        ]
        if discipline == "skip" and world.plan is None:
            assert not might, f"{ident} waits while {might} would hold it\n{told.text()}"
        if discipline != "strict":
            assert "fits" not in told.facts["blocked"], told.text()
        if (
            "fits" not in told.facts["blocked"]
            and "head_of_line" not in told.facts
            and "plan" not in told.facts
        ):
            kept = {"reserved", "plan"} & {word.split()[0] for word in told.facts["blocked"]}
            assert not might or kept, f"why finds no room for {ident}, the books do on {might}\n{told.text()}"


def _members(crowd: Crowd, gang: str) -> list[Gang]:
    return [one.gang for one in crowd.tasks.values() if one.gang is not None and one.gang.id == gang]


@pytest.mark.parametrize("discipline", DISCIPLINES)
@pytest.mark.parametrize("order", [o for o in ORDERS if o in AGED or isinstance(orders()[o], Turns)])
def test_nothing_starves_under_aging(order: str, discipline: str) -> None:
    """However many newcomers are better placed, the old task has its turn: the aged orders by its waiting, those with
    turns because its tenant (or run) has been given less."""
    for placement in PLACEMENTS:
        h = Harness(order=order, discipline=discipline, placement=placement, train_span=0)
        h.join(node(cpu=1))
        h.offer(task("busy", tenant="many", run="many", seconds=8))
        h.offer(task("old", tenant="one", run="one", seconds=9, release=h.now))
        bound = max(AGING * SECOND, 21 * 60 * SECOND)
        running, number = "many/busy", 0
        while running != "one/old":
            h.now += 8 * SECOND
            assert h.now <= bound, f"{order}, {discipline}, {placement}: it still waits"
            number += 1
            h.offer(task(f"new{number}", tenant="many", run="many", seconds=8, priority=2, release=h.now))
            attempt = h.engine.world.tasks[running].attempt
            found = h.apply(AttemptEnded(running, attempt, Outcome.FINISHED, 8 * SECOND))
            [running] = [one.task for one in found if isinstance(one, Start)]
        assert number >= 1


def test_what_is_said_not_to_age_does_starve() -> None:
    """So that the test above cannot pass because its newcomers are harmless."""
    for order in ("sjf", "remaining", "priority", "wspt"):
        h = Harness(order=order, train_span=0)
        h.join(node(cpu=1))
        h.offer(task("new0", seconds=8))
        h.offer(task("old", seconds=9))
        for number in range(1, 300):
            h.now += 8 * SECOND
            h.offer(task(f"new{number}", seconds=8, priority=2, release=h.now))
            assert placed(h.ended(f"new{number - 1}")) == [f"new{number}"]
