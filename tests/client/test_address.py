"""Where a client finds its service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headway.client.address import find
from headway.errors import Denied, Invalid, Unavailable


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HEADWAY_URL", "HEADWAY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HEADWAY_STATE", str(tmp_path / "default"))


def up(folder: Path, url: str = "http://127.0.0.1:1234", token: str = "secret") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.json").write_text(json.dumps({"url": url}))
    (folder / "token").write_text(token + "\n")
    (folder / "token").chmod(0o600)
    return folder


def test_by_state_folder(tmp_path: Path) -> None:
    address = find(state=up(tmp_path / "s"))
    assert (address.url, address.token, address.state) == ("http://127.0.0.1:1234", "secret", tmp_path / "s")
    assert "secret" not in repr(address)


def test_by_default_the_settings_folder(tmp_path: Path) -> None:
    up(tmp_path / "default", "http://[::1]:5")
    assert find().url == "http://[::1]:5"


def test_by_environment_and_by_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_URL", "http://localhost:99")
    monkeypatch.setenv("HEADWAY_TOKEN", "t")
    assert (find().url, find().token) == ("http://localhost:99", "t")
    assert find(url="http://127.0.0.1:7", token="u").token == "u"
    assert find(state=up(tmp_path / "s"), token="v").port == 1234


def test_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no service runs on") as missing:
        find(state=tmp_path)
    assert missing.value.hint == "start one: `headway up`"


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"url": 5}', '{"url": "x"}'])
def test_a_broken_service_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "service.json").write_text(content)
    with pytest.raises((Unavailable, Invalid)):
        find(state=tmp_path)


@pytest.mark.parametrize(
    "url", ["", "x", "https://127.0.0.1:1", "http://", "http://h:99999999", "http://h/path"]
)
def test_wrong_urls(url: str) -> None:
    with pytest.raises(Invalid, match="not the URL"):
        find(url=url, token="x")


def test_tokens_that_cannot_be_used(tmp_path: Path) -> None:
    folder = up(tmp_path / "s")
    (folder / "token").chmod(0o640)
    with pytest.raises(Denied, match="read by others"):
        find(state=folder)
    (folder / "token").unlink()
    with pytest.raises(Denied, match="no token"):
        find(state=folder)
    (folder / "token").touch(0o600)
    with pytest.raises(Denied, match="holds no token"):
        find(state=folder)
