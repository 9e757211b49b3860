"""Replays the journal of a state folder, whether its service is up or down."""

from __future__ import annotations

from pathlib import Path

from headway.errors import NotFound
from headway.roles.replay import ROLES, Replayed, replay
from headway.store.reader import Reader


def replay_all(state: Path) -> list[Replayed]:
    """Every role's kept journal, decided again.

    Raises:
        NotFound: There is no journal.
    """
    path = state / "journal.db"
    if not path.exists():
        raise NotFound(
            f"there is no journal in {state}", hint="name the state folder: `headway replay --state-dir DIR`"
        )
    history = Reader(path)
    epoch = int((state / "epoch").read_text())
    return [replay(history, name, epoch) for name in ROLES]
