"""What every solver of the joint problem must keep, ours and a stranger's: subclass `SolverSuite`, say how to
make one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from headway.core.joint.plan import Plan, faults
from headway.core.joint.port import Budget, Solver, rank
from headway.core.joint.problem import PPM, Edge, Job, Objective, Place, Problem
from headway.errors import Invalid
from tests.core.joint.problems import job, optimum, problem, small

#: One of the weighted-completion references: seven heavy jobs would like the one GPU first.
ONE_GPU = problem(
    *(
        job(str(index), duration, release=release, weight=weight)
        for index, (duration, weight, release) in enumerate(
            [
                (23, 1, 5),
                (87, 3, 77),
                (60, 8, 20),
                (98, 8, 54),
                (100, 10, 31),
                (10, 1, 74),
                (72, 1, 18),
                (82, 8, 37),
            ]
        )
    )
)
ONE_GPU_OPTIMUM = 10_006

#: PSPLIB's j301_1 (Kolisch and Sprecher 1996): duration, resource, amount, successors counted from 1.
_ROWS = [
    (0, 0, 0, (2, 3, 4)),
    (8, 0, 4, (6, 11, 15)),
    (4, 0, 10, (7, 8, 13)),
    (6, 3, 3, (5, 9, 10)),
    (3, 0, 3, (20,)),
    (8, 3, 8, (30,)),
    (5, 0, 4, (27,)),
    (9, 1, 1, (12, 19, 27)),
    (2, 0, 6, (14,)),
    (7, 3, 1, (16, 25)),
    (9, 1, 5, (20, 26)),
    (2, 1, 7, (14,)),
    (6, 0, 4, (17, 18)),
    (3, 1, 8, (17,)),
    (9, 0, 3, (25,)),
    (10, 3, 5, (21, 22)),
    (6, 3, 8, (22,)),
    (5, 3, 7, (20, 22)),
    (3, 1, 1, (24, 29)),
    (7, 1, 10, (23, 25)),
    (2, 3, 6, (28,)),
    (7, 0, 2, (23,)),
    (2, 0, 3, (24,)),
    (3, 1, 9, (30,)),
    (3, 0, 4, (30,)),
    (7, 2, 4, (31,)),
    (8, 3, 7, (28,)),
    (3, 1, 8, (31,)),
    (7, 1, 7, (32,)),
    (2, 1, 7, (32,)),
    (2, 2, 2, (32,)),
    (0, 0, 0, ()),
]
PROJECT = Problem(
    resources=("r1", "r2", "r3", "r4"),
    places=(Place("all", (12, 13, 4, 12)),),
    jobs=tuple(
        Job(str(number + 1), (duration,), tuple(amount * (index == resource) for index in range(4)))
        for number, (duration, resource, amount, _) in enumerate(_ROWS)
    ),
    edges=tuple(Edge(before, after - 1) for before, row in enumerate(_ROWS) for after in row[3]),
    objective=Objective.MAKESPAN,
)
PROJECT_OPTIMUM = 43
ENOUGH = Budget(steps=2_000)


class SolverSuite:
    """The tests.

    Attributes:
        exact: Whether small problems must be solved to the optimum.
        proves: Whether it must also prove so.
    """

    exact = True
    proves = False

    @pytest.fixture
    def solver(self) -> Solver:
        raise NotImplementedError("say how to make the solver")

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(made=small())
    def test_plans_are_sound_bounds_hold_and_small_optima_are_found(
        self, solver: Solver, made: Problem
    ) -> None:
        answer = solver.solve(made, ENOUGH)
        assert faults(made, answer.plan) == []
        missing, cost = rank(made, answer.plan)
        least = optimum(made)
        assert answer.cost == cost
        assert answer.bound <= cost
        assert (missing, cost) == least if self.exact else (missing, cost) >= least
        assert answer.bound <= least[1] or missing > least[0]
        if self.proves:
            assert answer.bound == cost
        if made.floor:
            assert answer.floor is not None
            assert answer.floor.met == (missing == 0)
            assert answer.floor.limit >= answer.floor.reached
            assert answer.floor.limit >= made.floor or least[0] > 0

    def test_the_same_question_has_the_same_bytes(self, solver: Solver) -> None:
        first, second = (solver.solve(ONE_GPU, Budget(500, seed=7)).encode() for _ in range(2))
        assert first == second

    def test_it_is_anytime_one_step_gives_a_plan_and_more_never_a_worse_one(self, solver: Solver) -> None:
        costs = [solver.solve(ONE_GPU, Budget(steps)).cost for steps in (1, 10, 100, 2_000)]
        assert costs == sorted(costs, reverse=True)
        if self.exact:
            assert costs[-1] == ONE_GPU_OPTIMUM

    def test_it_is_never_worse_than_where_it_started(self, solver: Solver) -> None:
        known = Plan((5, 378, 28, 280, 88, 188, 465, 198), (0,) * 8)
        assert solver.solve(ONE_GPU, Budget(1), known).cost == ONE_GPU_OPTIMUM

    def test_a_start_that_breaks_a_constraint_is_refused(self, solver: Solver) -> None:
        with pytest.raises(Invalid, match="not a sound plan: 0 starts at 0, before its release 5"):
            solver.solve(ONE_GPU, Budget(1), Plan((0,) * 8, (0,) * 8))

    def test_nothing_to_do_is_done_at_once(self, solver: Solver) -> None:
        answer = solver.solve(problem(), Budget(1))
        assert (answer.plan, answer.cost, answer.proved) == (Plan((), ()), 0, True)

    def test_an_impossible_floor_is_said_with_the_highest_that_can_be(self, solver: Solver) -> None:
        # Two jobs after one another on two GPUs: half is the most, whatever is done.
        made = problem(job("a"), job("b"), capacity=2, edges=(Edge(0, 1),), floor=600_000)
        floor = solver.solve(made, ENOUGH).floor
        assert floor is not None
        assert (floor.asked, floor.reached, floor.limit, floor.met) == (600_000, 500_000, 500_000, False)
        assert "no plan can, the highest possible is at most 50.00 %" in str(floor)

    def test_a_floor_is_bought_with_cost(self, solver: Solver) -> None:
        # The light long job makes the second GPU useful before the horizon, at the price of the heavy short
        # ones.
        jobs = (job("long", 10, 2, weight=1), job("x", 6, 1, weight=50), job("y", 6, 1, weight=40, release=3))
        free = solver.solve(problem(*jobs, capacity=2, horizon=10), ENOUGH)
        bound = solver.solve(problem(*jobs, capacity=2, horizon=10, floor=PPM), ENOUGH)
        assert free.cost == 1 * 19 + 50 * 6 + 40 * 9
        assert bound.floor is not None
        assert bound.floor.met
        assert bound.cost == 1 * 10 + 50 * 16 + 40 * 16

    def test_a_place_is_opened_exactly_when_it_is_worth_its_price(self, solver: Solver) -> None:
        for price, opened in ((5, True), (500, False)):
            # A second node that is ready after 2 µs would halve the wait of one of two jobs.
            places = (Place("here", (1,)), Place("more", (1,), opens=2, price=price))
            jobs = tuple(Job(name, (10, 10), (1,), weight=1) for name in "ab")
            plan = solver.solve(Problem(("gpu",), places, jobs), ENOUGH).plan
            assert (1 in plan.places) is opened

    def test_a_project_of_psplib(self, solver: Solver) -> None:
        answer = solver.solve(PROJECT, ENOUGH)
        assert faults(PROJECT, answer.plan) == []
        assert answer.bound <= PROJECT_OPTIMUM <= answer.cost
        if self.exact:
            assert answer.cost == PROJECT_OPTIMUM
