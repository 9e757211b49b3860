"""The joint optimiser against published optima: a sample here, all of it by `python -m benchmarks.reference`."""

from __future__ import annotations

import importlib

import pytest

from benchmarks.harness import Absent
from benchmarks.reference import data_folder
from benchmarks.references import Case

pytestmark = pytest.mark.reference

#: Instances of each set: spread over it, and few, for these take seconds.
LIMITS = {"rcpsp": 8, "weighted": 4, "dag": 5, "heft": None}


@pytest.mark.parametrize("name", LIMITS)
def test_set_meets_its_numbers(name: str) -> None:
    folder = data_folder()
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}: set HEADWAY_BENCH_DATA")
    if name in ("rcpsp", "weighted"):
        pytest.importorskip("ortools", reason="OR-Tools is not installed: pip install 'headway[solvers]'")
    found = importlib.import_module(f"benchmarks.references.{name}").run(Case(folder, LIMITS[name]))
    if isinstance(found, Absent):
        pytest.skip(found.reason)
    assert found.cases > 0
    assert [figure for figure in found.figures if figure.ok is False] == []
