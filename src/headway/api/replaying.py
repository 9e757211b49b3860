"""Asks the journal of a state folder, whether its service is up or down: replays it, and says why a task was where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headway.errors import NotFound
from headway.roles.following.past import why_at
from headway.roles.replay import ROLES, Replayed, replay
from headway.store.reader import Reader


def why_in(state: Path, task: str, at: int) -> dict[str, Any]:
    """Why a task was where it was at a time, from the journal of a state folder.

    Args:
        at: Microseconds since the epoch.

    Raises:
        NotFound: There is no journal, or the scheduler had no such task then.
        Unavailable: The journal does not reach back so far.
    """
    path = state / "journal.db"
    if not path.exists():
        raise NotFound(f"there is no journal in {state}", hint="name the state folder: --state-dir DIR")
    return why_at(Reader(path), task, at)


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
