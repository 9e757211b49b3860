"""How a solver of the joint problem is asked, and what it must answer. Our own and heavier ones stand behind
the same port.

A solver is a function of (problem, budget, start): no clock ends it, so the same question has the same answer
to the byte on any machine, and the answer may enter a journal. It is *anytime*: more steps never give a worse
plan, and any budget gives a sound one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Protocol

from headway.core.joint.bounds import highest_utilisation, lower
from headway.core.joint.plan import Plan, cost, shortfall, utilisation
from headway.core.joint.problem import PPM, Problem
from headway.core.joint.serial import Builder
from headway.errors import Invalid


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to go on.

    Attributes:
        steps: Schedules built, for our own; thousandths of a deterministic second for CP-SAT. At least 1.
        seed: What chance there is follows from it.
    """

    steps: int = 5_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.seed < 0:
            raise Invalid(
                f"steps={self.steps} seed={self.seed}", hint="at least one step, and a seed of 0 or more"
            )


@dataclass(frozen=True, slots=True)
class Floor:
    """What became of the utilisation floor, in millionths.

    Attributes:
        asked: The least mean utilisation wanted.
        reached: What the plan has.
        limit: No plan has more: proved.
    """

    asked: int
    reached: int
    limit: int

    @property
    def met(self) -> bool:
        """Whether the plan keeps it."""
        return self.reached >= self.asked

    def __str__(self) -> str:
        text = f"mean utilisation {_percent(self.reached)}, at least {_percent(self.asked)} asked"
        if self.met:
            return text
        if self.limit < self.asked:
            return f"{text}: no plan can, the highest possible is at most {_percent(self.limit)}"
        return f"{text}: none found that does, and none exceeds {_percent(self.limit)}"


@dataclass(frozen=True, slots=True)
class Answer:
    """The best plan found, what it is worth, and what was proved.

    Attributes:
        cost: By the objective, with prices; smaller is better.
        bound: No plan costs less (of those that keep the floor, or come as near to it as this one): proved.
        steps: Used, in the solver's unit.
        solver: Its name.
        detail: How the plan was found, for `why`.
        floor: None where none was asked.
    """

    plan: Plan
    cost: int
    bound: int
    steps: int
    solver: str
    detail: str
    floor: Floor | None = None

    @property
    def proved(self) -> bool:
        """Whether nothing better exists."""
        return self.bound == self.cost and (
            self.floor is None or self.floor.met or self.floor.reached == self.floor.limit
        )

    @property
    def gap(self) -> int:
        """How far the cost may be above the best there is, in millionths of the cost."""
        return (self.cost - self.bound) * PPM // self.cost if self.cost else 0

    def encode(self) -> bytes:
        """Canonical bytes, equal exactly for equal answers."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()


class Solver(Protocol):
    """What answers a problem. A start is a plan known already; the answer is never worse."""

    @property
    def name(self) -> str: ...

    def solve(self, problem: Problem, budget: Budget, start: Plan | None = None) -> Answer: ...


def rank(problem: Problem, plan: Plan) -> tuple[int, int]:
    """What plans are compared by: use missing to the floor, then cost; smaller is better."""
    return shortfall(problem, plan), cost(problem, plan)


def answer(
    builder: Builder, plan: Plan, steps: int, solver: str, detail: str, *, bound: int = 0, limit: int = PPM
) -> Answer:
    """An answer, with the better of the bounds handed in and our own."""
    problem, value = builder.problem, cost(builder.problem, plan)
    floor = None
    if problem.floor:
        reached = utilisation(problem, plan)
        floor = Floor(problem.floor, reached, max(reached, min(limit, highest_utilisation(builder))))
    return Answer(plan, value, min(value, max(bound, lower(builder))), steps, solver, detail, floor)


def _percent(ppm: int) -> str:
    """Rounded down to a hundredth of a per cent, so that what falls short never reads as met."""
    return f"{ppm // 10_000}.{ppm // 100 % 100:02d} %"
