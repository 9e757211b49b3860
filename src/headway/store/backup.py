"""A state folder in one file, taken while the service runs, and made into a state folder again.

What makes it consistent is an order. The journal is copied first, by SQLite's online backup, as of one moment; whatever it mentions
was on disk before it was mentioned (`store.blobs`), so the files that are copied after it hold all of that, and perhaps some that
only a later journal mentions. What can be made again, or must not be used twice, stays behind: addresses, locks, the broker, unpacked
bundles, and the owner's token.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from headway.errors import Conflict, Invalid, NotFound, Unavailable
from headway.store.blobs import sync_folder
from headway.store.failures import Corrupt
from headway.store.reader import connect_to_read
from headway.store.schema import migrations, version

JOURNAL, MANIFEST, FORMAT = "journal.db", "headway-backup.json", 1
#: At the top of a state folder: made anew at each start, or remade from what is kept.
LEFT = frozenset(
    {"lock", "service.json", "token", "watch", "events", "run", "broker", "bundles", "logs", "tmp"}
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself.

    Attributes:
        format: Of the file; a larger one than `FORMAT` is of a newer Headway.
        schema: Of the journal.
        made: When, microseconds since 1970.
        journal: SHA-256 of the journal's copy.
        files: How many others there are, and their `bytes`.
    """

    format: int
    schema: int
    made: int
    journal: str
    files: int
    bytes: int


def write(state: Path, target: Path) -> Manifest:
    """Back up a state folder, whether a service runs on it or not.

    Args:
        target: A new file; compressed if its name ends with `.gz` or `.tgz`.

    Raises:
        NotFound: There is no state folder.
        Conflict: The file is there already.
        Unavailable: The disk is full or not writable; nothing is left behind.
    """
    journal = state / JOURNAL
    if not journal.is_file():
        raise NotFound(
            f"{state} holds no journal", hint="name the state folder: headway backup --state-dir DIR"
        )
    if target.exists():
        raise Conflict(f"{target} is there already", hint="give the name of a new file")
    # Under names that follow from the target's, so that what a killed one has left is written over by the next.
    part, copy = target.with_name(target.name + ".part"), target.with_name(target.name + ".journal.part")
    mode: Literal["w:gz", "w:"] = "w:gz" if target.name.endswith((".gz", ".tgz")) else "w:"
    try:
        with _failures(target):
            copy.unlink(missing_ok=True)
            copy.touch(0o600)
            schema = _copy_database(journal, copy)
            files = sorted(_files(state))
            with part.open("wb") as raw, tarfile.open(fileobj=raw, mode=mode) as tar:
                count, total = _add_all(tar, state, files)
                tar.add(copy, JOURNAL)
                made = time.time_ns() // 1000
                manifest = Manifest(FORMAT, schema, made, _digest(copy), count, total)
                _add_text(tar, MANIFEST, json.dumps(asdict(manifest), indent=1))
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.chmod(0o600)
            part.replace(target)
            sync_folder(target.parent)
    finally:
        for path in (part, copy):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    return manifest


def restore(source: Path, state: Path) -> Manifest:
    """Make a state folder of a backup. Everything is checked before the folder gets its name.

    Args:
        state: A folder that is not there, or empty.

    Raises:
        NotFound: There is no such backup.
        Conflict: The folder is in use or not empty, or the backup is of a newer Headway.
        Corrupt: The file is no backup, or damaged.
        Unavailable: The disk is full or not writable; nothing is left behind.
    """
    if not source.is_file():
        raise NotFound(f"there is no backup {source}", hint="give the file that `headway backup` made")
    if state.exists() and (not state.is_dir() or any(state.iterdir())):
        raise Conflict(f"{state} is not empty", hint="restore to a new folder: --to DIR")
    part = state.with_name(f".{state.name}.restoring-{os.getpid()}")
    try:
        with _failures(state):
            part.mkdir(parents=True, mode=0o700)
            try:
                with tarfile.open(source) as tar:
                    tar.extractall(part, filter="data")
            except (tarfile.TarError, EOFError, ValueError) as error:
                raise Corrupt(f"{source} is no backup, or damaged: {error}") from None
            manifest = _checked(source, part)
            (part / MANIFEST).unlink()
            if state.exists():
                state.rmdir()
            part.rename(state)
            sync_folder(state.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


# ── writing ───────────────────────────────────────────────────────────────────────────────────────


def _copy_database(path: Path, copy: Path) -> int:
    """The whole database as of one moment; a writer goes on meanwhile. Returns its schema version."""
    try:
        with (
            contextlib.closing(connect_to_read(path)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
            return version(target)
    except sqlite3.Error as error:
        raise Unavailable(f"the journal {path} cannot be copied: {error}", hint="try again") from error


def _files(state: Path) -> Iterator[Path]:
    """What is kept beside the journal, as paths in the folder; drafts and half-written files are not."""
    for folder, folders, names in os.walk(state):
        here = Path(folder)
        if here == state:
            folders[:] = [name for name in folders if name not in LEFT]
            names = [name for name in names if name not in LEFT and not name.startswith(JOURNAL)]
        folders[:] = [name for name in folders if name != "drafts"]
        for name in names:
            if not name.startswith(".") and not (here / name).is_symlink() and (here / name).is_file():
                yield (here / name).relative_to(state)


def _add_all(tar: tarfile.TarFile, state: Path, files: list[Path]) -> tuple[int, int]:
    count = total = 0
    for name in files:
        # A checkpoint or an aged file may go while we walk; what the journal still needs does not.
        with contextlib.suppress(FileNotFoundError), (state / name).open("rb") as file:
            info = tar.gettarinfo(arcname=str(name), fileobj=file)
            info.mode = 0o600
            tar.addfile(info, file)
            count, total = count + 1, total + info.size
    return count, total


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), 0o600, int(time.time())
    tar.addfile(info, io.BytesIO(data))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ── checking ──────────────────────────────────────────────────────────────────────────────────────


def _checked(source: Path, folder: Path) -> Manifest:
    """The manifest, once everything is what it says."""
    try:
        told = json.loads((folder / MANIFEST).read_text())
        number = told["format"]
        if number > FORMAT or told["schema"] > migrations()[-1].number:
            raise Conflict(
                f"{source} is of a newer Headway: format {number}, journal {told['schema']}; this one knows up to "
                f"{FORMAT} and {migrations()[-1].number}",
                hint="restore it with that version",
            )
        manifest = Manifest(**told)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Corrupt(
            f"{source} is no backup of Headway: {MANIFEST} is missing or damaged ({error})"
        ) from None
    journal = folder / JOURNAL
    if not journal.is_file() or _digest(journal) != manifest.journal:
        raise Corrupt(f"{source} is damaged: its journal is not what it was", hint="use another backup")
    for path in (folder / "blobs").glob("[0-9a-f][0-9a-f]/*"):
        if _digest(path) != path.parent.name + path.name:
            raise Corrupt(
                f"{source} is damaged: the blob {path.parent.name}{path.name} is not what it was",
                hint="use another backup",
            )
    return manifest


@contextlib.contextmanager
def _failures(where: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise Invalid(f"there is no folder {where.parent}", hint="make it first") from error
    except OSError as error:
        raise Unavailable(
            f"{where} cannot be written: {error.strerror}",
            hint="make room, or choose a folder that you may write",
        ) from error
