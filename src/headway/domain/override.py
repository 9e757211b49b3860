"""An override: a change that a person or an agent lays over the algorithm's decision, with an end and an undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OverrideKind = Literal["boost", "hold", "pin", "pause"]


@dataclass(frozen=True, slots=True)
class Override:
    """What is overruled, by whom, why and until when.

    Attributes:
        id: Unique for ever.
        kind: `boost` ranks the target before all others (higher `amount` first), `hold` keeps it from starting, `pin` allows
            it only on `node`. `pause` is a hold without an end, which the planner lays on and takes away.
        target: A task id, or a run id for all its tasks.
        by: The principal or agent.
        reason: In the proposer's words.
        expires: When it ends by itself, in microseconds of the service's clock.
        amount: Of a boost: how far; 1 or more.
        node: Of a pin.
        stop: Of a pause: what runs is asked to checkpoint and end, too.
    """

    id: str
    kind: OverrideKind
    target: str
    by: str
    reason: str
    expires: int
    amount: int = 1
    node: str = ""
    stop: bool = False
