"""`python -m headway.service.follower`: the process beside the service that folds what the scheduler commits into a copy of
its engine, and answers what would cost the service too much: predictions, what-if, the past.

It runs niced, reads the journal, and is asked over `run/follower.sock`. It may be slow, stopped, dead or absent: nobody
waits for it (`roles.following.asking`). Its memory is that of one more engine, and of the futures it looks at, one at a
time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from headway.core.engine import Engine
from headway.core.events import Event
from headway.errors import HeadwayError, Invalid, Unavailable
from headway.roles.following.asking import LONGEST, listen, socket_of
from headway.roles.following.digesting import Digesting
from headway.roles.following.duties import Duty
from headway.roles.following.follower import Follower
from headway.roles.following.past import Past
from headway.roles.following.predicting import Predicting
from headway.service import lifeline
from headway.settings import Child, read_child
from headway.store.reader import Reader

log = logging.getLogger("headway.follower")

_NICE = 10
#: The kernel ends it before others when memory runs out.
_EXPENDABLE = 800
#: Seconds between two looks at the journal: at first, and when nothing comes.
_SOON, _LATER = 0.2, 1.0
#: Steps that are folded before askers are looked at.
_BATCH = 200


class Host:
    """Keeps the copy up to date and lets duties answer, one thing after the other.

    Args:
        reader: Of the journal.
        duties: All that may be asked. Another one is one more element here.
    """

    def __init__(self, reader: Reader, duties: list[Duty]) -> None:
        self._duties = {duty.name: duty for duty in duties}
        self._follower = Follower(reader, self._heard)

    def _heard(self, engine: Engine, event: Event, now: int) -> None:
        for duty in self._duties.values():
            duty.heard(engine, event, now)

    async def follow(self) -> None:
        """For ever."""
        pause = _SOON
        while True:
            before = self._follower.number
            try:
                while self._follower.catch_up(_BATCH):
                    await asyncio.sleep(0)
                if self._follower.number == before:
                    self._idle()
            except HeadwayError as error:
                log.warning("%s", error.message)
                pause = _LATER
            pause = _SOON if self._follower.number != before else min(pause * 1.5, _LATER)
            await asyncio.sleep(pause)

    def _idle(self) -> None:
        for duty in self._duties.values():
            duty.idle(self._follower.engine, self._now())

    def _now(self) -> int:
        return max(self._follower.at, time.time_ns() // 1000)

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question."""
        with suppress(OSError, ValueError, asyncio.LimitOverrunError):
            line = await reader.readline()
            await asyncio.sleep(0)
            if line and not reader.at_eof():  # whoever has gone meanwhile needs no answer
                writer.write(json.dumps(self._answer(line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            duty = self._duties.get(asked["duty"])
            if duty is None:
                raise Invalid(f"the follower has no duty {asked['duty']!r}", hint="ask a newer one")
            while self._follower.catch_up(_BATCH):
                pass
            return {"answer": duty.answer(self._follower.engine, self._now(), asked["body"])}
        except HeadwayError as error:
            return {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
        except Exception:
            log.exception("a duty failed")
            failed = Unavailable(
                "the follower cannot answer this", hint="its log says why: logs/follower.log"
            )
            return {"error": {"code": failed.code, "message": failed.message, "hint": failed.hint}}


async def run(child: Child) -> None:
    """Until SIGTERM, or the supervisor's death."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    lifeline.watch(loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    reader = Reader(child.settings.state / "journal.db")
    host = Host(reader, [Predicting(), Past(reader), Digesting()])
    sock = listen(socket_of(child.settings.state))
    server = await asyncio.start_unix_server(host.hear, sock=sock, limit=LONGEST)
    following = asyncio.create_task(host.follow())
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.close()
    following.cancel()
    if following in done:
        following.result()


def main() -> None:
    """Started by the supervisor."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    os.nice(_NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_EXPENDABLE))
    asyncio.run(run(read_child()))


if __name__ == "__main__":
    main()
