"""For tests of tasks: what `progress`, `checkpoint` and `variant` reach in a worker, in a plain call."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from headway.authoring.context import use


@dataclass(slots=True)
class Attempt:
    """What a task said while it was called; as a worker does, it keeps values, not the objects that may change later.

    Attributes:
        variant: Which of its variants the task runs as, from 0.
        saved: What an earlier attempt kept, for `checkpoint.load()`; None on the first attempt.
        fractions: What it gave to `progress`.
        checkpoints: What it gave to `checkpoint`.
    """

    variant: int = 0
    saved: Any = None
    fractions: list[float] = field(default_factory=list)
    checkpoints: list[Any] = field(default_factory=list)

    def progress(self, fraction: float) -> None:
        self.fractions.append(fraction)

    def checkpoint(self, value: Any) -> None:
        self.checkpoints.append(copy.deepcopy(value))

    def resume(self, default: Any = None) -> Any:
        kept = self.checkpoints[-1] if self.checkpoints else self.saved
        return default if kept is None else copy.deepcopy(kept)


@contextmanager
def attempt(*, saved: Any = None, variant: int = 0) -> Iterator[Attempt]:
    """Tasks called in the with block find an attempt around them.

    Args:
        saved: What an earlier attempt kept.
        variant: Which of its variants the task runs as.
    """
    made = Attempt(variant, saved)
    with use(made):
        yield made
