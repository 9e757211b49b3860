"""There is one engine: with its `decide` broken nothing simulates, predicts, runs or replays any more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headway.roles.following.follower import Follower
from headway.store.reader import Reader
from headway.store.sqlite import SqliteJournal
from tests.roles.office import Office
from tests.roles.test_following import Kept, spec

BROKEN = """
import sys
from headway.core.engine import Engine
from headway.errors import HeadwayError

def broken(self, now):
    raise HeadwayError("decide is broken")

Engine.decide = broken
from headway.cli.main import main
main(sys.argv[1:])
"""

PREDICT = """
import json, sys
from headway.core.engine import Engine
from headway.errors import HeadwayError
from headway.roles.following.follower import Follower
from headway.roles.following.predicting import Predicting
from headway.store.reader import Reader
from pathlib import Path

follower = Follower(Reader(Path(sys.argv[1])))
follower.catch_up()
if sys.argv[2] == "broken":
    def broken(self, now):
        raise HeadwayError("decide is broken")
    Engine.decide = broken
print(Predicting().answer(follower.engine, follower.at, {"task": "r1/t5"})["start_p50"])
"""


def python(code: str, *arguments: str, state: Path) -> subprocess.CompletedProcess[str]:
    clean = {key: text for key, text in os.environ.items() if not key.startswith("HEADWAY_")}
    environment = {**clean, "HEADWAY_STATE": str(state), "XDG_CONFIG_HOME": str(state), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=state, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """A state folder whose scheduler has committed steps, with six tasks of which two run."""
    office = Office(order="priority > srpt")
    office.hello("a")
    office.submit("r1", [spec(f"t{number}") for number in range(6)])
    office.report("a", *(["r1/" + name, 1, "started", office.now, 7] for name in ("t0", "t1")))
    journal = SqliteJournal(tmp_path / "journal.db")
    for entry in Kept(office).entries("scheduler", 1):
        await journal.append(entry)
    await journal.close()
    (tmp_path / "epoch").write_text("1\n")
    return tmp_path


def test_the_shims_work_at_all(state: Path) -> None:
    follower = Follower(Reader(state / "journal.db"))
    follower.catch_up()
    assert follower.number > 0
    assert int(python(PREDICT, str(state / "journal.db"), "whole", state=state).stdout) > 0
    assert python(BROKEN, "version", state=state).returncode == 0


@pytest.mark.parametrize("what", ["simulate", "run", "replay", "why"])
def test_with_decide_broken_it_fails_and_says_so(what: str, state: Path) -> None:
    (state / "jobs.csv").write_text("id,arrival,duration,cpu\na,0,5,1\n")
    (state / "nodes.toml").write_text('[[node]]\nname = "n"\ncpu = 2\n')
    (state / "flow.py").write_text(
        "from headway import task, workflow\n@task\ndef one() -> int:\n    return 1\n"
        "@workflow\ndef flow() -> int:\n    return one()\n"
    )
    commands = {
        "simulate": ["simulate", "jobs.csv", "--cluster", "nodes.toml", "--policy", "fcfs"],
        "run": ["run", "flow.py"],
        "replay": ["replay"],
        "why": ["why", "r1/t5", "--at", "2020-01-01T00:00"],
    }
    done = python(BROKEN, *commands[what], state=state)
    assert done.returncode != 0, done.stdout
    assert "Error:" in done.stderr
    assert "Traceback" not in done.stderr
    if what != "run":  # there the engine stands behind a role, which ends: the run is what fails
        assert "decide is broken" in done.stderr


def test_a_prediction_fails_with_it(state: Path) -> None:
    done = python(PREDICT, str(state / "journal.db"), "broken", state=state)
    assert done.returncode != 0
    assert "decide is broken" in done.stderr
