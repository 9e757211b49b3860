"""The best node of a shape under a placement whose score does not fall apart (`Scored`).

Each shape keeps its score on every node, with the node's version: what did not change is never scored again, what
did is scored in one call when the shape looks. The best is the least score, the first node on a tie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from headway.core.placement import Scorer
from headway.core.placement.space import Space

if TYPE_CHECKING:
    from headway.core.placement.nodes import Nodes
    from headway.core.queue import Shape
    from headway.core.state import Entry

#: The score of a node on which the shape does not fit.
NEVER = np.iinfo(np.int64).max


def by_shape(scorer: Callable[[Nodes], Scorer]) -> Callable[[Nodes], Sights]:
    """For a placement that scores nodes for shapes."""
    return lambda nodes: Sights(nodes, scorer(nodes))


class Sight:
    """What a shape knows of the nodes.

    Attributes:
        era: The scorer's, when it began. `seen`: how far it is in the log of changes.
        score, device, version: By node; the device that a share takes, -1 for `pick_devices`' own choice.
    """

    __slots__ = ("device", "era", "score", "seen", "version")

    def __init__(self, nodes: int, era: int) -> None:
        self.era = era
        self.seen = -1
        self.score = np.full(nodes, NEVER, np.int64)
        self.device = [-1] * nodes
        self.version = [-1] * nodes


class Sights:
    """The sights of all shapes on the nodes.

    Args:
        scorer: Scores them.
    """

    def __init__(self, nodes: Nodes, scorer: Scorer) -> None:
        self._nodes = nodes
        self.scorer = scorer

    def best(self, shape: Shape, entry: Entry | None) -> Space | None:
        """The node with the best score on which the shape fits, or None."""
        if not self._nodes.all:
            return None
        sight = self._caught_up(shape, self.scorer.renew(deciding=True))
        index = int(sight.score.argmin())
        return self._nodes.all[index] if sight.score[index] != NEVER else None

    def best_but(self, shape: Shape, best: Space, entry: Entry | None) -> Space | None:
        """After `best`: the best of all others."""
        sight = shape.sight
        assert sight is not None
        kept = sight.score[best.index]
        sight.score[best.index] = NEVER
        index = int(sight.score.argmin())
        found = self._nodes.all[index] if sight.score[index] != NEVER else None
        sight.score[best.index] = kept
        return found

    def score(self, shape: Shape, space: Space, entry: Entry | None) -> int:
        """The score of a node on which the shape fits."""
        return int(self._of(shape, space).score[space.index])

    def scores(self, shape: Shape, spaces: Sequence[Space], entry: Entry | None) -> list[int]:
        """The scores of nodes on which the shape fits."""
        sight = self._sight(shape, self.scorer.renew(deciding=False))
        self._score(shape, sight, spaces)
        return [int(sight.score[space.index]) for space in spaces]

    def devices(self, shape: Shape, space: Space) -> tuple[int, ...] | None:
        """The devices that the shape takes on a node on which it fits, where the placement chooses them."""
        if not shape.share:
            return None
        device = self._of(shape, space).device[space.index]
        return None if device < 0 else (device,)

    def _of(self, shape: Shape, space: Space) -> Sight:
        sight = self._sight(shape, self.scorer.renew(deciding=False))
        index = space.index
        if sight.version[index] != space.version:
            scores, devices = self.scorer.scores(shape, [space])
            sight.version[index] = space.version
            sight.score[index] = scores[0]
            if devices is not None:
                sight.device[index] = int(devices[0])
        return sight

    def _sight(self, shape: Shape, era: int) -> Sight:
        sight = shape.sight
        if sight is None or sight.era != era or len(sight.version) != len(self._nodes.all):
            sight = shape.sight = Sight(len(self._nodes.all), era)
        return sight

    def _caught_up(self, shape: Shape, era: int) -> Sight:
        sight = self._sight(shape, era)
        changed = self._nodes.since(sight.seen)
        if changed:
            self._score(shape, sight, changed)
        sight.seen = self._nodes.end()
        return sight

    def _score(self, shape: Shape, sight: Sight, spaces: Sequence[Space]) -> None:
        fitting = []
        for space in spaces:
            index = space.index
            if sight.version[index] != space.version:
                sight.version[index] = space.version
                if space.fits(shape):
                    fitting.append(space)
                else:
                    sight.score[index] = NEVER
        if not fitting:
            return
        scores, devices = self.scorer.scores(shape, fitting)
        sight.score[[space.index for space in fitting]] = scores
        if devices is not None:
            for space, device in zip(fitting, devices.tolist(), strict=True):
                sight.device[space.index] = device
