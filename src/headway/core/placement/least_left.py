"""Best fit as the FGD study defines it: the baseline that device-aware placements are compared with.

Unlike the engine's `best_fit` it looks at cores and GPUs only, and measures both by the largest node, so that
small nodes are filled before large ones.
"""

from __future__ import annotations

from headway.core.placement.fleet import Fleet, Ints, Memoryless, State

#: What is left counts in millionths of the largest node.
WHOLE = 1_000_000


class LeastLeft(Memoryless):
    """The node with the fewest cores and GPUs left over; a share takes the fullest GPU that holds it.

    Args:
        fleet: Where tasks are placed; its largest node is the measure.
    """

    fullest = True

    def __init__(self, fleet: Fleet) -> None:
        self._cpu = max(int(fleet.sizes.cpu.max()), 1)
        self._gpu = max(int(fleet.sizes.devices.sum(axis=1).max()), 1)

    def badness(self, state: State) -> Ints:
        """What is free, in millionths, cores and GPUs added up."""
        gpu: Ints = state.devices.sum(axis=1)
        return state.cpu * WHOLE // self._cpu + gpu * WHOLE // self._gpu

    def rank(self, before: Ints, after: Ints) -> Ints:
        """Only what is left afterwards counts."""
        return -after
