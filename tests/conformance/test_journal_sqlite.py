from __future__ import annotations

from pathlib import Path

from journal_suite import JournalSuite

from headway.store.sqlite import SqliteJournal


class TestSqlite(JournalSuite):
    def open(self, folder: Path) -> SqliteJournal:
        return SqliteJournal(folder / "journal.db")
