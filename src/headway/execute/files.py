"""Checkpoint files, which must survive a power cut, and names as parts of paths."""

from __future__ import annotations

import os
import re
import shutil
import threading
from pathlib import Path

from headway.errors import Unavailable

_CHECKPOINT = re.compile(r"(\d+)-(\d+)\.ckpt\Z")


def write_durably(path: Path, data: bytes) -> None:
    """The whole file or none: written aside, flushed, renamed, and the folder flushed.

    Raises:
        Unavailable: The disk is full or not writable.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(fd, view) :]
                os.fsync(fd)
            finally:
                os.close(fd)
            os.replace(aside, path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        _flush_folder(path.parent)
    except OSError as error:
        raise Unavailable(
            f"cannot write {path}: {error.strerror}",
            hint="make room on the disk or make the state folder writable",
        ) from error


def _flush_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def drop_checkpoints(state: Path, run: str) -> None:
    """Delete the checkpoints of a run that is over and will not be resumed; in a thread, as they may be many and large."""
    folder = state / "checkpoints" / safe(run)
    if folder.exists():
        threading.Thread(target=shutil.rmtree, args=(folder, True), name="checkpoints", daemon=True).start()


def checkpoints(state: Path, task: str) -> list[tuple[int, int, Path]]:
    """(attempt, number, file) of a task's checkpoints, oldest first."""
    try:
        names = os.listdir(folder := checkpoint_folder(state, task))
    except FileNotFoundError:
        return []
    found = [(match, folder / name) for name in names if (match := _CHECKPOINT.match(name))]
    return sorted((int(match[1]), int(match[2]), path) for match, path in found)


def checkpoint_folder(state: Path, task: str) -> Path:
    run, _, name = task.partition("/")
    return state / "checkpoints" / safe(run) / safe(name)


def safe(name: str) -> str:
    """A name as one level of a path: no slash, not hidden, no NUL."""
    name = name.replace("/", "_").replace("\0", "_")
    return f"_{name[1:]}" if name.startswith(".") else name or "_"
