"""Who makes plans beside the scheduler: what it says enters as a call; what it does not say holds nothing up."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from headway.core.decisions import Reason
from headway.core.engine import Engine
from headway.core.events import PlanSet
from headway.core.joint.codec import answer_from_json, problem_from_json, problem_to_json
from headway.core.joint.horizon import Aim, look
from headway.core.joint.record import PlanRecord, Row
from headway.core.joint.search import Search
from headway.domain.units import SECOND
from headway.errors import Invalid
from headway.roles import planning
from headway.roles.planning import Planning, aim_of
from headway.roles.scheduler import Scheduler
from headway.settings import JointSettings
from headway.solvers.__main__ import answer
from tests.builders import Harness, node, task

from .office import Office

AIM = Aim(steps=20, every=0)


class Loop:
    """The scheduler's loop, as far as plans go: a call is applied at once."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.called: list[dict[str, Any]] = []

    def now(self) -> int:
        return SECOND

    async def call(self, kind: str, body: dict[str, Any], timeout: float = 10.0) -> dict[str, Any]:
        assert kind == "plan"
        self.called.append(json.loads(json.dumps(body)))
        self.engine.apply(PlanSet(PlanRecord.from_tree(self.called[-1])), self.now())
        return {}


def crowd() -> Harness:
    """One core, taken, and three that wait."""
    h = Harness(order="joint")
    h.join(node("n1", cpu=1))
    h.offer(task("runs", seconds=10))
    h.started("runs")
    h.offer(*(task(name, seconds=length) for name, length in (("a", 3), ("b", 1), ("c", 2))))
    return h


async def play(
    command: list[str] | None, enough: Callable[[Planning, Loop], bool], **more: Any
) -> tuple[Planning, Loop]:
    """Lets a solver be asked until there is enough to see."""
    h = crowd()
    loop = Loop(h.engine)
    given = {} if command is None else {"command": command}
    made = Planning(loop, Scheduler(h.engine), AIM, **given, **more)  # type: ignore[arg-type]
    made.start()
    made.stepped()
    try:
        async with asyncio.timeout(30):
            while not enough(made, loop):
                await asyncio.sleep(0.01)
    finally:
        await made.stop()
    h.engine.check()
    return made, loop


async def test_a_plan_is_made_by_the_process_and_put_in_force() -> None:
    made, loop = await play(None, lambda made, _: made.made > 0)
    assert (made.made, made.failed) == (1, 0)
    plan = loop.engine.world.plan
    assert plan is not None
    assert list(plan.rows) == ["r/b", "r/c", "r/a"]


def says(text: str) -> list[str]:
    """A solver that answers everything with that."""
    return [sys.executable, "-c", f"import sys\nfor _ in sys.stdin: print({text!r}, flush=True)"]


SOUND = {
    "plan": {"starts": [10_000_000, 9_000_000, 20_000_000], "places": [0, 0, 0]}, "cost": 1, "bound": 1, "steps": 1,
    "solver": "x", "detail": "", "floor": None,
}  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        says("nonsense"), says("[]"), says('{"error": "no idea"}'), says("{}"), says(json.dumps(SOUND)),
        says(json.dumps(SOUND | {"cost": "much"})), says("x" * (planning.LINE_LIMIT + 10)),
        [sys.executable, "-c", "pass"], ["/does/not/exist"],
    ],
)  # fmt: skip
async def test_nonsense_and_death_cost_a_pause_and_nothing_else(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "FIRST_PAUSE", 0.01)
    made, loop = await play(command, lambda made, _: made.failed > 1)
    assert (made.made, loop.called, loop.engine.world.plan) == (0, [], None)


async def test_a_solver_that_says_nothing_is_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "FIRST_PAUSE", 0.01)
    silent = [sys.executable, "-c", "import sys\nfor _ in sys.stdin: pass"]
    _, loop = await play(silent, lambda made, _: made.failed > 1, patience=0.2)
    assert loop.called == []


def test_problems_and_answers_cross_as_json() -> None:
    seen = look(crowd().engine.world, 0, Aim(floor=500_000))
    assert seen is not None
    tree = json.loads(json.dumps(problem_to_json(seen.problem)))
    assert problem_from_json(tree) == seen.problem
    found = Search().solve(seen.problem, AIM.budget)
    asked = json.dumps({"problem": tree, "solver": "search", "steps": AIM.steps, "seed": AIM.seed}).encode()
    assert answer_from_json(json.loads(answer(asked))) == found
    for wrong in (
        b"?",
        b"[]",
        b"{}",
        json.dumps({"problem": tree, "solver": "magic", "steps": 1, "seed": 0}).encode(),
    ):
        assert "error" in json.loads(answer(wrong))
    with pytest.raises(Invalid):
        answer_from_json({"plan": None})


def test_the_settings_are_the_aim() -> None:
    aim = aim_of(JointSettings(objective="makespan", u_min=800, steps=7, solver="lists"))
    assert (str(aim.objective), aim.floor, aim.steps, aim.solver) == ("makespan", 800_000, 7, "lists")


def test_a_plan_is_a_call_that_a_replay_follows_without_a_solver() -> None:
    office = Office(order="joint")
    office.hello("a", cpu=1000)
    office.submit("r1", [{"name": name, "function": f"m:{name}", "args": []} for name in ("x", "y", "z")])
    rows = tuple(Row(f"r1/{name}", "a", 2_000_000, Reason("plan_now")) for name in ("z", "y"))
    plan = PlanRecord("p1", office.now, office.now + SECOND, "makespan", 9, 9, 0, 1, "search", 0, "", rows)
    assert office.call("scheduler", "plan", **plan.tree()) == {"id": "p1"}
    order = []
    while granted := list(office.grants["a"]):
        order.append(granted[0][0])
        office.finish("a", *granted[0])
    assert order == ["r1/x", "r1/z", "r1/y"]
    with pytest.raises(Invalid, match="not a plan"):
        office.call("scheduler", "plan", id="p2")
    with pytest.raises(Invalid, match="ends before it was made"):
        office.call("scheduler", "plan", **(plan.tree() | {"until": 0}))
    office.check()
