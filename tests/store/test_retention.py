"""What is too old goes, and nothing that is referred to does."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.journal.records import Document, Entry
from headway.service.retention import Retention
from headway.settings import RetentionSettings, Settings
from headway.store.blobs import Blobs
from headway.store.retention import GRACE, Swept, sweep
from headway.store.sqlite import SqliteJournal

DAY = 24 * 3600 * 10**6
NOW = 1_800_000_000_000_000
PLACES = ("entry in", "entry out", "before", "snapshot", "letter", "row", "late row", "nowhere")
#: Where a mention counts. What only an entry before the snapshot mentions is no longer part of the state.
COUNTS = {"entry in", "entry out", "snapshot", "letter", "row"}


def kept_run(key: str, ended: int, mention: str = "", submitted: int | None = None) -> list[Document]:
    at = ended if submitted is None else submitted
    small = json.dumps({"id": key, "ended": ended}).encode()
    graph = json.dumps({"saved": {"values": {"v": ["blob", mention]}}}).encode()
    return [
        Document("run", key, key, "finished", at, small),
        Document("graph", key, key, "finished", at, graph),
    ]


def aged(blobs: Blobs, content: bytes, days: float) -> str:
    name = blobs.put(content)
    then = os.stat(blobs.path(name)).st_mtime - days * 24 * 3600
    os.utime(blobs.path(name), (then, then))
    return name


async def written(state: Path, where: dict[str, list[str]]) -> None:
    """A journal that mentions names at these places."""

    def said(place: str) -> bytes:
        return json.dumps([["blob", name] for name in where.get(place, ())]).encode()

    letter = [1, "s", ["a"], "offer", base64.b64encode(said("letter")).decode(), 1]
    state_then = {"outbox": {"kept": [letter]}, "role": json.loads(said("snapshot"))}
    rows = [row for name in where.get("row", ()) for row in kept_run(f"new-{name}", NOW - DAY, name)]
    rows += [
        row for name in where.get("late row", ()) for row in kept_run(f"old-{name}", NOW - 9 * DAY, name)
    ]
    journal = SqliteJournal(state / "journal.db", sync="normal")
    try:
        await journal.append(Entry("planner", 1, 1, "1", said("before"), b""))
        await journal.snapshot("planner", 1, 1, "1", json.dumps(state_then).encode(), needed=2)
        await journal.append(Entry("planner", 2, 2, "1", said("entry in"), said("entry out")), documents=rows)
        await journal.retire(NOW - 7 * DAY)
    finally:
        await journal.close()


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.integers(0, 50), st.tuples(st.sampled_from(PLACES), st.booleans()), max_size=12))
def test_exactly_what_is_old_and_referred_to_by_nothing_goes(made: dict[int, tuple[str, bool]]) -> None:
    import asyncio

    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        blobs, where, expected = Blobs(state / "blobs", sync=False), {}, set()
        for number, (place, old) in made.items():
            name = aged(blobs, b"%d" % number, 5 if old else 0)
            where.setdefault(place, []).append(name)
            if place in COUNTS or not old:
                expected.add(name)
        asyncio.run(written(state, where))
        before = set(blobs.names())
        would = sweep(state, now=NOW, runs=7 * DAY, logs=None, dry=True)
        assert set(blobs.names()) == before
        done = sweep(state, now=NOW, runs=7 * DAY, logs=None)
        assert set(blobs.names()) == expected
        assert would == done
        assert done.blobs == len(before) - len(expected)


def test_what_somebody_just_found_counts_as_new(tmp_path: Path) -> None:
    """A client that is told a value is there does not send it: it must still be there when it is mentioned."""
    blobs = Blobs(tmp_path / "blobs", sync=False)
    found, other = aged(blobs, b"found", 5), aged(blobs, b"other", 5)
    assert blobs.touch(found)
    assert not blobs.touch(hashlib.sha256(b"never").hexdigest())
    assert blobs.sweep((), older_than=GRACE) == (1, 5)
    assert blobs.has(found)
    assert not blobs.has(other)


async def test_a_run_counts_from_its_end_and_goes_whole(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db", sync="normal")
    try:
        rows = kept_run("long", NOW - DAY, submitted=NOW - 90 * DAY)
        for number in range(120):
            rows += kept_run(f"r-{number}", NOW - 40 * DAY)
        await journal.append(Entry("planner", 1, 1, "1", b"", b""), documents=rows)
        assert await journal.retire(NOW - 30 * DAY) == 120
        assert [row.key for row in (await journal.documents("run")).documents] == ["long"]
        assert [row.key for row in (await journal.documents("graph")).documents] == ["long"]
        assert await journal.retire(NOW - 30 * DAY) == 0
    finally:
        await journal.close()


def logged(state: Path, run: str, days: int) -> Path:
    folder = state / "logs" / run
    folder.mkdir(parents=True)
    (folder / "one.log").write_text("said\n")
    then = NOW / 1e6 - days * 24 * 3600
    os.utime(folder / "one.log", (then, then))
    os.utime(folder, (then, then))
    return folder


async def test_logs_go_by_their_last_line_and_never_of_a_run_that_is_not_over(tmp_path: Path) -> None:
    await written(tmp_path, {})
    old, young, going = (
        logged(tmp_path, "old", 20),
        logged(tmp_path, "young", 3),
        logged(tmp_path, "going", 20),
    )
    (tmp_path / "logs" / "service.log").write_text("ours\n")
    swept = sweep(tmp_path, now=NOW, runs=None, logs=14 * DAY, alive=["going"])
    assert swept == Swept(0, 0, 0, 1, 5)
    assert [path.exists() for path in (old, young, going, tmp_path / "logs" / "service.log")] == [
        False,
        True,
        True,
        True,
    ]


async def test_nothing_goes_by_default_nor_where_there_is_no_state(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs", sync=False)
    name = aged(blobs, b"old", 400)
    assert sweep(tmp_path, now=NOW, runs=DAY, logs=DAY) == Swept(0, 0, 0, 0, 0)
    await written(tmp_path, {})
    assert sweep(tmp_path, now=NOW, runs=None, logs=None) == Swept(0, 0, 0, 0, 0)
    assert blobs.has(name)


@pytest.mark.parametrize("runs", [None, 7 * DAY])
async def test_a_turn_of_the_service(tmp_path: Path, runs: int | None) -> None:
    """The rows by the journal's own writer, the files by a process beside."""
    import time

    now = time.time_ns() // 1000
    blobs = Blobs(tmp_path / "blobs", sync=False)
    mine, unused = aged(blobs, b"mine", 30), aged(blobs, b"unused", 30)
    journal = SqliteJournal(tmp_path / "journal.db", sync="normal")
    try:
        rows = kept_run("old", now - 9 * DAY, unused) + kept_run("new", now - DAY, mine)
        await journal.append(Entry("planner", 1, 1, "1", b"", b""), documents=rows)
        made = Settings(state=tmp_path, retention=RetentionSettings(runs=runs))
        keeping = Retention(made, journal.retire, lambda: ["a-run"])
        assert keeping.wanted == (runs is not None)
        swept = await keeping.turn(settle=0)
        assert (swept.runs, swept.blobs) == ((1, 1) if runs else (0, 0))
        assert blobs.has(mine)
        assert blobs.has(unused) == (runs is None)
    finally:
        await journal.close()
