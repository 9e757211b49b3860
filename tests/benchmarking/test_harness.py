"""A benchmark that cannot fail is worth nothing: limits, absences and disturbed rounds are told as they
are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import harness as module

    monkeypatch.setattr(module, "other_load", lambda: 0.0)
    return module


@pytest.mark.parametrize(
    ("value", "limit", "ok"),
    [(1.5, ">= 1.5", True), (1.4, ">= 1.5", False), (2.0, "<= 2", True), (2.1, "<= 2", False), (None, "<= 2",
    False), (3.0, None, None)],
)  # fmt: skip
def test_limits(harness: Any, value: float | None, limit: str | None, ok: bool | None) -> None:
    assert harness.Figure("f", value, "x", limit).ok is ok


def test_the_last_line_is_json_and_a_miss_is_status_1(
    harness: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    good = harness.Figure("good", 2.0, "x", ">= 1", "peer")
    shown = harness.Figure("shown", 7.0, "MB")
    missed = harness.Figure("missed", None, "x", ">= 1", "peer", "not installed")
    assert harness.report("b", [good, shown]) == 0
    assert harness.report("b", [good, missed]) == 1
    last = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert last["bench"] == "b"
    assert set(last["figures"][1]) == {"name", "value", "unit", "limit", "ok", "against", "note"}
    assert (last["figures"][1]["value"], last["figures"][1]["ok"]) == (None, False)
    assert last["figures"][1]["note"] == "not installed"


def test_contenders_take_turns_and_medians_count(harness: Any) -> None:
    order: list[str] = []
    values = {"ours": iter([10.0, 30.0, 20.0]), "theirs": iter([4.0, 5.0, 100.0])}

    def contender(name: str) -> Any:
        def measure() -> dict[str, float]:
            order.append(name)
            return {"speed": next(values[name])}

        return measure

    rounds = harness.alternate({"ours": contender("ours"), "theirs": contender("theirs")})
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert rounds.ratio("r", ">= 4", ("ours", "speed"), ("theirs", "speed")).value == 4.0


def test_an_absent_peer_is_null_with_its_reason_and_never_ok(harness: Any) -> None:
    rounds = harness.alternate({"ours": lambda: {"speed": 1.0}, "ray": lambda: harness.Absent("no wheel")})
    figure = rounds.ratio("ratio", "<= 1000", ("ours", "speed"), ("ray", "speed"))
    assert figure.value is None
    assert figure.ok is False
    assert "no wheel" in figure.note


def test_a_disturbed_round_is_measured_again_then_taken_and_told(
    harness: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(harness, "other_load", lambda: 1.0)
    rounds = harness.alternate({"ours": lambda: calls.append(1) or {"speed": 1.0}})
    assert len(calls) == 3 + harness.REPEATS
    assert rounds.disturbed == 3
    assert "disturbed" in rounds.ratio("r", ">= 1", ("ours", "speed"), ("ours", "speed")).note


def test_a_peer_whose_script_fails_is_absent(harness: Any) -> None:
    from benchmarks import peer

    assert peer.run("floor", commands=4)["commands_per_s"] > 0
    broken = peer.run("floor", no_such_workload=1)
    assert isinstance(broken, harness.Absent)
    assert "no_such_workload" in broken.reason
