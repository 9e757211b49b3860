"""`headway retention`, and settings of it that make no sense."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headway.cli.main import run
from headway.errors import Invalid
from headway.settings import load


def read(tmp_path: Path, text: str) -> object:
    (tmp_path / "headway.toml").write_text(f"[retention]\nruns = {text}\n")
    return load(env={"HOME": str(tmp_path)}, folder=tmp_path).retention.runs


def test_ages_are_a_day_at_least(tmp_path: Path) -> None:
    assert read(tmp_path, '"30d"') == 30 * 24 * 3600 * 10**6
    assert read(tmp_path, '"forever"') is None
    for text in ('"1h"', "0", '"soon"', "true", '""'):
        with pytest.raises(Invalid, match=r"retention\.runs"):
            read(tmp_path, text)


def test_it_says_what_is_set_and_what_would_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HEADWAY_STATE", str(tmp_path / "state"))
    assert run(["retention"]) == 0
    assert "runs are kept:  for ever" in capsys.readouterr().out
    (tmp_path / "headway.toml").write_text('[retention]\nruns = "30d"\n')
    assert run(["retention", "-o", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["kept"] == {"runs": 30 * 24 * 3600 * 10**6, "logs": None}
    assert said["would_go"]["runs"] == 0
    (tmp_path / "headway.toml").write_text('[retention]\nruns = "soon"\n')
    assert run(["retention"]) == 2
    assert "retention.runs" in capsys.readouterr().err
