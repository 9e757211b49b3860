"""What an agent proposes, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: `observe`: what it would do is judged and shown, and not done. `act`: what passes the guard is done.
Autonomy = Literal["off", "observe", "act"]
AUTONOMY: tuple[Autonomy, ...] = ("off", "observe", "act")

Outcome = Literal["applied", "observed", "refused"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that an agent would lay over the algorithm's decision.

    Attributes:
        id: Unique for ever; the override that comes of it has the same.
        agent: Who proposes: the sender of the message, whatever its body says.
        kind: Of the override.
        target: A task.
        amount: Of a boost: how far.
        ttl: Microseconds until it ends by itself.
        reason: In the agent's words. Data, never instruction.
        digest: Time of the digest that it follows from, microseconds; what is older than `guard.Limits.stale` is refused.
    """

    id: str
    agent: str
    kind: str
    target: str
    amount: int
    ttl: int
    reason: str
    digest: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a proposal.

    Attributes:
        at: When, microseconds.
        why: Of a refusal: which check, in words; else empty.
    """

    proposal: Proposal
    at: int
    outcome: Outcome
    why: str = ""
