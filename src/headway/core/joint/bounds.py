"""What no plan can beat: lower bounds on the cost, upper bounds on utilisation. Integers, rounded to the safe
side."""

from __future__ import annotations

from fractions import Fraction
from heapq import heappop, heappush

from headway.core.joint.problem import PPM, Objective, Problem
from headway.core.joint.serial import Builder


def heads(builder: Builder) -> list[int]:
    """The earliest each job can start by its release, its places' opening and those before it at their
    quickest."""
    problem = builder.problem
    found = [0] * builder.count
    for job in builder.topological:
        opens = min(problem.places[place].opens for place in builder.choices[job])
        waits = (found[earlier] + quickest(builder, earlier) for earlier, _ in builder.before[job])
        found[job] = max(problem.jobs[job].release, opens, *waits, 0)
    return found


def tails(builder: Builder) -> list[int]:
    """The least time from each job's start to the end of all that waits for it, itself included."""
    found = [0] * builder.count
    for job in reversed(builder.topological):
        found[job] = quickest(builder, job) + max(
            (found[later] for later, _ in builder.after[job]), default=0
        )
    return found


def quickest(builder: Builder, job: int) -> int:
    """The job's least processing time."""
    return min(builder.durations[job][place] for place in builder.choices[job])


def lower(builder: Builder) -> int:
    """No plan costs less. Prices of places are left out, which is on the safe side."""
    if not builder.count:
        return 0
    objective = builder.problem.objective
    if objective is Objective.MAKESPAN:
        return makespan(builder)
    if objective is Objective.WEIGHTED_COMPLETION:
        return weighted_completion(builder)
    problem = builder.problem
    return max(0, problem.counted * PPM * problem.horizon - most_used(builder))


def makespan(builder: Builder) -> int:
    """The longest path, and the work of each resource among the jobs that start late, against the capacity
    there is."""
    head, tail = heads(builder), tails(builder)
    least = [quickest(builder, job) for job in range(builder.count)]
    best = max((h + t for h, t in zip(head, tail, strict=True)), default=0)
    late = sorted(range(builder.count), key=lambda job: -head[job])
    for resource in range(len(builder.problem.resources)):
        supply, work, after = _Supply(builder.problem, resource), 0, None
        for job in late:
            amount = least[job] * builder.problem.jobs[job].demand[resource]
            if not amount:
                continue
            work += amount
            rest = tail[job] - least[job]
            after = rest if after is None else min(after, rest)
            best = max(best, supply.done(head[job], work) + after)
    return best


def weighted_completion(builder: Builder) -> int:
    """Each job at its earliest; or, for each resource, all of it as one fast machine that may share itself
    out and preempt.

    There the mean busy time of a job, half its length before its completion, is least under weighted shortest
    processing time with preemption (Goemans 1996); Eastman, Even and Isaacs (1964) is the case without
    releases.
    """
    problem, head = builder.problem, heads(builder)
    least = [quickest(builder, job) for job in range(builder.count)]
    plain = [job.weight * (head[i] + least[i]) for i, job in enumerate(problem.jobs)]
    best = sum(plain)
    for resource, total in enumerate(problem.totals):
        works = [least[i] * job.demand[resource] for i, job in enumerate(problem.jobs)]
        squares = _shared_machine(builder, works, [total * h for h in head])
        best = max(
            best,
            sum(
                problem.jobs[i].weight * (squares[i] + least[i] * work * total) // (2 * work * total)
                if work
                else plain[i]
                for i, work in enumerate(works)
            ),
        )
    return best


def _shared_machine(builder: Builder, works: list[int], release: list[int]) -> list[int]:
    """Preemptive WSPT on one machine of speed one: for each job the sum over its pieces of end² - start²."""
    weights = [job.weight for job in builder.problem.jobs]
    busy = [job for job, work in enumerate(works) if work]
    by_ratio = sorted(busy, key=lambda job: (Fraction(-weights[job], works[job]), job))
    place = {job: position for position, job in enumerate(by_ratio)}
    arrivals = sorted(busy, key=lambda job: release[job])
    left, squares, ready, now, upcoming = list(works), [0] * len(works), list[int](), 0, 0
    while ready or upcoming < len(arrivals):
        if not ready:
            now = max(now, release[arrivals[upcoming]])
        while upcoming < len(arrivals) and release[arrivals[upcoming]] <= now:
            heappush(ready, place[arrivals[upcoming]])
            upcoming += 1
        job = by_ratio[ready[0]]
        until = now + left[job]
        if upcoming < len(arrivals):
            until = min(until, release[arrivals[upcoming]])
        squares[job] += until * until - now * now
        left[job] -= until - now
        now = until
        if not left[job]:
            heappop(ready)
    return squares


def most_used(builder: Builder) -> int:
    """No plan uses more before the horizon (share in millionths times microseconds), with what is held
    already."""
    problem, head, horizon = builder.problem, heads(builder), builder.problem.horizon
    longest = [
        min(max(builder.durations[job][place] for place in builder.choices[job]), max(0, horizon - head[job]))
        for job in range(builder.count)
    ]
    total = builder.held
    for resource, capacity in enumerate(problem.totals):
        if capacity:
            wanted = sum(
                job.demand[resource] * PPM // capacity * length
                for job, length in zip(problem.jobs, longest, strict=True)
            )
            total += min(wanted, _Supply(problem, resource).until(horizon) * PPM // capacity)
    return total


def highest_utilisation(builder: Builder) -> int:
    """The mean utilisation (millionths, rounded down) that no plan exceeds."""
    problem = builder.problem
    if problem.horizon:
        whole, most = problem.counted * problem.horizon, most_used(builder)
    else:
        longest = [
            max(builder.durations[job][place] for place in builder.choices[job])
            for job in range(builder.count)
        ]
        work = sum(part * length for part, length in zip(builder.shares, longest, strict=True))
        whole, most = problem.counted * makespan(builder), work
    return min(PPM, most // whole) if whole else PPM


class _Supply:
    """How much of one resource there is over time, all places together."""

    def __init__(self, problem: Problem, resource: int) -> None:
        change: dict[int, int] = {0: 0}
        for place in problem.places:
            edges = sorted(
                {place.opens, *(t for held in place.held for t in (held.start, held.end) if t > place.opens)}
            )
            before = 0
            for moment in edges:
                taken = sum(held.demand[resource] for held in place.held if held.start <= moment < held.end)
                now = max(0, place.capacity[resource] - taken)
                change[moment] = change.get(moment, 0) + now - before
                before = now
        self.times = sorted(change)
        self.rates, rate = [], 0
        for moment in self.times:
            rate += change[moment]
            self.rates.append(rate)

    def done(self, start: int, work: int) -> int:
        """The earliest moment by which so much work can be done from `start` on."""
        for index, rate in enumerate(self.rates):
            last = index + 1 == len(self.times)
            begin = max(start, self.times[index])
            if last or begin < self.times[index + 1]:
                if last or rate * (self.times[index + 1] - begin) >= work:
                    return begin + -(-work // rate)
                work -= rate * (self.times[index + 1] - begin)
        raise AssertionError("the last stretch of a supply has no end")

    def until(self, moment: int) -> int:
        """Amount times microseconds up to a moment."""
        ends = [*self.times[1:], moment]
        pairs = zip(self.times, ends, self.rates, strict=True)
        return sum(rate * max(0, min(end, moment) - begin) for begin, end, rate in pairs)
