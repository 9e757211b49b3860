"""Who may come next: the recent arrivals, drawn again.

A bootstrap of pairs (pause before it, task): it keeps bursts of equal tasks only as far as single pauses of zero do,
and knows no hour of the day.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from headway.domain.task import Task
from headway.sim.chance import Chance

#: Arrivals that are remembered, and the fewest that are worth drawing from.
WINDOW, ENOUGH = 256, 16
#: The most that one future is given.
NEWCOMERS = 512


class Arrivals:
    """The last `WINDOW` of them."""

    def __init__(self) -> None:
        self.recent: deque[tuple[int, Task]] = deque(maxlen=WINDOW)
        self.last = -1

    def heard(self, now: int, task: Task) -> None:
        """A task was offered for the first time, at `now` (microseconds)."""
        if self.last >= 0:
            self.recent.append((max(now - self.last, 0), replace(task, after=(), deadline=None)))
        self.last = now

    def drawn(self, now: int, seed: int) -> Iterator[Task]:
        """Newcomers from `now` on. None if too few were ever seen, or if it has been quiet for longer than ever."""
        known = list(self.recent)
        if len(known) < ENOUGH or now - self.last > max(pause for pause, _ in known):
            return
        chance, at = Chance(seed, "arrivals"), max(self.last, 0)
        for number in range(NEWCOMERS):
            pause, task = known[chance.below(len(known))]
            at = max(at + pause, now + 1)
            yield replace(task, id=f"~/{number}", release=at)
