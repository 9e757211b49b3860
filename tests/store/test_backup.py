"""Backups: consistent while somebody writes, checked before a folder gets its name, and nothing half done is left."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from headway.errors import Conflict, Invalid, NotFound, Unavailable
from headway.journal.records import Document, Entry
from headway.store import backup
from headway.store.blobs import Blobs
from headway.store.failures import Corrupt
from headway.store.sqlite import SqliteJournal


def entry(number: int, body: bytes = b"in") -> Entry:
    return Entry("planner", number, number, "1", body, b"out")


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    journal, blobs = SqliteJournal(folder / "journal.db"), Blobs(folder / "blobs")
    for number in range(1, 20):
        await journal.append(entry(number, blobs.put(b"x" * number).encode()))
    await journal.close()
    for name in ("token", "lock", "service.json", "watch", "epoch"):
        (folder / name).write_text(name)
    (folder / "checkpoints" / "r" / "t").mkdir(parents=True)
    (folder / "checkpoints" / "r" / "t" / "1-1.ckpt").write_bytes(b"saved")
    (folder / "checkpoints" / "r" / "t" / ".1-2.ckpt.9.part").write_bytes(b"half")
    (folder / "blobs" / "drafts").mkdir(exist_ok=True)
    (folder / "blobs" / "drafts" / "d").write_bytes(b"half")
    (folder / "bundles" / "abc").mkdir(parents=True)
    (folder / "bundles" / "abc" / "m.py").write_text("made anew")
    return folder


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz", "b.tgz"])
def test_what_is_needed_is_there_and_what_must_not_be_used_twice_is_not(
    state: Path, tmp_path: Path, name: str
) -> None:
    made = backup.write(state, tmp_path / name)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    again = tmp_path / "again"
    assert backup.restore(tmp_path / name, again) == made
    found = {str(path.relative_to(again)) for path in again.rglob("*") if path.is_file()}
    assert {one for one in found if not one.startswith("blobs/")} == {
        "journal.db",
        "epoch",
        "checkpoints/r/t/1-1.ckpt",
    }
    blobs = Blobs(again / "blobs")
    journal = SqliteJournal(again / "journal.db")
    loaded = journal.load("planner")
    assert loaded.last == 19
    assert all(blobs.has(one.inputs.decode()) for one in loaded.entries)
    asyncio.run(journal.close())


async def test_a_backup_taken_while_the_journal_grows_is_of_one_moment(state: Path, tmp_path: Path) -> None:
    """Each entry mentions a blob that was put before it, and comes with a document: in the copy all or none of it is there."""
    journal, blobs = SqliteJournal(state / "journal.db"), Blobs(state / "blobs", sync=False)
    journal.load("planner")
    stop = asyncio.Event()

    async def write() -> int:
        number = 20
        while not stop.is_set():
            name = blobs.put(os.urandom(100))
            document = Document("run", f"r{number}", f"r{number}", "finished", number, name.encode())
            await journal.append(entry(number, name.encode()), documents=[document])
            number += 1
        return number - 1

    writing = asyncio.create_task(write())
    for number in range(5):
        await asyncio.sleep(0.02)
        await asyncio.to_thread(backup.write, state, tmp_path / f"{number}.tar")
    stop.set()
    last = await writing
    await journal.close()
    seen = 0
    for number in range(5):
        folder = tmp_path / f"restored-{number}"
        backup.restore(tmp_path / f"{number}.tar", folder)
        copy, copied = SqliteJournal(folder / "journal.db"), Blobs(folder / "blobs")
        loaded = copy.load("planner")
        entries = list(loaded.entries)
        assert [one.number for one in entries] == list(range(1, loaded.last + 1))
        assert all(copied.has(one.inputs.decode()) for one in entries)
        page = await copy.documents("run", limit=10_000)
        assert len(page.documents) == loaded.last - 19
        assert seen <= loaded.last <= last
        seen = loaded.last
        await copy.close()


def test_what_is_there_is_never_overwritten(state: Path, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_text("mine")
    with pytest.raises(Conflict, match="is there already"):
        backup.write(state, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_text() == "mine"
    backup.write(state, tmp_path / "c.tar")
    for target in (state, tmp_path / "b.tar"):
        with pytest.raises(Conflict, match="is not empty"):
            backup.restore(tmp_path / "c.tar", target)
    (tmp_path / "empty").mkdir()
    backup.restore(tmp_path / "c.tar", tmp_path / "empty")


def test_what_cannot_be_is_refused_in_words(state: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="holds no journal"):
        backup.write(tmp_path / "nowhere", tmp_path / "b.tar")
    with pytest.raises(Invalid, match="there is no folder"):
        backup.write(state, tmp_path / "no" / "such" / "b.tar")
    with pytest.raises(NotFound, match="no backup"):
        backup.restore(tmp_path / "none.tar", tmp_path / "x")
    with pytest.raises(Unavailable, match="cannot be written"):
        backup.write(state, state / "epoch" / "b.tar")


@pytest.mark.parametrize("harm", ["text", "cut", "journal", "blob", "manifest", "newer", "outside"])
def test_a_damaged_file_leaves_no_folder(state: Path, tmp_path: Path, harm: str) -> None:
    good, bad = tmp_path / "good.tar", tmp_path / "bad.tar"
    backup.write(state, good)
    if harm == "text":
        bad.write_text("this is no backup")
    elif harm == "cut":
        bad.write_bytes(good.read_bytes()[:20_000])
    else:
        with tarfile.open(good) as old, tarfile.open(bad, "w") as new:
            for member in old.getmembers():
                data = old.extractfile(member).read()  # type: ignore[union-attr]
                if harm == "journal" and member.name == "journal.db":
                    data = data[:-1] + bytes([data[-1] ^ 1])
                if harm == "blob" and member.name.startswith("blobs/"):
                    data = b"y" * len(data)
                if member.name == backup.MANIFEST:
                    told = json.loads(data)
                    told["format" if harm == "newer" else "made"] = 9 if harm == "newer" else told["made"]
                    data = b"{" if harm == "manifest" else json.dumps(told).encode()
                if harm == "outside" and member.name == "epoch":
                    member.name = "../epoch"
                member.size = len(data)
                new.addfile(member, io.BytesIO(data))
    kind, says = (Conflict, "newer Headway") if harm == "newer" else (Corrupt, "damaged|no backup")
    with pytest.raises(kind, match=says):
        backup.restore(bad, tmp_path / "again")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar", "good.tar", "state"]
