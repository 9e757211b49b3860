"""A plan as it is kept: what the engine follows, `why` cites and the journal holds. With it no replay needs a solver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from headway.core.decisions import Reason
from headway.errors import Invalid

#: Rows that one plan may have: following it costs a little for each at every decision.
MOST_ROWS = 1_024


class Row(NamedTuple):
    """What the plan says of one task.

    Attributes:
        start: When it should start, in microseconds of the engine's clock.
        reason: What keeps it from starting earlier (`core.joint.reasons`).
    """

    task: str
    node: str
    start: int
    reason: Reason


class Change(NamedTuple):
    """A node that the plan would add to a pool, or let go.

    Attributes:
        kind: `add` or `close`.
        worth: By how much the objective is better with the change, its price counted in; None if some task could not run without.
        price: What the node was reckoned to cost, in the objective's unit.
    """

    kind: str
    node: str
    worth: int | None
    price: int


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """An answer of a solver, in the terms of the engine; times in microseconds of its clock.

    Attributes:
        id: Unique for ever.
        made: The moment of the state that it was made from.
        until: It keeps places free until then; after that it is an order only.
        objective: `weighted_completion`, `makespan` or `utilisation`; `cost`, `bound` and `gap` (millionths of the cost) as
            in `port.Answer`, reckoned from `made`.
        steps, solver, seed, detail: How it was found.
        floor: Least mean utilisation asked, what the plan reaches, what no plan exceeds, in millionths; None if none was
            asked.
        rows: In the order of their starts: the place of a row is the task's rank.
        seen: Number of arrivals up to then: what came later is new.
        left_out: Tasks that were in line behind those it looked at.
        changes: What it would change of a pool.
    """

    id: str
    made: int
    until: int
    objective: str
    cost: int
    bound: int
    gap: int
    steps: int
    solver: str
    seed: int
    detail: str
    rows: tuple[Row, ...]
    seen: int = 0
    floor: tuple[int, int, int] | None = None
    left_out: int = 0
    changes: tuple[Change, ...] = ()

    def tree(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "id": self.id, "made": self.made, "until": self.until, "objective": self.objective, "cost": self.cost,
            "bound": self.bound, "gap": self.gap, "steps": self.steps, "solver": self.solver, "seed": self.seed,
            "detail": self.detail,
            "rows": [
                [row.task, row.node, row.start, row.reason.code, [list(pair) for pair in row.reason.facts]]
                for row in self.rows
            ],
            "seen": self.seen,
            "floor": None if self.floor is None else list(self.floor),
            "left_out": self.left_out,
            "changes": [list(change) for change in self.changes],
        }  # fmt: skip

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> PlanRecord:
        """The reverse of `tree`. Raises Invalid for what is none, or makes no sense."""
        try:
            named = dict(tree)
            rows = tuple(
                Row(str(task), str(node), start, Reason(str(code), tuple((str(n), v) for n, v in facts)))
                for task, node, start, code, facts in named.pop("rows")
            )
            floor, changes = named.pop("floor", None), named.pop("changes", ())
            made = cls(
                **named,
                rows=rows,
                floor=None if floor is None else (floor[0], floor[1], floor[2]),
                changes=tuple(Change(*change) for change in changes),
            )
        except (TypeError, ValueError, KeyError, IndexError) as error:
            raise Invalid(
                f"this is not a plan: {error}", hint="a plan is what `PlanRecord.tree` gives"
            ) from None
        return made

    def check(self) -> None:
        """Raises Invalid for a plan that nothing could follow."""
        numbers = (
            self.made,
            self.until,
            self.cost,
            self.bound,
            self.gap,
            self.steps,
            self.seed,
            self.seen,
            self.left_out,
        )
        whole = [*numbers, *(row.start for row in self.rows), *(self.floor or ())]
        if any(type(number) is not int or number < 0 for number in whole):
            raise Invalid(f"plan {self.id} has a time or amount that is not a whole number ≥ 0")
        if self.until < self.made or self.bound > self.cost:
            raise Invalid(f"plan {self.id} ends before it was made, or costs less than its own bound")
        if len(self.rows) > MOST_ROWS or len({row.task for row in self.rows}) < len(self.rows):
            raise Invalid(f"plan {self.id} has more than {MOST_ROWS} rows, or names a task twice")
        starts = [row.start for row in self.rows]
        if starts != sorted(starts):
            raise Invalid(f"the rows of plan {self.id} are not in the order of their starts")


class Standing:
    """The plan in force, and what is left of it.

    Attributes:
        rows: Rank and row of each of its tasks that has not left.
        over: Its time is over: it keeps no places free any more.
        kept_on: For whom the last decision kept places free, by number of the node, in the order of the ranks.
    """

    __slots__ = ("kept_on", "over", "record", "rows")

    def __init__(self, record: PlanRecord, rows: dict[str, tuple[int, Row]], over: bool = False) -> None:
        self.record = record
        self.rows = rows
        self.over = over
        self.kept_on: dict[int, tuple[str, ...]] = {}

    def tree(self) -> list[Any]:
        """As plain JSON."""
        return [
            self.record.tree(),
            list(self.rows),
            int(self.over),
            [[index, list(tasks)] for index, tasks in self.kept_on.items()],
        ]

    @classmethod
    def from_tree(cls, tree: list[Any]) -> Standing:
        """The reverse of `tree`."""
        record = PlanRecord.from_tree(tree[0])
        by_task = {row.task: (rank, row) for rank, row in enumerate(record.rows)}
        made = cls(record, {task: by_task[task] for task in tree[1]}, bool(tree[2]))
        made.kept_on = {index: tuple(tasks) for index, tasks in tree[3]}
        return made
