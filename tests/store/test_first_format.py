"""A state folder as the first format left it, recorded once from a real service and backed up, is taken up by every later version.

`first-format.tar.gz` holds one finished run of three mapped tasks. It is never made anew: a later format comes to it by migrations.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from pydantic_core import from_json

from headway.core.engine import Engine
from headway.errors import Conflict
from headway.roles.planner import Planner
from headway.roles.resource_manager import ResourceManager
from headway.roles.scheduler import Scheduler
from headway.roles.step import Role
from headway.store import backup, schema
from headway.store.sqlite import SqliteJournal

RECORDED = Path(__file__).with_name("first-format.tar.gz")
RUN = "flow-prpvwazycz"
ADDED = schema.Migration(
    schema.migrations()[-1].number + 1,
    "9999_added.sql",
    "ALTER TABLE document ADD COLUMN note TEXT NOT NULL DEFAULT 'none';\n",
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    backup.restore(RECORDED, tmp_path / "state")
    return tmp_path / "state"


def version(state: Path) -> int:
    connection = sqlite3.connect(state / "journal.db")
    try:
        return schema.version(connection)
    finally:
        connection.close()


async def test_it_is_brought_up_to_date_and_the_run_is_there(state: Path) -> None:
    assert version(state) == 1
    journal = SqliteJournal(state / "journal.db")
    try:
        assert version(state) == schema.migrations()[-1].number
        found = await journal.document("run", RUN)
        assert found is not None
        view = json.loads(found.json)
        assert (view["state"], view["counts"]) == ("finished", {"finished": 3})
        roles: list[Role] = [Planner(), Scheduler(Engine()), ResourceManager()]
        for role in roles:
            kept = journal.load(role.name)
            assert kept.snapshot is not None
            assert list(kept.entries) == []  # it was stopped in order: the snapshot is all there is
            role.restore(from_json(kept.snapshot.data)["role"])
        planner = roles[0]
        assert isinstance(planner, Planner)
        assert [task["state"] for task in planner.runs.tasks_view(RUN, None, 10, 0)] == ["finished"] * 3
    finally:
        await journal.close()


async def test_a_later_migration_keeps_what_is_there(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward, in one transaction with its record, and once."""
    before = schema.migrations()
    monkeypatch.setattr(schema, "migrations", lambda: [*before, ADDED])
    for _ in range(2):
        await SqliteJournal(state / "journal.db").close()
    assert version(state) == ADDED.number
    connection = sqlite3.connect(state / "journal.db")
    rows = connection.execute("SELECT kind, key, note FROM document ORDER BY kind").fetchall()
    connection.close()
    assert rows == [("graph", RUN, "none"), ("run", RUN, "none")]


async def test_the_older_program_refuses_what_the_newer_one_made(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = schema.migrations()
    with monkeypatch.context() as newer:
        newer.setattr(schema, "migrations", lambda: [*before, ADDED])
        await SqliteJournal(state / "journal.db").close()
    with pytest.raises(
        Conflict, match=rf"version {ADDED.number}, this Headway knows up to {before[-1].number}"
    ):
        SqliteJournal(state / "journal.db")
    assert version(state) == ADDED.number


async def test_a_migration_that_fails_leaves_the_old_format(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = schema.migrations()
    broken = ADDED._replace(sql=ADDED.sql + "ALTER TABLE nothing ADD COLUMN x TEXT;\n")
    with monkeypatch.context() as newer:
        newer.setattr(schema, "migrations", lambda: [*before, broken])
        with pytest.raises(Exception, match="nothing"):
            SqliteJournal(state / "journal.db")
    assert version(state) == before[-1].number
    journal = SqliteJournal(state / "journal.db")
    assert await journal.document("run", RUN) is not None
    await journal.close()
