"""The two ends of a stream against every mishap a bus can have, without a bus."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from headway.bus.streams import RESEND_AFTER, InStream, OutStream, Status, Verdict
from headway.errors import Invalid


def letter(seq: int, size: int = 3) -> bytes:
    return b"%d" % seq + b"." * size


def filled(
    count: int,
    *,
    window: int = 4,
    audience: tuple[str, ...] = ("s",),
    size: int = 3,
    window_bytes: int = 1000,
) -> OutStream:
    out = OutStream("x", window=window, window_bytes=window_bytes)
    for seq in range(1, count + 1):
        out.put(1, seq, letter(seq, size), audience)
    return out


def numbers(sent: list[tuple[bytes, bool]]) -> list[int]:
    return [int(data.split(b".")[0]) for data, _ in sent]


class TestOutStream:
    def test_the_window_bounds_what_is_on_the_wire(self) -> None:
        out = filled(10)
        assert numbers(out.sendable(0)) == [1, 2, 3, 4]
        assert out.sendable(0) == []
        assert out.on_status("s", "i", Status(1, 2, 4), 0)
        assert numbers(out.sendable(0)) == [5, 6]

    def test_bytes_bound_it_too_but_one_letter_always_goes(self) -> None:
        out = filled(3, window_bytes=50, size=100)
        assert numbers(out.sendable(0)) == [1]
        out.on_status("s", "i", Status(1, 1, 1), 0)
        assert numbers(out.sendable(0)) == [2]

    def test_the_slowest_member_holds_the_window(self) -> None:
        out = filled(10, audience=("s", "p"))
        out.sendable(0)
        out.on_status("s", "i", Status(1, 4, 4), 0)
        assert out.sendable(0) == []
        assert out.acked("s") == 4
        out.on_status("p", "i", Status(1, 1, 4), 0)
        assert numbers(out.sendable(0)) == [5]

    def test_a_reconnect_sends_all_that_is_unacknowledged(self) -> None:
        out = filled(6)
        out.sendable(0)
        out.on_status("s", "i", Status(1, 2, 4), 0)
        out.on_reconnect()
        assert out.sendable(0) == [
            (letter(3), True),
            (letter(4), True),
            (letter(5), False),
            (letter(6), False),
        ]

    def test_a_gap_is_filled_from_where_it_is(self) -> None:
        out = filled(4)
        out.sendable(0)
        out.on_status("s", "i", Status(1, 0, 2, True), 0)
        assert numbers(out.sendable(0)) == [3, 4]

    def test_silence_sends_again_ever_less_often(self) -> None:
        out = filled(2)
        out.sendable(0)
        at = []
        while len(at) < 6:
            assert out.deadline is not None
            at.append(out.deadline)
            assert numbers(out.on_silence(out.deadline)) == [1, 2]
        waits = [later - earlier for earlier, later in pairwise(at)]
        assert at[0] == RESEND_AFTER
        assert waits == [4, 8, 16, 30, 30]

    def test_who_received_but_has_not_committed_is_asked_with_one_letter(self) -> None:
        out = filled(4)
        out.sendable(0)
        assert not out.on_status("s", "i", Status(1, 0, 4), 1)
        assert out.deadline == 1 + RESEND_AFTER
        assert numbers(out.on_silence(out.deadline)) == [1]

    def test_another_incarnation_has_lost_what_it_had_not_committed(self) -> None:
        out = filled(4)
        out.sendable(0)
        out.on_status("s", "one", Status(1, 1, 4), 0)
        out.on_status("s", "two", Status(1, 1, 1), 0)
        assert numbers(out.sendable(0)) == [2, 3, 4]

    def test_a_restart_may_begin_anywhere_but_leaves_no_gap(self) -> None:
        out = OutStream("x")
        out.put(1, 7, letter(7), ["s"])
        assert out.acked("s") == 6
        with pytest.raises(Invalid, match="letter 9 does not follow 7"):
            out.put(1, 9, letter(9), ["s"])

    def test_a_new_epoch_drops_the_old_one(self) -> None:
        out = filled(5)
        out.sendable(0)
        out.put(2, 1, letter(1), ["s"])
        assert numbers(out.sendable(0)) == [1]
        assert not out.on_status("s", "i", Status(1, 5, 5), 0)
        assert out.on_status("s", "i", Status(2, 1, 1), 0)
        assert out.waiting == 0
        with pytest.raises(Invalid, match="epoch 1 is over"):
            out.put(1, 6, letter(6), ["s"])

    def test_a_member_that_leaves_is_waited_for_no_more(self) -> None:
        out = filled(3, audience=("s", "p"))
        out.sendable(0)
        out.on_status("s", "i", Status(1, 3, 3), 0)
        out.put(1, 4, letter(4), ["s"])
        assert out.waiting == 1

    def test_an_audience_is_needed(self) -> None:
        with pytest.raises(Invalid, match="no audience"):
            OutStream("x").put(1, 1, b"", [])

    def test_a_status_beyond_what_was_sent_is_cut(self) -> None:
        """A peer that lies, or remembers a longer life of this epoch, must not make us skip."""
        out = filled(2)
        out.sendable(0)
        out.on_status("s", "i", Status(1, 99, 99), 0)
        out.put(1, 3, letter(3), ["s"])
        assert numbers(out.sendable(0)) == [3]

    def test_a_strangers_status_is_nothing(self) -> None:
        out = filled(2)
        assert not out.on_status("somebody", "i", Status(1, 2, 2), 0)
        assert out.waiting == 2


class TestInStream:
    def test_in_order_once(self) -> None:
        stream = InStream()
        verdicts = [stream.take(1, seq) for seq in (1, 2, 2, 4, 3, 4)]
        assert verdicts == [
            Verdict.TAKEN,
            Verdict.TAKEN,
            Verdict.REPEAT,
            Verdict.GAP,
            Verdict.TAKEN,
            Verdict.TAKEN,
        ]
        assert stream.status() == Status(1, 0, 4)

    def test_a_restart_goes_on_after_what_was_committed(self) -> None:
        stream = InStream(3, 10)
        assert stream.take(3, 10) is Verdict.REPEAT
        assert stream.take(3, 12) is Verdict.GAP
        assert stream.take(3, 11) is Verdict.TAKEN

    def test_an_old_epoch_is_stale_and_its_commit_moves_nothing(self) -> None:
        stream = InStream()
        stream.take(1, 1)
        assert stream.take(2, 1) is Verdict.TAKEN
        stream.commit(1, 1)
        assert stream.status() == Status(2, 0, 1)
        assert stream.take(1, 2) is Verdict.STALE

    def test_a_burst_behind_a_gap_is_one_request(self) -> None:
        stream = InStream()
        assert stream.may_ask(0.0)
        assert not stream.may_ask(0.1)
        assert stream.may_ask(0.3)
        stream.take(1, 1)
        assert stream.may_ask(0.31)


@dataclass
class Peer:
    """A receiver with its journal: `log` and the cursor survive, what was taken and not committed does
    not."""

    stream: InStream = field(default_factory=InStream)
    taken: list[int] = field(default_factory=list)
    log: list[int] = field(default_factory=list)
    incarnation: int = 0


class Wire(RuleBasedStateMachine):
    """One sender, two receivers, a bus that loses, doubles and reorders; everybody may die."""

    @initialize(window=st.integers(1, 5))
    def begin(self, window: int) -> None:
        self.window = window
        self.now = 0.0
        self.outbox: list[int] = []  # the sender's journal: what not all have acknowledged
        self.made = 0
        self.acked = {"s": 0, "p": 0}
        self.peers = {"s": Peer(), "p": Peer()}
        self.to: list[tuple[str, int]] = []  # (receiver, seq) under way
        self.back: list[tuple[str, str, Status]] = []
        self.out = OutStream("x", window=window)

    def wire(self, sent: list[tuple[bytes, bool]]) -> None:
        self.to += [(name, seq) for seq in numbers(sent) for name in self.peers]

    @rule(count=st.integers(1, 4))
    def send(self, count: int) -> None:
        for _ in range(count):
            self.made += 1
            self.outbox.append(self.made)
            self.out.put(1, self.made, letter(self.made), ["s", "p"])
        self.wire(self.out.sendable(self.now))

    @rule(data=st.data(), fate=st.sampled_from(["lost", "once", "once", "once", "twice"]))
    def deliver(self, data: st.DataObject, fate: str) -> None:
        if self.to:
            name, seq = self.to.pop(data.draw(st.integers(0, len(self.to) - 1)))
            if fate == "twice":
                self.to.append((name, seq))
            if fate != "lost":
                self.arrive(name, seq)

    def arrive(self, name: str, seq: int) -> None:
        peer = self.peers[name]
        verdict = peer.stream.take(1, seq)
        if verdict is Verdict.TAKEN:
            peer.taken.append(seq)
        else:
            again = verdict is Verdict.GAP and peer.stream.may_ask(self.now)
            self.back.append((name, str(peer.incarnation), peer.stream.status(again)))

    @rule(name=st.sampled_from("sp"))
    def commit(self, name: str) -> None:
        peer = self.peers[name]
        peer.log += peer.taken
        for seq in peer.taken:
            peer.stream.commit(1, seq)
        peer.taken = []
        self.back.append((name, str(peer.incarnation), peer.stream.status()))

    @rule(data=st.data(), lost=st.booleans())
    def answer(self, data: st.DataObject, lost: bool) -> None:
        if self.back:
            name, incarnation, status = self.back.pop(data.draw(st.integers(0, len(self.back) - 1)))
            if not lost:
                self.hear(name, incarnation, status)

    def hear(self, name: str, incarnation: str, status: Status) -> None:
        if self.out.on_status(name, incarnation, status, self.now):
            self.acked[name] = self.out.acked(name)
            self.outbox = [seq for seq in self.outbox if seq > min(self.acked.values())]
        self.wire(self.out.sendable(self.now))

    @rule()
    def time_passes(self) -> None:
        self.now += 60
        if self.out.deadline is not None:
            self.wire(self.out.on_silence(self.now))

    @rule(name=st.sampled_from("sp"))
    def receiver_dies(self, name: str) -> None:
        peer = self.peers[name]
        peer.incarnation += 1
        peer.taken = []
        last = len(peer.log)
        peer.stream = InStream(1, last) if last else InStream()
        self.back.append((name, str(peer.incarnation), peer.stream.status(True)))

    @rule()
    def sender_dies(self) -> None:
        self.out = OutStream("x", window=self.window)
        for seq in self.outbox:
            self.out.put(1, seq, letter(seq), ["s", "p"])
        self.wire(self.out.sendable(self.now))

    @invariant()
    def logs_have_each_letter_once_and_in_order(self) -> None:
        for peer in getattr(self, "peers", {}).values():
            assert peer.log == list(range(1, len(peer.log) + 1))

    @invariant()
    def nothing_is_forgotten_too_early(self) -> None:
        for name, peer in getattr(self, "peers", {}).items():
            assert self.acked[name] <= len(peer.log)

    def teardown(self) -> None:
        """Once mishaps stop, everything arrives."""
        if not hasattr(self, "out"):
            return
        if self.outbox and self.out.epoch < 0:
            self.sender_dies()
        for _ in range(4 * (self.made + 4)):
            while self.to or self.back:
                letters, self.to = self.to, []
                for name, seq in letters:
                    self.arrive(name, seq)
                for name in "sp":
                    self.commit(name)
                statuses, self.back = self.back, []
                for name, incarnation, status in statuses:
                    self.hear(name, incarnation, status)
            if not self.out.waiting:
                break
            self.time_passes()
        assert self.out.waiting == 0
        assert [peer.log for peer in self.peers.values()] == [list(range(1, self.made + 1))] * 2


TestWire = Wire.TestCase
TestWire.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@given(st.integers(1, 6), st.lists(st.integers(0, 9), max_size=30))
def test_bytes_on_the_wire_are_counted_right(window: int, acks: list[int]) -> None:
    out = filled(9, window=window)
    out.sendable(0)
    for ack in acks:
        out.on_status("s", "i", Status(1, ack, ack, ack % 3 == 0), 0)
        out.sendable(0)
        assert out._out_bytes == sum(map(len, list(out._letters)[: out._next - out._first]))
        assert out._next - out._first <= window
