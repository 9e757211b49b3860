"""The guard: pure checks that every proposal of an agent passes before it is anything but words.

It asks four things. Is it *known*: a kind that agents may use, a task that waits. Is it *bounded*: how far, how long. Is it
*small*: how much one agent has in force, and how often it asks. Is it *timely*: made of what is still so. A proposal widens no
right: whatever its text says, only its typed fields are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headway.domain.override import Override
from headway.domain.units import SECOND, show_time
from headway.override.proposal import Proposal

MINUTE = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Limits:
    """What one agent may.

    Attributes:
        kinds: Overrides that it may propose.
        amount: Of a boost, at most.
        shortest, longest: Of its time to live, microseconds.
        active: Overrides that it may have in force at a time (blast radius).
        rate: Proposals that are taken in a minute, refused ones too.
        stale: A digest older than this says nothing about now.
        reason: Characters.
    """

    kinds: tuple[str, ...] = ("boost",)
    amount: int = 10
    shortest: int = 10 * SECOND
    longest: int = 60 * MINUTE
    active: int = 5
    rate: int = 30
    stale: int = 60 * SECOND
    reason: int = 500


@dataclass(frozen=True, slots=True)
class Facts:
    """What is so while a proposal is judged.

    Attributes:
        now: Microseconds.
        waits: Whether its target is a task that waits and could start.
        in_force: Overrides in force, of anybody.
        recent: Times at which proposals of this agent were judged, ascending.
    """

    now: int
    waits: bool
    in_force: Sequence[Override]
    recent: Sequence[int]


def refusal(proposal: Proposal, facts: Facts, limits: Limits) -> str:
    """Why the proposal must not be applied; empty if it may be."""
    if len([at for at in facts.recent if at > facts.now - MINUTE]) >= limits.rate:
        return f"{proposal.agent} has made {limits.rate} proposals within a minute"
    if proposal.kind not in limits.kinds:
        return f"an agent may not propose {proposal.kind!r}, only {', '.join(limits.kinds)}"
    if not 1 <= proposal.amount <= limits.amount:
        return f"a boost of {proposal.amount} is not between 1 and {limits.amount}"
    if not limits.shortest <= proposal.ttl <= limits.longest:
        return (
            f"a time to live of {show_time(max(proposal.ttl, 0))} is not between {show_time(limits.shortest)} "
            f"and {show_time(limits.longest)}"
        )
    if not proposal.reason.strip() or len(proposal.reason) > limits.reason:
        return f"its reason is empty or longer than {limits.reason} characters"
    if not facts.now - limits.stale <= proposal.digest <= facts.now:
        return "it follows from a digest that is too old, or from none"
    if not facts.waits:
        return f"{proposal.target} is no task that waits for a place"
    mine = [override for override in facts.in_force if override.by == proposal.agent]
    if any(override.target == proposal.target for override in mine):
        return f"{proposal.agent} has an override on {proposal.target} in force"
    if len(mine) >= limits.active:
        return f"{proposal.agent} has {len(mine)} overrides in force, the most that it may have"
    return ""


def override_of(proposal: Proposal, now: int) -> Override:
    """The event that an accepted proposal becomes."""
    return Override(
        proposal.id,
        "boost",
        proposal.target,
        proposal.agent,
        proposal.reason,
        now + proposal.ttl,
        proposal.amount,
    )
