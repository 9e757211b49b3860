"""`why` at a moment that is over: the journal folded up to it, and the engine asked then."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from headway.core.engine import Engine
from headway.core.events import Event
from headway.domain.units import show_time
from headway.errors import Invalid, NotFound
from headway.roles.following.follower import Follower
from headway.roles.replay import History


def why_at(history: History, task: str, at: int) -> dict[str, Any]:
    """The explanation of a task as the engine would have given it at `at` (microseconds).

    Raises:
        NotFound: The engine had no such task then, or there was no engine.
        Unavailable: The journal does not reach back so far, or another version of the logic made it.
    """
    follower = follower_at(history, at)
    explanation = follower.engine.why(task, at)
    first, *rest = explanation.text().split("\n")
    then = datetime.fromtimestamp(at / 1_000_000).astimezone().isoformat(" ", "seconds")
    before = f"  as of {then}; the scheduler's last step was {show_time(at - follower.at)} before (entry {follower.number})"
    return {
        "task": task,
        "state": explanation.state,
        **explanation.facts,
        "at": at,
        "entry": follower.number,
        "text": "\n".join([first, before, *rest]),
    }


def follower_at(history: History, at: int) -> Follower:
    """The journal folded up to `at` (microseconds): its `engine` is the scheduler's as it stood then.

    Raises:
        NotFound: There was no engine yet.
        Unavailable: The journal does not reach back so far, or another version of the logic made it.
    """
    follower = Follower(history)
    while follower.catch_up(until=at):
        pass
    if not follower.number:
        raise NotFound("nothing had happened yet at that time", hint="ask for a later one")
    return follower


class Past:
    """The duty `past`: `{"task", "at"}` -> what `why_at` says."""

    name = "past"

    def __init__(self, history: History) -> None:
        self._history = history

    def heard(self, engine: Engine, event: Event, now: int) -> None:
        """Nothing to learn: the journal keeps it."""

    def answer(self, engine: Engine, now: int, body: dict[str, Any]) -> dict[str, Any]:
        """Folds a copy of its own."""
        at = int(body["at"])
        if at > now:
            raise Invalid("that time is still to come", hint="ask without it for what is expected")
        return why_at(self._history, str(body["task"]), at)

    def idle(self, engine: Engine, now: int) -> None:
        """Nothing to prepare."""
