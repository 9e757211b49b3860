"""Predicted starts that keep their promise: nine of ten tasks start by their P90, whatever the model gets wrong.

Online conformal prediction. Each quantile of a predicted wait is multiplied by a factor that follows its own errors: a
start later than said raises it by `STEP * level`, one in time lowers it by `STEP * (1 - level)`, so that in the long run
the share in time is the level, for any sequence of outcomes as long as the factor stays within its bounds (Gibbs and
Candès 2021, "Adaptive conformal inference under distribution shift"; the update of the quantile itself, here of its
logarithm, is the tracker of Angelopoulos, Candès and Tibshirani 2023). Whether a prediction failed is known at the
promised time, not when the task starts at last: so long waits teach as soon as short ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from headway.domain.units import MILLI
from headway.sim.what_if import Prediction

#: Milli of the factor that one outcome moves.
STEP = 30
#: The factor in milli, and the least and the most it may be.
LEAST, MOST = 20, 50_000
#: Predictions whose outcome is waited for; of more no outcome is taken.
PENDING = 20_000
#: The factor counts in millionths inside, so that small steps are not lost.
_UNIT = 1_000


@dataclass(slots=True)
class Tracker:
    """One quantile.

    Attributes:
        level: Milli of the starts that should be in time.
        factor: By which waits are multiplied, in millionths.
        told, late: Outcomes so far.
    """

    level: int
    factor: int = MILLI * _UNIT
    told: int = 0
    late: int = 0

    def learn(self, late: bool) -> None:
        """An outcome."""
        self.told += 1
        self.late += late
        by = STEP * self.level if late else -STEP * (MILLI - self.level)
        self.factor = max(LEAST * _UNIT, min(self.factor + self.factor * by // (MILLI * MILLI), MOST * _UNIT))

    def apply(self, now: int, start: int | None) -> int | None:
        """The corrected time."""
        return None if start is None else now + (start - now) * self.factor // (MILLI * _UNIT)


class Calibration:
    """What became of predictions, and what it says about the next ones."""

    def __init__(self) -> None:
        self.half, self.most = Tracker(500), Tracker(900)
        #: By task: the promised times whose outcome is open, of its last prediction that has none.
        self._open: dict[str, tuple[int | None, int | None]] = {}

    def corrected(self, prediction: Prediction) -> Prediction:
        """With both quantiles multiplied; the higher one is never the earlier."""
        half = self.half.apply(prediction.now, prediction.p50)
        most = self.most.apply(prediction.now, prediction.p90)
        if half is not None and most is not None:
            half = min(half, most)
        return replace(prediction, p50=half, p90=most)

    def promised(self, prediction: Prediction) -> None:
        """A corrected prediction was made; until its outcome is known others of that task do not count."""
        if prediction.p90 is not None and prediction.task not in self._open and len(self._open) < PENDING:
            self._open[prediction.task] = (prediction.p50, prediction.p90)

    def started(self, task: str, now: int) -> None:
        """A task has started."""
        half, most = self._open.pop(task, (None, None))
        if half is not None:
            self.half.learn(now > half)
        if most is not None:
            self.most.learn(now > most)

    def gone(self, task: str) -> None:
        """It will never start: nobody knows when it would have."""
        self._open.pop(task, None)

    def passed(self, now: int) -> None:
        """Promises that time has broken."""
        for task, (half, most) in list(self._open.items()):
            if half is not None and now > half:
                self.half.learn(True)
                half = None
            if most is not None and now > most:
                self.most.learn(True)
                most = None
            if most is None:
                del self._open[task]
            else:
                self._open[task] = (half, most)
