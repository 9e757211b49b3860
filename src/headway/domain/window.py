"""Times at which nodes are not for everybody: maintenance, when nothing runs there, and advance reservations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headway.domain.resources import Demand
from headway.domain.units import SECOND

WindowKind = Literal["maintenance", "reservation"]
#: What a task that nothing is known about is taken to last, if the window does not say.
ASSUMED = 24 * 3600 * SECOND


@dataclass(frozen=True, slots=True)
class Window:
    """Some nodes from a time to a time, in microseconds.

    Attributes:
        nodes: Their names. Empty in a wish for any `count` nodes that each hold `demand`: which, is chosen when it is set.
        tenant, run: Whose a reservation is: tasks of the tenant, or of the run, are not bound by it.
        preempt: What still runs there at the start is asked to checkpoint and end; else it goes on to its end.
        assume: How long a task takes whose author said nothing and of whose kind none has finished.
    """

    id: str
    kind: WindowKind
    nodes: tuple[str, ...]
    start: int
    end: int
    tenant: str = ""
    run: str = ""
    preempt: bool = False
    assume: int = ASSUMED
    by: str = ""
    reason: str = ""
    count: int = 0
    demand: Demand | None = None

    def owns(self, tenant: str, run: str) -> bool:
        """Whether a task of this tenant and run may use the nodes."""
        return bool(self.tenant and self.tenant == tenant) or bool(self.run and self.run == run)
