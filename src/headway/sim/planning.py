"""Plans in a simulation: made at the moments at which a service would ask for one, of the state it would see.

A plan takes no virtual time: what a service decides while its solver still thinks is decided here with the plan already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headway.core.engine import Engine
from headway.core.events import PlanSet
from headway.core.explain.plan import floor_text
from headway.core.joint.horizon import Aim, due, look, record
from headway.core.joint.port import Solver
from headway.core.joint.record import PlanRecord
from headway.core.joint.search import Lists, Search
from headway.errors import Invalid

#: Names a solver of the port; a caller with more of them than our own hands one in.
Solvers = Callable[[str], Solver]


def own(name: str) -> Solver:
    """The solvers that need no library. Raises Invalid for another."""
    if name == "search":
        return Search()
    if name == "lists":
        return Lists()
    raise Invalid(f"no solver {name!r} here", hint="one of: search, lists")


class Planning:
    """Renews the plan of an engine as time goes on.

    Attributes:
        plans: All there were.
        again: When a plan that is due already may be made, or -1.
    """

    def __init__(self, aim: Aim, solver: Solver) -> None:
        self._aim, self._solver = aim, solver
        self._next: int | None = None
        self.plans: list[PlanRecord] = []
        self.again = -1

    def renew(self, engine: Engine, now: int) -> bool:
        """Makes a plan if one is due, and puts it in force. Returns whether it did."""
        self.again = -1
        if not due(engine.world, now, self._aim):
            return False
        if self._next is not None and now < self._next:
            self.again = self._next
            return False
        self._next = now + self._aim.every
        seen = look(engine.world, now, self._aim)
        if seen is None:
            return False
        answer = self._solver.solve(seen.problem, self._aim.budget)
        made = record(seen, answer, self._aim, f"p{len(self.plans) + 1}")
        engine.apply(PlanSet(made), now)
        self.plans.append(made)
        return True


def notes(name: str, plans: Sequence[PlanRecord]) -> list[str]:
    """What a reader should know of the plans of one policy."""
    if not plans:
        return []
    gap = sum(plan.gap for plan in plans) // len(plans)
    found = [
        f"{name}: {len(plans)} plans of at most {max(len(plan.rows) for plan in plans)} tasks, {plans[0].objective}, "
        f"proved to be within {gap / 10_000:.1f} % of the best in the mean"
    ]
    missed = [plan for plan in plans if plan.floor is not None and plan.floor[1] < plan.floor[0]]
    if missed:
        asked, reached, limit = missed[0].floor or (0, 0, 0)
        said = floor_text({"asked": asked, "reached": reached, "limit": limit})
        found.append(f"{name}: {len(missed)} plans miss the utilisation asked for; of the first, {said}")
    return found
