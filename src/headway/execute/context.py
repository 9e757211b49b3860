"""What a running task can do: say how far it is, keep a checkpoint, go on from the last one.

Installed with `headway.authoring.context.use`; the functions a user imports find it there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from headway.domain.units import MILLI
from headway.errors import HeadwayError, Invalid
from headway.execute.files import checkpoint_folder, checkpoints, write_durably
from headway.execute.interrupts import Interrupts, Preempted
from headway.execute.keyring import Keyring

#: Progress is reported so often at most (seconds), and always when done.
_PROGRESS_EVERY = 0.1


class BadCheckpoint(HeadwayError):
    """A checkpoint that cannot be written or read as a value."""

    code = "bad_checkpoint"


class TaskContext:
    """The holder for one attempt.

    Args:
        state: The state folder.
        task: Its id.
        attempt: Its number.
        tell: Takes ("progress" or "checkpoint", done in milli, -1 if unknown) to the executor.
        interrupts: To finish what we do before the task is ended.
        variant: Which of its variants it runs as.
        keyring: Knows what no checkpoint may hold.
    """

    __slots__ = (
        "_done",
        "_interrupts",
        "_keyring",
        "_last",
        "_made",
        "_state",
        "_tell",
        "attempt",
        "gave_way",
        "preempt_asked",
        "task",
        "variant",
    )

    def __init__(
        self,
        state: Path,
        task: str,
        attempt: int,
        tell: Callable[[str, int], None],
        interrupts: Interrupts,
        variant: int = 0,
        keyring: Keyring | None = None,
    ) -> None:
        self._keyring = keyring
        self.task, self.attempt, self.variant = task, attempt, variant
        #: Set by the worker's other thread: end at the next occasion.
        self.preempt_asked = False
        #: It did so.
        self.gave_way = False
        self._state, self._tell, self._interrupts = state, tell, interrupts
        self._done, self._last, self._made = -1, 0.0, 0

    def progress(self, fraction: float) -> None:
        """The task is this far, 0 to 1.

        Raises:
            Invalid: Not a number from 0 to 1.
            Preempted: The place is wanted, and this task keeps no checkpoints that would be worth waiting
                for.
        """
        try:
            done = round(float(fraction) * MILLI)
        except (TypeError, ValueError, OverflowError):
            done = -1
        if not 0 <= done <= MILLI:
            raise Invalid(
                f"progress({fraction!r}) is not a fraction", hint="say progress(0.25) for a quarter"
            )
        self._done = done
        now = time.monotonic()
        if now - self._last >= _PROGRESS_EVERY or done == MILLI:
            self._last = now
            with self._undisturbed():
                self._tell("progress", done)
        if self.preempt_asked and not self._made:
            self._give_way("preempted at its progress report")

    def checkpoint(self, value: Any) -> None:
        """Keep the value: a later attempt of this task goes on from it. On disk when this returns.

        Raises:
            BadCheckpoint: It cannot be pickled, or holds a secret.
            Unavailable: The disk is full or not writable.
            Preempted: The place is wanted; the checkpoint is safe.
        """
        import cloudpickle

        try:
            data = cloudpickle.dumps(value, protocol=5)
        except Exception as error:
            raise BadCheckpoint(
                f"the checkpoint of {self.task}, a {type(value).__name__}, cannot be pickled: {error}",
                hint="keep plain data: state_dict(), arrays, numbers",
            ) from error
        if self._keyring is not None and (leak := self._keyring.leak(data)):
            raise BadCheckpoint(
                f"the checkpoint of {self.task}, a {type(value).__name__}, cannot be kept: {leak}",
                hint="leave it out: the next attempt is given it again",
            )
        with self._undisturbed():
            older = checkpoints(self._state, self.task)
            self._made += 1
            name = f"{self.attempt}-{self._next(older)}.ckpt"
            write_durably(checkpoint_folder(self._state, self.task) / name, data)
            for attempt, _, path in older:
                if attempt <= self.attempt:
                    path.unlink(missing_ok=True)
            self._tell("checkpoint", self._done)
        if self.preempt_asked:
            self._give_way("preempted; its last checkpoint is safe")

    def resume(self, default: Any = None) -> Any:
        """The newest checkpoint of this attempt or an earlier one; `default` if there is none.

        Raises:
            BadCheckpoint: It is there, and cannot be read.
        """
        usable = [path for attempt, _, path in checkpoints(self._state, self.task) if attempt <= self.attempt]
        if not usable:
            return default
        import pickle

        try:
            return pickle.loads(usable[-1].read_bytes())
        except Exception as error:
            raise BadCheckpoint(
                f"the checkpoint {usable[-1]} of {self.task} cannot be read: {type(error).__name__}: {error}",
                hint="delete the file to begin this task from its start",
            ) from error

    def _give_way(self, message: str) -> NoReturn:
        self.gave_way = True
        raise Preempted(message)

    def _next(self, older: list[tuple[int, int, Path]]) -> int:
        return max((number for attempt, number, _ in older if attempt == self.attempt), default=0) + 1

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Interrupts only reach the main thread; a helper thread of the task needs no shield and must not
        take ours."""
        if threading.current_thread() is threading.main_thread():
            with self._interrupts.shield():
                yield
        else:
            yield
