"""What every journal must give the roles: subclass `JournalSuite`, say how to open one twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headway.errors import Conflict, Invalid
from headway.journal.port import Journal
from headway.journal.records import Document, Entry


def entry(
    number: int, role: str = "planner", *, at: int = 0, inputs: bytes = b"in", outputs: bytes = b"out"
) -> Entry:
    return Entry(role, number, at or number * 10, "logic-1", inputs, outputs)


def document(
    key: str,
    *,
    kind: str = "task",
    run: str = "r",
    state: str = "finished",
    time: int = 0,
    json: bytes = b"{}",
) -> Document:
    return Document(kind, key, run, state, time, json)


class JournalSuite:
    def open(self, folder: Path) -> Journal:
        raise NotImplementedError

    @pytest.fixture
    async def journal(self, tmp_path: Path) -> AsyncIterator[Journal]:
        journal = self.open(tmp_path)
        yield journal
        await journal.close()

    async def test_a_new_role_begins_with_nothing(self, journal: Journal) -> None:
        loaded = journal.load("planner")
        assert (loaded.snapshot, list(loaded.entries), loaded.last, loaded.cursors, loaded.acked) == (
            None,
            [],
            0,
            {},
            {},
        )

    async def test_what_was_appended_is_there_after_reopening(self, journal: Journal, tmp_path: Path) -> None:
        entries = [entry(n, inputs=b"%d" % n * n, outputs=b"\0" * n) for n in range(1, 600)]
        await asyncio.gather(*map(journal.append, entries))
        await journal.append(entry(1, "scheduler"))
        await journal.close()
        again = self.open(tmp_path)
        assert list(again.load("planner").entries) == entries
        assert again.load("scheduler").last == 1
        await again.append(entry(600))
        assert again.load("planner").last == 600
        await again.close()

    async def test_cursors_and_acknowledgements_go_with_their_entry(self, journal: Journal) -> None:
        await journal.append(
            entry(1),
            cursors={("e", "report"): (5, 1), ("s", "planner"): (1, 9)},
            acked={("scheduler", "s"): (1, 4)},
        )
        await journal.append(entry(2), cursors={("e", "report"): (6, 1)})
        await journal.append(entry(1, "scheduler"), cursors={("e", "report"): (5, 7)})
        loaded = journal.load("planner")
        assert loaded.cursors == {("e", "report"): (6, 1), ("s", "planner"): (1, 9)}
        assert loaded.acked == {("scheduler", "s"): (1, 4)}
        assert journal.load("scheduler").cursors == {("e", "report"): (5, 7)}

    async def test_a_mark_never_goes_back(self, journal: Journal) -> None:
        await journal.append(entry(1), cursors={("e", "r"): (5, 3)})
        await journal.append(entry(2), cursors={("e", "r"): (5, 2)})
        await journal.append(entry(3), cursors={("e", "r"): (4, 99)})
        assert journal.load("planner").cursors == {("e", "r"): (5, 3)}

    async def test_a_number_that_does_not_follow_is_refused_whole(self, journal: Journal) -> None:
        await journal.append(entry(1))
        wrong = journal.append(entry(3), cursors={("a", "b"): (1, 1)}, documents=[document("x")])
        good = journal.append(entry(1, "scheduler"))
        outcomes = await asyncio.gather(wrong, good, return_exceptions=True)
        assert isinstance(outcomes[0], Conflict)
        assert "entry 3 of planner does not follow 1" in str(outcomes[0])
        assert outcomes[1] is None, "its neighbour in the group is not harmed"
        assert journal.load("planner").cursors == {}
        assert await journal.document("task", "x") is None
        await journal.append(entry(2))

    async def test_the_same_entry_again_is_welcome_a_different_one_is_not(self, journal: Journal) -> None:
        await journal.append(entry(1))
        await journal.append(entry(1))
        with pytest.raises(Conflict):
            await journal.append(entry(1, outputs=b"else"))
        assert list(journal.load("planner").entries) == [entry(1)]

    async def test_a_snapshot_is_where_a_role_starts(self, journal: Journal) -> None:
        for number in range(1, 11):
            await journal.append(entry(number))
        state = bytes(range(256)) * 10_000  # several parts
        await journal.snapshot("planner", 7, 70, "logic-1", state, needed=8)
        loaded = journal.load("planner")
        assert loaded.snapshot is not None
        assert (loaded.snapshot.number, loaded.snapshot.at, loaded.snapshot.logic) == (7, 70, "logic-1")
        assert loaded.snapshot.data == state
        assert [e.number for e in loaded.entries] == [8, 9, 10]
        assert loaded.last == 10

    async def test_appends_go_on_while_a_large_snapshot_is_written(self, journal: Journal) -> None:
        await journal.append(entry(1))
        writing = asyncio.create_task(journal.snapshot("planner", 1, 0, "l", b"s" * 20_000_000, needed=2))
        number = 1
        while not writing.done():
            number += 1
            await journal.append(entry(number))
        assert number > 5
        assert journal.load("planner").last == number

    async def test_an_empty_state_is_a_state(self, journal: Journal) -> None:
        await journal.append(entry(1))
        await journal.snapshot("planner", 1, 0, "l", b"", needed=2)
        loaded = journal.load("planner")
        assert loaded.snapshot is not None
        assert loaded.snapshot.data == b""

    async def test_a_snapshot_of_the_future_is_refused(self, journal: Journal) -> None:
        await journal.append(entry(1))
        with pytest.raises(Conflict, match="after entry 2"):
            await journal.snapshot("planner", 2, 0, "l", b"s", needed=3)
        await journal.append(entry(2))

    async def test_the_archive_is_listed_newest_first_in_pages(self, journal: Journal) -> None:
        rows = [
            document(f"t{n:03}", run=f"r{n % 3}", state="failed" if n % 5 == 0 else "finished", time=n // 2)
            for n in range(50)
        ]
        await journal.append(entry(1), documents=rows)
        newest_first = sorted(rows, key=lambda d: (d.time, d.key), reverse=True)
        listed: list[Document] = []
        after = None
        while True:
            page = await journal.documents("task", after=after, limit=7)
            listed += page.documents
            after = page.after
            if after is None:
                break
        assert listed == newest_first
        failed = await journal.documents("task", run="r0", state="failed", limit=100)
        assert failed.documents == [d for d in newest_first if d.run == "r0" and d.state == "failed"]
        some = await journal.documents("task", since=5, until=7)
        assert some.documents == [d for d in newest_first if 5 <= d.time < 7]
        assert (await journal.documents("run")).documents == []
        with pytest.raises(Invalid, match="ask for 1 to"):
            await journal.documents("task", limit=0)

    async def test_a_document_is_replaced_and_deleted(self, journal: Journal) -> None:
        await journal.append(entry(1), documents=[document("x", state="running", json=b"1")])
        await journal.append(entry(2), documents=[document("x", state="finished", time=3, json=b"2")])
        assert await journal.document("task", "x") == document("x", state="finished", time=3, json=b"2")
        assert (await journal.documents("task", state="running")).documents == []
        await journal.append(entry(3), forget=[("task", "x")])
        assert await journal.document("task", "x") is None

    async def test_old_documents_expire(self, journal: Journal) -> None:
        rows = [document(f"{n}", time=n) for n in range(1200)]
        await journal.append(entry(1), documents=[*rows, document("keep", kind="run")])
        assert await journal.expire("task", 1100) == 1100
        assert len((await journal.documents("task", limit=10_000)).documents) == 100
        assert await journal.document("run", "keep") is not None
        assert await journal.expire("task", 1100) == 0
