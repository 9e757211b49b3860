"""Tokens by the command line, against a real service: what docs/how-to/tokens.md says, in its order."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Home

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "tokens.md"


@pytest.fixture
def own(home: Home, tmp_path: Path) -> Iterator[Home]:
    """A service of its own."""
    made = dataclasses.replace(home, state=tmp_path / "state")
    up = made.headway("up", "-d", "--cpus", "2")
    assert up.returncode == 0, up.stderr
    yield made
    assert made.headway("down").returncode == 0


def test_the_page(own: Home) -> None:
    url = json.loads((own.state / "service.json").read_text())["url"]
    token, ran = "", 0
    for line in re.findall(r"^\$ (.*headway (?:tokens|audit).*)$", PAGE.read_text(), re.MULTILINE):
        words = shlex.split(line)
        place = words.index("headway")
        given = dict(word.split("=", 1) for word in words[:place])
        if "HEADWAY_TOKEN" in given:
            given = {"HEADWAY_URL": url, "HEADWAY_TOKEN": token}
        done = own.headway(*words[place + 1 :], **given)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        if "vision-ci" in words and "create" in words:
            token = done.stdout.strip()
            assert token.startswith("hw_")
            assert "shown once" in done.stderr
        if "whoami" in words:
            assert done.stdout == "vision-ci: a submitter of vision\n"
        ran += 1
    assert ran >= 9


def test_a_life(own: Home) -> None:
    token = own.headway("tokens", "create", "sam", "--role", "submitter", "--tenant", "red").stdout.strip()
    url = json.loads((own.state / "service.json").read_text())["url"]
    sam = {"HEADWAY_URL": url, "HEADWAY_TOKEN": token}
    assert own.headway("runs", **sam).returncode == 0
    denied = own.headway("tokens", **sam)
    assert denied.returncode == 7
    assert "sam is a submitter; this needs an admin" in denied.stderr
    assert own.headway("policy", "set", "fcfs", **sam).returncode == 7
    assert own.headway("down").returncode == 0
    assert own.headway("up", "-d", "--cpus", "2").returncode == 0
    sam["HEADWAY_URL"] = json.loads((own.state / "service.json").read_text())["url"]
    assert own.headway("runs", **sam).returncode == 0
    assert "revoked by owner" in own.headway("tokens", "revoke", "sam").stdout
    gone = own.headway("runs", **sam)
    assert gone.returncode == 7
    assert "the token was revoked" in gone.stderr
    rows = json.loads(own.headway("audit", "-o", "json").stdout)
    seen = [(row["principal"], row["act"], row["object"], row["outcome"]) for row in rows]
    assert seen == [
        ("sam", "GET /v1/runs", "", "denied"),
        ("owner", "DELETE /v1/tokens/{name}", "sam", "done"),
        ("sam", "PUT /v1/policy", "", "denied"),
        ("owner", "POST /v1/tokens", "sam", "done"),
    ]
    for path in own.state.rglob("*"):
        if path.is_file():
            assert token.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("create", "no question and no change"),
        ("create sam", "a token needs a role"),
        ("create sam --role king", "king"),
        ("create sam --role viewer --expires soon", "--expires"),
        ("create sam --role admin --tenant red", "cannot be confined"),
        ("create owner --role viewer", "not a name"),
        ("revoke sam --role viewer", "--role goes with"),
        ("rotate nobody", "no token for 'nobody'"),
        ("revoke owner", "it stays"),
        ("steal owner", "no question and no change"),
    ],
)
def test_bad_input(service: Home, words: str, says: str) -> None:
    done = service.headway("tokens", *words.split())
    assert done.returncode in (2, 4, 5)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
