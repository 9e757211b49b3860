"""What a running task may say and ask: how far it is, what to keep, and what was kept.

    from headway import checkpoint, progress, task

    @task(retries=3)
    def train(epochs):
        model, done = checkpoint() or (new_model(), 0)   # what was kept last; None on the first attempt
        for epoch in range(done, epochs):
            ...
            checkpoint((model, epoch + 1))               # kept: a later attempt goes on from here
            progress((epoch + 1) / epochs)

In a worker these reach Headway. In a plain call they do nothing (but refuse nonsense as a worker would), so
the same function runs anywhere.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol

from headway.errors import Invalid


class Holder(Protocol):
    """What a worker installs for the length of one attempt.

    Attributes:
        variant: Which of its variants the task runs as, from 0.
    """

    variant: int

    def progress(self, fraction: float) -> None:
        """The attempt is this far."""

    def checkpoint(self, value: Any) -> None:
        """Keep the value durably before returning."""

    def resume(self, default: Any = None) -> Any:
        """The newest value kept by this task, or the default."""


# Process-wide and not a context variable: a task's own threads must find it too, and a worker runs one
# attempt at a time.
_holder: Holder | None = None


class use:
    """Install a holder at once; as a context manager, put the former one back at the end.

    Args:
        holder: What `progress` and `checkpoint` shall reach, or None for nothing.
    """

    def __init__(self, holder: Holder | None) -> None:
        global _holder
        self._former, _holder = _holder, holder

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _holder
        _holder = self._former


def progress(fraction: float) -> None:
    """Say how far the task is.

    Args:
        fraction: From 0 to 1.

    Raises:
        Invalid: It is no such number.
    """
    try:
        sane = 0 <= fraction <= 1
    except TypeError:
        sane = False
    if not sane:
        raise Invalid(
            f"progress({fraction!r}) is not a fraction from 0 to 1", hint="write progress(done / total)"
        )
    if _holder is not None:
        _holder.progress(fraction)


def variant() -> int:
    """Which of its variants the task runs as, from 0; 0 for a task without variants and in a plain call."""
    return _holder.variant if _holder is not None else 0


_ABSENT: Any = object()


class _Checkpoint:
    """`checkpoint(value)` keeps, `checkpoint()` gives back; `checkpoint.load(default)` says how to begin."""

    def __call__(self, value: Any = _ABSENT) -> Any:
        """Keep a value for later attempts; without a value, give back the one kept last, or None."""
        if value is _ABSENT:
            return self.load()
        if _holder is not None:
            _holder.checkpoint(value)
        return None

    def load(self, default: Any = None) -> Any:
        """The value kept last by this task, in this attempt or an earlier one.

        Args:
            default: What to give on the very first attempt, and outside a worker.
        """
        if _holder is None:
            return default
        kept = _holder.resume()
        return default if kept is None else kept

    def __repr__(self) -> str:
        return "checkpoint"


checkpoint = _Checkpoint()
