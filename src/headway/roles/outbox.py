"""The outputs of a role that not every receiver has acknowledged, and the numbers of its streams."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from headway.roles.step import Output


class Outbox:
    """Numbers outputs per stream and keeps them until their whole audience has committed them.

    Args:
        epoch: Of streams whose outputs name none.
    """

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        #: stream -> (epoch, last number given).
        self._streams: dict[str, tuple[int, int]] = {}
        #: stream -> outputs by number, oldest first.
        self._kept: dict[str, dict[int, Output]] = {}
        #: (stream, member) -> number up to which it has committed.
        self._marks: dict[tuple[str, str], tuple[int, int]] = {}
        self._changed: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        """Outputs that somebody has not acknowledged."""
        return sum(map(len, self._kept.values()))

    def number(self, outputs: Sequence[Output]) -> list[tuple[int, Output]]:
        """Give each output the next number of its stream; a new epoch begins at 1 and forgets what the old one kept."""
        numbered = []
        for output in outputs:
            epoch = output.epoch or self._epoch
            known, last = self._streams.get(output.stream, (epoch, 0))
            if known != epoch:
                last = 0
                self._kept.pop(output.stream, None)
            self._streams[output.stream] = (epoch, last + 1)
            numbered.append((last + 1, output if output.epoch else _with_epoch(output, epoch)))
        return numbered

    def keep(self, seq: int, output: Output) -> None:
        """Remember a committed output until it is acknowledged."""
        self._kept.setdefault(output.stream, {})[seq] = output

    def acked(self, stream: str, member: str, epoch: int, seq: int) -> None:
        """`member` has committed the stream up to `seq`."""
        if self._streams.get(stream, (0, 0))[0] != epoch:
            return
        known = self._marks.get((stream, member), (0, 0))
        if known[0] == epoch and known[1] >= seq:
            return
        self._marks[stream, member] = (epoch, seq)
        self._changed.add((stream, member))
        kept = self._kept.get(stream)
        if not kept:
            return
        audience = next(iter(kept.values())).audience
        floor = min(self._mark(stream, name, epoch) for name in audience)
        while kept and (oldest := next(iter(kept))) <= floor:
            del kept[oldest]

    def _mark(self, stream: str, member: str, epoch: int) -> int:
        known = self._marks.get((stream, member), (0, 0))
        return known[1] if known[0] == epoch else 0

    def take_marks(self) -> dict[tuple[str, str], tuple[int, int]]:
        """The marks that changed since the last call, to be written with the next entry."""
        marks = {key: self._marks[key] for key in sorted(self._changed)}
        self._changed.clear()
        return marks

    def unacknowledged(self) -> list[tuple[int, Output]]:
        """All kept outputs, each stream in order."""
        return [(seq, output) for kept in self._kept.values() for seq, output in sorted(kept.items())]

    def snapshot(self) -> Any:
        kept = [
            [seq, o.stream, list(o.audience), o.kind, base64.b64encode(o.body).decode(), o.epoch]
            for seq, o in self.unacknowledged()
        ]
        return {
            "streams": self._streams,
            "kept": kept,
            "marks": [[*key, *mark] for key, mark in self._marks.items()],
        }

    def restore(self, tree: Any) -> None:
        self._streams = {stream: (epoch, last) for stream, (epoch, last) in tree["streams"].items()}
        self._marks = {(stream, member): (epoch, seq) for stream, member, epoch, seq in tree["marks"]}
        self._kept = {}
        for seq, stream, audience, kind, body, epoch in tree["kept"]:
            self.keep(seq, Output(stream, tuple(audience), kind, base64.b64decode(body), epoch))


def _with_epoch(output: Output, epoch: int) -> Output:
    return Output(output.stream, output.audience, output.kind, output.body, epoch)
