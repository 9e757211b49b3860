"""Settings: who wins, and what is said about a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import Invalid
from headway.settings import KEYS, Child, Settings, from_json, load, read_child, to_json, variable


def settings(tmp_path: Path, env: dict[str, str] | None = None, **flags: Any) -> Settings:
    given = {"HOME": str(tmp_path / "home"), **(env or {})}
    return load({k.replace("__", "."): v for k, v in flags.items()}, env=given, folder=tmp_path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_defaults(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert found.state == tmp_path / "home/.local/state/headway"
    assert (found.http.host, found.http.port) == ("127.0.0.1", 0)
    assert found.node.cpus is None
    assert settings(tmp_path, {"XDG_STATE_HOME": "/xdg"}).state == Path("/xdg/headway")


def test_each_source_beats_the_one_before(tmp_path: Path) -> None:
    write(
        tmp_path / "home/.config/headway/headway.toml", "site = 'user'\n[node]\ncpus = 1\n[http]\nport = 1\n"
    )
    assert settings(tmp_path).site == "user"
    write(tmp_path / "headway.toml", "site = 'project'\n[node]\ncpus = 2\n")
    found = settings(tmp_path)
    assert (found.site, found.node.cpus, found.http.port) == ("project", 2000, 1)
    env = {"HEADWAY_SITE": "env", "HEADWAY_NODE_CPUS": "3"}
    assert settings(tmp_path, env).node.cpus == 3000
    assert settings(tmp_path, env, site="flag", node__cpus="0.5").node.cpus == 500
    assert settings(tmp_path, env, site=None).site == "env"


def test_the_project_file_is_found_from_below_and_its_paths_are_its_own(tmp_path: Path) -> None:
    write(tmp_path / "headway.toml", "state = '.headway'\n")
    (tmp_path / "a/b").mkdir(parents=True)
    found = load({}, env={"HOME": str(tmp_path / "home")}, folder=tmp_path / "a/b")
    assert found.state == tmp_path / ".headway"


def test_labels_as_a_table_or_as_pairs(tmp_path: Path) -> None:
    write(tmp_path / "headway.toml", "[node.labels]\nzone = 'a'\nrack = 1\n")
    assert settings(tmp_path).node.labels == "rack=1,zone=a"
    assert settings(tmp_path, {"HEADWAY_NODE_LABELS": "zone=b, rack=r1"}).node.labels == "rack=r1,zone=b"
    for wrong in ("zone", "zone=", "=a", "a=b=c"):
        with pytest.raises(Invalid, match=r"HEADWAY|node\.labels"):
            settings(tmp_path, {"HEADWAY_NODE_LABELS": wrong})
    with pytest.raises(Invalid, match=r"node\.labels = 3 is not a table of texts"):
        settings(tmp_path, node__labels=3)


def test_sizes_as_people_write_them(tmp_path: Path) -> None:
    write(tmp_path / "headway.toml", "[node]\nmemory = '2GiB'\n[http]\nblob_limit = 100\n")
    found = settings(tmp_path, {"HEADWAY_HTTP_JSON_LIMIT": "1000"})
    assert (found.node.memory, found.http.blob_limit, found.http.json_limit) == (2 * 2**30, 100, 1000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[polcy]\norder = 'x'\n", "policy.order"),
        ("stat = 'x'\n", "did you mean state?"),
        ("[http]\nprot = 5\n", "http.port"),
        ("quite_another = 1\n", "known keys: state"),
        ("x = \n", "not TOML"),
        ("[http]\nhost = '0.0.0.0'\n", "loopback"),
        ("[http]\nport = 99999\n", "whole number from 0 to 65535"),
        ("[http]\nport = true\n", "whole number"),
        ("[policy]\ndiscipline = 'loose'\n", "strict, skip"),
        ("[node]\nmemory = 'much'\n", "2GiB"),
        ("[node]\ncpus = -1\n", "zero or more"),
        ("broker = 'http://x'\n", "mqtt://"),
        ("site = 'a/b'\n", "letters"),
        ("state = ''\n", "path of a folder"),
        ("state = 5\n", "not a text"),
    ],
)
def test_wrong_ones_name_file_key_and_next_step(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path / "headway.toml", text)
    with pytest.raises(Invalid) as wrong:
        settings(tmp_path)
    assert str(tmp_path / "headway.toml") in wrong.value.message
    assert said in str(wrong.value)


def test_a_wrong_variable_and_a_wrong_flag_name_their_source(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"the environment: http\.port"):
        settings(tmp_path, {"HEADWAY_HTTP_PORT": "x"})
    with pytest.raises(Invalid, match=r"the command line: node\.cpus"):
        settings(tmp_path, node__cpus="many")


def test_other_variables_of_ours_are_not_settings(tmp_path: Path) -> None:
    assert settings(tmp_path, {"HEADWAY_TASK": "x", "HEADWAY_URL": "y", "HEADWAY_SITE": ""}) == settings(
        tmp_path
    )


@given(
    cpus=st.none() | st.integers(0, 10**6),
    port=st.integers(0, 65535),
    site=st.from_regex(r"[a-z][a-z0-9_-]{0,10}", fullmatch=True),
)
def test_there_and_back(cpus: int | None, port: int, site: str) -> None:
    flat = {"state": "/s", "site": site, "http.port": port, "node.cpus": cpus}
    assert from_json(to_json(from_json(flat))) == from_json(flat)


def test_every_key_has_a_variable_and_survives_json() -> None:
    assert len({variable(key) for key in KEYS}) == len(KEYS)
    assert set(to_json(Settings(state=Path("/s")))) == set(KEYS)


def test_a_child_without_a_supervisor_says_so(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="headway up"):
        read_child({})
    write(tmp_path / "c.json", "{")
    with pytest.raises(Invalid, match="not what"):
        read_child({"HEADWAY_CHILD_CONFIG": str(tmp_path / "c.json")})
    assert "pw" not in repr(Child(Settings(state=Path("/s")), {"planner": "mqtt://u:pw@h:1"}))
