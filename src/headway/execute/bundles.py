"""Bundles of user code, unpacked once per executor's state folder, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from headway.errors import HeadwayError, Unavailable
from headway.store.blobs import Blobs


class Bundles:
    """Unpacks `blobs/<sha>` to `bundles/<sha>/`.

    Args:
        state: The state folder.
    """

    def __init__(self, state: Path) -> None:
        self._folder = state / "bundles"
        self._blobs = Blobs(state / "blobs")
        self._there: set[str] = {""}  # a shell task has no bundle

    def ensure(self, sha: str) -> None:
        """The bundle is unpacked when this returns.

        Raises:
            NotFound: It is not in the blob store.
            Unavailable: The disk is full or not writable.
            HeadwayError: It is not a bundle.
        """
        if sha in self._there:
            return
        self._blobs.path(sha)  # refuses what is no SHA-256, so that no name leads out of the folder
        target = self._folder / sha
        if not target.is_dir():
            self._unpack(self._blobs.get(sha, verify=True), target)
        self._there.add(sha)

    def _unpack(self, data: bytes, target: Path) -> None:
        from headway.authoring.bundle import unpack

        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=".part-", dir=self._folder))
            try:
                unpack(data, aside)
                try:
                    os.rename(aside, target)
                except OSError:
                    if not target.is_dir():  # else another executor on this folder was quicker
                        raise
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        except HeadwayError:
            raise
        except OSError as error:
            raise Unavailable(
                f"the bundle {target.name[:12]}… cannot be unpacked: {error}", hint="make room in the state folder"
            ) from error
