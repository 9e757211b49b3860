"""A letter: one message of a stream, as a readable JSON envelope round an already encoded body.

    {"id":"planner/scheduler/1/7","kind":"offer","v":1,"time":1763990000000000,"from":"planner","epoch":1,
     "seq":7,"corr":"","cause":"","body":{...}}

The body stands last, so that it is spliced in and cut out as bytes: it is encoded once by whoever decides and
decoded once by whoever acts, never by what carries it. No header value is an object or holds an unescaped
quote, so the first `,"body":` of an envelope written here is the right one; an envelope in another order
(another implementation, a person) is parsed the slow way.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from headway.errors import Invalid

VERSION = 1
_BODY = b',"body":'


class Letter(NamedTuple):
    """One message of a stream. Letters sort in the canonical order of a batch: sender, stream, epoch, seq.

    Attributes:
        body: JSON bytes, as in `bus.messages`; not yet validated.
        time: When it was first sent, microseconds of the sender's wall clock. Never decides anything.
        corr: What it belongs to (a run, a conversation).
        cause: The id of the letter that led to it.
    """

    sender: str
    stream: str
    epoch: int
    seq: int
    kind: str
    body: bytes
    time: int = 0
    corr: str = ""
    cause: str = ""

    @property
    def id(self) -> str:
        """Unique for ever, and the same when it is sent again."""
        return f"{self.sender}/{self.stream}/{self.epoch}/{self.seq}"


class BadEnvelope(Invalid):
    """Bytes on one of our topics that are no envelope of ours."""

    code = "bad_envelope"


def encode(letter: Letter) -> bytes:
    """The envelope on the wire."""
    head = json.dumps(
        {
            "id": letter.id, "kind": letter.kind, "v": VERSION, "time": letter.time, "from": letter.sender,
            "epoch": letter.epoch, "seq": letter.seq, "corr": letter.corr, "cause": letter.cause,
        },
        separators=(",", ":"),
    )  # fmt: skip
    return b"".join((head[:-1].encode(), _BODY, letter.body, b"}"))


def decode(stream: str, data: bytes) -> Letter:
    """An envelope taken apart; the stream is known from its topic.

    Raises:
        BadEnvelope: It is not JSON, lacks a field or has one of the wrong type, or is of a newer version.
    """
    cut = data.find(_BODY)
    try:
        if cut > 0 and data.endswith(b"}"):
            head, body = json.loads(data[:cut] + b"}"), data[cut + len(_BODY) : -1]
            if not isinstance(head, dict) or "seq" not in head:
                head, body = _decode_slowly(data)
        else:
            head, body = _decode_slowly(data)
    except ValueError:
        head, body = _decode_slowly(data)
    return _checked(stream, head, body)


def _decode_slowly(data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        head = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadEnvelope(f"an envelope is not JSON: {error}", hint=f"it begins {data[:60]!r}") from None
    if not isinstance(head, dict) or "body" not in head:
        raise BadEnvelope("an envelope has no body", hint=f"it begins {data[:60]!r}")
    return head, json.dumps(head.pop("body"), separators=(",", ":")).encode()


def _checked(stream: str, head: dict[str, Any], body: bytes) -> Letter:
    version = head.get("v")
    if type(version) is int and version > VERSION:
        raise BadEnvelope(
            f"an envelope has version {version}, this Headway reads up to {VERSION}",
            hint="upgrade this process",
        )
    try:
        letter = Letter(
            head["from"], stream, head["epoch"], head["seq"], head["kind"], body,
            head.get("time", 0), head.get("corr", ""), head.get("cause", ""),
        )  # fmt: skip
    except KeyError as missing:
        raise BadEnvelope(f"an envelope has no {missing}: {str(head)[:200]}") from None
    texts = type(letter.sender) is str and type(letter.kind) is str
    texts = texts and type(letter.corr) is str and type(letter.cause) is str
    numbers = type(letter.epoch) is int and type(letter.seq) is int and type(letter.time) is int
    if not (texts and numbers and type(version) is int and letter.epoch >= 0 and letter.seq >= 1):
        raise BadEnvelope(f"an envelope has a field of the wrong type: {str(head)[:200]}")
    return letter
