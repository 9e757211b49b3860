"""Published schedules, to the printed digits, and queues whose mean response is known: through the simulator."""

from __future__ import annotations

import importlib

import pytest

from benchmarks.harness import Absent
from benchmarks.reference import data_folder
from benchmarks.references import Case

pytestmark = pytest.mark.reference


@pytest.mark.parametrize("name", ["lublin", "gang"])
def test_set_meets_its_numbers(name: str) -> None:
    folder = data_folder()
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}: set HEADWAY_BENCH_DATA")
    found = importlib.import_module(f"benchmarks.references.{name}").run(Case(folder))
    if isinstance(found, Absent):
        pytest.skip(found.reason)
    assert found.cases > 0
    assert found.met == found.cases, found.worst
