"""A Headway of its own for each test, whatever becomes of it; and the workload as a user's module."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .killer import import_workload
from .site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.clear()


@pytest.fixture
def workload(tmp_path: Path) -> Iterator[Any]:
    module = import_workload(tmp_path)
    yield module
    del sys.modules[module.__name__]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Where executions leave their lines."""
    return tmp_path / "ledger"
