"""Numbered migrations: each in one transaction with its own record. Asking what is pending never writes."""

from __future__ import annotations

import re
import sqlite3
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from headway.errors import Conflict

_NAME = re.compile(r"(\d{4})_(\w+)\.sql\Z")


class Migration(NamedTuple):
    """One file of `migrations/`."""

    number: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """All that this version of Headway knows, in order."""
    files = resources.files("headway.store").joinpath("migrations").iterdir()
    matched = [(match, file) for file in files if (match := _NAME.match(file.name))]
    found = [Migration(int(match.group(1)), file.name, file.read_text("utf-8")) for match, file in matched]
    return sorted(found)


def version(connection: sqlite3.Connection) -> int:
    """The number of the last migration that the database has; 0 for an empty one."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'migration'").fetchone():
        return 0
    number: int = connection.execute("SELECT coalesce(max(number), 0) FROM migration").fetchone()[0]
    return number


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Brings the database up to date. The connection must be in autocommit mode.

    Raises:
        Conflict: The database is newer than this Headway.
    """
    known = migrations()
    have = version(connection)
    if have > known[-1].number:
        raise Conflict(
            f"the journal {path} has schema version {have}, this Headway knows up to {known[-1].number}",
            hint="upgrade Headway, or use the state folder of this version",
            found=have, known=known[-1].number,
        )  # fmt: skip
    for migration in known:
        if migration.number > have:
            _apply(connection, migration)


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if version(connection) < migration.number:  # another process may have been quicker
            for statement in _statements(migration.sql):
                connection.execute(statement)
            connection.execute(
                "CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT"
            )
            connection.execute("INSERT INTO migration VALUES (?, ?)", (migration.number, migration.name))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(sql: str) -> list[str]:
    """Splits a script: `executescript` would commit the transaction that we are in."""
    statements, current = [], ""
    for line in sql.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    if current.strip():
        raise ValueError(f"a migration ends in the middle of a statement: {current[:80]!r}")
    return statements
