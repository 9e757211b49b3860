"""What a follower does with its copy of the engine: one class a duty, asked by its name."""

from __future__ import annotations

from typing import Any, Protocol

from headway.core.engine import Engine
from headway.core.events import Event


class Duty(Protocol):
    """A question that can be answered from the copy.

    Everything runs in one thread, one after the other: while a duty works nothing is folded, and other askers wait.

    Attributes:
        name: What askers call it.
    """

    name: str

    def heard(self, engine: Engine, event: Event, now: int) -> None:
        """An event of a committed step, before the engine takes it."""
        ...

    def answer(self, engine: Engine, now: int, body: dict[str, Any]) -> dict[str, Any]:
        """Plain JSON in, plain JSON out; a HeadwayError reaches the asker as it is."""
        ...

    def idle(self, engine: Engine, now: int) -> None:
        """All committed steps are taken and nobody asks: something may be got ready. Called about once a second."""
        ...
