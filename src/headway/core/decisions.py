"""What the engine decides. Each decision carries its reason as data; `core.explain` renders it.

Decisions are tuples, and a reason is not frozen: one of each is made for every task, and a frozen dataclass costs three times as
much. Nobody changes a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(slots=True, unsafe_hash=True)
class Reason:
    """Why, as data collected while deciding.

    Attributes:
        code: Stable name, e.g. `best_fit`, `train`, `preempts`, `no_node_fits`, `head_of_line`.
        facts: The numbers, sorted by name; keys and values are plain JSON.
    """

    code: str
    facts: tuple[tuple[str, Any], ...] = ()

    def __getitem__(self, name: str) -> Any:
        return dict(self.facts)[name]


class Start(NamedTuple):
    """Run this attempt on this node.

    Attributes:
        attempt: Fencing number: 1, 2, 3 … per task.
        devices: Indices of the GPUs it holds (a share: one index).
        lease: The allocation it runs under. Attempts of one lease run one after the other on the same resources: a train.
        position: Its place in the lease, from 0.
        variant: Which of its variants it runs as, from 0.
        gang: For a member of a gang: its rank among those that start together, and the node of each, by rank.
    """

    task: str
    attempt: int
    node: str
    lease: int
    position: int
    devices: tuple[int, ...] = ()
    reason: Reason = Reason("")
    variant: int = 0
    gang: tuple[int, tuple[str, ...]] | None = None


class Recall(NamedTuple):
    """Give these members of a train back if they have not started. The executor acknowledges each (`AttemptReturned`), or
    says that it started."""

    node: str
    lease: int
    attempts: tuple[tuple[str, int], ...]
    reason: Reason = Reason("")


class Preempt(NamedTuple):
    """Ask the attempt to checkpoint and end within the grace period (microseconds); then it is stopped."""

    task: str
    attempt: int
    node: str
    grace: int
    reason: Reason = Reason("")


class Spare(NamedTuple):
    """The attempt that was asked to end for another's sake may stay, if it has not ended: its place is not needed any more."""

    task: str
    attempt: int
    node: str
    reason: Reason = Reason("")


class Stop(NamedTuple):
    """End an attempt that was withdrawn."""

    task: str
    attempt: int
    node: str
    reason: Reason = Reason("")


class Lost(NamedTuple):
    """Tell the planner: this attempt ended with its node; it decides what becomes of the task.

    Attributes:
        started: Whether it may have run: False only if it certainly did not.
    """

    task: str
    attempt: int
    node: str
    started: bool


class Dropped(NamedTuple):
    """Tell the planner: a withdrawn task that was not allocated is gone."""

    task: str


Decision = Start | Recall | Preempt | Spare | Stop | Lost | Dropped
