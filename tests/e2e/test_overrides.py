"""Overrides by the real command line, and the listing of agents."""

from __future__ import annotations

import json
from types import ModuleType

from headway import Client

from .conftest import Home


def test_an_override_is_laid_on_shown_and_ended(service: Home, client: Client, flows: ModuleType) -> None:
    handle = client.submit(flows.ingest, {"a": 1})
    made = service.headway(
        "override", "boost", handle.id, "--reason", "the demo is at three", "--for", "30min", "--amount", "2"
    )
    assert made.returncode == 0, made.stderr
    assert "boost 2" in made.stdout
    [view] = json.loads(service.headway("overrides", "-o", "json").stdout)
    assert (view["target"], view["by"], view["reason"]) == (handle.id, "owner", "the demo is at three")
    assert service.headway("overrides", "--revert", view["id"]).stderr == f"{view['id']} has ended\n"
    assert service.headway("overrides").stderr == "no override is in force\n"
    agents = service.headway("agents")
    assert "scheduler  off" in agents.stdout


def test_what_makes_no_sense_is_refused_in_words(service: Home) -> None:
    for words, says in (
        (("override", "boost", "r"), "--reason"),
        (("override", "lift", "r", "--reason", "x"), "lift"),
        (("override", "boost", "r", "--reason", ""), "reason"),
        (("override", "boost", "r", "--reason", "x", "--for", "soon"), "soon"),
        (("override", "boost", "r", "--reason", "x", "--for", "0s"), "ttl"),
        (("override", "boost", "r", "--reason", "x", "--amount", "0"), "--amount"),
        (("override", "pin", "r", "--reason", "x"), "a pin needs 'node'"),
        (("override", "boost", "r", "--reason", "x", "--node", "n"), "only a pin has one"),
        (("overrides", "--revert", "o-none"), "no override 'o-none' in force"),
    ):
        done = service.headway(*words)
        assert done.returncode != 0, words
        assert says in done.stderr, (words, done.stderr)
        assert "Traceback" not in done.stderr
