"""`headway config` and `headway init`: origins, changes that keep a file, the schema, a project that passes its tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.cli import config_file, config_schema
from headway.cli.init_command import FILES
from headway.errors import HeadwayError, Invalid
from headway.settings import KEYS, TABLES, line_of

Call = Callable[..., Any]

COMMENTED = """# ours
site = "lab"   # not "home"

[node]  # this machine
cpus = 4 # half
name = "a#b"

[http]
port = 80
"""


def fields(result: Any) -> dict[str, Any]:
    assert result.code == 0, result.err
    return {row["key"]: row for row in json.loads(result.out)}


class TestShowing:
    def test_each_value_names_its_file_and_line_and_what_it_overrides(
        self, headway: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = tmp_path / "config/headway/headway.toml"
        user.parent.mkdir(parents=True)
        user.write_text("[node]\n\ncpus = 2\n")
        (tmp_path / "headway.toml").write_text("# x\n[node]\ncpus = 4\n[tenants.a]\nweight = 2\n")
        monkeypatch.setenv("HEADWAY_SITE", "lab")
        found = fields(headway("config", "--origin", "-o", "json"))
        assert found["node.cpus"]["origin"] == f"{tmp_path / 'headway.toml'}:3"
        assert found["node.cpus"]["overrides"] == [
            {"origin": f"{user}:3", "value": 2},
            {"origin": "default", "value": None},
        ]
        assert found["site"]["origin"] == "the environment"
        assert found["tenants.a"] | {"cells": 0} == {
            "key": "tenants.a", "value": {"weight": 2}, "origin": f"{tmp_path / 'headway.toml'}:4", "overrides": [], "cells": 0,
        }  # fmt: skip
        assert set(KEYS) <= set(found)

    def test_one_key_or_section_and_no_password(self, headway: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HEADWAY_BROKER", "mqtt://me:hush@h:1")
        result = headway("config", "broker", "-o", "json")
        assert fields(result)["broker"]["value"] == "mqtt://***@h:1"
        assert "hush" not in headway("config").out
        assert set(fields(headway("config", "http", "-o", "json"))) == {
            k for k in KEYS if k.startswith("http.")
        }

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["nodes.cpus"], "did you mean node.cpus?"),
            (["set"], "headway config set KEY VALUE"),
            (["set", "node.cpus"], "headway config set KEY VALUE"),
            (["set", "node.cpu", "3"], "did you mean node.cpus?"),
            (["set", "node.cpus", "many"], "is not a number"),
            (["set", "tenants.a.weight", "3"], "edit [tenants.a.weight]"),
            (["unset", "site"], "is not set there"),
        ],
    )
    def test_a_wrong_call_says_what_to_do_and_writes_nothing(
        self, headway: Call, tmp_path: Path, words: list[str], said: str
    ) -> None:
        result = headway("config", *words)
        assert result.code in (2, 4)
        assert said in result.err
        assert not (tmp_path / "headway.toml").exists()


class TestChanging:
    def test_there_and_back(self, headway: Call, tmp_path: Path) -> None:
        path = tmp_path / "headway.toml"
        path.write_text(COMMENTED)
        assert headway("config", "set", "node.cpus", "8").code == 0
        assert path.read_text() == COMMENTED.replace("cpus = 4 # half", "cpus = 8 # half")
        assert headway("config", "set", "site", "42").code == 0  # a name is a text whatever it looks like
        assert 'site = "42"   # not "home"' in path.read_text()
        assert headway("config", "unset", "http.port").code == 0
        assert "port" not in path.read_text()
        assert headway("config", "set", "joint.every", "5s", "--file", "user").code == 0
        assert (tmp_path / "config/headway/headway.toml").read_text() == '[joint]\nevery = "5s"\n'

    def test_a_layout_that_it_cannot_follow_is_refused_and_kept(self, headway: Call, tmp_path: Path) -> None:
        path = tmp_path / "headway.toml"
        path.write_text(text := "node = {cpus = 4, name = 'a'}\n")
        result = headway("config", "set", "node.cpus", "8")
        assert (result.code, path.read_text()) == (2, text)
        assert "edit the file by hand" in result.err

    @given(
        lines=st.lists(
            st.sampled_from(
                ["# note", "", "site = 'a' # why", "[node]", "cpus = 1", "name='x#y'", "[http]", " port = 5", "[[odd]]", "s = '''", "'''"]
            ),
            max_size=9,
        ),
        key=st.sampled_from(["site", "node.cpus", "node.name", "http.port"]),
    )  # fmt: skip
    def test_a_change_changes_one_key_or_nothing(self, lines: list[str], key: str) -> None:
        text = "\n".join(lines)
        try:
            before = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            return
        section, _, name = key.rpartition(".")
        try:
            changed = config_file.put(text, key, '"new"')
            removed = config_file.drop(changed, key)
        except HeadwayError:
            return
        after = tomllib.loads(changed)
        place = after[section] if section else after
        assert place.pop(name) == "new"
        was = before.setdefault(section, {}) if section else before
        was.pop(name, None)
        assert after == before == tomllib.loads(removed)
        assert {line for line in lines if line.startswith("#")} <= set(changed.splitlines())

    def test_lines_of_dotted_and_quoted_keys(self) -> None:
        text = 'site = "a"\nnode.cpus = 3\n[ "http" ]\n"port" = 1\n[tenants.x]\nweight = 1\n'
        assert [line_of(text, key) for key in ("site", "node.cpus", "http.port", "tenants.x", "broker")] == [
            1,
            2,
            4,
            5,
            0,
        ]


def accepts(schema: dict[str, Any], value: Any) -> bool:
    """As much of JSON Schema as ours uses."""
    kinds = {"string": str, "integer": int, "number": (int, float), "object": dict, "boolean": bool}
    known = {
        "description",
        "anyOf",
        "enum",
        "const",
        "type",
        "pattern",
        "minLength",
        "minimum",
        "maximum",
        "additionalProperties",
    }
    assert set(schema) <= known
    if "anyOf" in schema and not any(accepts(one, value) for one in schema["anyOf"]):
        return False
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        return False
    if "type" in schema:
        wanted = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if not any(
            isinstance(value, kinds[one]) and (one == "boolean" or not isinstance(value, bool))
            for one in wanted
        ):  # type: ignore[arg-type]
            return False
    if isinstance(value, str):
        return len(value) >= schema.get("minLength", 0) and bool(re.search(schema.get("pattern", ""), value))
    if isinstance(value, int | float):
        return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    return True


class TestSchema:
    @given(
        key=st.sampled_from(sorted(KEYS)),
        value=st.booleans() | st.integers(-5, 10**5) | st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from(["", "x", "2GiB", "10min", "skip", "auto", "127.0.0.1", "mqtt://h", "http://h", "search", "a=b", "a/b"])
        | st.dictionaries(st.sampled_from(["zone"]), st.sampled_from(["a", 1])),
    )  # fmt: skip
    def test_what_a_reader_takes_the_schema_takes(self, key: str, value: Any) -> None:
        try:
            KEYS[key](value, key)
        except Invalid:
            return
        assert accepts(config_schema.shape(KEYS[key]), value), (key, value)

    def test_it_names_every_key_and_refuses_others(self) -> None:
        made = config_schema.schema()
        named = set()
        for name, one in made["properties"].items():
            inner = one.get("properties")
            named |= {name} if inner is None else {f"{name}.{key}" for key in inner}
            assert inner is None or one["additionalProperties"] is False
        assert named == {*KEYS, *TABLES}
        assert made["additionalProperties"] is False
        assert not accepts(made["properties"]["policy"]["properties"]["discipline"], "loose")
        assert not accepts(made["properties"]["http"]["properties"]["port"], 70000)

    def test_it_is_printed(self, headway: Call) -> None:
        assert json.loads(headway("config", "--schema").out) == config_schema.schema()


class TestInit:
    def test_the_project_passes_its_own_tests_and_runs(self, headway: Call, tmp_path: Path) -> None:
        assert headway("init", "p").code == 0
        env = {k: v for k, v in os.environ.items() if not k.startswith(("HEADWAY_", "PYTEST_"))}
        for command in (
            ["-m", "pytest", "-q"],
            ["-m", "headway", "run", "workflows/hello.py", "--name", "Ada"],
        ):
            done = subprocess.run(
                [sys.executable, *command],
                cwd=tmp_path / "p",
                env=env,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0, done.stdout + done.stderr
        assert "'letters': 8" in done.stdout
        shown = subprocess.run(
            [sys.executable, "-m", "headway", "config", "state"], cwd=tmp_path / "p", env=env, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert str(tmp_path / "p" / ".headway") in shown.stdout

    @pytest.mark.parametrize("target", sorted(FILES.values()))
    def test_nothing_is_overwritten_and_nothing_half_made(
        self, headway: Call, tmp_path: Path, target: str
    ) -> None:
        mine = tmp_path / "p" / target
        mine.parent.mkdir(parents=True)
        mine.write_text("mine")
        result = headway("init", "p")
        assert (result.code, mine.read_text()) == (5, "mine")
        assert target in result.err
        assert [path for path in (tmp_path / "p").rglob("*") if path.is_file()] == [mine]

    def test_a_file_is_no_folder(self, headway: Call, tmp_path: Path) -> None:
        (tmp_path / "p").write_text("x")
        assert headway("init", "p").code == 5
