"""Entries and snapshots in the database: where a role can start, and what may be deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from headway.journal.records import Snapshot
from headway.store.failures import Corrupt
from headway.store.writer import Job

BITS = 40
MOST = 2**BITS - 1  # highest number of an entry: 34 years at a thousand a second
PART = 2**20  # bytes of a snapshot written in one transaction
STEP = 200  # entries deleted in one transaction


def id_of(role: int, number: int) -> int:
    """The row of a role's entry."""
    return role << BITS | number


def last(connection: sqlite3.Connection, role: int) -> int:
    """The number of the role's last entry, even if it is only in a snapshot any more."""
    newest = connection.execute(
        "SELECT id FROM entry WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1",
        (id_of(role, 0), id_of(role, MOST)),
    ).fetchone()
    snapshot = connection.execute(
        "SELECT max(number) FROM snapshot WHERE role = ? AND complete", (role,)
    ).fetchone()[0]
    return max(newest[0] & MOST if newest else 0, snapshot or 0)


def row(connection: sqlite3.Connection, role: int, number: int) -> tuple[int, int, str, bytes, bytes] | None:
    """An entry as it is stored, without its id."""
    found: tuple[int, int, str, bytes, bytes] | None = connection.execute(
        "SELECT at, size, logic, inputs, outputs FROM entry WHERE id = ?", (id_of(role, number),)
    ).fetchone()
    return found


def snapshots(connection: sqlite3.Connection, role: int) -> list[Snapshot]:
    """The complete ones, oldest first, without data."""
    rows = connection.execute(
        "SELECT number, at, logic FROM snapshot WHERE role = ? AND complete ORDER BY number", (role,)
    )
    return [Snapshot(number, at, logic, b"") for number, at, logic in rows]


def latest_snapshot(connection: sqlite3.Connection, role: int) -> Snapshot | None:
    """The newest complete one, with data."""
    known = snapshots(connection, role)
    if not known:
        return None
    newest = known[-1]
    return Snapshot(newest.number, newest.at, newest.logic, snapshot_data(connection, role, newest.number))


def snapshot_data(connection: sqlite3.Connection, role: int, number: int) -> bytes:
    """The state after entry `number`, put together."""
    parts = connection.execute(
        "SELECT data FROM snapshot_part WHERE role = ? AND number = ? ORDER BY part", (role, number)
    ).fetchall()
    data = b"".join(part for (part,) in parts)
    size = connection.execute(
        "SELECT size FROM snapshot WHERE role = ? AND number = ? AND complete", (role, number)
    ).fetchone()
    if size is None or size[0] != len(data):
        raise Corrupt(
            f"the snapshot after entry {number} has {len(data)} bytes, not {size[0] if size else 0}",
            hint="restore a backup (headway backup)",
        )
    return data


def write_snapshot(role: int, number: int, at: int, logic: str, data: bytes) -> Iterator[Job]:
    """Steps that write a snapshot. What an interrupted one left is replaced."""
    key = (role, number)

    def begin(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM snapshot_part WHERE role = ? AND number = ?", key)
        connection.execute(
            "INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?, ?, ?, 0)", (role, number, at, logic, len(data))
        )

    def finish(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE snapshot SET complete = 1 WHERE role = ? AND number = ?", key)

    yield begin
    for start in range(0, len(data), PART):
        values = (*key, start // PART, data[start : start + PART])
        yield lambda connection, values=values: connection.execute(  # type: ignore[misc]
            "INSERT INTO snapshot_part VALUES (?, ?, ?, ?)", values
        )
    yield finish


def compact(role: int, needed: int, keep: int) -> Iterator[Job]:
    """Steps that delete what neither a restart nor a replay within `keep` bytes nor an unacknowledged output
    needs.

    A replay begins at a snapshot, so history is kept in whole pieces from one snapshot to the next.
    """
    base = 0
    more = True

    def decide(connection: sqlite3.Connection) -> None:
        nonlocal base
        base = _base(connection, role, keep)
        for (number,) in connection.execute(
            "SELECT number FROM snapshot WHERE role = ? AND (number < ? OR NOT complete)", (role, base)
        ).fetchall():
            connection.execute("DELETE FROM snapshot WHERE role = ? AND number = ?", (role, number))

    def orphans(connection: sqlite3.Connection) -> None:
        nonlocal more
        deleted = connection.execute(
            "DELETE FROM snapshot_part WHERE rowid IN"
            " (SELECT part.rowid FROM snapshot_part part LEFT JOIN snapshot whole USING (role, number)"
            " WHERE part.role = ? AND whole.role IS NULL LIMIT 4)",
            (role,),
        ).rowcount
        more = deleted > 0

    def entries(connection: sqlite3.Connection) -> None:
        nonlocal more
        high = id_of(role, min(base, needed - 1))
        deleted = connection.execute(
            "DELETE FROM entry WHERE id IN (SELECT id FROM entry WHERE id BETWEEN ? AND ? LIMIT ?)",
            (id_of(role, 0), high, STEP),
        ).rowcount
        more = deleted == STEP

    yield decide
    for step in (orphans, entries):
        more = True
        while more:
            yield step


def _base(connection: sqlite3.Connection, role: int, keep: int) -> int:
    """The snapshot from which history is kept: the oldest one with which it all fits in `keep` bytes."""
    known = connection.execute(
        "SELECT number, size FROM snapshot WHERE role = ? AND complete ORDER BY number DESC", (role,)
    ).fetchall()
    if not known:
        return 0
    if row(connection, role, 1) is not None:
        known.append((0, 0))  # before the first entry there was nothing: a beginning like any snapshot
    base, end, used = known[0][0], known[0][0], 0
    for number, size in known[1:]:
        entries = connection.execute(
            "SELECT total(size) FROM entry WHERE id > ? AND id <= ?", (id_of(role, number), id_of(role, end))
        ).fetchone()[0]
        used += size + int(entries)
        if used > keep:
            break
        base, end = number, number
    return int(base)
