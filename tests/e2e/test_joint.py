"""A service whose order is `joint` runs by its plan, says so, and lives without its solver."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from headway import Client
from headway.execute.processes import marked

from .conftest import Home, until, words_of


@pytest.fixture
def joint(service: Home, client: Client) -> Iterator[Client]:
    before = client.policy()
    done = service.headway("policy", "set", "joint", "--discipline", "skip")
    assert done.returncode == 0, done.stderr
    assert "order:      joint" in done.stdout
    yield client
    client.set_policy(before["order"], before["discipline"])


def solvers(home: Home) -> list[int]:
    return [pid for pid in marked(home.mark) if words_of(pid).strip().endswith("-m headway.solvers")]


def test_tasks_start_in_the_order_of_the_plan_and_why_cites_it(
    joint: Client, service: Home, flows: ModuleType, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    run = joint.submit(flows.weighed, str(gate))
    names = [f"{run.id}/{name}" for name in ("opens", "tiny", "tiny-2", "tiny-3", "tiny-4", "short")]
    plan = until(
        lambda: (found := joint.policy()["plan"]) and len(found["rows"]) >= len(names) and found,
        "a plan of all",
    )
    rows = [row["task"] for row in plan["rows"] if row["task"] in names]
    assert (rows[0], rows[-1], sorted(rows)) == (names[0], names[-1], sorted(names))
    said = joint.why(names[-1])["text"]
    assert "planned on local in" in said
    assert "weighted_completion" in said
    assert "no plan is below" in said
    assert "gap" in said
    shown = service.headway("policy")
    assert [names[-1], "queued", "local"] in [line.split()[1:4] for line in shown.stdout.splitlines()]
    assert json.loads(service.headway("policy", "-o", "json").stdout)["order"] == "joint"
    gate.touch()
    assert run.result(30) == 1
    started = {task["id"]: task["started"] for task in run.tasks()}
    assert sorted(names, key=lambda name: started[name])[0] == names[0]
    assert sorted(names, key=lambda name: started[name])[-1] == names[-1]
    placed = joint.why(names[0])["text"]
    assert "attempt 1 on local: number" in placed
    assert "in plan p-" in placed
    assert "gap" in placed


def test_a_killed_solver_holds_nothing_up_and_is_there_again(
    joint: Client, service: Home, flows: ModuleType, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    run = joint.submit(flows.weighed, str(first))
    [pid] = until(lambda: solvers(service), "the solver's process")
    os.kill(pid, signal.SIGKILL)
    first.touch()
    assert run.result(30) == 1
    second = tmp_path / "second"
    again = joint.submit(flows.weighed, str(second))
    until(lambda: [other for other in solvers(service) if other != pid], "another solver")
    until(
        lambda: any(
            row["task"].startswith(again.id) for row in (joint.policy()["plan"] or {"rows": []})["rows"]
        ),
        "a plan from it",
    )
    second.touch()
    assert again.result(30) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("set",), "headway policy set ORDER sets"), (("show", "fcfs"), "headway policy set ORDER sets"),
        (("--discipline", "strict"), "headway policy set ORDER sets"), (("set", "nonsense"), "no order 'nonsense'"),
        (("set", "fcfs", "--placement", "nowhere"), "no placement 'nowhere'"),
    ],
)  # fmt: skip
def test_a_policy_that_makes_no_sense_is_refused_and_nothing_changes(
    service: Home, client: Client, arguments: tuple[str, ...], said: str
) -> None:
    before = client.policy()
    done = service.headway("policy", *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert client.policy() == before
