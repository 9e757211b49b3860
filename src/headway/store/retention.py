"""What of a state folder is too old to keep, and its removal, so that nothing that is referred to goes.

Marking is careful rather than exact: whatever looks like the name of a blob in the latest snapshot of a role, in an entry after it or in
a kept row of the archive counts as a reference. A role's state follows from just these, so there is no other place from which a value
could still be asked for. Blobs younger than `GRACE` stay in any case, since content is written, or found to be there, before it is
mentioned (`store.blobs`).

This is work of seconds on a large state folder: a service has it done by a process of its own (`service.sweeper`).
"""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import from_json

from headway.store import history
from headway.store.archive import overdue
from headway.store.blobs import Blobs
from headway.store.failures import translate
from headway.store.reader import connect_to_read, roles_of

#: Seconds that a blob stays which nobody refers to: far longer than from its upload to its first mention.
GRACE = 24 * 3600.0

_SHA = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass(frozen=True, slots=True)
class Swept:
    """What went, or would go.

    Attributes:
        runs: Ended runs, with their tasks and results.
        blobs, bytes: Values and sources that nothing refers to, and their size.
        logs, log_bytes: Runs whose logs go, and the size of those.
    """

    runs: int
    blobs: int
    bytes: int
    logs: int
    log_bytes: int


def names_in(data: bytes) -> set[str]:
    """Whatever in `data` looks like the name of a blob."""
    return {found.decode() for found in _SHA.findall(data)}


def referenced(connection: sqlite3.Connection, without: Collection[str] = ()) -> set[str]:
    """The blobs that the journal refers to.

    Args:
        without: Runs whose rows in the archive do not count.
    """
    used: set[str] = set()
    for role in roles_of(connection).values():
        snapshot = history.latest_snapshot(connection, role)
        if snapshot is not None:
            used |= names_in(snapshot.data)
            for body in _letters(snapshot.data):
                used |= names_in(body)
        first = history.id_of(role, snapshot.number + 1 if snapshot else 0)
        for inputs, outputs in connection.execute(
            "SELECT inputs, outputs FROM entry WHERE id BETWEEN ? AND ?",
            (first, history.id_of(role, history.MOST)),
        ):
            used |= names_in(inputs) | names_in(outputs)
    for run, json in connection.execute("SELECT run, json FROM document"):
        if run not in without:
            used |= names_in(json)
    return used


def _letters(snapshot: bytes) -> Iterator[bytes]:
    """The bodies of a snapshot's outputs that somebody has not acknowledged: they lie in it encoded (`roles.outbox`)."""
    tree = from_json(snapshot)
    for kept in tree.get("outbox", {}).get("kept", ()) if isinstance(tree, dict) else ():
        with suppress(binascii.Error, IndexError, TypeError):
            yield base64.b64decode(kept[4])


def sweep(
    state: Path,
    *,
    now: int,
    runs: int | None,
    logs: int | None,
    alive: Collection[str] = (),
    dry: bool = False,
    grace: float = GRACE,
) -> Swept:
    """Remove what is too old. The rows of the archive are for the journal's own writer to remove, before this.

    Args:
        now: Microseconds since 1970.
        runs, logs: Ages in microseconds; None keeps for ever.
        alive: Folder names of runs that are not over: their logs stay however old.
        dry: Only count; runs that are overdue count as gone.

    Raises:
        Unavailable, Corrupt: The journal cannot be read; nothing was removed.
    """
    path = state / "journal.db"
    if not path.is_file():
        return Swept(0, 0, 0, 0, 0)
    connection = connect_to_read(path)
    try:
        connection.execute("BEGIN")  # all that follows is as of one moment
        late = set(overdue(connection, now - runs, -1)) if runs is not None else set()
        used = referenced(connection, late if dry else ()) if runs is not None else set()
    except sqlite3.Error as error:
        raise translate(error, path) from error
    finally:
        connection.close()
    count = size = 0
    if runs is not None:
        count, size = Blobs(state / "blobs").sweep(used, older_than=grace, dry=dry)
    gone, freed = (0, 0) if logs is None else _sweep_logs(state, now - logs, alive, dry)
    return Swept(len(late), count, size, gone, freed)


def _sweep_logs(state: Path, before: int, alive: Collection[str], dry: bool) -> tuple[int, int]:
    """Folders of logs to which nothing was written since `before`."""
    count = total = 0
    for folder in (state / "logs").glob("*/"):
        if folder.name in alive:
            continue
        with suppress(OSError):
            files = [file.stat() for file in folder.iterdir()]
            newest = max([status.st_mtime for status in (*files, folder.stat())])
            if newest * 1e6 < before:
                if not dry:
                    shutil.rmtree(folder)
                count, total = count + 1, total + sum(status.st_size for status in files)
    return count, total


def now_micros() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000
