"""What roles and the service ask of a journal. `store` implements it; the conformance suite says when one is
done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from headway.journal.records import Acked, Cursors, Document, Entry, Loaded, Page


class Journal(Protocol):
    """A durable log per role, with the archive beside it, in one file or database.

    An error is `Unavailable` (disk full, read-only, locked: nothing of the call happened, try the same call
    again), `Conflict` (a number that does not follow) or `Corrupt`.
    """

    def load(self, role: str) -> Loaded:
        """Where the role left off. Call before its first append."""

    def entries(self, role: str, first: int, last: int | None = None) -> Iterator[Entry]:
        """Entries `first` to `last`, as far as they are kept: for replay, and for outputs not yet
        acknowledged."""

    async def append(
        self,
        entry: Entry,
        *,
        cursors: Cursors | None = None,
        acked: Acked | None = None,
        documents: Iterable[Document] = (),
        forget: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Returns when the entry is on disk, with all that goes with it or nothing of it.

        Args:
            cursors: What of other senders' streams is in with this entry.
            acked: What receivers said they have of ours.
            documents: Archive rows to write; `forget` names those to delete, as (kind, key).
        """

    async def snapshot(
        self, role: str, number: int, at: int, logic: str, data: bytes, *, needed: int
    ) -> None:
        """Keeps the role's state after entry `number`; older entries may go then, in small steps.

        Args:
            needed: The lowest entry whose outputs somebody has not acknowledged; `number + 1` if none. It and
                all after it stay.
        """

    async def document(self, kind: str, key: str) -> Document | None:
        """One row of the archive."""

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
        """A page of the archive, newest first.

        Args:
            since, until: Times, microseconds: `since <= time < until`.
            after: Where the page before ended.
        """

    async def expire(self, kind: str, before: int) -> int:
        """Deletes the rows of a kind that are older, in small steps. Returns how many."""

    async def retire(self, before: int) -> int:
        """Deletes runs of the archive that ended before, microseconds, with all their rows, in small steps. Returns how
        many."""

    async def close(self) -> None:
        """Writes what is queued and closes."""
