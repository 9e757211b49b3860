"""Bundles of user code in the state folder: from their blob to a folder that workers import from."""

from __future__ import annotations

from pathlib import Path

from headway.authoring.bundle import unpack
from headway.errors import Unavailable
from headway.store.blobs import Blobs


class Bundles:
    """Unpacks `blobs/<sha>` to `bundles/<sha>/`, once, whole or not at all.

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
            data = self._blobs.get(sha, verify=True)
            try:
                unpack(data, target)
            except OSError as error:
                raise Unavailable(
                    f"the bundle {sha[:12]}… cannot be unpacked: {error}",
                    hint="make room in the state folder",
                ) from error
        self._there.add(sha)
