"""Placement, sharing and capacity against published cases: two seeds of the large set here, all of it by hand."""

from __future__ import annotations

import importlib

import pytest

from benchmarks.harness import Absent
from benchmarks.reference import data_folder
from benchmarks.references import Case

pytestmark = pytest.mark.reference

#: Seeds of each workload of `openb`, queues that are simulated; the others take no time.
LIMITS = {"openb": 2, "drf": None, "hpa": None, "node_scores": None, "node_packing": None, "queueing": 4}


@pytest.mark.parametrize("name", LIMITS)
def test_set_meets_its_numbers(name: str) -> None:
    folder = data_folder()
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}: set HEADWAY_BENCH_DATA")
    found = importlib.import_module(f"benchmarks.references.{name}").run(Case(folder, LIMITS[name]))
    if isinstance(found, Absent):
        pytest.skip(found.reason)
    assert found.cases > 0
    assert [figure for figure in found.figures if figure.ok is False] == []
