"""A state folder with a long past, made by the planner itself: its loop, its journal, its snapshots and its archive.

python -m tests.faults.history --tasks 1000000 FOLDER
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from headway.bus.letter import Letter
from headway.core.engine import LOGIC
from headway.journal.records import Entry
from headway.roles.loop import RoleLoop
from headway.roles.planner import Planner
from headway.roles.step import pack_inputs, pack_outputs
from headway.service.identity import write_private
from headway.store.blobs import Blobs
from headway.store.sqlite import SqliteJournal

#: Rows of a report, as an executor fills them.
ROWS = 512
EPOCH = 1


class Past:
    """The planner's wire: an executor that has finished all it is offered, report by report, and a scheduler that has
    every offer."""

    def __init__(self, runs: Sequence[int]) -> None:
        self.arrived = asyncio.Event()
        self.loop: RoleLoop
        self._waiting = deque(self._reports(runs))
        self.over = asyncio.Event()
        #: The number of the last offer.
        self.sent = 0

    def _reports(self, runs: Sequence[int]) -> Iterator[Letter]:
        number = 0
        for run, width in enumerate(runs):
            for start in range(0, width, ROWS):
                number += 1
                rows = ",".join(
                    f'["r{run}/work[{n}]",1,"finished",1000,[900,{{"data":{n},"size":8}}]]'
                    for n in range(start, min(width, start + ROWS))
                )
                body = f'{{"rows":[{rows}]}}'.encode()
                yield Letter("executor-local", "report", EPOCH, number, "report", body, 0)

    def drain(self) -> list[Letter]:
        if not self._waiting:
            self.over.set()
            return []
        self.arrived.set()
        return [self._waiting.popleft() for _ in range(min(8, len(self._waiting)))]

    def commit(self, letters: Sequence[Letter]) -> None:
        """Nobody waits for an acknowledgement."""

    def send(
        self, stream: str, audience: tuple[str, ...], epoch: int, seq: int, kind: str, body: bytes
    ) -> None:
        self.sent = seq
        for member in audience:
            self.loop.acknowledged(stream, member, (epoch, seq))


def make(state: Path, runs: Sequence[int]) -> None:
    """Give the folder a journal in which runs of these widths are finished."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(state / "epoch", f"{EPOCH}\n")
    asyncio.run(_live(state, runs))


async def _live(state: Path, runs: Sequence[int]) -> None:
    journal = SqliteJournal(state / "journal.db")
    past, planner = Past(runs), Planner()
    past.loop = loop = RoleLoop(planner, journal, Blobs(state / "blobs"), EPOCH)
    loop.restore()
    reports, past._waiting = past._waiting, deque()
    loop.attach(past)
    running = asyncio.create_task(loop.run())
    for run, width in enumerate(runs):
        await loop.call("submit", submission(f"r{run}", width), timeout=120)
    past.over.clear()
    past._waiting = reports
    past.arrived.set()
    await past.over.wait()
    loop.stop()
    await running
    # The scheduler has taken in every offer, and has nothing to do any more.
    nothing = Entry("scheduler", 1, loop.now(), LOGIC, pack_inputs([]), pack_outputs([]))
    await journal.append(nothing, cursors={("planner", "scheduler"): (EPOCH, past.sent)})
    await journal.close()


def submission(run: str, width: int) -> dict[str, Any]:
    """A map over so many items."""
    items = {"kind": "json", "data": None, "size": 8, "items": width}
    workflow = {
        "name": "past",
        "tasks": [{"name": "work", "function": "m:work", "args": [{"value": "n"}], "mapped": 1}],
    }
    return {"run": run, "workflow": workflow, "values": {"n": items}, "bundle": "", "key": run, "by": "test"}


def widths(tasks: int) -> list[int]:
    """Half of the tasks in runs of 500, the others in one large run that ended last."""
    small = tasks // 2 // 500
    return [*([500] * small), tasks - 500 * small]


async def restart(state: Path) -> tuple[float, float, Planner]:
    """Fold the planner's journal as a start does: seconds on the wall, seconds of CPU, and the planner."""
    journal = SqliteJournal(state / "journal.db")
    planner = Planner()
    wall, cpu = time.perf_counter(), time.process_time()
    RoleLoop(planner, journal, Blobs(state / "blobs"), EPOCH).restore()
    took = time.perf_counter() - wall, time.process_time() - cpu
    await journal.close()
    return *took, planner


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.history", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    began = time.monotonic()
    make(given.folder, widths(given.tasks))
    made = time.monotonic() - began
    wall, cpu, planner = asyncio.run(restart(given.folder))
    figures = {
        "tasks": given.tasks,
        "made_s": round(made, 1),
        "restart_s": round(wall, 2),
        "restart_cpu_s": round(cpu, 2),
    }
    size = (given.folder / "journal.db").stat().st_size
    print(
        json.dumps(
            {"bench": "history", **figures, "runs_in_memory": len(planner.runs), "journal_mb": size >> 20}
        )
    )


if __name__ == "__main__":
    main()
