"""What changed, for whoever listens: one plain call per step, and none where nobody does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Change = dict[str, Any]
Listener = Callable[[list[Change]], None]


class Feed:
    """Hands the changes of each step to its listeners, numbered, in the order of the steps."""

    def __init__(self) -> None:
        self._count = 0
        self._listeners: dict[int, Listener] = {}
        self._next = 0

    def publish(self, changes: list[Change]) -> None:
        """Number the changes and hand them on. A listener must return at once and never raise."""
        if not self._listeners:
            return
        for number, change in enumerate(changes, self._count + 1):
            change["n"] = number
        self._count += len(changes)
        for listener in tuple(self._listeners.values()):
            listener(changes)

    def heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Hear of every change from now on, until the function that is returned is called."""
        number, self._next = self._next, self._next + 1
        self._listeners[number] = listener

        def leave() -> None:
            self._listeners.pop(number, None)

        return leave
