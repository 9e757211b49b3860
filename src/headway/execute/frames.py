"""What executor and workers say to one another over a unix socket: a length and one marshalled tuple of plain
values.

`marshal` and not `pickle`: it is as quick, and a worker, in which strangers' code runs, cannot make the
executor execute anything by what it sends. Both ends are the same interpreter, so its format is the same.
User values travel inside as encoded references.

Executor to worker:

    ("call", index, call)                  what many items have in common; sent once
    ("forget", index)
    ("run", [(n, task, attempt, lease, call index, item, inputs, devices, variant, gang), …])    gang: (rank, nodes) or None
    ("recall", [n, …])                     not begun ones come back as `returned` rows, begun ones are not
    mentioned ("stop", n, outcome, reason, grace)    cooperative end; the executor forces it later
    ("preempt", n)                         end at the next checkpoint
    ("spare", n)                           need not, after all
    ("bound", bundle, devices, python)             what this worker is for from now on; it says so at its next hello
    ("ack", sequence)                      rows up to here need not be kept
    ("exit",)

Worker to executor:

    ("hello", id, pid, last n, [(n, task, attempt, lease, begun), …], bundle, devices, python)
    ("row", sequence, n, task, attempt, what, at, value)
    ("here",)                              after the hello and the rows that had not been acknowledged
"""

from __future__ import annotations

import marshal
import os
import struct
from pathlib import Path
from typing import Any

_LENGTH = struct.Struct("<I")
#: A longer frame is damage, not a message (bytes).
LONGEST = 256 * 2**20


def pack(message: tuple[Any, ...]) -> bytes:
    """One frame. Raises ValueError for anything but plain values."""
    data = marshal.dumps(message)
    return _LENGTH.pack(len(data)) + data


class Damaged(ValueError):
    """Bytes that are no frames of ours: the connection is of no more use."""


class Splitter:
    """Cuts a stream of bytes into messages; keeps what is not complete yet."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[Any, ...]]:
        """The messages that are complete now. Raises Damaged."""
        if self._rest:
            data = self._rest + data
        found: list[tuple[Any, ...]] = []
        position, end = 0, len(data)
        while end - position >= 4:
            (length,) = _LENGTH.unpack_from(data, position)
            if length > LONGEST:
                raise Damaged(f"a frame of {length} bytes")
            if end - position - 4 < length:
                break
            try:
                found.append(marshal.loads(memoryview(data)[position + 4 : position + 4 + length]))
            except (ValueError, EOFError, TypeError) as error:
                raise Damaged(f"a frame that cannot be read: {error}") from None
            position += 4 + length
        self._rest = data[position:]
        return found


class SocketAddress:
    """A unix socket's address for a path of any length.

    The kernel takes 107 bytes, so the folder is named by a descriptor.
    """

    def __init__(self, path: Path) -> None:
        self._folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        self.text = f"/proc/self/fd/{self._folder}/{path.name}"

    def close(self) -> None:
        os.close(self._folder)
