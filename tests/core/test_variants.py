"""Tasks that may run in several ways: which one is chosen, when waiting pays, and that it is bounded."""

from __future__ import annotations

import json

import pytest

from headway.core.decisions import Start
from headway.core.engine import Engine
from headway.core.events import TaskEdited
from tests.builders import node, placed, started, task

#: "one gpu for ten minutes, or 16 cores for two hours"
EITHER = ({"gpu": 1, "seconds": 600}, {"cpu": 16, "seconds": 7200})


def starts(decisions) -> list[tuple[str, int]]:
    return [(d.task.partition("/")[2], d.variant) for d in decisions if isinstance(d, Start)]


def test_the_quick_variant_is_taken_where_it_has_room_and_the_slow_one_when_the_quick_is_far(drive) -> None:
    h = drive(train_span=0)
    h.join(node("big", cpu=64), node("gpu", cpu=2, gpus=1))
    assert starts(h.offer(task("a", variants=EITHER))) == [("a", 0)]
    h.started("a")
    # The GPU comes free in 10 minutes: 20 are better than two hours. That a third would be better off too.
    assert placed(h.offer(task("b", variants=EITHER), task("c", variants=EITHER))) == []
    text = h.engine.why("r/b", h.now).text()
    assert "asks for cpu 1, gpu 1, instead of cpu 16" in text
    assert "waits for variant 1, complete in 20 min (variant 2: in 2 h)" in text
    assert h.engine.why("r/c", h.now).facts["prefers"]["expected"] == [1_800_000_000, 7_200_000_000]
    h.sleep(600)
    assert starts(h.ended("a", took=600)) == [("b", 0)]
    found = h.engine.why("r/b", h.now)
    assert found.facts["placed"]["variants"] == [1_200_000_000, 7_200_000_000]
    assert "as variant 1, complete in 20 min (variant 2: in 2 h)" in found.text()


def test_a_long_line_for_the_quick_variant_spills_over_to_the_slow_one(drive) -> None:
    """Twelve rounds of ten minutes are as long as two hours: who would be the twelfth takes the cores at once."""
    h = drive(train_span=0)
    h.join(node("big", cpu=64), node("gpu", cpu=2, gpus=1))
    found = starts(h.offer(*(task(f"t{i:02}", variants=EITHER) for i in range(16))))
    assert found == [("t00", 0), ("t11", 1), ("t12", 1), ("t13", 1), ("t14", 1)]
    assert h.engine.why("r/t15", h.now).facts["variant"] is None


def test_waiting_is_a_wager_and_never_longer_than_what_it_saves(drive) -> None:
    """The GPU is held far beyond what was reckoned: the task takes the cores in time."""
    h = drive(train_span=0)
    h.join(node("big", cpu=64), node("gpu", cpu=2, gpus=1))
    h.offer(task("hog", gpu=1, seconds=60))
    h.started("hog")
    assert placed(h.offer(task("x", variants=({"gpu": 1, "seconds": 10}, {"cpu": 4, "seconds": 300})))) == []
    waited = 0.0
    while h.state("x") == "queued":
        wake = h.engine.wake_at()
        assert wake is not None
        assert h.sleep((wake - h.now) / 1_000_000) == [] or h.state("x") != "queued"
        waited = h.now / 1_000_000
    assert 60 < waited <= 290
    assert [d.variant for d in h.decided if isinstance(d, Start) and d.task == "r/x"] == [1]


def test_without_room_for_any_it_is_tried_when_something_comes_free(drive) -> None:
    h = drive(train_span=0)
    h.join(node("n", cpu=16, gpus=1))
    h.offer(task("busy", cpu=16, gpu=1))
    h.started("busy")
    assert (
        placed(h.offer(task("x", variants=({"cpu": 4, "gpu": 1, "seconds": 5}, {"cpu": 16, "seconds": 9}))))
        == []
    )
    text = h.engine.why("r/x", h.now).text()
    assert "may run as cpu 4, gpu 1, or cpu 16" in text
    assert "of 1 nodes: 1 by cpu" in text
    assert starts(h.ended("busy")) == [("x", 0)]


def test_it_learns_each_variant_and_comes_back_as_another(drive) -> None:
    """Both claim nothing; the cores turn out to be quick. A preempted attempt may go on in the other way."""
    ways = ({"gpu": 1}, {"cpu": 4})
    h = drive(order="priority > fcfs", train_span=0, min_run=0)
    h.join(node("gpu", cpu=1, gpus=1), node("cpu", cpu=4))
    assert starts(h.offer(task("a", variants=ways))) == [("a", 0)]
    h.started("a")
    h.ended("a", took=100)
    h.offer(task("block", gpu=1, kind="other"))
    assert starts(h.offer(task("b", variants=ways))) == [("b", 1)]
    h.started("b")
    h.ended("b", took=2)
    assert starts(h.ended("block")) == []
    assert starts(h.offer(task("c", variants=ways))) == [("c", 1)]
    families = {(f.demand.cpu, f.demand.gpu): f.mean for f in h.engine.world.estimates.families if f.count}
    assert families[1000, 1000] != families[4000, 0] == 2_000_000


@pytest.mark.parametrize("discipline", ["skip", "strict", "backfill", "easy"])
@pytest.mark.parametrize("order", ["fcfs", "priority > srpt", "priority > fair > srpt"])
def test_every_discipline_chooses(drive, discipline: str, order: str) -> None:
    h = drive(order=order, discipline=discipline, train_span=0)
    h.join(node("big", cpu=32), node("gpu", cpu=2, gpus=1))
    first = started(
        h.offer(
            *(task(f"t{i}", variants=({"gpu": 1, "seconds": 8}, {"cpu": 16, "seconds": 9})) for i in range(5))
        )
    )
    assert sorted(where for _, where in first) == ["big", "big", "gpu"]
    names = [name for name, _ in first]
    h.started(*names)
    tree = json.loads(json.dumps(h.engine.snapshot()))
    assert json.dumps(Engine.restore(tree).snapshot()) == json.dumps(tree)
    h.sleep(9)
    assert len(placed(h.ended(*names, took=9))) == 2


def test_a_better_class_has_room_made_for_the_variant_it_is_best_off_with(drive) -> None:
    h = drive(order="priority", train_span=0, min_run=0)
    h.join(node("n", cpu=4, gpus=1))
    h.offer(task("low", cpu=4, gpu=1, seconds=1000))
    h.started("low")
    h.offer(task("high", priority=3, variants=({"gpu": 1, "seconds": 5}, {"cpu": 4, "seconds": 50})))
    assert h.state("high") == "claiming"
    assert h.engine.why("r/high", h.now).facts["variant"] == 0


def test_an_edit_lets_it_choose_again_and_a_pin_holds_for_every_variant(drive) -> None:
    h = drive(order="priority > fcfs", train_span=0)
    h.join(node("big", cpu=64), node("gpu", cpu=2, gpus=1))
    h.offer(task("a", gpu=1, seconds=600))
    h.offer(task("x", variants=EITHER))
    h.apply(TaskEdited("r/x", priority=2))
    assert h.engine.why("r/x", h.now).facts["variant"] == 0
    assert starts(h.overrule("pin", "x", node="big")) == [("x", 1)]
