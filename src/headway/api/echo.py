"""What tasks print, shown while they run: each line with its task's name, as the lines come."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TextIO

from headway.domain.units import show_bytes
from headway.execute import logs

#: A task's output is a file that its worker writes: it is looked at so often while it runs (seconds).
LOOK_EVERY = 0.2
#: Bytes of one task that are shown; the rest is counted.
SHOWN_MOST = 4 << 20


@dataclass(slots=True)
class _Reading:
    name: str
    offset: int = 0
    rest: bytes = b""


class Echo:
    """Follows the logs of running tasks; a context in which it looks at them.

    Args:
        state: The state folder.
        out: Where the lines go.
    """

    def __init__(self, state: Path, out: TextIO) -> None:
        self._state, self._out = state, out
        self._open: dict[str, _Reading] = {}
        self._looking: asyncio.Task[None] | None = None

    def __enter__(self) -> Echo:
        self._looking = asyncio.create_task(self._look())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._looking is not None
        self._looking.cancel()

    def begin(self, task: str, name: str) -> None:
        """A task runs: its lines are shown from now on."""
        self._open.setdefault(task, _Reading(name))

    def end(self, task: str, name: str) -> None:
        """It is over: show what is left."""
        reading = self._open.pop(task, None) or _Reading(name)
        while self._show(task, reading):
            pass
        if reading.rest:
            self._print(reading, [reading.rest])
        size = logs.size(self._state, task)
        if size > reading.offset:
            self._print(reading, [f"… and {show_bytes(size - reading.offset)} more".encode()])

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for task, reading in self._open.items():
                self._show(task, reading)

    def _show(self, task: str, reading: _Reading) -> bool:
        """Show the next piece; whether there was one."""
        left = SHOWN_MOST - reading.offset
        data, reading.offset = logs.read(self._state, task, reading.offset, max(left, 0))
        if data:
            *lines, reading.rest = (reading.rest + data).split(b"\n")
            self._print(reading, lines)
        return bool(data)

    def _print(self, reading: _Reading, lines: list[bytes]) -> None:
        texts = [line.decode(errors="replace").rstrip() for line in lines]
        shown = [f"{reading.name} | {text}\n" for text in texts if text and not logs.is_header(text)]
        self._out.write("".join(shown))
        self._out.flush()
