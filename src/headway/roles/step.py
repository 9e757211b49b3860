"""What goes into one step of a role and what comes out, and how both lie in the journal.

A step is deterministic: it sees the role's state, `now` and the inputs, and nothing else. Therefore its inputs are journalled
as they came, its outputs beside them, and a replay must produce the same output bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from headway.errors import HeadwayError
from headway.journal.records import Document

#: `Input.source` of what did not come as a letter: HTTP, timers, presence.
CALL = "call"


@dataclass(frozen=True, slots=True)
class Input:
    """A letter from another role or an executor, or a call (`source == CALL`, `seq` counts within the batch)."""

    source: str
    stream: str
    epoch: int
    seq: int
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Output:
    """A message for the audience of a stream. A higher `epoch` begins the stream again; 0 means the state folder's own."""

    stream: str
    audience: tuple[str, ...]
    kind: str
    body: bytes
    epoch: int = 0


@dataclass(slots=True)
class Step:
    """All that a step wants done once it is on disk.

    Attributes:
        outputs: To be published.
        replies: By `seq` of the call: what the caller gets, or the error it gets.
        blobs: By SHA-256: to be written before the entry that mentions them.
        documents: Archived runs.
        changes: For watchers: views of what changed. Not journalled.
        refused: Letters, or rows of them, that made no sense: (input, why). They are dropped, and logged by the loop.
    """

    outputs: list[Output] = field(default_factory=list)
    replies: dict[int, dict[str, Any] | HeadwayError] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    documents: list[Document] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    refused: list[tuple[Input, str]] = field(default_factory=list)

    def refuse(self, item: Input, error: Exception) -> None:
        """Note that `item` made no sense: a stranger's message must never stop a role."""
        self.refused.append((item, f"{type(error).__name__}: {error}"))


#: What a nonsensical body raises while it is read (pydantic's ValidationError is a ValueError).
NONSENSE = (ValueError, TypeError, LookupError, HeadwayError)


class Role(Protocol):
    """One of the three; `loop.RoleLoop` drives it."""

    name: str
    #: Version of the decision logic: a journal replays to the byte only under the version that wrote it.
    logic: str

    def step(self, now: int, inputs: Sequence[Input]) -> Step:
        """Apply the inputs, decide, and say what is to be done."""
        ...

    def wake_at(self) -> int | None:
        """The earliest time at which a step without inputs could do something."""
        ...

    def snapshot(self) -> Any:
        """The whole state as plain JSON."""
        ...

    def restore(self, tree: Any) -> None:
        """Become what `snapshot` described."""
        ...


# ── frames: a JSON header line with the length of the body, then the body as it was ─────────────────────────────────────


def _frame(header: list[Any], body: bytes) -> bytes:
    return json.dumps([*header, len(body)], separators=(",", ":")).encode() + b"\n" + body + b"\n"


def _frames(data: bytes) -> Iterator[tuple[list[Any], bytes]]:
    position = 0
    while position < len(data):
        end = data.index(b"\n", position)
        *header, length = json.loads(data[position:end])
        yield header, data[end + 1 : end + 1 + length]
        position = end + 1 + length + 1


def pack_inputs(inputs: Iterable[Input]) -> bytes:
    """Inputs as journalled: `[source, stream, epoch, seq, kind, length]` and the body, each on its own line."""
    return b"".join(_frame([i.source, i.stream, i.epoch, i.seq, i.kind], i.body) for i in inputs)


def unpack_inputs(data: bytes) -> list[Input]:
    """The inverse of `pack_inputs`."""
    found = []
    for (source, stream, epoch, seq, kind), body in _frames(data):
        found.append(Input(source, stream, epoch, seq, kind, body))
    return found


def pack_outputs(outputs: Iterable[tuple[int, Output]]) -> bytes:
    """Numbered outputs as journalled: `[stream, audience, epoch, seq, kind, length]` and the body."""
    return b"".join(_frame([o.stream, list(o.audience), o.epoch, seq, o.kind], o.body) for seq, o in outputs)


def unpack_outputs(data: bytes) -> list[tuple[int, Output]]:
    """The inverse of `pack_outputs`."""
    found = []
    for (stream, audience, epoch, seq, kind), body in _frames(data):
        found.append((seq, Output(stream, tuple(audience), kind, body, epoch)))
    return found
