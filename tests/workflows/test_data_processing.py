"""The data workflow as a person meets it: bad rows and bad days are put aside, the numbers are right, the report stands alone."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


def load() -> Any:
    path = ROOT / "workflows" / "data_processing.py"
    spec = importlib.util.spec_from_file_location("data_processing", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["data_processing"] = module
    spec.loader.exec_module(module)
    return module


data = load()
GOOD = "010000001,2026-03-02T08:15:00,S001,S002,700,2500,member"


def test_a_small_run_adds_up_and_puts_aside_what_is_bad(tmp_path: Path) -> None:
    found = data.data_processing(days=10, rows=400, seed=3, out=str(tmp_path))
    assert found["days"] == "8 of 10"
    assert sorted(found["quarantined"]) == ["2026-03-06", "2026-03-10"]
    assert "of its rows are bad" in found["quarantined"]["2026-03-06"]
    assert "not text" in found["quarantined"]["2026-03-10"]
    assert sorted(path.stem for path in (tmp_path / "quarantine").iterdir()) == sorted(found["quarantined"])
    kept = [np.load(path) for path in sorted((tmp_path / "clean").glob("*.npz"))]
    assert sum(len(day["hours"]) for day in kept) == found["trips"] == 8 * 400 - found["rejected rows"]
    rejected = [
        line for path in (tmp_path / "rejected").iterdir() for line in path.read_text().splitlines()[1:]
    ]
    assert len(rejected) == found["rejected rows"] > 0
    page = Path(found["report"]).read_text()
    assert not re.search(r"\$[a-z]+\b", page)
    assert not re.search(r"<script|<link|src=", page)
    assert page.count("<svg") == 2
    assert page.count("quarantined:") == 2


def test_through_the_engine_it_gives_the_same(tmp_path: Path) -> None:
    arguments = {"days": 4, "rows": 200, "seed": 5}
    here = data.data_processing(**arguments, out=str(tmp_path / "a"))
    there = data.data_processing.run(**arguments, out=str(tmp_path / "b"))
    assert {**there, "report": ""} == {**here, "report": ""}
    for path in sorted((tmp_path / "a" / "raw").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / "raw" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        (GOOD, ""),
        (GOOD.rpartition(",")[0], "fields missing"),
        (GOOD.replace("T08", "T38"), "no such time"),
        (GOOD.replace("S002", "S120"), "no such station"),
        (GOOD.replace("S001", "Sxx1"), "no such station"),
        (GOOD.replace(",700,", ",-700,"), "impossible length"),
        (GOOD.replace(",700,", ",60,"), "impossible length"),
        (GOOD.replace("member", "dog"), "no such rider"),
    ],
)
def test_each_fault_has_a_name(line: str, wrong: str) -> None:
    assert data.fault(line, set()) == wrong
    assert data.fault(GOOD, {"010000001"}) == "trip twice"


def test_a_file_that_changed_or_is_of_another_kind_does_not_pass(tmp_path: Path) -> None:
    raw = data.make_day(0, rows=50, seed=1, folder=str(tmp_path))
    Path(raw["path"]).write_text("trip;started\n")
    with pytest.raises(ValueError, match="changed since"):
        data.validate(raw, folder=str(tmp_path))
    import hashlib

    other = {**raw, "sha256": hashlib.sha256(b"trip;started\n").hexdigest()}
    assert data.validate(other, folder=str(tmp_path))["quarantined"] == "another header than agreed"


def test_nothing_to_report_is_an_error_and_not_an_empty_page() -> None:
    with pytest.raises(ValueError, match="all 2 days were quarantined"):
        data.aggregate([None, None])
    with pytest.raises(ValueError, match="at least one day"):
        data.data_processing(days=0)


@pytest.mark.slow
def test_a_month_of_over_100_megabytes(tmp_path: Path) -> None:
    found = data.data_processing.run(out=str(tmp_path))
    assert found["megabytes"] > 100
    assert found["trips"] > 1_600_000
    assert len(found["quarantined"]) == 5
