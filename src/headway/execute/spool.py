"""What a worker has done but not yet sent, in memory that outlives it.

A worker sends its rows in batches, and may die between two. So it writes each row, and which item it is at,
into a mapped file. When it is dead the executor reads there exactly what was finished, what was under way
(that one attempt is lost) and what had not begun. The file is also the registry of workers: a new executor
finds those of its predecessor by it.

    0 magic | 8 pid | 16 birth (clock ticks after boot) | 24 bytes of rows | 32 number of the item under way |
    64 rows …
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Any

from headway.execute.frames import Damaged, Splitter

_MAGIC = int.from_bytes(b"headway1", "little")
_WORDS = struct.Struct("<qqqqq")
_TWO = struct.Struct("<qq")
_ONE = struct.Struct("<q")
_FILLED, _CURRENT, _ROWS = 24, 32, 64
#: Bytes. A row is at most some 40 kB (an error with its traceback); a batch is sent at 256 kB.
SIZE = 1 << 20


class Spool:
    """The mapped file, from either side."""

    __slots__ = ("_map", "filled", "path")

    def __init__(self, path: Path, mapped: mmap.mmap) -> None:
        self.path = path
        self._map = mapped
        self.filled = 0

    @classmethod
    def create(cls, path: Path) -> Spool:
        """A new file, owned by nobody yet."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, SIZE)
            mapped = mmap.mmap(fd, SIZE)
        finally:
            os.close(fd)
        _WORDS.pack_into(mapped, 0, _MAGIC, 0, 0, 0, 0)
        return cls(path, mapped)

    @classmethod
    def open(cls, path: Path) -> Spool:
        """An existing one. Raises OSError or Damaged."""
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_size != SIZE:
                raise Damaged(f"{path} is not a worker's spool")
            mapped = mmap.mmap(fd, SIZE)
        finally:
            os.close(fd)
        if _ONE.unpack_from(mapped, 0)[0] != _MAGIC:
            mapped.close()
            raise Damaged(f"{path} is not a worker's spool")
        spool = cls(path, mapped)
        spool.filled = _ONE.unpack_from(mapped, _FILLED)[0]
        return spool

    # ── the worker's side ───────────────────────────────────────────────────────────────────────────────────

    def own(self, pid: int, birth: int) -> None:
        """Say whose it is."""
        _TWO.pack_into(self._map, 8, pid, birth)

    def begin(self, number: int) -> None:
        """The item under way."""
        _ONE.pack_into(self._map, _CURRENT, number)

    def fits(self, length: int) -> bool:
        return _ROWS + self.filled + length <= SIZE

    def append(self, frame: bytes, *, ends: bool) -> None:
        """One more row; with `ends` nothing is under way any more, as of the same instant."""
        start = _ROWS + self.filled
        self._map[start : start + len(frame)] = frame
        self.filled += len(frame)
        if ends:
            _TWO.pack_into(self._map, _FILLED, self.filled, 0)
        else:
            _ONE.pack_into(self._map, _FILLED, self.filled)

    def content(self) -> bytes:
        """All rows, as frames."""
        return self._map[_ROWS : _ROWS + self.filled]

    def clear(self) -> None:
        """They were sent."""
        self.filled = 0
        _ONE.pack_into(self._map, _FILLED, 0)

    # ── the executor's side ─────────────────────────────────────────────────────────────────────────────────

    @property
    def owner(self) -> tuple[int, int]:
        """(pid, birth); zeros until the worker has come up."""
        pid, birth = _TWO.unpack_from(self._map, 8)
        return pid, birth

    @property
    def current(self) -> int:
        """The item under way, 0 if none."""
        return int(_ONE.unpack_from(self._map, _CURRENT)[0])

    def unsent(self) -> list[tuple[Any, ...]]:
        """The rows that a dead worker left. Those sent just before may be among them: they have their
        sequence numbers."""
        filled = max(0, min(int(_ONE.unpack_from(self._map, _FILLED)[0]), SIZE - _ROWS))
        try:
            return Splitter().feed(self._map[_ROWS : _ROWS + filled])
        except Damaged:  # the task wrote over our memory: then nothing in it can be believed
            return []

    def close(self, *, remove: bool = False) -> None:
        self._map.close()
        if remove:
            self.path.unlink(missing_ok=True)
