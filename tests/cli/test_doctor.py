"""`headway doctor` over a state folder as it was recorded, and over each way in which it can be bad; the support bundle."""

from __future__ import annotations

import json
import socket
import sqlite3
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headway.cli import diagnosis
from headway.store import backup

RECORDED = Path(__file__).parents[1] / "store" / "first-format.tar.gz"
Call = Callable[..., Any]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "recorded"
    backup.restore(RECORDED, folder)
    monkeypatch.setenv("HEADWAY_STATE", str(folder))
    return folder


def found(headway: Call, *arguments: str) -> dict[str, dict[str, Any]]:
    result = headway("doctor", "-o", "json", *arguments)
    rows = json.loads(result.out)
    assert result.code == any(check["status"] == "bad" for check in rows)
    for check in rows:
        assert check["status"] == "ok" or check["advice"], f"{check['check']} does not say what to do"
    return {check["check"]: check for check in rows}


def change(state: Path, sql: str, *values: Any) -> None:
    connection = sqlite3.connect(state / "journal.db")
    with connection:
        connection.execute(sql, values)
    connection.close()


def test_a_good_folder(headway: Call, state: Path) -> None:
    checks = found(headway)
    names = ("file modes", "journal", "logic", "clock", "retention", "port")
    assert {name: checks[name]["status"] for name in names} == dict.fromkeys(names, "ok")


def test_a_journal_of_another_logic(headway: Call, state: Path) -> None:
    """`headway up` would fail with Diverged: the doctor says so beforehand, and whose it is."""
    change(
        state, "UPDATE snapshot SET logic = '0' WHERE role = (SELECT id FROM role WHERE name = 'scheduler')"
    )
    check = found(headway)["logic"]
    assert check["status"] == "bad"
    assert "the scheduler's was decided by logic 0" in check["found"]
    assert "headway up" in check["advice"]


def test_a_journal_of_a_newer_format(headway: Call, state: Path) -> None:
    change(state, "INSERT INTO migration VALUES (99, 'x')")
    check = found(headway)["journal"]
    assert (check["status"], "format 99; this Headway knows up to" in check["found"]) == ("bad", True)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b""])
def test_a_journal_that_is_none(headway: Call, state: Path, content: bytes) -> None:
    (state / "journal.db").write_bytes(content)
    assert found(headway)["journal"]["status"] == "bad"


def test_a_damaged_journal(headway: Call, state: Path) -> None:
    path = state / "journal.db"
    data = bytearray(path.read_bytes())
    data[5 * 4096 : 9 * 4096] = b"\xff" * (4 * 4096)
    path.write_bytes(data)
    assert found(headway)["journal"]["status"] == "bad"


def test_a_clock_that_went_back(headway: Call, state: Path) -> None:
    change(state, "UPDATE entry SET at = ?", (time.time_ns() // 1000) + 7200 * 10**6)
    check = found(headway)["clock"]
    assert (check["status"], "in the future" in check["found"]) == ("warn", True)


def test_what_others_may_read(headway: Call, state: Path) -> None:
    (state / "journal.db").chmod(0o644)
    check = found(headway)["file modes"]
    assert (check["status"], check["advice"]) == ("bad", f"chmod 600 {state / 'journal.db'}")


def test_a_port_that_is_taken(headway: Call, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("HEADWAY_HTTP_PORT", str(taken.getsockname()[1]))
        assert found(headway)["port"]["status"] == "bad"


def test_a_large_folder_of_which_nothing_goes(
    headway: Call, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "LARGE", 1)
    check = found(headway)["retention"]
    assert (check["status"], check["advice"]) == ("warn", "headway config set retention.runs 30d")
    monkeypatch.setenv("HEADWAY_RETENTION_RUNS", "30d")
    assert found(headway)["retention"]["status"] == "ok"


def test_the_support_bundle_tells_no_secret(
    headway: Call, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state / "token").write_text("the-owners-token\n")
    (state / "token").chmod(0o600)
    (state / "run").mkdir()
    (state / "run" / "service.json").write_text(
        '{"brokers": {"planner": "mqtt://planner:broker-word@127.0.0.1:1"}}'
    )
    (state / "logs").mkdir()
    (state / "logs" / "service.log").write_text(
        "Bearer the-owners-token and broker-word\nmqtt://a:other-word@b:1\n"
    )
    monkeypatch.setenv("HEADWAY_BROKER", "mqtt://me:hidden-word@127.0.0.1:9")
    monkeypatch.setenv("HEADWAY_SECRETS_COMMAND", "vault --key hidden-key {name}")
    target = tmp_path / "support.tar.gz"
    result = headway("doctor", "--bundle", str(target))
    assert result.code == 1  # nobody listens at that broker
    with tarfile.open(target) as tar:
        texts = {info.name: tar.extractfile(info).read().decode() for info in tar}  # type: ignore[union-attr]
    whole = "\n".join(texts.values())
    for secret in ("the-owners-token", "broker-word", "other-word", "hidden-word", "hidden-key"):
        assert secret not in whole
    assert "Bearer *** and ***" in texts["headway-support/logs/service.log"]
    assert json.loads(texts["headway-support/journal.json"])["documents"] == [
        ["graph", "finished", 1],
        ["run", "finished", 1],
    ]
    assert "logic" in texts["headway-support/doctor.json"]
    for name in texts:  # what is inside is said
        assert name.removeprefix("headway-support/") in result.err
    again = headway("doctor", "--bundle", str(target))
    assert (again.code, "is there already" in again.err) == (5, True)
    nowhere = headway("doctor", "--bundle", str(tmp_path / "none" / "x.tar.gz"))
    assert (nowhere.code, "cannot be written" in nowhere.err) == (6, True)
