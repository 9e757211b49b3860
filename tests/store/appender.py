"""Appends from three roles as fast as it can, with snapshots, and prints what was acknowledged. Somebody
kills it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from headway.journal.records import Document, Entry
from headway.store.sqlite import SqliteJournal


async def role(journal: SqliteJournal, name: str) -> None:
    number = journal.load(name).last
    while True:
        number += 1
        await journal.append(
            Entry(name, number, number, "l", b"i" * 500, b"o" * 500),
            cursors={("peer", "s"): (1, number)},
            documents=[Document("task", f"{name}/{number}", name, "finished", number, b"{}")],
        )
        os.write(1, f"{name} {number}\n".encode())
        if number % 50 == 0:
            await journal.snapshot(name, number, 0, "l", b"s" * 100_000, needed=number - 10)


async def main(path: Path) -> None:
    journal = SqliteJournal(path, keep_history=0)
    os.write(1, b"ready\n")
    await asyncio.gather(*(role(journal, name) for name in ("planner", "scheduler", "resource_manager")))


asyncio.run(main(Path(sys.argv[1])))
