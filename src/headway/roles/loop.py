"""The loop that every role runs in: drain what came, decide once, commit once, then acknowledge and publish.

While an entry is on its way to the disk, what arrives gathers for the next step; so batches grow with the load, and an idle
system answers at once. If the disk refuses, the same entry is tried again until it takes it: nothing is published,
acknowledged or answered before, and calls are turned away meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pydantic_core import from_json, to_json

from headway.bus.letter import Letter
from headway.errors import HeadwayError, Unavailable
from headway.journal.port import Journal
from headway.journal.records import Entry
from headway.roles.outbox import Outbox
from headway.roles.step import (
    CALL,
    Input,
    Role,
    Step,
    pack_inputs,
    pack_outputs,
    unpack_inputs,
    unpack_outputs,
)

log = logging.getLogger("headway.roles")

#: A snapshot is taken after this many bytes of entries, or in the first idle second after a tenth of it.
SNAPSHOT_BYTES = 32 << 20
IDLE_SECONDS = 1.0
#: Pause between two tries to write an entry that the disk refused.
RETRY_SECONDS = 0.25
#: What a caller should do whose call came while the disk refused, and one whose call is in the entry that it refuses.
_NOT_KEPT = "mend that (free some space?) and send it again; nothing of it was kept"
_KEPT = (
    "it is done as soon as that is mended (free some space?); with its idempotency key it may be sent again"
)


class Wire(Protocol):
    """What a role needs of its endpoint."""

    arrived: asyncio.Event

    def drain(self) -> list[Letter]: ...

    def commit(self, letters: Sequence[Letter]) -> None: ...

    def send(
        self, stream: str, audience: tuple[str, ...], epoch: int, seq: int, kind: str, body: bytes
    ) -> None: ...


class BlobWriter(Protocol):
    """Where a step's blobs go."""

    def put(self, data: bytes) -> str: ...


class Diverged(HeadwayError):
    """A journal entry that this version of the code would have decided otherwise."""

    code = "diverged"
    status = 500


def wall_clock() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


class RoleLoop:
    """Drives one role.

    Args:
        role: The deterministic part.
        wire: Its endpoint on the bus, restored with the cursors that `restore` returns.
        journal: Where its entries go.
        blobs: Where its blobs go.
        epoch: Of the streams whose outputs name none: the state folder's own.
        on_step: Called with each step once it is on disk.
    """

    def __init__(
        self,
        role: Role,
        journal: Journal,
        blobs: BlobWriter,
        epoch: int,
        *,
        clock: Callable[[], int] = wall_clock,
        on_step: Callable[[Step], None] | None = None,
    ) -> None:
        self.role = role
        self._journal = journal
        self._blobs = blobs
        self._clock = clock
        self._on_step = on_step
        self._outbox = Outbox(epoch)
        self._wire: Wire | None = None
        self._calls: list[tuple[str, bytes, asyncio.Future[dict[str, Any]]]] = []
        self._number = 0
        self._now = 0
        self._bytes_since_snapshot = 0
        self._trouble: Unavailable | None = None
        self._stopping = self._wanted = False
        self.steps = self.commits = 0
        #: Seconds spent in steps, and until they were on disk.
        self.step_seconds = self.commit_seconds = 0.0
        self._stepped = asyncio.Event()

    # ── start ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def restore(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Fold the journal. Returns the cursors: (sender, stream) -> (epoch, last sequence number committed)."""
        kept = self._journal.load(self.role.name)
        if kept.snapshot is not None:
            self._check_logic(f"the snapshot after entry {kept.snapshot.number}", kept.snapshot.logic)
            tree = from_json(kept.snapshot.data)
            self._number, self._now = kept.snapshot.number, kept.snapshot.at
            self._outbox.restore(tree["outbox"])
            self.role.restore(tree["role"])
        for entry in kept.entries:
            self._fold(entry)
        for (stream, member), (epoch, seq) in kept.acked.items():
            self._outbox.acked(stream, member, epoch, seq)
        return kept.cursors

    def _check_logic(self, what: str, logic: str) -> None:
        if logic != self.role.logic:
            raise Diverged(
                f"{what} of the {self.role.name} was made by logic {logic}, this is {self.role.logic}",
                hint=f"finish what is queued with the version that has logic {logic}, or begin with a new state folder",
            )

    def _fold(self, entry: Entry) -> None:
        self._check_logic(f"journal entry {entry.number}", entry.logic)
        step = self.role.step(entry.at, unpack_inputs(entry.inputs))
        if pack_outputs(self._outbox.number(step.outputs)) != entry.outputs:
            raise Diverged(
                f"journal entry {entry.number} of the {self.role.name} does not replay to what it recorded",
                hint="keep the state folder and report this: `headway replay` shows the first difference",
                role=self.role.name,
                entry=entry.number,
            )
        for seq, output in unpack_outputs(entry.outputs):
            self._outbox.keep(seq, output)
        self._number, self._now = entry.number, entry.at
        self._bytes_since_snapshot += len(entry.inputs) + len(entry.outputs)

    def attach(self, wire: Wire) -> None:
        """Take the endpoint and send again what no receiver has acknowledged."""
        self._wire = wire
        for seq, output in self._outbox.unacknowledged():
            wire.send(output.stream, output.audience, output.epoch, seq, output.kind, output.body)

    # ── calls from HTTP, presence and the command line ────────────────────────────────────────────────────────────────

    async def call(self, kind: str, body: dict[str, Any], timeout: float = 10.0) -> dict[str, Any]:
        """Hand a call to the next step; returns its reply once it is on disk.

        Raises:
            HeadwayError: What the role answered, or Unavailable if the disk or the time ran out.
        """
        if self._trouble is not None:
            raise self._refusal(_NOT_KEPT) from self._trouble
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._calls.append((kind, to_json(body), future))
        assert self._wire is not None
        self._wire.arrived.set()
        try:
            return await asyncio.wait_for(future, timeout)
        except TimeoutError:
            if self._trouble is not None:
                raise self._refusal(_KEPT) from self._trouble
            raise Unavailable(
                f"the {self.role.name} did not answer within {timeout:.0f} s",
                hint="`headway status` shows its load; try again",
            ) from None

    def _refusal(self, hint: str) -> Unavailable:
        """A new error for each caller, to be raised from the trouble."""
        assert self._trouble is not None
        refusal = Unavailable(self._trouble.message, hint=hint, **self._trouble.fields)
        refusal.code, refusal.status = self._trouble.code, self._trouble.status
        return refusal

    def acknowledged(self, stream: str, member: str, mark: tuple[int, int]) -> None:
        """The endpoint heard that `member` has committed a stream up to `mark`: (epoch, seq)."""
        self._outbox.acked(stream, member, *mark)

    # ── the loop ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Until `stop`."""
        assert self._wire is not None
        wire = self._wire
        while not self._stopping:
            await self._wait(wire)
            wire.arrived.clear()
            letters, calls = wire.drain(), self._calls
            self._calls = []
            due = self.role.wake_at()
            if letters or calls or (due is not None and due <= self._clock()):
                await self._turn(wire, letters, calls)
            elif self._wanted or self._bytes_since_snapshot > SNAPSHOT_BYTES // 10:
                await self._snapshot()
        await self._snapshot()

    async def _wait(self, wire: Wire) -> None:
        due = self.role.wake_at()
        wait = IDLE_SECONDS if due is None else min(IDLE_SECONDS, max(0.0, (due - self._clock()) / 1_000_000))
        # One timer that rings the same bell: a third of the cost of asyncio.wait_for, on the path of every hop.
        timer = asyncio.get_running_loop().call_later(wait, wire.arrived.set)
        await wire.arrived.wait()
        timer.cancel()

    async def _turn(self, wire: Wire, letters: list[Letter], calls: list[Any]) -> None:
        self._now = self.now()
        inputs = [
            Input(item.sender, item.stream, item.epoch, item.seq, item.kind, item.body) for item in letters
        ]
        inputs += [Input(CALL, "", 0, n, kind, body) for n, (kind, body, _) in enumerate(calls)]
        began = time.perf_counter()
        step = self.role.step(self._now, inputs)
        self.step_seconds += time.perf_counter() - began
        self.steps += 1
        for item, why in step.refused:
            log.error(
                "the %s drops a %s from %s: %s: %s",
                self.role.name,
                item.kind,
                item.source,
                why,
                describe(item.body),
            )
        numbered = self._outbox.number(step.outputs)
        if letters or numbered or step.replies:
            began = time.perf_counter()
            await self._commit(inputs, step, numbered, letters)
            self.commit_seconds += time.perf_counter() - began
            self.commits += 1
        wire.commit(letters)
        for seq, output in numbered:
            self._outbox.keep(seq, output)
            wire.send(output.stream, output.audience, output.epoch, seq, output.kind, output.body)
        self._answer(step, calls)
        self._stepped.set()
        if self._on_step is not None:
            self._on_step(step)
        if self._bytes_since_snapshot > SNAPSHOT_BYTES:
            await self._snapshot()

    async def _commit(
        self, inputs: list[Input], step: Step, numbered: list[Any], letters: list[Letter]
    ) -> None:
        entry = Entry(
            self.role.name,
            self._number + 1,
            self._now,
            self.role.logic,
            pack_inputs(inputs),
            pack_outputs(numbered),
        )
        cursors = {(item.sender, item.stream): (item.epoch, item.seq) for item in letters}
        acked = self._outbox.take_marks()
        while True:
            try:
                for data in step.blobs.values():
                    self._blobs.put(data)
                await self._journal.append(entry, cursors=cursors, acked=acked, documents=step.documents)
                break
            except Unavailable as trouble:
                if self._trouble is None:
                    log.error("the %s cannot write its journal: %s", self.role.name, trouble)
                self._trouble = trouble
                await asyncio.sleep(RETRY_SECONDS)
        if self._trouble is not None:
            log.warning("the %s can write its journal again", self.role.name)
            self._trouble = None
        self._number += 1
        self._bytes_since_snapshot += len(entry.inputs) + len(entry.outputs)

    def _answer(self, step: Step, calls: list[Any]) -> None:
        for n, (_, _, future) in enumerate(calls):
            if future.done():
                continue
            reply = step.replies[n]
            if isinstance(reply, HeadwayError):
                future.set_exception(reply)
            else:
                future.set_result(reply)

    async def _snapshot(self) -> None:
        """Write the whole state down, so that a restart folds only what comes after."""
        self._wanted = False
        if self._bytes_since_snapshot == 0:
            return
        # The outbox lies in the snapshot, so no entry before it is needed any more.
        data = to_json({"outbox": self._outbox.snapshot(), "role": self.role.snapshot()})
        number = self._number
        try:
            await self._journal.snapshot(
                self.role.name, number, self._now, self.role.logic, data, needed=number + 1
            )
            self._bytes_since_snapshot = 0
        except Unavailable as trouble:
            # The entries are safe; only the next restart takes longer.
            log.warning("no snapshot of the %s: %s", self.role.name, trouble)

    def want_snapshot(self) -> None:
        """Let one be taken in the next idle second: what was forgotten is then no longer in the journal's state."""
        self._wanted = True

    async def stepped(self) -> None:
        """Wait until the next step is on disk."""
        self._stepped.clear()
        await self._stepped.wait()

    def stats(self) -> dict[str, Any]:
        """How it fares, for who watches."""
        return {
            "steps": self.steps,
            "step_seconds": self.step_seconds,
            "commits": self.commits,
            "commit_seconds": self.commit_seconds,
            "outbox": len(self._outbox),
            "trouble": self._trouble.message if self._trouble is not None else "",
            "connected": getattr(self._wire, "connected", True),
        }

    def now(self) -> int:
        """The clock of the steps: never behind the last one."""
        return max(self._now, self._clock())

    def stop(self) -> None:
        """End after the present step, with a snapshot."""
        self._stopping = True
        if self._wire is not None:
            self._wire.arrived.set()


def describe(body: bytes) -> str:
    """A body for a log line, cut to a readable length."""
    text = body[:200].decode(errors="replace")
    return json.dumps(text + ("…" if len(body) > 200 else ""))
