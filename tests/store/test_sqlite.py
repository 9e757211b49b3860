"""SQLite as a journal: compaction, kills, a full disk, files that are none."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from headway.errors import Conflict, Invalid, Unavailable
from headway.journal.records import Document, Entry
from headway.store import sqlite as module
from headway.store.failures import Corrupt
from headway.store.sqlite import SqliteJournal

PROGRAM = Path(__file__).with_name("appender.py")


def entry(number: int, role: str = "planner", size: int = 10) -> Entry:
    return Entry(role, number, number, "l", b"i" * size, b"o" * size)


def kept(journal: SqliteJournal, role: str = "planner") -> list[int]:
    return [e.number for e in journal.entries(role, 1)]


async def fill(journal: SqliteJournal, first: int, last: int, size: int = 10) -> None:
    await asyncio.gather(*(journal.append(entry(n, size=size)) for n in range(first, last + 1)))


async def test_whoever_waits_shares_a_transaction(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db")
    await fill(journal, 1, 500)
    assert journal._writer.jobs == 500
    assert journal._writer.groups < 100
    await journal.close()


async def test_compaction_keeps_no_history_when_told(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db", keep_history=0)
    await fill(journal, 1, 1000)
    await journal.snapshot("planner", 900, 0, "l", b"nine hundred", needed=901)
    assert kept(journal) == list(range(901, 1001))
    await journal.close()
    again = SqliteJournal(tmp_path / "j.db")
    assert again.load("planner").last == 1000
    await again.snapshot("planner", 1000, 0, "l", b"a thousand", needed=1001)
    await again.close()


async def test_the_last_number_outlives_its_entry(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db", keep_history=0)
    await fill(journal, 1, 5)
    await journal.snapshot("planner", 5, 0, "l", b"s", needed=6)
    assert kept(journal) == []
    await journal.close()
    again = SqliteJournal(tmp_path / "j.db")
    assert again.load("planner").last == 5
    with pytest.raises(Conflict):
        await again.append(entry(5))
    await again.append(entry(6))
    await again.close()


async def test_unacknowledged_outputs_stay(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db", keep_history=0)
    await fill(journal, 1, 100)
    await journal.snapshot("planner", 90, 0, "l", b"s", needed=40)
    assert kept(journal) == list(range(40, 101))
    assert [e.number for e in journal.entries("planner", 40, 42)] == [40, 41, 42]
    assert [e.number for e in journal.load("planner").entries] == list(range(91, 101))
    await journal.close()


async def test_history_is_kept_in_whole_pieces_within_its_bytes(tmp_path: Path) -> None:
    """Five pieces of 20 kB each, room for two and a half: two are kept, from a snapshot on, so that they can
    be replayed."""
    journal = SqliteJournal(tmp_path / "j.db", keep_history=50_000)
    for piece in range(5):
        await fill(journal, piece * 100 + 1, piece * 100 + 100, size=100)
        await journal.snapshot(
            "planner", piece * 100 + 100, 0, "l", b"state %d" % piece, needed=piece * 100 + 101
        )
    assert [s.number for s in journal.snapshots("planner")] == [300, 400, 500]
    assert kept(journal) == list(range(301, 501))
    assert journal.snapshot_data("planner", 300) == b"state 2"
    await journal.close()


async def test_roles_do_not_see_one_another(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db", keep_history=0)
    for role in ("planner", "scheduler", "resource_manager"):
        for number in range(1, 6):
            await journal.append(entry(number, role))
    await journal.snapshot("scheduler", 5, 0, "l", b"s", needed=6)
    assert kept(journal, "planner") == kept(journal, "resource_manager") == [1, 2, 3, 4, 5]
    assert journal.load("planner").snapshot is None
    assert kept(journal, "nobody") == []
    await journal.close()


async def test_a_snapshot_cut_short_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    journal = SqliteJournal(path)
    await fill(journal, 1, 3)
    await journal.snapshot("planner", 2, 0, "l", b"good", needed=3)
    await journal.close()
    raw = sqlite3.connect(path)
    raw.execute("INSERT INTO snapshot SELECT role, 3, 0, 'l', 8, 0 FROM snapshot")
    raw.execute("INSERT INTO snapshot_part SELECT role, 3, 0, x'68616c66' FROM snapshot WHERE number = 2")
    raw.commit()
    raw.close()
    again = SqliteJournal(path, keep_history=0)
    loaded = again.load("planner")
    assert loaded.snapshot is not None
    assert (loaded.snapshot.number, loaded.snapshot.data) == (2, b"good")
    await again.snapshot("planner", 3, 0, "l", b"again", needed=4)
    assert again.snapshot_data("planner", 3) == b"again"
    await again.close()


async def test_a_missing_entry_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    journal = SqliteJournal(path)
    await fill(journal, 1, 5)
    await journal.close()
    raw = sqlite3.connect(path)
    raw.execute("DELETE FROM entry WHERE id & 0xff = 3")
    raw.commit()
    raw.close()
    again = SqliteJournal(path)
    with pytest.raises(Corrupt, match="lacks entry 3 of planner"):
        list(again.load("planner").entries)
    await again.close()


@pytest.mark.fault
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_nothing_acknowledged_is_lost_to_kill_9(tmp_path: Path, seed: int) -> None:
    """The child appends as fast as it can from three roles and prints what was acknowledged; it is killed
    three times."""
    rng = random.Random(seed)
    path = tmp_path / "j.db"
    acknowledged: dict[str, int] = {}
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.02, 0.3))
        process.kill()
        for line in process.stdout.read().splitlines(keepends=True):
            if line.endswith("\n"):  # the last one may be cut
                role, number = line.split()
                acknowledged[role] = max(int(number), acknowledged.get(role, 0))
        process.wait()
        check(path, acknowledged)
    assert min(acknowledged.values()) > 10


def check(path: Path, acknowledged: dict[str, int]) -> None:
    async def run() -> None:
        journal = SqliteJournal(path)
        for role, number in acknowledged.items():
            loaded = journal.load(role)
            assert loaded.last >= number
            start = loaded.snapshot.number if loaded.snapshot else 0
            assert [e.number for e in loaded.entries] == list(range(start + 1, loaded.last + 1))
            # The entry, its cursor and its document are one: none without the others.
            assert loaded.cursors == {("peer", "s"): (1, loaded.last)}
            newest = await journal.documents("task", run=role, limit=1)
            assert newest.documents[0].time == loaded.last
        await journal.close()

    asyncio.run(run())


class Failing:
    """A connection whose COMMIT or INSERT fails as a full disk makes them, until told otherwise."""

    def __init__(self, inner: sqlite3.Connection) -> None:
        self._inner = inner
        self.fail_at = ""
        self.code = sqlite3.SQLITE_FULL

    def execute(self, sql: str, *values: Any) -> Any:
        if self.fail_at and sql.startswith(self.fail_at):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = self.code
            raise error
        return self._inner.execute(sql, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.mark.fault
@pytest.mark.parametrize("fail_at", ["BEGIN", "INSERT INTO entry", "COMMIT"])
async def test_a_full_disk_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: str
) -> None:
    made: list[Failing] = []
    real = module._open
    monkeypatch.setattr(module, "_open", lambda *args: made.append(Failing(real(*args))) or made[-1])
    journal = SqliteJournal(tmp_path / "j.db")
    await journal.append(entry(1))
    made[0].fail_at = fail_at
    retried = [entry(2), entry(1, "scheduler")]
    outcomes = await asyncio.gather(*map(journal.append, retried), return_exceptions=True)
    for outcome in outcomes:
        assert isinstance(outcome, Unavailable)
        assert f"the journal {tmp_path / 'j.db'} cannot be used: the disk is full" in str(outcome)
        assert "free some space" in str(outcome)
    assert kept(journal) == [1]
    made[0].fail_at = ""
    await asyncio.gather(*map(journal.append, retried))
    assert (kept(journal), kept(journal, "scheduler")) == ([1, 2], [1])
    await journal.close()


@pytest.mark.fault
def test_a_really_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files, as the kernel enforces it: SQLite's own error, then room again."""
    program = """
import asyncio, resource, signal, sys
from pathlib import Path
from headway.errors import Unavailable
from headway.journal.records import Entry
from headway.store.sqlite import SqliteJournal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

async def main():
    journal = SqliteJournal(Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
    number = 0
    try:
        while True:
            await journal.append(Entry("planner", number + 1, 0, "l", b"i" * 50_000, b"o"))
            number += 1
    except Unavailable as error:
        print(number, error.message)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await journal.append(Entry("planner", number + 1, 0, "l", b"i" * 50_000, b"o"))
    print([e.number for e in journal.load("planner").entries] == list(range(1, number + 2)))
    await journal.close()

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "j.db")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert int(first.split()[0]) > 5
    assert f"the journal {tmp_path / 'j.db'} cannot be used" in first
    assert last == "True"


async def test_a_locked_journal_says_who_may_hold_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT", 50)
    journal = SqliteJournal(tmp_path / "j.db")
    other = sqlite3.connect(tmp_path / "j.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="another process holds it locked") as error:
        await journal.append(entry(1))
    assert "second service" in str(error.value)
    other.execute("ROLLBACK")
    await journal.append(entry(1))
    other.close()
    await journal.close()


async def test_two_services_do_not_both_append(tmp_path: Path) -> None:
    one, two = SqliteJournal(tmp_path / "j.db"), SqliteJournal(tmp_path / "j.db")
    await one.append(entry(1))
    with pytest.raises((Conflict, Unavailable)):
        await two.append(Entry("planner", 1, 0, "l", b"other", b""))
    await two.close()
    assert kept(one) == [1]
    await one.close()


@pytest.mark.parametrize(
    "content",
    [b"not a database at all, but long enough to be read as one" * 50, b"SQLite format 3\0" + b"\xff" * 5000],
)
def test_a_file_that_is_no_database_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j.db"
    path.write_bytes(content)
    with pytest.raises((Corrupt, Unavailable), match=r"the journal .*j\.db") as error:
        SqliteJournal(path)
    assert isinstance(error.value, Corrupt)
    assert "restore a backup" in str(error.value)
    assert path.read_bytes() == content


async def test_a_damaged_page_is_said(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    journal = SqliteJournal(path)
    await fill(journal, 1, 300, size=500)
    await journal.close()
    with path.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xa5" * 4096 * 40)
    with pytest.raises(Corrupt, match="restore a backup"):
        list(SqliteJournal(path).load("planner").entries)


def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="it cannot be opened") as error:
        SqliteJournal(tmp_path / "missing" / "j.db")
    assert "does its folder exist" in str(error.value)


def test_a_read_only_folder_is_said(tmp_path: Path) -> None:
    """In a child that gives up root's rights, if it has them."""
    program = """
import os, sys
from pathlib import Path
from headway.errors import Unavailable
from headway.store.sqlite import SqliteJournal
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    SqliteJournal(Path(sys.argv[1]))
except Unavailable as error:
    print(error)
"""
    folder = tmp_path / "state"
    folder.mkdir()
    asyncio.run(SqliteJournal(folder / "j.db").close())
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    (folder / "j.db").chmod(0o444)
    folder.chmod(0o555)
    try:
        for path in (folder / "j.db", folder / "new.db"):
            done = subprocess.run(
                [sys.executable, "-c", program, str(path)],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert f"the journal {path} cannot be used: " in done.stdout, done.stderr
    finally:
        folder.chmod(0o755)


def test_an_unknown_way_to_sync_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match='write "full" or "normal"'):
        SqliteJournal(tmp_path / "j.db", sync="off")  # type: ignore[arg-type]


async def test_an_append_after_close_is_refused(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db")
    await journal.close()
    with pytest.raises(Unavailable, match="is closed"):
        await journal.append(entry(1))


async def test_closing_writes_what_is_queued(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db")
    queued = [asyncio.ensure_future(journal.append(entry(n))) for n in range(1, 50)]
    await asyncio.sleep(0)
    await journal.close()
    await asyncio.gather(*queued)
    again = SqliteJournal(tmp_path / "j.db")
    assert kept(again) == list(range(1, 50))
    await again.close()


async def test_a_caller_that_gives_up_harms_nobody(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db")
    task = asyncio.create_task(journal.append(entry(1)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await journal.append(entry(2))
    assert kept(journal) == [1, 2]
    await journal.close()


@pytest.mark.slow
async def test_a_restart_does_not_feel_the_archive(tmp_path: Path) -> None:
    """A million finished tasks: open and load read none of them."""
    path = tmp_path / "j.db"
    journal = SqliteJournal(path)
    await journal.append(entry(1), documents=[Document("task", "t", "r", "finished", 0, b"{}")])
    await journal.close()
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA synchronous = OFF")
    raw.execute(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)"
        " INSERT INTO document"
        " SELECT 'task', printf('%08d', i), printf('run%06d', i / 100), 'finished', i, zeroblob(20) FROM n"
    )
    raw.commit()
    raw.close()
    began = time.perf_counter()
    again = SqliteJournal(path)
    loaded = again.load("planner")
    assert [e.number for e in loaded.entries] == [1]
    assert time.perf_counter() - began < 2
    began = time.perf_counter()
    page = await again.documents("task", run="run005000", limit=10)
    assert [d.key for d in page.documents[:2]] == ["00500099", "00500098"]
    assert (await again.documents("task", limit=10)).documents[0].key == "01000000"
    assert time.perf_counter() - began < 2
    assert await asyncio.to_thread(os.path.getsize, path) > 50e6
    await again.close()
