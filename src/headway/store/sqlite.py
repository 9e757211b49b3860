"""The journal in one SQLite file: WAL, one writer, one flush per group of entries.

`synchronous=FULL` survives a power cut, at 0.2 to 0.3 ms a commit on a common disk; `normal` survives kill -9
of any process but may lose the last commits with the machine. Layout and reasons:
`migrations/0001_journal.sql`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

from headway.errors import Conflict, Invalid, Unavailable
from headway.journal.records import Acked, Cursors, Document, Entry, Loaded, Mark, Page
from headway.store import archive, history
from headway.store.blobs import sync_folder
from headway.store.failures import Corrupt, translate
from headway.store.reader import BUSY_TIMEOUT, Reader, connect_to_read, roles_of
from headway.store.schema import migrate
from headway.store.writer import Job, Writer

T = TypeVar("T")

KEEP_HISTORY = 64 * 2**20  # bytes of entries and snapshots kept behind the last snapshot, for replay
_CURSOR, _ACKED = 0, 1

_PUT_MARK = """
INSERT INTO mark VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET epoch = ?5, seq = ?6
WHERE (?5, ?6) > (epoch, seq)
"""


class SqliteJournal(Reader):
    """A `journal.port.Journal`.

    Args:
        path: The file; it is made, and migrated, if need be.
        sync: See above.
        keep_history: Bytes kept behind the last snapshot of each role; 0 keeps only what is needed to
            restart.

    Raises:
        Unavailable: The file or folder cannot be written.
        Corrupt: It is no database, or a damaged one.
        Conflict: It is from a newer Headway.
    """

    def __init__(
        self, path: Path, *, sync: Literal["full", "normal"] = "full", keep_history: int = KEEP_HISTORY
    ) -> None:
        super().__init__(path)
        self._keep_history = keep_history
        try:
            connection = _open(path, sync)
        except sqlite3.Error as error:
            raise translate(error, path) from error
        except OSError as error:
            raise Unavailable(
                f"the journal {path} cannot be used: {error.strerror}",
                hint="make its folder writable for this user",
            ) from error
        try:
            self._roles = roles_of(connection)
            self._last = {role: history.last(connection, role) for role in self._roles.values()}
        except sqlite3.Error as error:
            connection.close()
            raise translate(error, path) from error
        self._committed_now()
        self._writer = Writer(connection, path, self._committed_now, self._rolled_back)
        self._reader = ThreadPoolExecutor(1, f"reader {path.name}")
        self._reading: sqlite3.Connection | None = None

    # ---- reading

    def load(self, role: str) -> Loaded:
        """See `port.Journal.load`."""
        connection = self._connect_to_read()
        try:
            number = roles_of(connection).get(role)
            if number is None:
                return Loaded(None, iter(()), 0, {}, {})
            snapshot = history.latest_snapshot(connection, number)
            last = history.last(connection, number)
            marks = connection.execute(
                "SELECT direction, first, second, epoch, seq FROM mark WHERE role = ?", (number,)
            )
            both: tuple[dict[tuple[str, str], Mark], dict[tuple[str, str], Mark]] = ({}, {})
            for direction, first, second, epoch, seq in marks:
                both[direction][first, second] = (epoch, seq)
        except sqlite3.Error as error:
            raise translate(error, self.path) from error
        finally:
            connection.close()
        entries = self._gapless(role, snapshot.number + 1 if snapshot else 1, last)
        return Loaded(snapshot, entries, last, *both)

    def _gapless(self, role: str, first: int, last: int) -> Iterator[Entry]:
        number = first - 1
        for entry in self.entries(role, first, last):
            if entry.number != number + 1:
                break
            number = entry.number
            yield entry
        if number != last and last >= first:
            raise Corrupt(
                f"the journal {self.path} lacks entry {number + 1} of {role}; it should have up to {last}",
                hint="restore the state folder from a backup",
            )

    # ---- writing

    async def append(
        self,
        entry: Entry,
        *,
        cursors: Cursors | None = None,
        acked: Acked | None = None,
        documents: Iterable[Document] = (),
        forget: Iterable[tuple[str, str]] = (),
    ) -> None:
        """See `port.Journal.append`."""
        rows = [(d.kind, d.key, d.run, d.state, d.time, d.json) for d in documents]
        marks = [(_CURSOR, *key, *mark) for key, mark in (cursors or {}).items()]
        marks += [(_ACKED, *key, *mark) for key, mark in (acked or {}).items()]
        gone = list(forget)

        def job(connection: sqlite3.Connection) -> None:
            role = self._role(connection, entry.role)
            self._put_entry(connection, role, entry)
            if marks:
                connection.executemany(_PUT_MARK, [(role, *mark) for mark in marks])
            if rows:
                connection.executemany(archive.PUT, rows)
            if gone:
                connection.executemany(archive.DELETE, gone)

        await self._writer.submit(job)

    async def snapshot(
        self, role: str, number: int, at: int, logic: str, data: bytes, *, needed: int
    ) -> None:
        """See `port.Journal.snapshot`."""

        def steps() -> Iterator[Job]:
            id_ = self._roles.get(role, -1)
            last = self._last.get(id_, 0)
            if number > last:
                raise Conflict(f"a snapshot of {role} after entry {number}, but {self.path} ends with {last}")
            yield from history.write_snapshot(id_, number, at, logic, data)
            yield from history.compact(id_, needed, self._keep_history)

        await self._writer.chore(steps())

    async def expire(self, kind: str, before: int) -> int:
        """See `port.Journal.expire`."""
        deleted = [0]
        await self._writer.chore(archive.expire(kind, before, deleted))
        return deleted[0]

    async def retire(self, before: int) -> int:
        """See `port.Journal.retire`."""
        deleted = [0]
        await self._writer.chore(archive.retire(before, deleted))
        return deleted[0]

    async def close(self) -> None:
        """See `port.Journal.close`."""
        await self._writer.close()
        self._reader.shutdown(wait=True)
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    # ---- the archive

    async def document(self, kind: str, key: str) -> Document | None:
        """See `port.Journal.document`."""
        return await self._read(lambda connection: archive.get(connection, kind, key))

    async def documents(
        self,
        kind: str,
        *,
        run: str | None = None,
        state: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after: tuple[int, str] | None = None,
        limit: int = 100,
    ) -> Page:
        """See `port.Journal.documents`."""
        wanted = archive.Query(kind, run, state, since, until, after, limit)
        return await self._read(lambda connection: archive.page(connection, wanted))

    # ---- inside

    def _role(self, connection: sqlite3.Connection, name: str) -> int:
        role = self._roles.get(name)
        if role is None:
            cursor = connection.execute("INSERT INTO role (name) VALUES (?)", (name,))
            role = self._roles[name] = int(cursor.lastrowid or 0)
        return role

    def _put_entry(self, connection: sqlite3.Connection, role: int, entry: Entry) -> None:
        last = self._last.get(role, 0)
        row = (entry.at, len(entry.inputs) + len(entry.outputs), entry.logic, entry.inputs, entry.outputs)
        if entry.number != last + 1:
            # After an error of the disk nobody knows whether the commit reached it; the same entry again is
            # then welcome.
            if entry.number == last and history.row(connection, role, last) == row:
                return
            raise Conflict(
                f"entry {entry.number} of {entry.role} does not follow {last} in {self.path}",
                hint="load the role again; is a second service running on this state folder?",
                role=entry.role, number=entry.number, last=last,
            )  # fmt: skip
        id_ = history.id_of(role, entry.number)
        connection.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", (id_, *row))
        self._last[role] = entry.number

    def _committed_now(self) -> None:
        self._committed = (dict(self._roles), dict(self._last))

    def _rolled_back(self) -> None:
        self._roles, self._last = dict(self._committed[0]), dict(self._committed[1])

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a query in the reader's thread, on its connection."""

        def run() -> T:
            if self._reading is None:
                self._reading = connect_to_read(self.path)
            return query(self._reading)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._reader, run)
        except sqlite3.Error as error:
            raise translate(error, self.path) from error


def _open(path: Path, sync: str) -> sqlite3.Connection:
    if sync not in ("full", "normal"):
        raise Invalid(f"sync={sync!r} is no way to write the journal", hint='write "full" or "normal"')
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {sync.upper()}")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")  # pages: 16 MB
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("PRAGMA temp_store = MEMORY")
        migrate(connection, path)
        # A read-only file opens without complaint; find out now and not at the first entry.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except BaseException:
        connection.close()
        raise
    path.chmod(0o600)
    sync_folder(path.parent)
    return connection
