"""What it costs to preempt an attempt, in microseconds of processing.

Work since its last checkpoint is done again, and the next attempt pays a restart (as its author said, or as attempts of
its kind that went on from a checkpoint have shown). Both delay the task, and with it what waits for it: a victim counts
once for itself and up to once more for the way that lies behind it, by that way's share of what is left of both.
"""

from __future__ import annotations

from typing import NamedTuple

from headway.core.state import Entry, Lease
from headway.core.world import World

#: Waiting tasks that are followed to find the longest way behind one.
FOLLOWED = 64


class Price(NamedTuple):
    """Of one victim, microseconds.

    Attributes:
        lost: Processing since the last checkpoint.
        restart: What going on again takes.
        path: The longest way through the tasks that are known to wait for it.
        total: What is compared.
    """

    lost: int
    restart: int
    path: int
    total: int


#: An attempt that has not started loses nothing: it is called back.
FREE = Price(0, 0, 0, 0)


def price(world: World, lease: Lease, now: int) -> Price:
    """Of preempting the lease's running member."""
    member = lease.members[0]
    if member.started < 0:
        return FREE
    entry = member.entry
    lost = max(now - member.saved_at, 0)
    restart = world.restart(entry)
    spent = total = lost + restart
    path = entry.task.path or (path_behind(world, entry) if world.waiters else 0)
    if path:
        total += spent * path // (path + world.remaining(entry))
    return Price(lost, restart, path, total)


def path_behind(world: World, entry: Entry) -> int:
    """Processing time of the longest chain of tasks that wait for it, as far as the planner has offered them."""
    if entry.task.id not in world.waiters:
        return 0
    longest: dict[str, int] = {}
    _follow(world, entry.task.id, longest)
    return longest[entry.task.id]


def _follow(world: World, task: str, longest: dict[str, int]) -> int:
    if task in longest:
        return longest[task]
    longest[task] = 0
    if len(longest) <= FOLLOWED:
        found = 0
        for other in world.waiters.get(task, ())[:FOLLOWED]:
            found = max(found, world.remaining(other) + _follow(world, other.task.id, longest))
        longest[task] = found
    return longest[task]
