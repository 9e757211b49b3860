"""A secret in a real service: the task gets it, and nothing that is stored, sent or shown holds it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Home
from tests.e2e.watching import Stranger

VALUE = "correct-horse & battery"
TOLD = "MDEyMzQ1-from-the-environment"

FLOW = """
import hashlib, subprocess

from headway import secret, shell, task, workflow


@task
def login(password, token):
    print("password", password, "token", token)
    subprocess.run(["env"])
    return hashlib.sha256((password + token).encode()).hexdigest()


@task(env={"PGPASSWORD": secret("db")})
def query():
    subprocess.run(["env"])
    return 1


@task(rule="all_done")
def leak(password, before):
    raise RuntimeError(f"refused: {password}")


@task
def give(password):
    return "me:" + password


@workflow
def fine():
    return [login(secret("db"), secret("api.token")), query(), shell("echo it is {pw}", pw=secret("db"))]


@workflow
def bad():
    return leak(secret("db"), give(secret("db")))


@workflow
def none():
    return login(secret("db"), secret("nowhere"))
"""


@pytest.fixture
def own(home: Home, tmp_path: Path) -> Iterator[Home]:
    """A service of its own, one secret in its environment and one in a file."""
    made = dataclasses.replace(home, folder=tmp_path, state=tmp_path / "state")
    (tmp_path / "secrets_flow.py").write_text(FLOW)
    folder = tmp_path / "config" / "headway" / "secrets"
    folder.mkdir(mode=0o700, parents=True)
    (folder / "db").touch(0o600)
    (folder / "db").write_text(VALUE + "\n")
    up = made.headway("up", "-d", "--cpus", "2", HEADWAY_SECRET_API_TOKEN=TOLD)
    assert up.returncode == 0, up.stderr
    yield made
    assert made.headway("down").returncode == 0


def test_no_trace_of_a_value(own: Home) -> None:
    stranger = Stranger((own.state / "watch").read_text().strip())
    stranger.subscribe("headway/local/#")
    shown = ""
    for name in ("fine", "bad", "none"):
        done = own.headway("run", f"secrets_flow.py:{name}", "-o", "json")
        assert (done.returncode == 0) == (name == "fine"), done.stderr
        shown += done.stdout + done.stderr
    runs = json.loads(own.headway("runs", "-o", "json").stdout)
    tasks = json.loads(own.headway("tasks", "-o", "json").stdout)
    shown += json.dumps([runs, tasks])
    for view in tasks:
        for command in ("logs", "why"):
            done = own.headway(command, view["id"])
            shown += done.stdout + done.stderr
    assert "password *** token ***" in shown
    assert "refused: ***" in shown
    assert "it is ***" in shown
    assert "PGPASSWORD=***" in shown
    assert "holds the secret 'db'" in shown
    assert "there is no secret 'nowhere' on this node" in shown
    messages = b"".join(topic.encode() + payload for topic, payload in stranger.seen)
    stranger.close()
    assert b"secrets_flow:login" in messages
    for value in (VALUE, TOLD):
        assert value not in shown
        assert value.encode() not in messages
        held = [
            path for path in own.state.rglob("*") if path.is_file() and value.encode() in path.read_bytes()
        ]
        assert not held


def test_an_inline_run_finds_it_too(home: Home, tmp_path: Path) -> None:
    made = dataclasses.replace(home, folder=tmp_path, state=tmp_path / "none")
    (tmp_path / "secrets_flow.py").write_text(FLOW)
    given = {"HEADWAY_SECRET_API_TOKEN": TOLD, "HEADWAY_SECRET_DB": VALUE}
    done = made.headway("run", "secrets_flow.py:fine", **given)
    assert done.returncode == 0, done.stderr
    assert "password *** token ***" in done.stdout + done.stderr
    assert VALUE not in done.stdout + done.stderr
