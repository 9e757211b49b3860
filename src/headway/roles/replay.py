"""Decides a kept journal again and compares with what it recorded, byte for byte.

Between two snapshots a role's state is a fold of its entries; so a replay starts at the oldest snapshot whose entries are all
kept (or at the first entry of all) and must produce every recorded output, and every later snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from pydantic_core import from_json

from headway.core.engine import Engine
from headway.journal.records import Entry, Snapshot
from headway.roles.outbox import Outbox
from headway.roles.planner import Planner
from headway.roles.resource_manager import ResourceManager
from headway.roles.scheduler import Scheduler
from headway.roles.step import Role, pack_outputs, unpack_inputs

ROLES: dict[str, Callable[[], Role]] = {
    "planner": Planner,
    "scheduler": lambda: Scheduler(Engine()),
    "resource_manager": ResourceManager,
}


class History(Protocol):
    """What a replay reads."""

    def snapshots(self, role: str) -> list[Snapshot]: ...

    def snapshot_data(self, role: str, number: int) -> bytes: ...

    def entries(self, role: str, first: int, last: int | None = None) -> Iterator[Entry]: ...


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of replaying one role.

    Attributes:
        first, last: Numbers of the entries that were decided again; 0 if none is kept.
        differs: The first entry whose outputs are not what it recorded, or None.
        recorded, decided: Its outputs then and now, cut.
        other_logic: An entry made by another version of the logic, which ends the replay before it.
    """

    role: str
    first: int
    last: int
    differs: int | None = None
    recorded: str = ""
    decided: str = ""
    other_logic: str | None = None

    @property
    def equal(self) -> bool:
        """Whether everything kept was decided again to the byte."""
        return self.differs is None and self.other_logic is None


def replay(history: History, name: str, epoch: int) -> Replayed:
    """Decide the kept entries of a role again.

    Args:
        epoch: Of the state folder: it is part of the recorded outputs.
    """
    role, outbox = ROLES[name](), Outbox(epoch)
    first = _begin(history, name, role, outbox)
    last = first - 1
    for entry in history.entries(name, first):
        if entry.logic != role.logic:
            return Replayed(name, first, last, other_logic=entry.logic)
        step = role.step(entry.at, unpack_inputs(entry.inputs))
        decided = pack_outputs(outbox.number(step.outputs))
        if decided != entry.outputs:
            return Replayed(name, first, last, entry.number, _cut(entry.outputs), _cut(decided))
        last = entry.number
    return Replayed(name, first if last >= first else 0, max(last, 0) if last >= first else 0)


def _begin(history: History, name: str, role: Role, outbox: Outbox) -> int:
    """Restore the oldest snapshot after which nothing is missing. Returns the first entry to decide."""
    kept = next(iter(history.entries(name, 1)), None)
    if kept is not None and kept.number == 1:
        return 1
    for snapshot in sorted(history.snapshots(name), key=lambda snapshot: snapshot.number):
        if kept is None or snapshot.number + 1 >= kept.number:
            tree = from_json(history.snapshot_data(name, snapshot.number))
            outbox.restore(tree["outbox"])
            role.restore(tree["role"])
            return snapshot.number + 1
    return 1 if kept is None else kept.number


def _cut(data: bytes) -> str:
    text = data.decode(errors="replace")
    return text if len(text) <= 2000 else text[:2000] + "…"


def summary(found: Replayed) -> str:
    """For a reader."""
    if found.other_logic is not None:
        return f"{found.role}: entries up to {found.last} are equal; then logic {found.other_logic} decided, which this is not"
    if found.differs is not None:
        return f"{found.role}: entry {found.differs} DIFFERS\n  recorded {found.recorded}\n  decided  {found.decided}"
    if not found.last:
        return f"{found.role}: nothing to replay is kept"
    return f"{found.role}: entries {found.first} to {found.last} decided again, equal to the byte"
