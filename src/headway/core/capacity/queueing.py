"""How long tasks wait, and how many servers keep the wait short: closed forms of queueing theory.

For what-if answers and for checking the simulator: arrivals are Poisson, one queue, and either one server
with any service times (M/G/1) or several with exponential ones (M/M/c). Results are in the unit of the
service times. These are answers for people, not decisions of the engine, so they are floating point.

Sources are Kleinrock, *Queueing Systems* vol. 1 and 2 (Pollaczek-Khinchine, Erlang, Cobham's priorities), Schrage
and Miller 1966 (shortest remaining processing time), Conway, Maxwell and Miller 1967 (shortest job first).
`wait_exceeds` extends M/M/c to general service and arrivals by the factor of Allen and Cunneen 1978: an
approximation, exact for M/M/c.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from headway.errors import Invalid

Floats = NDArray[np.float64]
#: Servers beyond which an answer is refused: nobody can mean it, and the recursion is linear.
MOST_SERVERS = 10_000_000


class Service(Protocol):
    """A distribution of service times.

    Attributes:
        mean: First moment.
        square: Second moment.
    """

    @property
    def mean(self) -> float: ...

    @property
    def square(self) -> float: ...

    def sjf_wait(self, rate: float) -> float:
        """Mean wait under shortest job first, not preemptive."""
        ...

    def srpt_response(self, rate: float) -> float:
        """Mean response time under shortest remaining processing time."""
        ...


@dataclass(frozen=True, slots=True)
class Phases:
    """Hyperexponential service: a task is of phase i with probability p[i], then exponential with mean m[i].

    One phase is the exponential distribution. Two describe the heavy tails of real logs well enough to plan
    with.
    """

    probabilities: tuple[float, ...]
    means: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.probabilities) != len(self.means) or not self.means or min(self.means) <= 0:
            raise Invalid(f"phases need a positive mean each, not {self.means} for {self.probabilities}")
        _probabilities(self.probabilities)

    @classmethod
    def exponential(cls, mean: float = 1.0) -> Phases:
        """Service without memory."""
        return cls((1.0,), (mean,))

    @classmethod
    def fitted(cls, mean: float, variation: float) -> Phases:
        """Two phases of equal load with this mean and squared coefficient of variation, which must be at least 1."""
        if variation < 1:
            raise Invalid(
                f"squared variation {variation} is below 1, that of exponential service",
                hint="use Sizes for service times that vary less",
            )
        p = (1 + math.sqrt((variation - 1) / (variation + 1))) / 2
        if p == 0.5:
            return cls.exponential(mean)
        return cls((p, 1 - p), (mean / (2 * p), mean / (2 * (1 - p))))

    @property
    def mean(self) -> float:
        return math.fsum(p * m for p, m in zip(self.probabilities, self.means, strict=True))

    @property
    def square(self) -> float:
        return math.fsum(2 * p * m * m for p, m in zip(self.probabilities, self.means, strict=True))

    def _over(self, x: Floats, part: Callable[[Floats, float], Floats]) -> Floats:
        """Sum over phases of p * part(x / m, m), times the exponential."""
        total = np.zeros_like(x)
        for p, m in zip(self.probabilities, self.means, strict=True):
            total += p * part(x / m, m)
        return total

    def density(self, x: Floats) -> Floats:
        return self._over(x, lambda y, m: np.exp(-y) / m)

    def tail(self, x: Floats) -> Floats:
        """The chance to be longer than x."""
        return self._over(x, lambda y, _: np.exp(-y))

    def first(self, x: Floats) -> Floats:
        """The part of the mean that comes from tasks shorter than x."""
        return self._over(x, lambda y, m: m * (-np.expm1(-y) - y * np.exp(-y)))

    def second(self, x: Floats) -> Floats:
        """The part of the second moment that comes from tasks shorter than x."""
        return self._over(x, lambda y, m: m * m * (-2 * np.expm1(-y) - (2 * y + y * y) * np.exp(-y)))

    def sjf_wait(self, rate: float) -> float:
        residual = rate * self.square / 2
        return residual * self._integral(lambda x: self.density(x) / (1 - rate * self.first(x)) ** 2)

    def srpt_response(self, rate: float) -> float:
        def wait(x: Floats) -> Floats:
            reaching = self.second(x) + x * x * self.tail(x)
            return self.density(x) * rate * reaching / (2 * (1 - rate * self.first(x)) ** 2)

        def residence(x: Floats) -> Floats:
            return self.tail(x) / (1 - rate * self.first(x))

        return self._integral(wait) + self._integral(residence)

    def _integral(self, f: Callable[[Floats], Floats]) -> float:
        """From zero to where nothing is left: Gauss-Legendre with 24 points on each of 80 geometric panels."""
        edges = np.concatenate([[0.0], np.geomspace(1e-6 * min(self.means), 80 * max(self.means), 80)])
        points, weights = np.polynomial.legendre.leggauss(24)
        half = np.diff(edges)[:, None] / 2
        x = edges[:-1, None] + half * (points[None, :] + 1)
        return float(np.sum(f(x) * weights[None, :] * half))


@dataclass(frozen=True, slots=True)
class Sizes:
    """Service times that take a few values, such as a history; equal ones are served in order of arrival.

    Args:
        values: The different service times, ascending.
        probabilities: Their chances.
    """

    values: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        if list(self.values) != sorted(set(self.values)) or not self.values or self.values[0] <= 0:
            raise Invalid(
                "sizes must be positive, different and ascending", hint="Sizes.measured(history) sorts them"
            )
        if len(self.values) != len(self.probabilities):
            raise Invalid(
                f"{len(self.values)} sizes have {len(self.probabilities)} probabilities", hint="give one each"
            )
        _probabilities(self.probabilities)

    @classmethod
    def constant(cls, value: float) -> Sizes:
        """Every task takes the same."""
        return cls((value,), (1.0,))

    @classmethod
    def measured(cls, history: Sequence[float]) -> Sizes:
        """As often as they were seen."""
        seen = sorted(Counter(history).items())
        return cls(tuple(value for value, _ in seen), tuple(count / len(history) for _, count in seen))

    @property
    def mean(self) -> float:
        return math.fsum(p * v for p, v in zip(self.probabilities, self.values, strict=True))

    @property
    def square(self) -> float:
        return math.fsum(p * v * v for p, v in zip(self.probabilities, self.values, strict=True))

    def sjf_wait(self, rate: float) -> float:
        classes = [
            Class(rate * p, Sizes.constant(v)) for p, v in zip(self.probabilities, self.values, strict=True)
        ]
        waits = priority_waits(classes)
        return math.fsum(p * wait for p, wait in zip(self.probabilities, waits, strict=True))

    def srpt_response(self, rate: float) -> float:
        total, below, reached, residence, last, longer = 0.0, 0.0, 0.0, 0.0, 0.0, 1.0
        for value, p in zip(self.values, self.probabilities, strict=True):
            # With less than `value` left, only what is shorter still gets in between.
            residence += (value - last) / (1 - below)
            longer -= p
            reached += p * value * value
            upto = below + rate * p * value
            wait = rate * (reached + max(longer, 0.0) * value * value) / (2 * (1 - below) * (1 - upto))
            total += p * (wait + residence)
            below, last = upto, value
        return total


@dataclass(frozen=True, slots=True)
class Class:
    """Tasks of one priority: how many come per unit of time, and how long they take."""

    rate: float
    service: Service


def fcfs(rate: float, service: Service) -> float:
    """Mean response time on one server, first come first served (Pollaczek-Khinchine)."""
    load = _stable(rate * service.mean)
    return service.mean + rate * service.square / (2 * (1 - load))


def sjf(rate: float, service: Service) -> float:
    """Mean response time on one server, shortest job first, started jobs finish."""
    _stable(rate * service.mean)
    return service.mean + service.sjf_wait(rate)


def srpt(rate: float, service: Service) -> float:
    """Mean response time on one server, shortest remaining processing time, preemptive: the least any policy can reach."""
    _stable(rate * service.mean)
    return service.srpt_response(rate)


def priority_waits(classes: Sequence[Class]) -> tuple[float, ...]:
    """Mean wait of each class on one server, the first class first, started tasks finish (Cobham 1954)."""
    loads = [each.rate * each.service.mean for each in classes]
    _stable(math.fsum(loads))
    residual = math.fsum(each.rate * each.service.square for each in classes) / 2
    waits, above = [], 0.0
    for load in loads:
        waits.append(residual / ((1 - above) * (1 - above - load)))
        above += load
    return tuple(waits)


def preemptive_responses(classes: Sequence[Class]) -> tuple[float, ...]:
    """Mean response time of each class where a better one preempts and the preempted resumes without loss."""
    _stable(math.fsum(each.rate * each.service.mean for each in classes))
    responses, above, residual = [], 0.0, 0.0
    for each in classes:
        residual += each.rate * each.service.square / 2
        upto = above + each.rate * each.service.mean
        responses.append(each.service.mean / (1 - above) + residual / ((1 - above) * (1 - upto)))
        above = upto
    return tuple(responses)


def erlang_b(servers: int, load: float) -> float:
    """The chance that a task finds all servers busy where nobody waits.

    Args:
        servers: How many.
        load: Offered load: arrival rate times mean service time.
    """
    if load < 0 or servers < 0:
        raise Invalid(f"load {load} on {servers} servers has no meaning", hint="give numbers of zero or more")
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """The chance that a task must wait where everybody does (M/M/c)."""
    _stable(load, servers)
    return _waits(erlang_b(servers, load), servers, load)


def mmc(servers: int, load: float) -> float:
    """Mean response time in mean service times (M/M/c, first come first served)."""
    return 1 + erlang_c(servers, load) / (servers - load)


def wait_exceeds(
    servers: int, load: float, time: float, variation: float = 1.0, arrivals: float = 1.0
) -> float:
    """The chance to wait longer than `time`.

    Args:
        servers: How many.
        load: Arrival rate times mean service time.
        time: In mean service times.
        variation: Squared coefficient of variation of service times; 1 is exponential, where the answer is
            exact.
        arrivals: The same of the times between arrivals.
    """
    spread = (variation + arrivals) / 2
    if not spread:
        return 0.0 if servers >= load else 1.0
    return erlang_c(servers, load) * math.exp(-(servers - load) * time / spread)


def servers_for(
    load: float, share: float, time: float = 0.0, variation: float = 1.0, arrivals: float = 1.0
) -> int:
    """The fewest servers with which at most `share` of the tasks wait longer than `time`.

    `servers_for(load=8, share=0.05, time=0.5)` answers: how many so that the P95 wait stays under half a mean
    service time?

    Args:
        load: Arrival rate times mean service time.
        share: 0 to 1.
        time: In mean service times; 0 asks who waits at all.
        variation: As in `wait_exceeds`.
        arrivals: As in `wait_exceeds`.
    """
    if not 0 < share <= 1:
        raise Invalid(f"share {share} is not between 0 and 1", hint="at most 5 % is share=0.05")
    if not 0 <= load < MOST_SERVERS / 2:
        raise Invalid(
            f"load {load} is out of range",
            hint=f"give tasks per time times mean service time, below {MOST_SERVERS // 2}",
        )
    spread = (variation + arrivals) / 2
    servers, blocked = 0, 1.0
    while True:
        if servers > load or not load:
            delay = math.exp(-(servers - load) * time / spread) if spread else float(not time)
            if not load or _waits(blocked, servers, load) * delay <= share:
                return servers
        servers += 1
        blocked = load * blocked / (servers + load * blocked)


def _waits(blocked: float, servers: int, load: float) -> float:
    """Erlang C from Erlang B."""
    return servers * blocked / (servers - load * (1 - blocked)) if servers else 1.0


def _stable(load: float, servers: int = 1) -> float:
    if load < 0:
        raise Invalid(f"load {load} is negative", hint="give rates and times of zero or more")
    if load >= servers:
        raise Invalid(
            f"load {load:.6g} on {servers} server{'s' if servers > 1 else ''}: the queue grows without end",
            hint=f"at least {math.floor(load) + 1} servers are needed before any wait is bounded",
            load=load,
            servers=servers,
        )
    return load


def _probabilities(values: Sequence[float]) -> None:
    if min(values) < 0 or abs(math.fsum(values) - 1) > 1e-9:
        raise Invalid(f"probabilities {values} do not add up to 1")
