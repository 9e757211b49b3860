"""What is likely to come: a forecast from a series of equal bins, with how wrong such forecasts were before.

Several simple methods forecast the past from what was known before it (rolling origin), and the one that was least wrong
forecasts the future: simple methods are hard to beat on short series, and the best of several is harder (Makridakis et al.,
M4, 2020). Its own past errors give the quantiles, so nothing is assumed of their distribution. A series too short to judge by
is said to be so, and its quantiles are wide as what was seen.

Integers throughout: the same series gives the same forecast everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headway.domain.units import MILLI
from headway.errors import Invalid

#: Errors that a method must have made before its quantiles mean anything.
FEW = 8
#: Origins in the past that the methods are judged at, the latest ones.
ORIGINS = 200
#: Steps up to the horizon at which they are judged.
STEPS = 8
#: Weight of the newest bin in the smoothed level, in milli; of the newest difference in its trend.
LEVEL, TREND = 300, 100


@dataclass(frozen=True, slots=True)
class Forecast:
    """What comes in each of the next bins.

    Attributes:
        method: The one that was least wrong on this series.
        median: What to reckon with, a bin each, in the unit of the series.
        error: Mean absolute error of the method on the past, up to the horizon.
        judged: Errors that this rests on; below `FEW` the quantiles are those of the series itself.
        errors: (actual less forecast), sorted.
        seen: The series, sorted.
    """

    method: str
    median: tuple[int, ...]
    error: int
    judged: int
    errors: tuple[int, ...]
    seen: tuple[int, ...]

    def quantile(self, milli: int) -> tuple[int, ...]:
        """What a bin will not exceed, in `milli` of a thousand cases, never below zero."""
        if not 0 < milli <= MILLI:
            raise Invalid(f"quantile {milli} is not between 1 and 1000")
        if self.judged < FEW:
            return (_rank(self.seen, milli),) * len(self.median)
        more = _rank(self.errors, milli)
        return tuple(max(value + more, 0) for value in self.median)


def forecast(series: Sequence[int], ahead: int, seasons: Sequence[int] = ()) -> Forecast:
    """Forecasts the next bins.

    Args:
        series: One whole number a bin, oldest first: arrivals, or work that came.
        ahead: How many bins to forecast.
        seasons: Lengths that might repeat, in bins: a day, a week. Those not seen twice are left out.

    Raises:
        Invalid: An empty series, or nothing to forecast.
    """
    if not series or ahead < 1:
        raise Invalid("a forecast needs at least one bin of history, and one to forecast")
    best: tuple[int, int, str, list[int]] | None = None
    methods = _methods(seasons, len(series))
    for place, (name, method) in enumerate(methods.items()):
        errors = _errors(series, ahead, method)
        wrong = sum(map(abs, errors)) // len(errors) if errors else 0
        if best is None or (wrong, place) < best[:2]:
            best = (wrong, place, name, errors)
    assert best is not None
    wrong, _, name, errors = best
    median = tuple(max(value, 0) for value in methods[name](series, ahead))
    return Forecast(name, median, wrong, len(errors), tuple(sorted(errors)), tuple(sorted(series)))


Method = Callable[[Sequence[int], int], list[int]]


def _methods(seasons: Sequence[int], length: int) -> dict[str, Method]:
    found: dict[str, Method] = {
        "mean": _mean,
        "last": lambda series, ahead: [series[-1]] * ahead,
        "smoothed": lambda series, ahead: _smoothed(series, ahead, 0),
        "trend": lambda series, ahead: _smoothed(series, ahead, TREND),
    }
    for season in sorted(set(seasons)):
        if 1 < season <= length // 2:
            found[f"season of {season}"] = lambda series, ahead, season=season: _seasonal(
                series, ahead, season
            )  # type: ignore[misc]
    return found


def _mean(series: Sequence[int], ahead: int) -> list[int]:
    return [sum(series) // len(series)] * ahead


def _smoothed(series: Sequence[int], ahead: int, trend: int) -> list[int]:
    """Holt's linear method (1957), in milli of the unit; without a trend it is simple exponential smoothing."""
    level, slope = series[0] * MILLI, 0
    for value in series[1:]:
        former = level
        level += slope + (value * MILLI - level - slope) * LEVEL // MILLI
        if trend:
            slope += (level - former - slope) * trend // MILLI
    return [(level + slope * (step + 1)) // MILLI for step in range(ahead)]


def _seasonal(series: Sequence[int], ahead: int, season: int) -> list[int]:
    """The mean of the same place in the last four seasons."""
    found = []
    for step in range(ahead):
        place = len(series) + step
        places = [place - season * back for back in range(1, 5 + ahead // season)]
        same = [series[one] for one in places if 0 <= one < len(series)][:4]
        found.append(sum(same) // len(same))
    return found


def _errors(series: Sequence[int], ahead: int, method: Method) -> list[int]:
    """Actual less forecast, at some steps up to the horizon, from every origin that leaves enough behind it."""
    first = max(1, len(series) // 3)
    origins = range(first, len(series) - ahead + 1)
    steps = sorted({-(-ahead * part // STEPS) for part in range(1, STEPS + 1)})
    errors = []
    for origin in origins[-ORIGINS:]:
        try:
            found = method(series[:origin], ahead)
        except ZeroDivisionError:  # a season that this origin has not seen yet
            continue
        errors += [series[origin + step - 1] - max(found[step - 1], 0) for step in steps]
    return errors


def _rank(ordered: Sequence[int], milli: int) -> int:
    """The nearest-rank quantile of what is sorted already."""
    return ordered[max(-(-len(ordered) * milli // MILLI), 1) - 1]
