"""Large values travel by reference: in no message and in no row of the journal."""

from __future__ import annotations

import sqlite3
from types import ModuleType

import numpy as np
import pytest

from headway import Client

from .conftest import Home
from .watching import Watcher

#: 80 MB of doubles.
N = 10_000_000
#: Bytes; a value of 80 MB that travelled inside would be a thousand times as large.
SMALL = 80_000


def largest_field(home: Home) -> int:
    """Of any row of any table of the journal."""
    with sqlite3.connect(f"file:{home.state / 'journal.db'}?mode=ro", uri=True) as journal:
        found = 0
        for (table,) in journal.execute("select name from sqlite_master where type = 'table'").fetchall():
            for column in [row[1] for row in journal.execute(f"pragma table_info({table})")]:
                longest = journal.execute(f'select max(length("{column}")) from "{table}"').fetchone()[0]
                found = max(found, longest or 0)
        return found


def test_an_array_of_80_mb_passes_through_by_reference(
    service: Home, client: Client, flows: ModuleType
) -> None:
    array = np.arange(N, dtype=float)
    with Watcher(service) as watcher:
        assert client.submit(flows.passes, array).result(60) == (N - 1) / 2
    kinds = [message["kind"] for _, message in watcher.letters()]
    assert {"lease", "report"} <= set(kinds), "the watcher saw nothing of the run"
    assert max(len(payload) for _, payload in watcher.seen) < SMALL
    assert 0 < largest_field(service) < SMALL


def test_a_result_of_80_mb_comes_back_whole(service: Home, client: Client, flows: ModuleType) -> None:
    run = client.submit(flows.gives, N)
    result = run.result(60)
    assert (result.shape, result.dtype, result.sum()) == ((N,), np.dtype(float), N)
    assert len(str(run.view)) < 2_000, "the view of a run holds references, not values"
    assert largest_field(service) < SMALL


@pytest.mark.parametrize("value", [np.zeros((3, 0)), {"a": [np.float32(1.5)]}, {1: {2, 3}}, b"\0" * 100_000])
def test_values_come_back_as_they_went(client: Client, flows: ModuleType, value: object) -> None:
    from headway import workflow

    @workflow
    def there_and_back(value: object) -> object:
        return flows.same(value)

    back = client.submit(there_and_back, value).result(30)
    assert type(back) is type(value)
    assert repr(back) == repr(value)
