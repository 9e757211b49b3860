"""SQLite's errors as ours: which file, what is wrong with it, what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from headway.errors import HeadwayError, Unavailable


class Corrupt(HeadwayError):
    """The file is damaged or is something else. Trying again does not help."""

    code = "corrupt"
    status = 500


_LOCKED = ("another process holds it locked", "is a second service running on this state folder?")
_WRITABLE = "make the file and its folder writable for this user"
_UNAVAILABLE = {
    sqlite3.SQLITE_FULL: (
        "the disk is full",
        "free some space; what was being written is kept and tried again",
    ),
    sqlite3.SQLITE_READONLY: ("it is read-only", _WRITABLE),
    sqlite3.SQLITE_PERM: ("permission was denied", _WRITABLE),
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "does its folder exist, and may this user write there?"),
    sqlite3.SQLITE_IOERR: (
        "the disk reports an error",
        "is it full, over quota or failing? see the system's log",
    ),
    sqlite3.SQLITE_NOMEM: ("there is not enough memory", "free some memory"),
}


def translate(error: sqlite3.Error, path: Path) -> HeadwayError:
    """The error to raise instead of `error`, which happened on the database at `path`."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        what = "is not a SQLite database" if primary == sqlite3.SQLITE_NOTADB else "is damaged"
        return Corrupt(
            f"the journal {path} {what} ({error})",
            hint="restore a backup (headway backup), or move the file away to begin with an empty state",
            path=str(path),
        )
    what, hint = _UNAVAILABLE.get(primary if primary is not None else -1, (str(error), "see the cause above"))
    found = Unavailable(f"the journal {path} cannot be used: {what} ({error})", hint=hint, path=str(path))
    if primary == sqlite3.SQLITE_FULL:
        found.code, found.status = "disk_full", 507
    return found
