"""What a journal holds. Bytes are opaque here: whoever writes an entry is the one who reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

#: How far a stream is: (epoch, sequence number).
Mark = tuple[int, int]
#: (sender, stream) -> what of it is in this role's journal.
Cursors = Mapping[tuple[str, str], Mark]
#: (stream, member of its audience) -> what of our stream is in that member's journal.
Acked = Mapping[tuple[str, str], Mark]


@dataclass(frozen=True, slots=True)
class Entry:
    """One step of a role: what it saw and what came of it.

    Attributes:
        number: 1, 2, 3 … per role, without a gap.
        at: The step's `now`, microseconds.
        logic: The version of the logic that took the step; a replay under another one may differ.
        inputs, outputs: Encoded by the role.
    """

    role: str
    number: int
    at: int
    logic: str
    inputs: bytes
    outputs: bytes


@dataclass(frozen=True, slots=True)
class Document:
    """A row of the archive: something finished, or summarised for listing. The newest version of a key
    replaces the older.

    Attributes:
        kind: A family of keys, e.g. `run`, `task`.
        run: The run it belongs to (for a run: itself).
        time: What it is sorted by, microseconds.
        json: What a reader gets.
    """

    kind: str
    key: str
    run: str
    state: str
    time: int
    json: bytes


class Page(NamedTuple):
    """A piece of a listing, newest first. `after` continues it; None when there is no more."""

    documents: list[Document]
    after: tuple[int, str] | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A role's state after entry `number`."""

    number: int
    at: int
    logic: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a role starts from: the snapshot, the entries after it, and how far its streams are at the end of
    those.

    `entries` reads as it is consumed and may be consumed once.
    """

    snapshot: Snapshot | None
    entries: Iterator[Entry]
    last: int
    cursors: dict[tuple[str, str], Mark]
    acked: dict[tuple[str, str], Mark]
