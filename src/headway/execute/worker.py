"""A worker: `python -m headway.execute.worker`, started by the executor, runs tasks one after another for as
long as it is kept.

It starts lean (no pydantic, no asyncio): a slot whose worker died is filled in the time an interpreter needs.
The main thread runs tasks, the thread in `line` talks.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from pathlib import Path
from typing import Any

from headway.execute import failure
from headway.execute import keyring as keyrings
from headway.execute.calls import Toolbox
from headway.execute.desk import Desk, Item
from headway.execute.frames import pack
from headway.execute.interrupts import Interrupts
from headway.execute.line import Line
from headway.execute.logs import Capture
from headway.execute.processes import birth
from headway.execute.runner import Runner
from headway.execute.spool import Spool


class Worker:
    """Puts the two threads together.

    Args:
        state: The state folder.
        folder: Where the executor's socket and the spools lie.
        name: This worker's id.
        has_gpus: Whether the node has devices.
    """

    def __init__(self, state: Path, folder: Path, name: str, has_gpus: bool) -> None:
        self._name = name
        spool = Spool.open(folder / f"{name}.spool")
        spool.own(os.getpid(), birth(os.getpid()))
        self._interrupts = Interrupts()
        keyring = keyrings.own()
        self._tools = Toolbox(state, self._interrupts, keyring)
        self._capture = Capture(state, name)
        keyring.on_reveal = lambda: self._capture.mask(keyring.masker)
        faulthandler.enable(file=2, all_threads=False)
        self._line = Line(
            folder / "executor.sock", self._on_message, self._hello, self._on_announced, _lifeline()
        )
        self._desk = Desk(spool, self._line.send, self._line.wake, lambda item: self._runner.is_timed(item))
        self._line.desk = self._desk
        self._runner = Runner(self._desk, self._capture, self._tools, has_gpus)
        self._bound: tuple[str, tuple[int, ...], str] = ("", (), "")

    def run(self) -> None:
        """Until the executor has no more use for it."""
        self._line.start()
        self._runner.serve()
        self._capture.close()

    # ── in the line's thread ────────────────────────────────────────────────────────────────────────────────

    def _hello(self, held: list[tuple[Any, ...]]) -> bytes:
        return pack(("hello", self._name, os.getpid(), self._desk.last, held, *self._bound))

    def _on_announced(self, item: Item) -> None:
        self._capture.show(item[1], item[2])

    def _on_message(self, message: tuple[Any, ...]) -> None:
        match message:
            case ("run", items):
                self._desk.put(items)
            case ("call", index, call):
                self._runner.calls[index] = call
            case ("ack", sequence):
                self._desk.acknowledged(sequence)
            case ("recall", numbers):
                self._desk.remove(numbers, "returned")
            case ("stop", number, outcome, reason, grace):
                self._stop(number, outcome, reason, grace)
            case ("preempt", number):
                self._preempt(number)
            case ("spare", number):
                self._desk.spare(number)
            case ("bound", bundle, devices, python):
                self._bound = (bundle, devices, python)
            case ("forget", index):
                self._runner.forget(index)
            case ("exit",):
                self._desk.close()

    def _stop(self, number: int, outcome: str, reason: str, grace: float) -> None:
        unbegun = [0, failure.said(outcome.capitalize(), reason)]
        if not self._desk.remove([number], outcome, unbegun) and self._desk.is_current(number):
            self._tools.expect_end(grace)
            self._interrupts.deliver(number, outcome, reason)

    def _preempt(self, number: int) -> None:
        if not self._desk.remove([number], "returned"):
            self._desk.preempt(number)


def _lifeline() -> int:
    """A descriptor that is ready when nobody is left: the supervisor's pipe, else the parent's pidfd."""
    given = os.environ.pop("HEADWAY_LIFELINE", "")
    if given.isdigit():
        os.set_inheritable(int(given), False)
        return int(given)
    return os.pidfd_open(os.getppid())


def main(arguments: list[str]) -> int:
    """`STATE FOLDER NAME GPUS`: only the executor calls this."""
    state, folder, name, gpus = arguments
    Worker(Path(state), Path(folder), name, gpus != "0").run()
    sys.stdout.flush()
    os._exit(0)  # threads that a task left behind do not keep us


if __name__ == "__main__":
    main(sys.argv[1:])
