"""Reliable streams over a lossy bus, sans-IO: what to put on the wire, what to take from it, what to say
about it.

The two ends are go-back-N with cumulative acknowledgement (Tanenbaum, Computer Networks, 3.4.2), with two
differences that come from the journal. An acknowledgement means *committed*, not received: only then may the
sender forget. And since a receiver may hold letters that it has not committed yet, a status has both numbers,
so that a slow receiver is not sent its window again and again:

    status = [epoch, committed, received, again]      "again": send what follows `received`, now

Losses are seen as a gap in the numbers (the receiver asks), or by silence (the sender repeats, ever less
often). Nothing here leans on the broker: no queue, no PUBACK, no session.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from headway.errors import Invalid

WINDOW = 64  # letters on the wire that somebody has not acknowledged
WINDOW_BYTES = 16 * 2**20
RESEND_AFTER = 2.0  # seconds of silence; doubles up to
RESEND_AT_MOST = 30.0
ASK_EVERY = 0.25  # seconds between two requests for the same gap


class Status(NamedTuple):
    """What a receiver says about a stream."""

    epoch: int
    committed: int
    received: int
    again: bool = False


class Verdict(Enum):
    """What became of a letter that came."""

    TAKEN = "taken"
    #: Had it already: say where we are, the acknowledgement may have been lost.
    REPEAT = "repeat"
    #: One before it is missing.
    GAP = "gap"
    #: From an epoch that is over: say so.
    STALE = "stale"


@dataclass(slots=True)
class InStream:
    """The receiving end of one (sender, stream): a cursor.

    Args:
        epoch, committed: The cursor in the receiver's journal; -1 and 0 if it has none.
    """

    epoch: int = -1
    committed: int = 0
    received: int = field(init=False)
    _asked: float = field(init=False, default=float("-inf"))

    def __post_init__(self) -> None:
        self.received = self.committed

    def take(self, epoch: int, seq: int) -> Verdict:
        """Judges a letter; only one that is `TAKEN` goes to the role."""
        if epoch < self.epoch:
            return Verdict.STALE
        if epoch > self.epoch:
            # Whoever begins an epoch has dropped the one before: what we miss of that will never come.
            self.epoch, self.committed, self.received = epoch, 0, 0
            self._asked = float("-inf")
        if seq <= self.received:
            return Verdict.REPEAT
        if seq > self.received + 1:
            return Verdict.GAP
        self.received = seq
        self._asked = float("-inf")
        return Verdict.TAKEN

    def may_ask(self, now: float) -> bool:
        """Whether to ask for what is missing: a burst behind a gap is one request, not one a letter."""
        if now - self._asked < ASK_EVERY:
            return False
        self._asked = now
        return True

    def commit(self, epoch: int, seq: int) -> None:
        """The role's journal has everything up to `seq`."""
        if epoch == self.epoch and seq > self.committed:
            self.committed = seq

    def status(self, again: bool = False) -> Status:
        """What to tell the sender."""
        return Status(self.epoch, self.committed, self.received, again)


@dataclass(slots=True)
class _Member:
    """How far one member of the audience is, as it said itself."""

    acked: int
    received: int
    incarnation: str = ""


class OutStream:
    """The sending end of one stream: letters in order until every member of the audience has committed them.

    At most `window` letters (and `window_bytes`, but always one letter) are out unacknowledged by the slowest
    member; the rest wait here. Sending again is moving the mark of the next letter back.
    """

    def __init__(
        self,
        name: str,
        *,
        window: int = WINDOW,
        window_bytes: int = WINDOW_BYTES,
        resend_after: float = RESEND_AFTER,
    ) -> None:
        self.name = name
        self.epoch = -1
        self.members: dict[str, _Member] = {}
        self.superseded: int | None = None
        self.deadline: float | None = None
        self._window = window
        self._window_bytes = window_bytes
        self._letters: deque[bytes] = deque()
        self._first = 1  # seq of _letters[0]
        self._next = 1  # seq of the next letter for the wire
        self._highest = 0  # seq of the highest letter that was ever on the wire
        self._out_bytes = 0
        self._resend_after = self._patience = resend_after

    @property
    def last(self) -> int:
        """Seq of the newest letter; `first - 1` if all are acknowledged."""
        return self._first + len(self._letters) - 1

    @property
    def waiting(self) -> int:
        """Letters that somebody has not acknowledged, on the wire or not."""
        return len(self._letters)

    def put(self, epoch: int, seq: int, data: bytes, audience: Iterable[str]) -> None:
        """Appends a letter. The first one of a process may have any number: those before it are known to be
        in.

        A higher epoch drops what is left of the one before.

        Raises:
            Invalid: The number does not follow the last one, or the epoch is over.
        """
        names = set(audience)
        if not names:
            raise Invalid(f"stream {self.name!r} has no audience", hint="name who must acknowledge it")
        if epoch > self.epoch:
            self._begin(epoch, seq)
        elif epoch < self.epoch:
            raise Invalid(f"stream {self.name!r}: epoch {epoch} is over, it is at {self.epoch}")
        elif seq != self.last + 1:
            raise Invalid(
                f"stream {self.name!r}: letter {seq} does not follow {self.last} of epoch {epoch}",
                hint="a stream's numbers have no gap; send outputs in the order of the journal",
            )
        if self.members.keys() != names:
            self._set_audience(names)
        self._letters.append(data)

    def sendable(self, now: float) -> list[tuple[bytes, bool]]:
        """Letters for the wire now, in order, each with whether it was there before."""
        out: list[tuple[bytes, bool]] = []
        while self._next <= self.last and self._next - self._first < self._window:
            data = self._letters[self._next - self._first]
            if self._next > self._first and self._out_bytes + len(data) > self._window_bytes:
                break
            out.append((data, self._next <= self._highest))
            self._out_bytes += len(data)
            self._highest = max(self._highest, self._next)
            self._next += 1
        if out and self.deadline is None:
            self.deadline = now + self._patience
        return out

    def on_status(self, member: str, incarnation: str, status: Status, now: float) -> bool:
        """Takes what a member says. Returns whether its acknowledgement went forward."""
        state = self.members.get(member)
        if state is None or status.epoch < self.epoch:
            return False
        if status.epoch > self.epoch:
            self.superseded = max(status.epoch, self.superseded or 0)
            return False
        if state.incarnation != incarnation:  # what a former process had received and not committed is gone
            if state.incarnation:
                self._rewind(status.committed + 1)
            state.incarnation, state.received = incarnation, status.committed
        committed, received = min(status.committed, self.last), min(status.received, self.last)
        forward = committed > state.acked
        if forward or received > state.received:
            state.acked, state.received = max(state.acked, committed), max(state.received, received)
            self._forget()
            self._patience = self._resend_after
            self.deadline = now + self._patience if self._first < self._next else None
        if status.again:
            self._rewind(status.received + 1)
        return forward

    def on_reconnect(self) -> None:
        """Whatever was on the way may be gone: all that is unacknowledged is sendable again."""
        self._rewind(self._first)
        self._patience = self._resend_after

    def on_silence(self, now: float) -> list[tuple[bytes, bool]]:
        """Call at `deadline`: repeats what no member confirmed; returns letters for the wire.

        When all that is out has been received and only the commit is awaited, the oldest letter goes out
        alone: its receiver answers with a status, should the acknowledgement have been lost.
        """
        self.deadline = None
        if not self._letters:
            return []
        self._patience = min(self._patience * 2, RESEND_AT_MOST)
        confirmed = min(max(member.received, member.acked) for member in self.members.values())
        if confirmed + 1 < self._next:
            self._rewind(max(confirmed + 1, self._first))
            return self.sendable(now)
        self.deadline = now + self._patience
        return [(self._letters[0], True)]

    def acked(self, member: str) -> int:
        """The member has committed everything up to here."""
        return self.members[member].acked

    def _begin(self, epoch: int, seq: int) -> None:
        self.epoch, self._first, self._next, self._highest = epoch, seq, seq, seq - 1
        self._letters.clear()
        self._out_bytes, self._patience, self.deadline = 0, self._resend_after, None
        for member in self.members.values():
            member.acked = member.received = seq - 1

    def _set_audience(self, names: set[str]) -> None:
        for gone in self.members.keys() - names:
            del self.members[gone]
        for new in sorted(names - self.members.keys()):
            self.members[new] = _Member(self._first - 1, self._first - 1)
        self._forget()

    def _forget(self) -> None:
        done = min(member.acked for member in self.members.values())
        while self._first <= done and self._letters:
            data = self._letters.popleft()
            if self._first < self._next:
                self._out_bytes -= len(data)
            else:
                self._next = self._first + 1
            self._first += 1

    def _rewind(self, seq: int) -> None:
        seq = max(seq, self._first)
        while self._next > seq:
            self._next -= 1
            self._out_bytes -= len(self._letters[self._next - self._first])
