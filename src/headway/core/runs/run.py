"""One run: its graph, and the state of every task in columns: a million tasks cost bytes, not objects."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import Any

from headway.core.runs import gates
from headway.core.runs.caching import Kept
from headway.core.runs.graph import ALL, ITEM, Group, Step, build
from headway.core.runs.states import (
    CANCELLED,
    DEAD,
    EXPANDED,
    FAILED,
    FINISHED,
    LIVE,
    QUEUED,
    RUNNING,
    STATES,
    TABLE,
    UNKNOWN,
    WAITING,
    ImpossibleMove,
)
from headway.domain.results import ABSENT, Ref
from headway.domain.rules import GO, WAIT
from headway.domain.workflow import Workflow
from headway.errors import NotFound

#: Flags of a row. We want the scheduler to have it; the scheduler was told; it was told to drop it and has
#: not said that it did.
OFFERED, KNOWN, UNACKED = 1, 2, 4

#: A task is looked ahead only while it waits for at most this many others.
AFTER_MOST = 4
#: A gather over more tasks than this is offered when it is ready, not before.
GATHER_MOST = 16

#: What a task whose rule lets it run is given in place of a result that is not there.
NOTHING = Ref(ABSENT, None, 0, None, "None")
#: What a map over nothing results in.
EMPTY = Ref("json", [], 2, 0, "[]")


class Run:
    """The graph of one run and its columns; `flow` and `attempts` move it, `views` and `storage` read it.

    Row r of a column belongs to the step with `base <= r < base + rows`. A row is in `state` EXPANDED when
    other rows took its place. Times are microseconds of the service's clock.
    """

    __slots__ = (
        "agenda", "answers", "asked", "attempt", "bundle", "cached", "cancelled", "counts", "earlier", "edits",
        "ended", "ended_at", "error", "errors", "fence", "flags", "groups", "hosts", "id", "kept", "names", "node",
        "notices", "offers", "paused", "priced", "progress", "recalls", "result", "signals", "spent", "started",
        "state", "steps", "submitted", "took", "touched", "tries", "values", "waits", "withdrawn", "workflow",
    )  # fmt: skip

    def __init__(
        self, id: str, workflow: Workflow, values: Mapping[str, Ref], bundle: str, submitted: int
    ) -> None:
        self.id, self.workflow, self.bundle, self.submitted = id, workflow, bundle, submitted
        self.values = dict(values)
        self.steps, self.names = build(workflow)
        #: When the last task ended, 0 while there is work.
        self.ended = 0
        #: Why the whole run was cancelled, if it was.
        self.cancelled: str | None = None
        #: The first failure: {"task", "type", "message"}.
        self.error: dict[str, Any] | None = None
        self.counts = [0] * len(STATES)
        #: Whether any task says what it costs; asked with every view of the run.
        self.priced = any(spec.cost for spec in workflow.tasks)
        #: Of all attempts that have ended: processing time (microseconds) times price of an hour (milli-units).
        self.spent = 0
        # columns
        self.state = bytearray()
        self.flags = bytearray()
        self.result: list[Any] = []  # Ref, or its row as restored (see `ref`), or None
        self.started, self.ended_at, self.took = array("q"), array("q"), array("q")
        self.attempt, self.fence = array("q"), array("q")  # newest seen; newest that has ended
        self.node = array("q")  # index into `hosts` of the node of the newest attempt; 0 is none
        self.hosts: list[str] = [""]
        self.waits = array("q")  # unfinished parents on ITEM and SOME edges
        # what only few rows have
        self.errors: dict[int, dict[str, Any]] = {}
        self.tries: dict[int, list[int]] = {}  # own failures, dead workers, lost nodes
        self.earlier: dict[
            int, list[tuple[int, str, int]]
        ] = {}  # (attempt, outcome, took) of all but a final finish
        self.progress: dict[int, int] = {}
        # what a person changed, by the target's name in the run (see `steering`)
        self.paused: dict[str, dict[str, Any]] = {}
        self.edits: dict[str, dict[str, Any]] = {}
        #: Rows whose result is that of an earlier run: the task that made it, and when.
        self.cached: dict[int, tuple[str, int]] = {}
        #: Results of earlier runs; of all runs together, so it is not part of what is saved of one.
        self.kept: Kept | None = None
        #: Rows of tasks with a cache that are ready, and of which it is not known yet whether they must run.
        self.recalls: list[tuple[Step, int]] = []
        self.groups: dict[int, Group] = {}  # by the row of the dynamic task that called them
        # of approvals and signals (see `waits`): since and until when a row waits; who answered; what was given, by name
        self.asked: dict[int, list[int]] = {}
        self.answers: dict[int, dict[str, Any]] = {}
        self.signals: dict[str, dict[str, Any]] = {}
        # what the next drain takes
        self.notices: list[list[Any]] = []
        self.offers: dict[tuple[int, int], int] = {}  # (step, row) -> not before
        self.withdrawn: dict[str, str] = {}
        self.touched: dict[tuple[int, int], None] = {}
        #: Steps that became complete, or whose number of items may now be known.
        self.agenda: list[tuple[str, Step]] = []

    # ── rows ────────────────────────────────────────────────────────────────────────────────────────────────

    def grow(self, rows: int) -> int:
        """Add waiting rows to every column; returns the first one's index."""
        base = len(self.state)
        self.state.extend(bytes(rows))
        self.flags.extend(bytes(rows))
        self.result.extend([None] * rows)
        columns = (self.started, self.ended_at, self.took, self.attempt, self.fence, self.node, self.waits)
        for column in columns:
            column.frombytes(bytes(column.itemsize * rows))
        self.counts[WAITING] += rows
        return base

    def set(self, step: Step, row: int, what: str) -> None:
        """Move a row through the life cycle and keep the counts."""
        before = self.state[row]
        after = TABLE.get((before, what), -1)
        if after < 0:
            raise ImpossibleMove(before, what, self.id_of(step, row))
        self.state[row] = after
        if step.owner >= 0:
            self._count_live(step, before, after)
        self.counts[before] -= 1
        if after != EXPANDED:
            self.counts[after] += 1
            if after > QUEUED:
                self.touched[step.index, row] = None

    def _count_live(self, step: Step, before: int, after: int) -> None:
        """Keep the count of live rows of what a dynamic task called; with the last one it ends too."""
        group = self.groups[step.owner]
        group.live += (after in LIVE) - (before in LIVE)
        if not group.live:
            self.agenda.append(("ripe", step))

    def put_on(self, row: int, node: str) -> None:
        """Note where the newest attempt runs."""
        if node not in self.hosts:
            self.hosts.append(node)
        self.node[row] = self.hosts.index(node)

    def name_of(self, step: Step, row: int) -> str:
        """The task's name in the run: `train` or `train[3]`."""
        return f"{step.spec.name}[{row - step.base}]" if step.plural else step.spec.name

    def id_of(self, step: Step, row: int) -> str:
        return f"{self.id}/{self.name_of(step, row)}"

    def rows_of(self, step: Step) -> range:
        return range(step.base, step.base + step.rows)

    def find(self, name: str) -> tuple[Step, int] | None:
        """Step and row of `train` or `train[3]`, or None. The bare name of a map is none of its tasks."""
        step, index = self.names.get(name), 0
        if step is None and name.endswith("]"):
            bare, _, inside = name[:-1].rpartition("[")
            step = self.names.get(bare)
            if step is None or not step.plural or not (inside.isascii() and inside.isdigit()):
                return None
            index = int(inside)
            return (step, step.base + index) if index < step.rows and str(index) == inside else None
        return None if step is None or step.plural else (step, step.base)

    def get(self, name: str) -> tuple[Step, int]:
        found = self.find(name)
        if found is None:
            raise NotFound(
                f"run {self.id} has no task {name!r}", hint=f"list them with: headway tasks {self.id}"
            )
        return found

    def all_rows(self) -> Iterator[tuple[Step, int]]:
        for step in self.steps:
            for row in self.rows_of(step):
                yield step, row

    def rows_in(self, group: Group) -> Iterator[tuple[Step, int]]:
        """Every row of what a dynamic task called."""
        for step in self.steps[group.first : group.last]:
            for row in self.rows_of(step):
                yield step, row

    def ref(self, row: int) -> Ref | None:
        """The result of a row; one read from a snapshot becomes a `Ref` when it is first asked for."""
        value: Any = self.result[row]
        if value is None or isinstance(value, Ref):
            return value
        ref = self.result[row] = Ref(*value)
        return ref

    # ── what a row waits for ────────────────────────────────────────────────────────────────────────────────

    def is_free(self, step: Step, row: int) -> bool:
        """Whether all that the row waits for has finished."""
        if step.ruled:
            return gates.verdict(self, step, row) == GO
        return step.items is not None and not step.blocked and not self.waits[row]

    def parents_of(self, step: Step, row: int) -> Iterator[tuple[Step, int]]:
        """Every row this one needs, finished or not."""
        index = row - step.base
        for number, kind in step.parents:
            parent = self.steps[number]
            if kind == ITEM and step.items is not None and parent.plural:
                yield parent, parent.base + index
            elif kind in (ALL, ITEM) or (step.needed_by and number in step.needed_by.get(index, ())):
                for other in self.rows_of(parent):
                    yield parent, other

    def unfinished(self, step: Step, row: int) -> list[tuple[Step, int]] | None:
        """The rows this one still waits for, or None if they are too many to look ahead, or it may be skipped."""
        if step.gated and not self.is_free(step, row):
            return None
        found: list[tuple[Step, int]] = []
        index = row - step.base
        state = self.state
        for number, kind in step.parents:
            parent = self.steps[number]
            if not parent.left:
                continue
            if parent.spec.dynamic and (kind != ITEM or state[parent.base + index] != FINISHED):
                return None  # when its attempt has ended, its result may still be to come
            if kind == ITEM:
                if state[parent.base + index] != FINISHED:
                    found.append((parent, parent.base + index))
            elif kind == ALL or number in (step.needed_by or {}).get(index, ()):
                if parent.left > AFTER_MOST or parent.rows > GATHER_MOST:
                    return None
                found += [(parent, other) for other in self.rows_of(parent) if state[other] != FINISHED]
            if len(found) > AFTER_MOST:
                return None
        return found

    def inputs_of(self, step: Step, row: int) -> dict[str, Ref]:
        """Results that are there, by the name of their task (`train[3]`); those of a gather all together."""
        inputs: dict[str, Ref] = {}
        index = row - step.base
        absent = NOTHING if step.ruled else None
        for number, kind in step.parents:
            parent = self.steps[number]
            if kind == ITEM and parent.plural:
                ref = self.ref(parent.base + index) or absent
                if ref is not None:
                    inputs[f"{parent.spec.name}[{index}]"] = ref
            elif kind in (ALL, ITEM) or number in (step.needed_by or {}).get(index, ()):
                for other in self.rows_of(parent):
                    ref = self.ref(other) or absent
                    if ref is not None:
                        inputs[self.name_of(parent, other)] = ref
        return inputs

    # ── the run as a whole ──────────────────────────────────────────────────────────────────────────────────

    @property
    def live(self) -> int:
        """Tasks that have not ended."""
        return self.counts[WAITING] + self.counts[QUEUED] + self.counts[RUNNING]

    @property
    def outcome(self) -> str:
        """`running`, `finished`, `failed` or `cancelled`."""
        if self.live or not self.ended:
            return "running"
        if self.cancelled is not None:
            return "cancelled"
        if self.counts[FAILED] or self.counts[UNKNOWN]:
            return "failed"
        return "cancelled" if self.counts[CANCELLED] else "finished"

    def recount(self) -> None:
        """Work all counters out again from the states: after a restore, and after a retry."""
        self.counts = [self.state.count(code) for code in range(len(STATES))]
        for step in self.steps:
            self.recount_step(step)
        for group in self.groups.values():
            group.live = self.live_of(group)

    def recount_step(self, step: Step) -> None:
        """Work its counters out from the states of its own rows and its parents'."""
        low, high = step.base, step.base + step.rows
        step.left = step.rows - self.state.count(FINISHED, low, high)
        alls = [self.steps[parent] for parent, kind in step.parents if kind == ALL]
        step.blocked = sum(1 for parent in alls if parent.left)
        step.doomed = any(self.has_dead(parent) for parent in self.dooming(step, alls))
        if step.items is not None and step.left:
            self.count_waits(step)

    def live_of(self, group: Group) -> int:
        """How many rows of what a dynamic task called have not ended, counted."""
        own = self.steps[group.first : group.last]
        return sum(self.state.count(code, step.base, step.base + step.rows) for step in own for code in LIVE)

    def dooming(self, step: Step, alls: list[Step]) -> list[Step]:
        """Of the parents on ALL edges those whose failure skips the step: under a rule only its condition."""
        if not step.ruled:
            return alls
        return [] if step.spec.when is None else [self.names[step.spec.when.task]]

    def has_dead(self, step: Step) -> bool:
        return any(self.state.find(code, step.base, step.base + step.rows) >= 0 for code in DEAD)

    def count_waits(self, step: Step) -> None:
        """How many parents each row of an expanded step waits for on ITEM and SOME edges."""
        for row in self.rows_of(step):
            self.waits[row] = 0
        for number, kind in step.parents:
            parent = self.steps[number]
            if kind == ITEM:
                for index in range(step.items or 0):
                    self.waits[step.base + index] += self.state[parent.base + index] != FINISHED
            elif kind != ALL and parent.left:
                for index in (step.some or {})[number]:
                    if index < step.rows:
                        self.waits[step.base + index] += 1

    def check(self) -> None:
        """What must hold between calls. Raises AssertionError with the run and the rule that broke."""
        story = f"run {self.id}"
        assert self.counts == [self.state.count(code) for code in range(len(STATES))], f"{story}: counts"
        assert not self.agenda, f"{story}: unsettled"
        assert not self.recalls, f"{story}: not looked up"
        assert all(self.state[row] == FINISHED for row in self.cached), f"{story}: cached and not finished"
        covered = self.state.count(EXPANDED)
        for step in self.steps:
            covered += step.rows
            states = self.state[step.base : step.base + step.rows]
            assert step.left == step.rows - states.count(FINISHED), f"{story}: {step.spec.name} left"
            blocked = sum(1 for parent, kind in step.parents if kind == ALL and self.steps[parent].left)
            assert step.blocked == blocked, f"{story}: {step.spec.name} blocked"
            for row in self.rows_of(step):
                self._check_row(step, row)
        assert covered == len(self.state), f"{story}: rows without a step"
        for row, group in self.groups.items():
            who = self.id_of(self.steps[group.step], row)
            assert group.live == self.live_of(group), f"{story}: {who} counts what it called"
            assert (self.state[row] in LIVE) == bool(group.live), f"{story}: {who} and what it called"
            assert self.state[row] not in (WAITING, QUEUED), f"{story}: {who} would run again"
        for row in self.asked:
            assert self.state[row] == WAITING, f"{story}: row {row} is {STATES[self.state[row]]}, and is asked"
        assert bool(self.ended) != bool(self.live), f"{story}: ended {self.ended} with {self.live} live tasks"

    def _check_row(self, step: Step, row: int) -> None:
        state, story = self.state[row], f"{self.id_of(step, row)} is {STATES[self.state[row]]}"
        assert (self.result[row] is not None) == (state == FINISHED), f"{story}: result"
        assert state in LIVE or not self.flags[row] & OFFERED, f"{story}: still offered"
        if state == QUEUED:
            assert self.is_free(step, row), f"{story}: but waits"
            assert self.flags[row] & OFFERED, f"{story}: but nobody was told"
        if state == WAITING:
            if step.spec.wait is not None and self.is_free(step, row):
                assert row in self.asked, f"{story}: but nobody was asked"
                return
            assert not self.is_free(step, row), f"{story}: but waits for nothing"
            if step.ruled:
                assert gates.verdict(self, step, row) == WAIT, f"{story}: its rule was not asked"
                return
            dead = [
                self.id_of(*parent) for parent in self.parents_of(step, row) if self.state[parent[1]] in DEAD
            ]
            if step.items is None:  # its items will be skipped one by one as soon as they are known
                dead = [step.spec.name] if step.doomed else []
            assert not dead, f"{story}: for {dead}, which will never finish"
