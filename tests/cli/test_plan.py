"""`headway plan`: an answer in words, as JSON, and what it says to a call that is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headway.store.sqlite import SqliteJournal
from tests.roles.office import Office
from tests.roles.test_following import Kept, spec


def test_the_command(tmp_path: Path, headway: Callable[..., Any]) -> None:
    (tmp_path / "tasks.csv").write_text(
        "id,arrival,duration\n" + "".join(f"t{i},{i},10\n" for i in range(200))
    )
    (tmp_path / "kinds.toml").write_text('[[node]]\nname = "small"\ncpu = 2\ncost = 1\nmost = 20\n')
    done = headway("plan", "tasks.csv", "-n", "kinds.toml", "--wait", "1s")
    assert done.code == 0, done.err
    assert done.out.startswith("5 small keep P95 wait up to 1.0 s")
    assert "with one small less it would be" in done.out
    done = headway("plan", "tasks.csv", "-n", "kinds.toml", "--wait", "1s", "--load", "100", "-o", "json")
    assert (done.code, '"met": false' in done.out) == (1, True)
    for arguments, said in (
        (("tasks.csv", "--wait", "1s"), "of which nodes?"),
        (("tasks.csv", "-n", "kinds.toml"), "how long may tasks wait?"),
        (("tasks.csv", "-n", "kinds.toml", "--wait", "soon"), "--wait='soon'"),
        (("tasks.csv", "-n", "kinds.toml", "--wait", "1s", "--ahead", "0s"), "nothing is ahead"),
    ):
        done = headway("plan", *arguments)
        assert (done.code, said in done.err) == (2, True), done.err
    assert headway("plan", "tasks.csv", "-n", "none.toml", "--wait", "1s").code == 4


async def test_pools_for_what_waits_in_a_state_folder(tmp_path: Path, headway: Callable[..., Any]) -> None:
    """From the journal of a scheduler with six tasks of a core, two of which run on a node of two cores."""
    office = Office(order="priority > srpt")
    office.hello("small-1")
    office.submit("r1", [spec(f"t{number}") for number in range(6)])
    office.report("small-1", *(["r1/" + name, 1, "started", office.now, 7] for name in ("t0", "t1")))
    (tmp_path / "state").mkdir(exist_ok=True)
    journal = SqliteJournal(tmp_path / "state" / "journal.db")
    for entry in Kept(office).entries("scheduler", 1):
        await journal.append(entry)
    await journal.close()
    kinds = '[[node]]\nname = "small"\ncpu = 2\ncost = 0.001\nmost = 3\n'
    (tmp_path / "kinds.toml").write_text(kinds)
    done = headway("plan", "state", "--pools", "kinds.toml", "--per-node", "2", "-o", "json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["waiting"], found["packing"]["add"]) == (4, {"small": 2})
    assert found["together"]["cost"] <= found["together"]["unchanged"]
    assert found["replicas"] == [{"kind": "small", "there": 1, "tasks": 6, "wanted": 3, "reason": "ratio"}]
    said = headway("plan", "state", "--pools", "kinds.toml")
    assert said.out.startswith("4 tasks in line\ntasks and nodes together: ")
    for arguments, code, words in (
        (("none", "--pools", "kinds.toml"), 4, "no journal"),
        (("state", "--pools", "none.toml"), 4, "no cluster file"),
        (("state", "--pools", "kinds.toml", "--wait", "1s"), 2, "not for a wait"),
        (("state", "--pools", "kinds.toml", "--at", "1970-01-01T00:00+00:00"), 4, "nothing had happened"),
        (("state", "--pools", "kinds.toml", "--ready", "soon"), 2, "--ready"),
        (("state", "--at", "1971-01-01"), 2, "--at goes with --pools"),
    ):
        done = headway("plan", *arguments)
        assert (done.code, words in done.err) == (code, True), (arguments, done.code, done.err)
