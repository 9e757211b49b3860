"""What lies behind a task: the longest way through those that wait for it, and their weight.

The way is HEFT's upward rank without its own cost (Topcuoglu et al., 2002): with it, list scheduling starts what the end of
the whole graph hangs on. The weight makes a task count for what it holds up: a light task that three heavy ones wait for is
no light one. What waits for several tasks lends each of them an equal part, so no weight is counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Behind(NamedTuple):
    """What lies behind a task, without itself.

    Attributes:
        path: Microseconds on the longest way through what waits for it, directly or not.
        weight: Milli-weight of all that waits for it, less the parts lent to others.
    """

    path: int = 0
    weight: int = 0


def behind(after: Sequence[Sequence[int]], takes: Sequence[int], weights: Sequence[int]) -> list[Behind]:
    """What lies behind each task of a graph without circles.

    Args:
        after: Of each task the places of those it waits for, each once.
        takes: Microseconds that each is reckoned to take.
        weights: Milli-weight of each.
    """
    open_ends = [0] * len(after)
    for parents in after:
        for parent in parents:
            open_ends[parent] += 1
    paths, weight = [0] * len(after), [0] * len(after)
    last = [place for place, count in enumerate(open_ends) if not count]
    while last:
        place = last.pop()
        parents = after[place]
        for parent in parents:
            paths[parent] = max(paths[parent], takes[place] + paths[place])
            weight[parent] += (weights[place] + weight[place]) // len(parents)
            open_ends[parent] -= 1
            if not open_ends[parent]:
                last.append(parent)
    return [Behind(*pair) for pair in zip(paths, weight, strict=True)]
