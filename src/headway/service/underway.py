"""Requests that read and are not over, so that they end with the right to read.

A stream of events or a log that is followed may last for days. Its token was good when it began; it is asked again every second, and
when it is revoked, replaced or expired the stream is cut. What changes something is not cut: it ends by itself in milliseconds, and
to be broken off in the middle would leave its caller in doubt.
"""

from __future__ import annotations

import asyncio
from typing import Any

from headway.service.tokens import Tokens

#: Seconds from the end of a token to the end of what was opened with it, at most.
CUT_WITHIN = 1.0


class Underway:
    """The tasks that answer such requests, each with its token. Looks at them only while there are any."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._open: dict[asyncio.Task[Any], str] = {}
        self._cut: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, token: str) -> asyncio.Task[Any]:
        """The present task answers a request that came with this token, until `leave`."""
        task = asyncio.current_task()
        assert task is not None, "a request is answered in a task"
        self._open[task] = token
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(CUT_WITHIN, self._look)
        return task

    def is_cut(self, task: asyncio.Task[Any]) -> bool:
        """Whether it was cancelled by us, and not by somebody else."""
        return task in self._cut

    def leave(self, task: asyncio.Task[Any]) -> None:
        """It is answered."""
        del self._open[task]
        self._cut.discard(task)

    def _look(self) -> None:
        self._timer = None
        for task, token in self._open.items():
            if task not in self._cut and self._tokens.refused(token)[1]:
                self._cut.add(task)
                task.cancel()
        if self._open:
            self._timer = asyncio.get_running_loop().call_later(CUT_WITHIN, self._look)
