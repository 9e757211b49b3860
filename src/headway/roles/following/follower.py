"""A second scheduler that decides nothing of its own: it takes the steps that the first one has committed.

It reads the journal and never writes. If it fell so far behind that what it needs next is no longer kept, it begins
again at the newest snapshot. Steps of another version of the logic cannot be taken; then it says so.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic_core import from_json

from headway.bus.names import SCHEDULER
from headway.core.engine import LOGIC, Engine
from headway.core.events import Event
from headway.errors import Unavailable
from headway.roles.replay import History
from headway.roles.scheduler import Scheduler
from headway.roles.step import unpack_inputs

#: Called with each event before the engine takes it, and its time.
Listener = Callable[[Engine, Event, int], None]


class Watched(Engine):
    """An engine that says what it hears."""

    listener: Listener | None = None

    def apply(self, event: Event, now: int) -> None:
        """Tells the listener, then takes the event in."""
        if self.listener is not None:
            self.listener(self, event, now)
        super().apply(event, now)


class Follower:
    """See the module.

    Args:
        history: Of the state folder.
        listener: Hears every event of the steps that are taken, but not of those before the snapshot it begins with.

    Attributes:
        number, at: Of the last step that was taken; 0 before the first.
    """

    def __init__(self, history: History, listener: Listener | None = None) -> None:
        self._history = history
        self._listener = listener
        self.scheduler = Scheduler(Watched())
        self.number = self.at = 0
        self._begun = False

    @property
    def engine(self) -> Engine:
        """The copy as it stands."""
        return self.scheduler.engine

    def catch_up(self, most: int | None = None, until: int | None = None) -> bool:
        """Take the steps that have been committed since.

        Args:
            most: No more than so many now.
            until: None that was taken later than this, in microseconds.

        Returns:
            Whether there may be more.

        Raises:
            Unavailable: They were taken by another version of the logic, or the journal cannot be read.
        """
        if not self._begun:
            self._begin(until)
        for taken, entry in enumerate(self._history.entries(SCHEDULER, self.number + 1), 1):
            if entry.number != self.number + 1:
                self._begin(until)  # what comes between has been compacted away meanwhile
                return True
            if until is not None and entry.at > until:
                return False
            self._same(entry.logic, f"entry {entry.number}")
            self.scheduler.step(entry.at, unpack_inputs(entry.inputs))
            self.number, self.at = entry.number, entry.at
            if taken == most:
                return True
        return False

    def _begin(self, until: int | None) -> None:
        """At the newest snapshot that is not too new, or at the very beginning."""
        self.scheduler, self.number, self.at = Scheduler(Watched()), 0, 0
        kept = self._history.snapshots(SCHEDULER)
        for snapshot in sorted(kept, key=lambda snapshot: snapshot.number, reverse=True):
            if until is None or snapshot.at <= until:
                self._same(snapshot.logic, f"the snapshot after entry {snapshot.number}")
                self.scheduler.restore(
                    from_json(self._history.snapshot_data(SCHEDULER, snapshot.number))["role"]
                )
                self.number, self.at = snapshot.number, snapshot.at
                break
        else:
            first = next(iter(self._history.entries(SCHEDULER, 1)), None)
            if kept if first is None else first.number != 1:
                raise Unavailable(
                    "the journal does not reach back so far",
                    hint="what is older than its oldest snapshot has been compacted away",
                )
        engine = self.scheduler.engine
        assert isinstance(engine, Watched)
        engine.listener = self._listener
        self._begun = True

    @staticmethod
    def _same(logic: str, what: str) -> None:
        if logic != LOGIC:
            raise Unavailable(
                f"{what} of the scheduler was made by logic {logic}, this is {LOGIC}",
                hint="ask with the version of Headway that made it",
            )
