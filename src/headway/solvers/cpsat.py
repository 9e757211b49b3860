"""OR-Tools CP-SAT behind the port of `core.joint`: proves optima of small problems, and good bounds of larger
ones.

Deterministic: one worker (or several interleaved), a fixed seed, and a limit in CP-SAT's own deterministic
time instead of seconds. It starts from our own search, so its answer is never worse than that. Costs and
plans are measured by our code, not taken from the solver.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from math import gcd
from typing import TYPE_CHECKING, Any

from headway.core.joint.bounds import heads, tails
from headway.core.joint.plan import Plan, completions, faults
from headway.core.joint.port import Answer, Budget, answer, rank
from headway.core.joint.problem import PPM, Held, Objective, Problem
from headway.core.joint.search import Walk
from headway.core.joint.serial import Builder
from headway.errors import HeadwayError, Invalid, Unavailable

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

#: CP-SAT computes in 64 bits; sums must stay below this.
_LARGEST = 1 << 61
#: Schedules of our own search before it starts.
_HINT_STEPS = 3_000
#: Budget steps per unit of deterministic time.
_PER_UNIT = 1_000


class CpSat:
    """The solver of the port.

    Args:
        workers: Interleaved subsolvers; more find better plans of hard problems, at as much more time on one core.

    Raises:
        Unavailable: OR-Tools is not installed.
    """

    name = "cpsat"

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        _library()

    def solve(self, problem: Problem, budget: Budget, start: Plan | None = None) -> Answer:
        """The best plan within the budget, at a thousandth of a unit of deterministic time a step; see
        `port.Solver`.

        With a floor, use missing to it is made least first (at most half the budget), then the cost without
        giving that up.

        Raises:
            Invalid: The numbers are too large for 64 bits.
        """
        builder = Builder(problem)
        walk = Walk(builder, budget.seed, start)
        walk.go(_HINT_STEPS)
        best = builder.plan(walk.best.starts, walk.best.at)
        if walk.proved:
            return answer(builder, best, 0, self.name, f"from {walk.best.origin}, equal to the bound")
        left, limit = budget.steps, PPM
        missing = rank(problem, best)[0]
        if missing:
            model = _Model(builder, best)
            found = self._run(model, model.missing, missing, max(1, left // 2), budget.seed)
            best, left = model.better(found, best), max(1, left - left // 2)
            limit = _limit(builder, found.bound * model.unit, model.latest * model.unit)
            missing = rank(problem, best)[0]
        model = _Model(builder, best)
        if problem.floor:
            model.cp.add(model.missing <= missing // model.unit)
        found = self._run(model, model.cost, rank(problem, best)[1], left, budget.seed)
        best = model.better(found, best)
        return answer(
            builder,
            best,
            budget.steps,
            self.name,
            found.status,
            bound=found.bound * model.cost_unit,
            limit=limit,
        )

    def _run(self, model: _Model, goal: Any, known: int, steps: int, seed: int) -> _Found:
        """Minimise a goal from the plan known."""
        library = _library()
        model.check()
        model.cp.minimize(goal)
        solver = library.CpSolver()
        solver.parameters.random_seed = seed & 0x7FFF_FFFF
        solver.parameters.num_workers = self.workers
        solver.parameters.interleave_search = self.workers > 1
        solver.parameters.max_deterministic_time = steps / _PER_UNIT
        status = solver.solve(model.cp)
        if status == library.MODEL_INVALID:
            raise HeadwayError(
                f"CP-SAT refused the model: {model.cp.validate()}", hint="please report this problem"
            )
        if status == library.INFEASIBLE:
            raise HeadwayError("CP-SAT finds no plan where one is known", hint="please report this problem")
        name = solver.status_name(status).lower()
        # A float carries 53 bits: what it may have rounded up is taken off, so that the bound stays one.
        bound = max(0, solver.best_objective_bound)
        exact = int(bound + 1e-6) if bound < 1 << 50 else int(bound) - (int(bound) >> 50) - 1
        if status not in (library.OPTIMAL, library.FEASIBLE):
            return _Found(name, exact, None)
        starts = [solver.value(start) * model.unit for start in model.starts]
        at = [
            next(place for place, chosen in options.items() if solver.value(chosen))
            for options in model.chosen
        ]
        return _Found(name, exact, model.builder.plan(starts, at))


@dataclass(frozen=True, slots=True)
class _Found:
    status: str
    bound: int
    plan: Plan | None


@dataclass
class _Model:
    """The problem in CP-SAT's terms. Times are in `unit` microseconds, their greatest common divisor."""

    builder: Builder
    known: Plan
    starts: list[Any] = field(default_factory=list)
    ends: list[Any] = field(default_factory=list)
    chosen: list[dict[int, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.problem = self.builder.problem
        self.cp: cp_model.CpModel = _library().CpModel()
        self.unit = _unit(self.problem)
        self.latest = self._latest()
        self.intervals: list[dict[int, Any]] = []
        self._largest = 0
        for index in range(self.builder.count):
            self._add_job(index)
        self._add_edges()
        for place in range(len(self.problem.places)):
            self._add_capacity(place)
        self.last = self.cp.new_int_var(0, self.latest, "last")
        self.cp.add_max_equality(self.last, [0, *self.ends])
        self.cost, self.cost_unit = self._cost()
        self.missing = self._missing()
        self._hint()

    def better(self, found: _Found, known: Plan) -> Plan:
        """The plan found, packed to the left, if it is sound and better than the one known."""
        if found.plan is None:
            return known
        order = self.builder.order_by_start(found.plan.starts)
        packed = self.builder.plan(*self.builder.forward(order, found.plan.places))
        options = [plan for plan in (known, found.plan, packed) if not faults(self.problem, plan)]
        return min(options, key=lambda plan: rank(self.problem, plan))

    def check(self) -> None:
        """Refuse what would overflow."""
        if self._largest >= _LARGEST:
            raise Invalid(
                "the weights and times of the problem are too large for CP-SAT's 64 bits",
                hint="use coarser times or smaller weights, or the solver 'search', which has no such limit",
            )

    # -------------------------------------------------------------------------------------- constraints

    def _latest(self) -> int:
        """By when some optimal plan is complete. For the makespan: the plan known. Else all one after the
        other."""
        priced = any(place.price for place in self.problem.places)
        if self.problem.objective is Objective.MAKESPAN and not self.problem.floor and not priced:
            return max(completions(self.problem, self.known), default=0) // self.unit
        widest = max(chain(*self.problem.lag), default=0)
        end = max((job.release for job in self.problem.jobs), default=0)
        for place in self.problem.places:
            end = max(end, place.opens, *(held.end for held in place.held), 0)
        end += sum(
            max(self.builder.durations[i][k] for k in self.builder.choices[i])
            for i in range(self.builder.count)
        )
        return (end + widest * sum(edge.size for edge in self.problem.edges)) // self.unit

    def _add_job(self, index: int) -> None:
        cp, job, unit = self.cp, self.problem.jobs[index], self.unit
        options, durations = self.builder.choices[index], self.builder.durations[index]
        start = cp.new_int_var(job.release // unit, self.latest, f"start {index}")
        end = cp.new_int_var(0, self.latest, f"end {index}")
        chosen = {place: cp.new_bool_var(f"{index} at {place}") for place in options}
        cp.add_exactly_one(chosen.values())
        for place, here in chosen.items():
            opens = self.problem.places[place].opens // unit
            if opens:
                cp.add(start >= opens).only_enforce_if(here)
        self.intervals.append(
            {
                place: cp.new_optional_interval_var(
                    start, durations[place] // unit, end, here, f"run {index} {place}"
                )
                for place, here in chosen.items()
            }
        )
        self.starts.append(start)
        self.ends.append(end)
        self.chosen.append(chosen)

    def _add_edges(self) -> None:
        cp, lag = self.cp, self.problem.lag
        head, tail = heads(self.builder), tails(self.builder)
        for index in range(self.builder.count):  # implied, and worth saying
            cp.add(self.starts[index] >= head[index] // self.unit)
            cp.add(self.starts[index] <= self.latest - tail[index] // self.unit)
        for edge in self.problem.edges:
            end, start = self.ends[edge.before], self.starts[edge.after]
            cp.add(start >= end)
            if not edge.size or not lag:
                continue
            for origin, left in self.chosen[edge.before].items():
                for target, right in self.chosen[edge.after].items():
                    transfer = edge.size * lag[origin][target] // self.unit
                    if transfer:
                        cp.add(start >= end + transfer).only_enforce_if([left, right])

    def _add_capacity(self, place: int) -> None:
        where = self.problem.places[place]
        here = [i for i in range(self.builder.count) if place in self.intervals[i]]
        for resource in range(len(self.problem.resources)):
            capacity = where.capacity[resource]
            tasks = [
                (self.intervals[i][place], self.problem.jobs[i].demand[resource])
                for i in here
                if self.problem.jobs[i].demand[resource]
            ]
            tasks += [
                (self._fixed(held), held.demand[resource]) for held in _within(where.held, resource, capacity)
            ]
            if len(tasks) < 2:
                continue
            if 2 * min(amount for _, amount in tasks) > capacity:
                self.cp.add_no_overlap([interval for interval, _ in tasks])
            else:
                self.cp.add_cumulative(
                    [interval for interval, _ in tasks], [amount for _, amount in tasks], capacity
                )

    def _fixed(self, held: Held) -> Any:
        return self.cp.new_fixed_size_interval_var(
            held.start // self.unit, (held.end - held.start) // self.unit, "held"
        )

    # -------------------------------------------------------------------------------------------- goals

    def _cost(self) -> tuple[Any, int]:
        """The objective as an expression, and what one of it is worth."""
        problem, terms = self.problem, []
        weight = 1
        if problem.objective is Objective.MAKESPAN:
            value: Any = self.last
            self._largest = max(self._largest, self.latest)
        elif problem.objective is Objective.WEIGHTED_COMPLETION:
            weight = gcd(*(job.weight for job in problem.jobs)) or 1
            value = sum(job.weight // weight * end for job, end in zip(problem.jobs, self.ends, strict=True))
            self._largest = max(
                self._largest, sum(job.weight // weight for job in problem.jobs) * self.latest
            )
        else:
            value = problem.counted * PPM * (problem.horizon // self.unit) - self._used(
                problem.horizon // self.unit
            )
        for index, place in enumerate(problem.places):
            if place.price:
                used = self.cp.new_bool_var(f"uses {index}")
                for options in self.chosen:
                    if index in options:
                        self.cp.add_implication(options[index], used)
                terms.append((place.price, used))
        whole = weight * self.unit
        part = gcd(whole, *(price for price, _ in terms)) if terms else whole
        self._largest = max(self._largest * (whole // part), sum(price for price, _ in terms))
        return (whole // part) * value + sum(price // part * used for price, used in terms), part

    def _missing(self) -> Any:
        """Use missing to the floor in share times unit: a variable, at least 0."""
        problem = self.problem
        if not problem.floor:
            return 0
        length: Any = problem.horizon // self.unit if problem.horizon else self.last
        most = problem.floor * problem.counted * max(self.latest, problem.horizon // self.unit)
        missing = self.cp.new_int_var(0, most, "missing")
        self.cp.add(missing >= problem.floor * problem.counted * length - self._used(length))
        self._largest = max(self._largest, most)
        return missing

    def _used(self, length: Any) -> Any:
        """Share times unit in use before `length`: the horizon, or the last completion."""
        terms = [self.builder.held // self.unit]
        for part, start, end in zip(self.builder.shares, self.starts, self.ends, strict=True):
            if part:
                terms.append(part * (self._cut(end, length) - self._cut(start, length)))
                self._largest = max(self._largest, 2 * part * self.latest * self.builder.count)
        return sum(terms)

    def _cut(self, moment: Any, length: Any) -> Any:
        """The smaller of a moment and the horizon; no job runs past the last completion."""
        if length is self.last:
            return moment
        cut = self.cp.new_int_var(0, self.latest, "")
        self.cp.add_min_equality(cut, [moment, length])
        return cut

    def _hint(self) -> None:
        for index, (start, place) in enumerate(zip(self.known.starts, self.known.places, strict=True)):
            self.cp.add_hint(self.starts[index], start // self.unit)
            for option, chosen in self.chosen[index].items():
                self.cp.add_hint(chosen, option == place)


def _within(held: tuple[Held, ...], resource: int, capacity: int) -> list[Held]:
    """What is held of a resource; more than there is (a node that shrank) would have no plan at all, so it
    must fit."""
    taken = [one for one in held if one.demand[resource] and one.end > one.start]
    for one in taken:
        amount = sum(other.demand[resource] for other in taken if other.start <= one.start < other.end)
        if amount > capacity:
            raise Invalid(
                f"a place holds {amount} of a resource of which it has {capacity}",
                hint="let what is held at once fit its place, or use the solver 'search'",
            )
    return taken


def _unit(problem: Problem) -> int:
    """The greatest common divisor of all times."""
    times = [problem.horizon]
    for job in problem.jobs:
        times += [job.release, *(duration or 0 for duration in job.durations)]
    for place in problem.places:
        times += [place.opens, *(moment for held in place.held for moment in (held.start, held.end))]
    lags = gcd(*chain(*problem.lag)) if problem.lag else 0
    times += [edge.size * lags for edge in problem.edges]
    return gcd(*times) or 1


def _limit(builder: Builder, missing: int, latest: int) -> int:
    """The utilisation no plan exceeds when each misses at least so much (share times microseconds), in
    millionths."""
    problem = builder.problem
    if not missing:
        return PPM
    if problem.horizon:
        return problem.floor - -(-missing // (problem.counted * problem.horizon))
    fixed = all(
        len({builder.durations[i][k] for k in options}) == 1 for i, options in enumerate(builder.choices)
    )
    if fixed:
        # The work is the same in every plan, so what is missing says how long the shortest plan is.
        work = sum(
            part * builder.durations[i][builder.choices[i][0]] for i, part in enumerate(builder.shares)
        )
        shortest = -(-(missing + work) // (problem.floor * problem.counted))
        return work // (problem.counted * shortest)
    return problem.floor - -(-missing // (problem.counted * latest))


def _library() -> Any:
    try:
        from ortools.sat.python import cp_model
    except ImportError:
        raise Unavailable(
            "the solver 'cpsat' needs OR-Tools, which is not installed",
            hint="pip install 'headway[solvers]', or use the solver 'search', which needs nothing",
        ) from None
    return cp_model
