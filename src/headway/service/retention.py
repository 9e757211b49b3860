"""Removes what is too old, an hour apart: rows by the journal's own writer in small steps, files by a niced process.

The order keeps what is referred to: first the planner forgets (journalled), then the rows go, then, after `SETTLE` seconds in which
whoever had read such a row has either been journalled or been turned away, a process reads the journal as of one moment and removes
what it does not mention (`store.retention`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headway.bus.child import leashed
from headway.errors import HeadwayError, Unavailable
from headway.execute.files import safe
from headway.settings import Settings
from headway.store.retention import Swept, now_micros, sweep

log = logging.getLogger("headway.service")

#: Seconds from one turn to the next, and from the start to the first.
EVERY, FIRST = 3600.0, 60.0
SETTLE = 15.0
#: Seconds that the sweeper may take.
_LONGEST = 1800.0


class Retention:
    """See the module.

    Args:
        retire: Forgets runs that ended before; returns how many.
        alive: The runs that are not over.
    """

    def __init__(
        self, settings: Settings, retire: Callable[[int], Awaitable[int]], alive: Callable[[], list[str]]
    ) -> None:
        self._settings, self._retire, self._alive = settings, retire, alive

    @property
    def wanted(self) -> bool:
        """Whether anything is to be removed at all."""
        kept = self._settings.retention
        return kept.runs is not None or kept.logs is not None

    async def run(self) -> None:
        """For ever."""
        await asyncio.sleep(FIRST)
        while True:
            try:
                swept = await self.turn()
                log.info("retention: %s", json.dumps(asdict(swept)))
            except HeadwayError as error:
                log.warning("retention: %s; trying again in an hour", error.message)
            await asyncio.sleep(EVERY)

    async def turn(self, settle: float = SETTLE) -> Swept:
        """Once.

        Raises:
            HeadwayError: The journal cannot be written or read; what is left goes the next time.
        """
        kept, now, gone = self._settings.retention, now_micros(), 0
        if kept.runs is not None:
            gone = await self._retire(now - kept.runs)
            await asyncio.sleep(settle)
        body = {
            "state": str(self._settings.state),
            "now": now,
            "runs": kept.runs,
            "logs": kept.logs,
            "alive": [safe(run) for run in self._alive()],
        }
        return Swept(**{**await _sweep_beside(body), "runs": gone})


async def _sweep_beside(body: dict[str, Any]) -> dict[str, int]:
    process = await asyncio.create_subprocess_exec(
        *leashed([sys.executable, "-m", "headway.service.retention"]),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_LONGEST):
            out, err = await process.communicate(json.dumps(body).encode())
    except TimeoutError:
        raise Unavailable(f"the sweeper has not ended after {_LONGEST:.0f} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        last = err.decode(errors="replace").strip().rpartition("\n")[2]
        raise Unavailable(f"the sweeper failed: {last}")
    found: dict[str, int] = json.loads(out)
    return found


def main() -> None:
    """`python -m headway.service.retention`: what to do on stdin, what was done on stdout."""
    os.nice(15)
    body = json.load(sys.stdin)
    try:
        swept = sweep(
            Path(body["state"]), now=body["now"], runs=body["runs"], logs=body["logs"], alive=body["alive"]
        )
    except HeadwayError as error:
        sys.exit(error.message)
    print(json.dumps(asdict(swept)))


if __name__ == "__main__":
    main()
