from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from headway.errors import Conflict
from headway.store import schema
from headway.store.sqlite import SqliteJournal


def database(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def test_migrations_are_numbered_without_a_gap() -> None:
    known = schema.migrations()
    assert [m.number for m in known] == list(range(1, len(known) + 1))


def test_asking_for_the_version_writes_nothing(tmp_path: Path) -> None:
    connection = database(tmp_path / "j.db")
    assert schema.version(connection) == 0
    assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)


def test_a_migration_and_its_record_are_one_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = schema.Migration(1, "0001_broken.sql", "CREATE TABLE fine (x);\nCREATE TABLE fine (x);\n")
    monkeypatch.setattr(schema, "migrations", lambda: [broken])
    connection = database(tmp_path / "j.db")
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        schema.migrate(connection, tmp_path / "j.db")
    assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    connection = database(tmp_path / "j.db")
    for _ in range(2):
        schema.migrate(connection, tmp_path / "j.db")
    assert schema.version(connection) == schema.migrations()[-1].number


async def test_a_newer_database_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    await SqliteJournal(path).close()
    connection = database(path)
    connection.execute("INSERT INTO migration VALUES (99, 'from the future')")
    connection.close()
    with pytest.raises(
        Conflict, match=f"version 99, this Headway knows up to {schema.migrations()[-1].number}"
    ):
        SqliteJournal(path)


def test_a_script_is_split_at_statements_only() -> None:
    sql = "-- a; comment\nCREATE TABLE a (x TEXT DEFAULT ';');\n\n"
    sql += "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n SELECT 1;\nEND;\n"
    assert len(schema._statements(sql)) == 2
    with pytest.raises(ValueError, match="middle of a statement"):
        schema._statements("CREATE TABLE a (x)")
