"""What the executor keeps of each attempt it holds, of each lease, and of each call."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from headway.bus.messages import Call, GrantRow
from headway.execute.crew import Binding, Worker


class CallRecord:
    """A call as workers get it, and why its items cannot run if they cannot."""

    __slots__ = ("bundle", "environment", "key", "message", "problem", "python", "timeout")

    def __init__(self, key: str, call: Call) -> None:
        self.key = key
        self.bundle = call.bundle
        self.timeout = call.timeout
        #: What its items find around them, and the Python they run in; empty for the executor's own.
        self.environment = None if call.environment is None else call.environment.model_dump()
        self.python = ""
        self.message: dict[str, Any] = call.model_dump(mode="python")
        self.problem: dict[str, str] | None = None


class Member:
    """One attempt of a lease."""

    __slots__ = (
        "attempt", "call", "devices", "ended", "gang", "inputs", "item", "lane", "number", "reason", "since",
        "stopping", "task", "timer", "variant", "worker",
    )  # fmt: skip

    def __init__(self, task: str, attempt: int, lane: Lane) -> None:
        self.task, self.attempt, self.lane = task, attempt, lane
        #: What is to be run; not known of one that came with an adopted worker, which knows it.
        self.call: CallRecord | None = None
        self.item: int | None = None
        self.inputs: dict[str, Any] = {}
        self.devices: tuple[int, ...] = ()
        self.variant = 0
        #: Its rank in its gang and the node of each member, by rank; or None.
        self.gang: tuple[int, tuple[str, ...]] | None = None
        #: Its number in its worker; 0 until it is sent.
        self.number = 0
        self.worker: Worker | None = None
        self.ended = False
        #: The outcome it is being ended for, and the reason in words.
        self.stopping, self.reason = "", ""
        self.timer: asyncio.TimerHandle | None = None
        #: When it started as far as is known (loop time).
        self.since = 0.0

    @classmethod
    def granted(cls, grant: GrantRow, call: CallRecord, lane: Lane) -> Member:
        """As the scheduler says it."""
        member = cls(grant.task, grant.attempt, lane)
        member.call, member.item = call, grant.item
        member.inputs, member.devices = dict(grant.inputs), tuple(grant.devices)
        member.variant = grant.variant
        return member

    @property
    def run(self) -> str:
        """Its run: inputs are named within it, while a lease may hold members of several."""
        return self.task.partition("/")[0]

    def arm(self, timer: asyncio.TimerHandle | None) -> None:
        """At most one thing is going to happen to it."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = timer


class Lane:
    """A lease being worked off: its members run one after the other in one worker."""

    __slots__ = ("binding", "lease", "members", "preparing", "queue", "worker")

    def __init__(self, lease: int, binding: Binding) -> None:
        self.lease, self.binding = lease, binding
        self.worker: Worker | None = None
        #: Whether the Python it needs is being made.
        self.preparing = False
        #: Not sent yet.
        self.queue: deque[Member] = deque()
        #: Not ended, by task.
        self.members: dict[str, Member] = {}
