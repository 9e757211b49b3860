"""How many replicas a service should have: the rule of Kubernetes' horizontal autoscaler.

After `pkg/controller/podautoscaler/replica_calculator.go` of Kubernetes 1.20, in our own words: the count is
scaled by the ratio of what is used to what is wanted, unless the ratio is within the tolerance of one.
Replicas that are not ready yet count as idle when growing, and those that say nothing count against the
change, whichever way it goes; a change that would turn round once they are counted is not made.

Ratios are doubles on purpose: one division and one multiplication, which IEEE 754 defines to the bit, so the
result is the same everywhere, and the same as Kubernetes' also where exact fractions would say otherwise
(112 % of the target with 25 replicas asks for 29, not 28).

Otherwise than Kubernetes: where plain values are exactly on target and some replicas say nothing, the count
stays. There those count as zero, so it shrinks for want of news.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from headway.domain.units import SECOND
from headway.errors import Invalid, Unavailable

#: A ratio this near to one changes nothing.
TOLERANCE = 0.1
#: Microseconds after its start in which a replica's CPU reading may still be that of warming up.
WARM_UP = 300 * SECOND
#: Microseconds after its start within which a replica that turned unready is taken as never having been
#: ready.
FIRST_READY = 30 * SECOND


class NoMetrics(Unavailable):
    """Nothing was measured that says how busy the replicas are: the count stays as it is."""

    code = "no_metrics"


class Phase(StrEnum):
    """Where a replica is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Replica:
    """One copy of the service.

    Attributes:
        name: As in the readings.
        request: What it asked for of the measured resource, in the unit of the readings (milli-cores).
        ready: Whether it passes its readiness check.
        started: When it started, microseconds; None before that.
        changed: When it last turned ready or unready, microseconds.
        leaving: It was asked to end.
    """

    name: str
    request: int = 0
    phase: Phase = Phase.RUNNING
    ready: bool = True
    started: int | None = 0
    changed: int = 0
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What one replica used, averaged over the `window` microseconds before `at`."""

    value: int
    at: int = 0
    window: int = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Answer:
    """How many replicas, and from what.

    Attributes:
        replicas: The count wanted.
        usage: What is used, in the unit of the target, as measured and before anything was assumed.
        target: What was to be used.
        reason: `ratio`, `tolerance`, `would_reverse` or `none_ready`.
        unready: Replicas whose reading was set aside.
        missing: Replicas without a reading.
    """

    replicas: int
    usage: int
    target: int
    reason: str
    unready: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Groups:
    """The replicas by what their readings are worth."""

    ready: int
    unready: tuple[str, ...]
    missing: tuple[str, ...]
    gone: tuple[str, ...]


def by_utilisation(
    current: int,
    target: int,
    replicas: Sequence[Replica],
    readings: Mapping[str, Reading],
    now: int,
    tolerance: float = TOLERANCE,
    warm_up: int = WARM_UP,
    first_ready: int = FIRST_READY,
) -> Answer:
    """Replicas so that use is `target` per cent of what they asked for (a resource metric such as CPU).

    Args:
        current: Replicas wanted so far.
        target: Per cent of the request.
        replicas: All there are.
        readings: By replica; of unknown names they are ignored.
        now: Microseconds.
        tolerance: A ratio this near to one changes nothing.
        warm_up: Microseconds after the start in which an unready replica's reading is set aside.
        first_ready: Microseconds; see `FIRST_READY`.

    Raises:
        NoMetrics: No reading of any replica can be used.
        Invalid: A target that is not positive, or a replica without a request.
    """
    _positive(target)
    for replica in replicas:
        if replica.request <= 0 and replica.name in readings:
            raise Invalid(
                f"replica {replica.name!r} asks for nothing, so no share of it can be aimed at",
                hint="give it a request, or scale by a plain value",
            )
    groups = _grouped(replicas, readings, lambda r, m: _cold(r, m, now, warm_up, first_ready))
    requests = {replica.name: replica.request for replica in replicas}
    usable = _usable(readings, groups)

    def usage(values: Mapping[str, int]) -> int:
        asked = sum(requests[name] for name in values if name in requests)
        if not asked:
            raise NoMetrics(
                "no reading is of a known replica", hint="check that readings carry the replicas' names"
            )
        return sum(value for name, value in values.items() if name in requests) * 100 // asked

    return _scaled(current, target, groups, usable, usage, lambda name: requests[name], tolerance)


def by_value(
    current: int,
    target: int,
    replicas: Sequence[Replica],
    readings: Mapping[str, Reading],
    tolerance: float = TOLERANCE,
) -> Answer:
    """Replicas so that the mean of what they report, such as requests per second, is `target`.

    Readiness plays no part: the readings are the service's own.

    Raises:
        NoMetrics: No reading of any replica can be used.
        Invalid: A target that is not positive.
    """
    _positive(target)
    groups = _grouped(replicas, readings, lambda _replica, _reading: False)
    usable = _usable(readings, groups)
    return _scaled(
        current, target, groups, usable, lambda v: sum(v.values()) // len(v), lambda _: target, tolerance
    )


def by_total(
    current: int, target: int, total: int, replicas: Iterable[Replica], tolerance: float = TOLERANCE
) -> Answer:
    """Replicas so that one figure outside of them, such as a queue's length, comes to `target`.

    From zero replicas it wakes as many as the ratio says.
    """
    _positive(target)
    ratio = total / target
    if not current:
        return Answer(math.ceil(ratio), total, target, "ratio")
    if abs(1.0 - ratio) <= tolerance:
        return Answer(current, total, target, "tolerance")
    ready = sum(1 for replica in replicas if replica.phase is Phase.RUNNING and replica.ready)
    return Answer(math.ceil(ratio * ready), total, target, "ratio" if ready else "none_ready")


def by_total_each(current: int, target: int, total: int, tolerance: float = TOLERANCE) -> Answer:
    """Replicas so that a figure outside of them, divided among them, comes to `target` each."""
    _positive(target)
    each = -(-total // current) if current else total
    if current and abs(1.0 - total / (target * current)) <= tolerance:
        return Answer(current, each, target, "tolerance")
    return Answer(math.ceil(total / target), each, target, "ratio")


def within(wanted: int, current: int, least: int, most: int) -> int:
    """The count within its bounds; in one step it at most doubles (or reaches four), so that a wrong reading does no harm."""
    if not 0 <= least <= most:
        raise Invalid(
            f"bounds {least} to {most} leave no count of replicas", hint="least must not exceed most"
        )
    return max(least, min(wanted, most, max(2 * current, 4)))


def stabilised(wanted: int, earlier: Iterable[tuple[int, int]], now: int, window: int = 300 * SECOND) -> int:
    """The largest count wanted within the window: growing is immediate, shrinking waits.

    Args:
        wanted: The count wanted now.
        earlier: (microseconds, count) as wanted before.
        now: Microseconds.
        window: Microseconds.
    """
    return max([wanted, *(count for at, count in earlier if at > now - window)])


def _scaled(
    current: int,
    target: int,
    groups: Groups,
    values: dict[str, int],
    usage: Callable[[Mapping[str, int]], int],
    assumed: Callable[[str], int],
    tolerance: float,
) -> Answer:
    """The rule itself, over readings that `usage` sums up and `assumed` fills in for when shrinking."""
    measured = usage(values)
    ratio = measured / target

    def answer(replicas: int, reason: str) -> Answer:
        return Answer(replicas, measured, target, reason, groups.unready, groups.missing)

    count_unready = bool(groups.unready) and ratio > 1.0
    if not count_unready and not groups.missing:
        if abs(1.0 - ratio) <= tolerance:
            return answer(current, "tolerance")
        return answer(math.ceil(ratio * groups.ready), "ratio")

    filled = dict(values)
    if ratio != 1.0:
        filled |= {name: assumed(name) if ratio < 1.0 else 0 for name in groups.missing}
    if count_unready:
        filled |= dict.fromkeys(groups.unready, 0)
    again = usage(filled) / target
    if abs(1.0 - again) <= tolerance:
        return answer(current, "tolerance")
    count = math.ceil(again * len(filled))
    if (ratio < 1.0) != (again < 1.0) or (count > current if again < 1.0 else count < current):
        return answer(current, "would_reverse")
    return answer(count, "ratio")


def _grouped(
    replicas: Iterable[Replica], readings: Mapping[str, Reading], cold: Callable[[Replica, Reading], bool]
) -> Groups:
    ready, unready, missing, gone = 0, [], [], []
    for replica in replicas:
        reading = readings.get(replica.name)
        if replica.leaving or replica.phase is Phase.FAILED:
            gone.append(replica.name)
        elif replica.phase is Phase.PENDING or (reading is not None and cold(replica, reading)):
            unready.append(replica.name)
        elif reading is None:
            missing.append(replica.name)
        else:
            ready += 1
    return Groups(ready, tuple(unready), tuple(missing), tuple(gone))


def _cold(replica: Replica, reading: Reading, now: int, warm_up: int, first_ready: int) -> bool:
    """Whether the reading says more of the start than of the load."""
    if replica.started is None:
        return True
    if now < replica.started + warm_up:
        return not replica.ready or reading.at < replica.changed + reading.window
    return not replica.ready and replica.changed < replica.started + first_ready


def _usable(readings: Mapping[str, Reading], groups: Groups) -> dict[str, int]:
    aside = {*groups.unready, *groups.gone}
    values = {name: reading.value for name, reading in readings.items() if name not in aside}
    if not values:
        raise NoMetrics(
            f"no usable reading: {len(groups.unready)} replicas are not ready, {len(groups.missing)} say nothing",
            hint="the count stays as it is until a replica that is ready reports",
        )
    return values


def _positive(target: int) -> None:
    if target <= 0:
        raise Invalid(f"target {target} must be above zero", hint="aim at a use that can be reached")
