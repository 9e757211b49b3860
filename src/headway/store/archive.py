"""The archive: documents of finished work, listed newest first in pages that do not shift when more are
added."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, NamedTuple

from headway.errors import Invalid
from headway.journal.records import Document, Page
from headway.store.writer import Job

MOST_PER_PAGE = 10_000
STEP = 500  # rows deleted in one transaction

PUT = """
INSERT INTO document VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT DO UPDATE SET run = ?3, state = ?4, time = ?5, json = ?6
"""
DELETE = "DELETE FROM document WHERE kind = ? AND key = ?"


class Query(NamedTuple):
    """See `journal.port.Journal.documents`."""

    kind: str
    run: str | None = None
    state: str | None = None
    since: int | None = None
    until: int | None = None
    after: tuple[int, str] | None = None
    limit: int = 100


def get(connection: sqlite3.Connection, kind: str, key: str) -> Document | None:
    """One row."""
    row = connection.execute("SELECT * FROM document WHERE kind = ? AND key = ?", (kind, key)).fetchone()
    return Document(*row) if row else None


def page(connection: sqlite3.Connection, query: Query) -> Page:
    """One page. Each combination of run and state reads along one index."""
    if not 1 <= query.limit <= MOST_PER_PAGE:
        raise Invalid(f"a page of {query.limit} rows", hint=f"ask for 1 to {MOST_PER_PAGE}")
    where: list[str] = ["kind = ?"]
    values: list[Any] = [query.kind]
    conditions: list[tuple[str, Any]] = [
        ("run = ?", query.run),
        ("state = ?", query.state),
        ("time >= ?", query.since),
        ("time < ?", query.until),
    ]
    for condition, value in conditions:
        if value is not None:
            where.append(condition)
            values.append(value)
    if query.after is not None:
        where.append("(time, key) < (?, ?)")
        values.extend(query.after)
    rows = connection.execute(
        f"SELECT * FROM document WHERE {' AND '.join(where)} ORDER BY time DESC, key DESC LIMIT ?",
        (*values, query.limit + 1),
    ).fetchall()
    documents = [Document(*row) for row in rows[: query.limit]]
    more = len(rows) > query.limit
    return Page(documents, (documents[-1].time, documents[-1].key) if more else None)


def expire(kind: str, before: int, deleted: list[int]) -> Iterator[Job]:
    """Steps that delete the rows of a kind older than `before`; `deleted[0]` counts them."""
    step_deleted = STEP

    def step(connection: sqlite3.Connection) -> None:
        nonlocal step_deleted
        step_deleted = connection.execute(
            "DELETE FROM document WHERE (kind, key) IN"
            " (SELECT kind, key FROM document WHERE kind = ? AND time < ? ORDER BY time LIMIT ?)",
            (kind, before, STEP),
        ).rowcount

    while step_deleted == STEP:
        yield step
        deleted[0] += step_deleted


#: Microseconds at which a run of the archive ended.
_ENDED = "coalesce(json_extract(CAST(json AS TEXT), '$.ended'), time)"


def overdue(connection: sqlite3.Connection, before: int, limit: int) -> list[str]:
    """Runs that ended before, the oldest submitted first; -1 for all of them."""
    rows = connection.execute(
        f"SELECT key FROM document WHERE kind = 'run' AND time < ?1 AND {_ENDED} < ?1 ORDER BY time LIMIT ?2",
        (before, limit),
    )
    return [key for (key,) in rows]


def retire(before: int, deleted: list[int]) -> Iterator[Job]:
    """Steps that delete runs which ended before, each run with all its rows or not at all; `deleted[0]` counts them."""
    found: list[str] = []

    def step(connection: sqlite3.Connection) -> None:
        found[:] = overdue(connection, before, STEP // 10)
        connection.executemany(
            "DELETE FROM document WHERE kind IN ('run', 'graph') AND run = ?", [(run,) for run in found]
        )

    yield step
    while found:
        deleted[0] += len(found)
        yield step
