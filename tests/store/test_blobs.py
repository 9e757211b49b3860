from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.errors import Invalid, NotFound, Unavailable
from headway.store.blobs import Blobs
from headway.store.failures import Corrupt


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.binary(max_size=3000))
def test_what_is_put_is_got_under_its_hash(blobs: Blobs, data: bytes) -> None:
    name = blobs.put(data)
    assert name == hashlib.sha256(data).hexdigest()
    assert blobs.get(name, verify=True) == data
    assert (blobs.has(name), blobs.size(name)) == (True, len(data))
    assert blobs.path(name) == blobs.folder / name[:2] / name[2:]


def test_a_file_is_kept_as_its_bytes_are(blobs: Blobs, tmp_path: Path) -> None:
    source = tmp_path / "large"
    source.write_bytes(os.urandom(3_000_000))
    assert blobs.put_file(source) == blobs.put(source.read_bytes())
    assert list((blobs.folder / "drafts").iterdir()) == []


def test_another_hash_than_expected_keeps_nothing(blobs: Blobs, tmp_path: Path) -> None:
    wrong = "0" * 64
    (tmp_path / "file").write_bytes(b"data")
    for put in (
        lambda: blobs.put(b"data", expect=wrong),
        lambda: blobs.put_file(tmp_path / "file", expect=wrong),
    ):
        with pytest.raises(Invalid, match="it should have 0000"):
            put()
    assert list(blobs.names()) == []


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n", "a" * 65, "/" * 64]
)
def test_a_name_cannot_lead_out_of_the_folder(blobs: Blobs, name: str) -> None:
    with pytest.raises(Invalid, match="64 lower-case"):
        blobs.path(name)


def test_what_is_not_there_is_said(blobs: Blobs) -> None:
    absent = "a" * 64
    assert not blobs.has(absent)
    for ask in (blobs.get, blobs.size):
        with pytest.raises(NotFound, match=absent):
            ask(absent)


def test_damage_is_found_when_asked(blobs: Blobs) -> None:
    name = blobs.put(b"right")
    blobs.path(name).write_bytes(b"wrong")
    assert blobs.get(name) == b"wrong"
    with pytest.raises(Corrupt, match="another hash"):
        blobs.get(name, verify=True)


def test_a_half_file_is_replaced(blobs: Blobs) -> None:
    name = blobs.put(b"whole")
    blobs.path(name).write_bytes(b"wh")
    assert blobs.put(b"whole") == name
    assert blobs.get(name) == b"whole"


def test_the_sweep_takes_what_is_old_and_unused(blobs: Blobs) -> None:
    old, used, fresh, again = (blobs.put(data) for data in (b"old", b"used", b"fresh", b"again"))
    draft = blobs.folder / "drafts" / "left"
    draft.write_bytes(b"x")
    for path in (blobs.path(old), blobs.path(used), blobs.path(again), draft):
        os.utime(path, (1, 1))
    blobs.put(b"again")  # somebody is about to mention it
    assert blobs.sweep([used], older_than=60) == (1, 3)
    assert sorted(blobs.names()) == sorted([used, fresh, again])
    assert not draft.exists()


def test_many_may_put_the_same_at_once(blobs: Blobs) -> None:
    names: list[str] = []
    threads = [threading.Thread(target=lambda: names.append(blobs.put(b"same" * 1000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 8
    assert blobs.get(names[0], verify=True) == b"same" * 1000


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file is in the way")
    with pytest.raises(Unavailable, match="a blob cannot be written to"):
        Blobs(tmp_path / "blobs").put(b"x")


@pytest.mark.fault
def test_a_full_disk_leaves_no_half_blob(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space left on device") as error:
        blobs.put(b"x" * 1000)
    assert "free some space" in str(error.value)
    monkeypatch.undo()
    assert list(blobs.names()) == []
    assert list((blobs.folder / "drafts").iterdir()) == []
