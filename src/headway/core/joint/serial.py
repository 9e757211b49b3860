"""Serial schedule generation: the schedule that a job list stands for, and its justification.

Jobs are taken in list order and each starts at the earliest moment at which it fits among those placed
before; at several places, where it would finish first (ties: the first place). For regular objectives some
list gives an optimal schedule (Kolisch 1996), so list scheduling is this with a rule's list, and search is
this with many.

What makes it quick in plain Python: the free amounts of a place between two events are *one* integer, a field
a resource with a guard bit above each. Taking a demand away leaves every guard bit set exactly if each field
had enough, so a vector compares at the price of a number.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from headway.core.joint.plan import Plan
from headway.core.joint.problem import PPM, Objective, Place, Problem, choices, order_of, share

#: The place is chosen while building.
ANYWHERE = -1

#: Event times of one place in order, and what is free from each to the next.
_Line = tuple[list[int], list[int]]


class Builder:
    """Builds and measures schedules of one problem; made once, asked many times."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.count = len(problem.jobs)
        self.topological = order_of(problem)
        self.rank = [0] * self.count
        for position, job in enumerate(self.topological):
            self.rank[job] = position
        self.before: list[list[tuple[int, int]]] = [[] for _ in problem.jobs]
        self.after: list[list[tuple[int, int]]] = [[] for _ in problem.jobs]
        for edge in problem.edges:
            self.before[edge.after].append((edge.before, edge.size))
            self.after[edge.before].append((edge.after, edge.size))
        self.choices = [choices(problem, job) for job in problem.jobs]
        self.durations = [[duration or 0 for duration in job.durations] for job in problem.jobs]
        self._release = [job.release for job in problem.jobs]
        self._weight = [job.weight for job in problem.jobs]
        self._opens = [place.opens for place in problem.places]
        totals = problem.totals
        self.shares = [share(job.demand, totals) for job in problem.jobs]
        #: Share (millionths) times microseconds before the horizon that is taken already.
        self.held = sum(
            share(held.demand, totals) * (min(held.end, problem.horizon) - min(held.start, problem.horizon))
            for place in problem.places
            for held in place.held
        )
        self._width = max((amount.bit_length() for amount in totals), default=0) + 1
        self.guards = self._pack((1,) * len(totals)) << (self._width - 1)
        self._demand = [self._pack(job.demand) for job in problem.jobs]
        self._lines = [self._line(place) for place in problem.places]

    # ------------------------------------------------------------------------------------------ building

    def forward(
        self, order: Sequence[int], pins: Sequence[int], closed: frozenset[int] = frozenset()
    ) -> tuple[list[int], list[int]]:
        """The schedule of a list.

        Args:
            order: All jobs, each after those it waits for.
            pins: For each job its place, or ANYWHERE.
            closed: Places not to be chosen; a pin, or a job that fits nowhere else, overrules it.

        Returns:
            Starts in microseconds and places, by job.
        """
        lines = [(list(times), list(free)) for times, free in self._lines]
        starts, finish, at = [0] * self.count, [0] * self.count, [0] * self.count
        guards, lag = self.guards, self.problem.lag
        for job in order:
            demand, durations, release = self._demand[job], self.durations[job], self._release[job]
            options: Sequence[int] = (pins[job],) if pins[job] >= 0 else self.choices[job]
            if closed and len(options) > 1:
                options = [place for place in options if place not in closed] or options
            best = -1
            for place in options:
                ready = max(release, self._opens[place])
                for earlier, size in self.before[job]:
                    arrives = finish[earlier]
                    if size and lag:
                        arrives += size * lag[at[earlier]][place]
                    if arrives > ready:
                        ready = arrives
                duration = durations[place]
                if best >= 0 and ready + duration >= finish[job]:
                    continue
                start = _earliest(lines[place], guards, demand, ready, duration)
                if best < 0 or start + duration < finish[job]:
                    best, starts[job], finish[job] = place, start, start + duration
            at[job] = best
            _take(lines[best], starts[job], finish[job], demand)
        return starts, at

    def justify(self, starts: list[int], at: list[int]) -> tuple[list[int], list[int]]:
        """Forward-backward improvement (Li and Willis 1992; Valls, Ballestín and Quintanilla 2005): all jobs
        as late as they go within the makespan, latest first, then as early as they go, earliest first. Never
        longer, often shorter. Places are kept.

        Returns:
            The new starts, and the list that builds them.
        """
        rank, lag, guards = self.rank, self.problem.lag, self.guards
        finish = [start + self.durations[job][at[job]] for job, start in enumerate(starts)]
        lines = [(list(times), list(free)) for times, free in self._lines]
        whole, late = max(finish, default=0), [0] * self.count
        for job in sorted(range(self.count), key=lambda job: (-finish[job], -rank[job])):
            end, place = whole, at[job]
            for later, size in self.after[job]:
                leaves = late[later] - (size * lag[place][at[later]] if size and lag else 0)
                if leaves < end:
                    end = leaves
            duration, demand = self.durations[job][place], self._demand[job]
            late[job] = _latest(lines[place], guards, demand, end, duration)
            _take(lines[place], late[job], late[job] + duration, demand)
        order = sorted(range(self.count), key=lambda job: (late[job], rank[job]))
        return self.forward(order, at)[0], order

    # ----------------------------------------------------------------------------------------- measuring

    def measure(self, starts: Sequence[int], at: Sequence[int]) -> tuple[int, int]:
        """(use missing to the floor, cost), as `plan.shortfall` and `plan.cost` have them; smaller is better."""
        problem = self.problem
        ends = [start + self.durations[job][at[job]] for job, start in enumerate(starts)]
        price = sum(problem.places[place].price for place in set(at))
        last = max(ends, default=0)
        if problem.objective is Objective.MAKESPAN:
            cost = last
        elif problem.objective is Objective.WEIGHTED_COMPLETION:
            cost = sum(map(int.__mul__, self._weight, ends))
        else:
            cost = problem.counted * PPM * problem.horizon - self._used(starts, ends, problem.horizon)
        if not problem.floor:
            return 0, cost + price
        length = problem.horizon or last
        missing = problem.floor * problem.counted * length - self._used(starts, ends, length)
        return max(0, missing), cost + price

    def plan(self, starts: Sequence[int], at: Sequence[int]) -> Plan:
        """As data."""
        return Plan(tuple(starts), tuple(at))

    def order_by_start(self, starts: Sequence[int]) -> list[int]:
        """A list that builds a schedule with these starts or earlier ones."""
        return sorted(range(self.count), key=lambda job: (starts[job], self.rank[job]))

    def _used(self, starts: Sequence[int], ends: Sequence[int], horizon: int) -> int:
        busy = zip(self.shares, starts, ends, strict=True)
        total = sum(part * (min(end, horizon) - min(start, horizon)) for part, start, end in busy)
        return total + self.held

    # ------------------------------------------------------------------------------------------- packing

    def _pack(self, amounts: Sequence[int]) -> int:
        packed = 0
        for amount in amounts:
            packed = packed << self._width | amount
        return packed

    def _line(self, place: Place) -> _Line:
        times = sorted({0, *(held.start for held in place.held), *(held.end for held in place.held)})
        free = []
        for moment in times:
            left = list(place.capacity)
            for held in place.held:
                if held.start <= moment < held.end:
                    left = [has - taken for has, taken in zip(left, held.demand, strict=True)]
            free.append(self._pack([max(0, amount) for amount in left]) | self.guards)
        return times, free


def _earliest(line: _Line, guards: int, demand: int, ready: int, duration: int) -> int:
    """The first start from `ready` at which the demand fits for the whole duration. Nothing is taken for no
    time."""
    if not duration:
        return ready
    times, free = line
    count, index, start = len(times), bisect_right(times, ready) - 1, ready
    end = start + duration
    while True:
        # The segments up to `index` fit, from `start` on; a blocked one moves the start behind itself.
        if (free[index] - demand) & guards != guards:
            start = times[index + 1]
            end = start + duration
        index += 1
        if index == count or times[index] >= end:
            return start


def _latest(line: _Line, guards: int, demand: int, end: int, duration: int) -> int:
    """The last start that completes by `end`; there is one, where the job stood in the schedule before (see
    `justify`)."""
    if not duration:
        return end
    times, free = line
    index, start = bisect_left(times, end) - 1, end - duration
    while True:
        if (free[index] - demand) & guards != guards:
            start = times[index] - duration
        if times[index] <= start:
            return start
        index -= 1


def _take(line: _Line, start: int, end: int, demand: int) -> None:
    if start == end or not demand:
        return
    times, free = line
    index = bisect_right(times, start) - 1
    if times[index] != start:
        index += 1
        times.insert(index, start)
        free.insert(index, free[index - 1])
    count = len(times)
    while index < count and times[index] < end:
        free[index] -= demand
        index += 1
    if index == count or times[index] != end:
        times.insert(index, end)
        free.insert(index, free[index - 1] + demand)
