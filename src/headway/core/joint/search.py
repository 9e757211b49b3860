"""Local search over job lists: late acceptance, justification, restarts from the lists of other rules.

A neighbour moves one to a few jobs elsewhere in the list, as far as precedence lets it, or to another place.
What it builds is accepted when it is no worse than now, or than what was held a few turns ago (late
acceptance, Burke and Bykov 2017): that leaves local optima without a temperature and without `exp`, so
integers decide. Two things make it strong: with one place the list is replaced by the order of the starts it
built (many lists build one schedule; moves in that order change it), and for the makespan each schedule is
justified.

Chance comes from the seed alone and nothing depends on the budget, so a longer search is the shorter one gone
on with.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from headway.core.joint.bounds import lower
from headway.core.joint.listing import RULES, listed
from headway.core.joint.plan import Plan, faults
from headway.core.joint.port import Answer, Budget, answer
from headway.core.joint.problem import Objective, Problem
from headway.core.joint.serial import ANYWHERE, Builder
from headway.errors import Invalid

#: Turns back that a neighbour may be as bad as.
_MEMORY = 5
#: Turns without progress, a job and at least, before the next start.
_PATIENCE, _PATIENCE_LEAST = 4, 100
#: One more move in a neighbour with probability one half, up to so many.
_MOVES = 6
#: The most that a turn costs: a schedule, and two for its justification.
_TURN = 3

_Measure = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Point:
    """A list with its pins and closed places, and what it builds."""

    measure: _Measure
    order: list[int]
    pins: list[int]
    closed: frozenset[int]
    starts: list[int]
    at: list[int]
    origin: str


class Walk:
    """A search that can be gone on with: `go`, look at `best`, `go` again.

    Args:
        builder: Of the problem.
        seed: What chance there is follows from it.
        start: A sound plan known already.

    Raises:
        Invalid: The start breaks a constraint.
    """

    def __init__(self, builder: Builder, seed: int = 0, start: Plan | None = None) -> None:
        self._now: _Point
        self._peak: _Measure
        self._memory: list[_Measure]
        self._turns = self._idle = 0
        self._builder = builder
        self._random = random.Random(seed)
        self._several = any(len(options) > 1 for options in builder.choices)
        self._makespan = builder.problem.objective is Objective.MAKESPAN
        self._priced = [index for index, place in enumerate(builder.problem.places) if place.price]
        self._before = [frozenset(job for job, _ in earlier) for earlier in builder.before]
        self._after = [frozenset(job for job, _ in later) for later in builder.after]
        self._patience = max(_PATIENCE_LEAST, _PATIENCE * builder.count)
        self._origins = self._lists()
        self.lists = len(self._origins)
        if start is not None:
            self._origins.insert(0, self._known(start))
        self.best = min(self._origins, key=lambda point: point.measure)
        self.steps = 0
        self._allowed = 0
        self._restarts = 0
        self._begin(self.best)
        self._least = (0, lower(builder))

    @property
    def proved(self) -> bool:
        """Whether the bound says that nothing better exists."""
        return self.best.measure <= self._least

    def go(self, steps: int) -> None:
        """Build at most so many more schedules."""
        self._allowed += steps
        if not self._builder.count:
            return
        while self.steps + _TURN <= self._allowed and not self.proved:
            self._turn()

    # ----------------------------------------------------------------------------------------- one turn

    def _turn(self) -> None:
        now, slot = self._now, self._turns % _MEMORY
        self._turns += 1
        self._idle += 1
        point = self._built(*self._neighbour(now))
        if point.measure <= now.measure or point.measure <= self._memory[slot]:
            self._now = point
            if point.measure < self._peak:
                self._peak, self._idle = point.measure, 0
            if point.measure < self.best.measure:
                self.best = point
        self._memory[slot] = min(self._memory[slot], self._now.measure)
        if self._idle > self._patience:
            self._restarts += 1
            self._begin(self._origins[self._restarts % len(self._origins)])

    def _begin(self, point: _Point) -> None:
        self._now, self._peak = point, point.measure
        self._memory = [point.measure] * _MEMORY
        self._turns = self._idle = 0

    def _built(self, order: list[int], pins: list[int], closed: frozenset[int]) -> _Point:
        """The neighbour's schedule, justified where that pays."""
        builder = self._builder
        starts, at = builder.forward(order, pins, closed)
        measure = builder.measure(starts, at)
        self.steps += 1
        if self._makespan and (not self._several or measure <= self._now.measure):
            later, listed_as = builder.justify(starts, at)
            self.steps += 2
            shorter = builder.measure(later, at)
            if not self._several or shorter < measure:
                # At several places the schedule is kept by pinning it; else its order says it all (below).
                measure, starts, order = shorter, later, listed_as
                pins = list(at) if self._several else pins
        if not self._several:
            order = builder.order_by_start(starts)
        return _Point(measure, order, pins, closed, starts, at, self._now.origin)

    # -------------------------------------------------------------------------------------------- moves

    def _neighbour(self, point: _Point) -> tuple[list[int], list[int], frozenset[int]]:
        order, pins, closed = list(point.order), list(point.pins), point.closed
        if self._priced and not self._draw(8):
            closed ^= {self._priced[self._draw(len(self._priced))]}
            pins = [ANYWHERE if place in closed else place for place in pins]
        for _ in range(_MOVES):
            if self._several and self._draw(2):
                self._repin(pins)
            else:
                self._shift(order)
            if self._draw(2):
                break
        return order, pins, closed

    def _repin(self, pins: list[int]) -> None:
        job = self._draw(len(pins))
        options = self._builder.choices[job]
        pins[job] = options[self._draw(len(options))] if self._draw(4) else ANYWHERE

    def _shift(self, order: list[int]) -> None:
        """Move one job to another position between the last job it waits for and the first that waits for it."""
        position = first = last = self._draw(len(order))
        job = order[position]
        before, after = self._before[job], self._after[job]
        while first and order[first - 1] not in before:
            first -= 1
        while last + 1 < len(order) and order[last + 1] not in after:
            last += 1
        if first < last:
            target = first + self._draw(last - first)
            order.insert(target + (target >= position), order.pop(position))

    def _draw(self, count: int) -> int:
        """One of 0 … count-1. From bits, which Python promises to keep the same across versions."""
        return self._random.getrandbits(32) * count >> 32

    # ------------------------------------------------------------------------------------------- starts

    def _lists(self) -> list[_Point]:
        """One start a rule, with and without priced places, best first, without repeats."""
        anywhere = [ANYWHERE] * self._builder.count
        points: dict[tuple[tuple[int, ...], tuple[int, ...]], _Point] = {}
        for closed in dict.fromkeys((frozenset[int](), frozenset(self._priced))):
            for rule in RULES:
                one = listed(self._builder, rule, closed)
                pins = list(one.at) if self._makespan and self._several else anywhere
                point = _Point(one.measure, one.order, pins, closed, one.starts, one.at, rule)
                points.setdefault((tuple(one.starts), tuple(one.at)), point)
        return sorted(points.values(), key=lambda point: point.measure)

    def _known(self, plan: Plan) -> _Point:
        wrong = faults(self._builder.problem, plan)
        if wrong:
            raise Invalid(
                f"the start is not a sound plan: {wrong[0]}", hint="start from a plan of this very problem"
            )
        starts, at = list(plan.starts), list(plan.places)
        measure, order = self._builder.measure(starts, at), self._builder.order_by_start(starts)
        return _Point(measure, order, at, frozenset(), starts, at, "the start")


class Search:
    """Our own solver: lists, then a walk."""

    name = "search"

    def solve(self, problem: Problem, budget: Budget, start: Plan | None = None) -> Answer:
        """The best plan within the budget; see `port.Solver`. The lists it begins with are not counted."""
        builder = Builder(problem)
        walk = Walk(builder, budget.seed, start)
        walk.go(budget.steps)
        best = walk.best
        return answer(
            builder, builder.plan(best.starts, best.at), walk.steps, self.name, f"from {best.origin}"
        )


class Lists:
    """List scheduling alone: the best of all rules."""

    name = "lists"

    def solve(self, problem: Problem, budget: Budget, start: Plan | None = None) -> Answer:
        """The best list, or the start where that is better; the budget is not needed."""
        builder = Builder(problem)
        walk = Walk(builder, budget.seed, start)
        best = walk.best
        return answer(
            builder, builder.plan(best.starts, best.at), walk.lists, self.name, f"from {best.origin}"
        )
