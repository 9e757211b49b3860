"""Reads the history of a journal's file, whether a service writes it or not: for replay and restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from headway.journal.records import Entry, Snapshot
from headway.store import history
from headway.store.failures import translate

BUSY_TIMEOUT = 5000  # milliseconds
_PAGE = 256  # entries read at a time


class Reader:
    """The kept snapshots and entries of a file. Each call has a connection of its own and changes nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def snapshots(self, role: str) -> list[Snapshot]:
        """All complete snapshots that are kept, oldest first, without their data: where a replay can
        begin."""
        connection = self._connect_to_read()
        try:
            return history.snapshots(connection, roles_of(connection).get(role, -1))
        finally:
            connection.close()

    def snapshot_data(self, role: str, number: int) -> bytes:
        """The state after entry `number`, which `snapshots` lists."""
        connection = self._connect_to_read()
        try:
            return history.snapshot_data(connection, roles_of(connection).get(role, -1), number)
        finally:
            connection.close()

    def entries(self, role: str, first: int, last: int | None = None) -> Iterator[Entry]:
        """See `port.Journal.entries`."""
        connection = self._connect_to_read()
        try:
            number = roles_of(connection).get(role)
            if number is None:
                return
            low, high = (
                history.id_of(number, first),
                history.id_of(number, history.MOST if last is None else last),
            )
            while rows := connection.execute(
                "SELECT id, at, logic, inputs, outputs FROM entry"
                " WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
                (low, high, _PAGE),
            ).fetchall():
                for id_, *rest in rows:
                    yield Entry(role, id_ & history.MOST, *rest)
                low = rows[-1][0] + 1
        except sqlite3.Error as error:
            raise translate(error, self.path) from error
        finally:
            connection.close()

    def _connect_to_read(self) -> sqlite3.Connection:
        try:
            return connect_to_read(self.path)
        except sqlite3.Error as error:
            raise translate(error, self.path) from error


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT}")
    return connection


def roles_of(connection: sqlite3.Connection) -> dict[str, int]:
    """The numbers by which entries name their roles."""
    return dict(connection.execute("SELECT name, id FROM role").fetchall())
