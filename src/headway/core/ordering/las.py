"""Least attained service in queues: what was given little so far goes first, of those given about as much who came first.

What counts is processing time times the GPUs held (cores, where none), over all attempts; each queue holds four times the service of
the one below, up to the last, where all that is long stays. Tasks of like service do not take turns preempting one another,
as they would under `attained`. This is the discretised two-dimensional LAS of Tiresias (Gu et al., NSDI 2019), which
orders training jobs of unknown length so; with `preempt = "attained"` it preempts.
"""

from __future__ import annotations

from headway.core.ordering import Book
from headway.core.state import Entry
from headway.domain.units import MILLI, SECOND

#: Service at which the first queue ends: microseconds of one GPU (or core). Each further one ends at `FACTOR` times it.
FIRST = 60 * SECOND
FACTOR = 4
#: How many queues there are: the last begins after 17 GPU hours.
QUEUES = 7


class Las:
    """By queue; ties fall to the next order of the policy."""

    name = "las"
    classes = False

    def key(self, entry: Entry, book: Book) -> int:
        """The queue, from 0."""
        return self.queue_of(entry, entry.attained)

    def queue_of(self, entry: Entry, attained: int) -> int:
        """The queue of a task whose attempts have run so long, in microseconds."""
        service, queue, bound = attained * self._width(entry) // MILLI, 0, FIRST
        while service >= bound and queue < QUEUES - 1:
            queue, bound = queue + 1, bound * FACTOR
        return queue

    def service_of(self, entry: Entry, queue: int) -> int | None:
        """How long its attempts must have run for that queue, in microseconds, or None if there is none such."""
        if not 0 < queue < QUEUES:
            return None
        bound: int = FIRST * FACTOR ** (queue - 1) * MILLI
        return -(-bound // self._width(entry))

    def show(self, key: int, now: int) -> str:
        """For a reader."""
        return f"queue {key} of attained service"

    @staticmethod
    def _width(entry: Entry) -> int:
        """Milli of what it holds."""
        demand = entry.task.demand
        return max(demand.gpu or demand.cpu, 1)


ORDER = Las()
