"""Values and bundles as files, named by the SHA-256 of what is in them: `blobs/<2 hex>/<62 hex>`.

A file is either whole and on disk or not there: it is written under a draft name, flushed, renamed, and its
folder flushed, before `put` returns its name. So whoever holds a name can rely on the content.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from headway.errors import Invalid, NotFound, Unavailable
from headway.store.failures import Corrupt

_NAME = re.compile(r"[0-9a-f]{64}\Z")
_DRAFTS = "drafts"
_HINTS = {
    errno.ENOSPC: "the disk is full: free some space and try again",
    errno.EDQUOT: "the disk quota is used up: free some space and try again",
    errno.EACCES: "make the folder writable for this user",
    errno.EPERM: "make the folder writable for this user",
    errno.EROFS: "the disk is mounted read-only",
}


def sync_folder(folder: Path) -> None:
    """Flushes a folder, so that names made in it survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Blobs:
    """A folder of blobs. Any number of processes may read and write it at once.

    Args:
        folder: It is made if need be.
        sync: Whether `put` flushes: False only for what can be made again.
    """

    def __init__(self, folder: Path, *, sync: bool = True) -> None:
        self.folder = folder
        self._sync = sync

    def path(self, name: str) -> Path:
        """Where a blob lies, if it is there.

        Raises:
            Invalid: The name is no SHA-256 in lower-case hex; so no name leads out of the folder.
        """
        if not _NAME.match(name):
            raise Invalid(
                f"{name[:80]!r} is not the name of a blob", hint="a name is 64 lower-case hexadecimal digits"
            )
        return self.folder / name[:2] / name[2:]

    def put(self, data: bytes | memoryview, *, expect: str | None = None) -> str:
        """Keeps `data` and returns its name. What is there already is not written again.

        Args:
            expect: The name it should have, when somebody else said so.

        Raises:
            Invalid: It has another name than expected; nothing is kept.
            Unavailable: The disk is full or not writable; nothing is kept.
        """
        name = hashlib.sha256(data).hexdigest()
        self._check(name, expect)
        with self._writing():
            if not self._keep_existing(name, len(data)):
                with self._draft() as draft:
                    with draft.open("wb") as file:
                        file.write(data)
                        self._flush(file.fileno())
                    self._adopt(draft, name)
        return name

    def put_file(self, source: Path, *, expect: str | None = None) -> str:
        """Keeps a copy of a file, however large, and returns its name. Raises as `put`."""
        with self._writing(), self._draft() as draft:
            digest = hashlib.sha256()
            with source.open("rb") as read, draft.open("wb") as write:
                while piece := read.read(2**20):
                    digest.update(piece)
                    write.write(piece)
                self._flush(write.fileno())
            name = digest.hexdigest()
            self._check(name, expect)
            if not self._keep_existing(name, draft.stat().st_size):
                self._adopt(draft, name)
        return name

    def get(self, name: str, *, verify: bool = False) -> bytes:
        """The content of a blob.

        Args:
            verify: Hash it again: 1 ms a megabyte or so.

        Raises:
            NotFound: There is no such blob.
            Corrupt: It is not what its name says.
        """
        path = self.path(name)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise self._missing(name) from None
        except OSError as error:
            raise Unavailable(f"the blob {path} cannot be read: {error.strerror}") from error
        if verify and hashlib.sha256(data).hexdigest() != name:
            raise Corrupt(
                f"the blob {path} is damaged: its content has another hash", hint="restore a backup of it"
            )
        return data

    def has(self, name: str) -> bool:
        """Whether it is there, whole."""
        return self.path(name).is_file()

    def touch(self, name: str) -> bool:
        """Whether it is there; if so it counts as new for `sweep`. To be asked by whoever is about to refer to it."""
        try:
            os.utime(self.path(name))
        except FileNotFoundError:
            return False
        return True

    def size(self, name: str) -> int:
        """Its size in bytes.

        Raises:
            NotFound: There is no such blob.
        """
        try:
            return self.path(name).stat().st_size
        except FileNotFoundError:
            raise self._missing(name) from None

    def names(self) -> Iterator[str]:
        """All blobs, in no order."""
        for folder in self.folder.glob("[0-9a-f][0-9a-f]"):
            for file in folder.iterdir():
                if _NAME.match(folder.name + file.name):
                    yield folder.name + file.name

    def sweep(
        self, used: Iterable[str] | Callable[[str], bool], *, older_than: float, dry: bool = False
    ) -> tuple[int, int]:
        """Deletes blobs that nobody refers to and that nobody put or found again lately, and forgotten
        drafts.

        Args:
            used: The names that are referred to, or a function that knows.
            older_than: Seconds. A blob is written before anybody mentions it, so this must be longer than
                that can take.
            dry: Only count.

        Returns:
            How many blobs, and how many bytes.
        """
        is_used = used if callable(used) else set(used).__contains__
        horizon = time.time() - older_than
        count = total = 0
        for name in self.names():
            if is_used(name):
                continue
            with contextlib.suppress(FileNotFoundError):
                path = self.path(name)
                status = path.stat()
                if status.st_mtime < horizon and (dry or self._take_away(path, horizon)):
                    count, total = count + 1, total + status.st_size
        for draft in () if dry else (self.folder / _DRAFTS).glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if draft.stat().st_mtime < horizon:
                    draft.unlink()
        return count, total

    def _take_away(self, path: Path, horizon: float) -> bool:
        """Whether it is gone. It loses its name first: whoever finds it later than that sends it again, and what somebody
        found just before gets its name back."""
        with self._draft() as aside:
            os.replace(path, aside)
            if aside.stat().st_mtime >= horizon:
                os.replace(aside, path)
                return False
            return True

    def _keep_existing(self, name: str, size: int) -> bool:
        """Whether a whole one is there; then it counts as new for `sweep`. One of another size is
        replaced."""
        path = self.path(name)
        try:
            if path.stat().st_size != size:
                return False
            os.utime(path)
        except FileNotFoundError:
            return False
        return True

    def _adopt(self, draft: Path, name: str) -> None:
        path = self.path(name)
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            if self._sync:
                sync_folder(self.folder)
        os.replace(draft, path)
        if self._sync:
            sync_folder(path.parent)

    def _flush(self, handle: int) -> None:
        if self._sync:
            os.fsync(handle)

    @contextlib.contextmanager
    def _draft(self) -> Iterator[Path]:
        folder = self.folder / _DRAFTS
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / secrets.token_hex(8)
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hint = _HINTS.get(error.errno or 0, "see the system's log")
            where = error.filename or self.folder
            raise Unavailable(f"a blob cannot be written to {where}: {error.strerror}", hint=hint) from error

    @staticmethod
    def _check(name: str, expect: str | None) -> None:
        if expect is not None and name != expect:
            raise Invalid(
                f"the content has the hash {name}, it should have {expect}",
                hint="it was changed or cut short on its way",
            )

    def _missing(self, name: str) -> NotFound:
        return NotFound(f"there is no blob {name} in {self.folder}", hint="it may have been removed by age")
