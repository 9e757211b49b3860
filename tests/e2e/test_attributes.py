"""What a task may say beside what it asks for, on a running service."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from headway import Client
from headway.client import RunFailed

from .conftest import Home


@pytest.fixture(scope="module")
def mine(service: Home) -> Iterator[ModuleType]:
    """`attribute_flows`, in the folder of the person."""
    shutil.copy(Path(__file__).parent / "attribute_flows.py", service.folder)
    sys.path.insert(0, str(service.folder))
    yield importlib.import_module("attribute_flows")
    sys.path.remove(str(service.folder))


def test_chosen_errors_are_tried_again_and_all_attempts_are_paid_for(
    service: Home, client: Client, mine: ModuleType, tmp_path: Path
) -> None:
    run = client.submit(mine.patient, folder=str(tmp_path))
    assert run.result(30) == 2
    view = client.run(run.id)
    assert view["late"] == 0
    assert view["cost"] >= 20_000
    text = client.why(f"{run.id}/throttled")["text"]
    assert "before its deadline" in text
    assert "at 3600 an hour" in text
    listed = service.headway("runs", run.id).stdout
    assert "DUE" in listed
    assert "met" in listed
    assert "COST" in listed


def test_another_error_fails_at_once_and_why_says_so(
    client: Client, mine: ModuleType, tmp_path: Path
) -> None:
    run = client.submit(mine.impatient, folder=str(tmp_path))
    with pytest.raises(RunFailed, match="nobody chose me"):
        run.result(30)
    assert len(list(tmp_path.iterdir())) == 1
    assert "its retry is for ConnectionError only" in client.why(f"{run.id}/wrong")["text"]


def test_a_result_is_taken_from_an_earlier_run_and_shown_as_such(
    service: Home, client: Client, mine: ModuleType, tmp_path: Path
) -> None:
    def ran() -> int:
        return len(list(tmp_path.iterdir()))

    first = client.submit(mine.remembered, folder=str(tmp_path), count=2)
    assert (first.result(30), ran()) == ([0, 1], 3)
    second = client.submit(mine.remembered, folder=str(tmp_path), count=2)
    assert (second.result(30), ran()) == ([0, 1], 3)
    assert client.run(second.id)["counts"] == {"cached": 3}
    text = client.why(f"{second.id}/squared[1]")["text"]
    assert f"its result is that of {first.id}/squared[1], made " in text
    listed = service.headway("tasks", second.id, "--state", "cached").stdout
    assert listed.count("cached") == 3
    assert client.submit(mine.remembered, folder=str(tmp_path), count=3).result(30) == [0, 1, 4]
    assert ran() == 5  # the list, and its one new item
    again = ("attribute_flows.py:remembered", "--folder", str(tmp_path), "--count", "3")
    assert service.headway("run", *again, "--no-cache").returncode == 0
    assert ran() == 9
    assert service.headway("submit", *again, "--wait").returncode == 0
    assert ran() == 9
