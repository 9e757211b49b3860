"""The three roles without broker, journal or clock: letters are handed over at once, and every step is kept for replay."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from headway.core.engine import Engine
from headway.errors import HeadwayError
from headway.roles.planner import Planner
from headway.roles.resource_manager import ResourceManager
from headway.roles.scheduler import Scheduler
from headway.roles.step import CALL, Input, Role, pack_inputs, pack_outputs, unpack_inputs

ROLES = ("planner", "scheduler", "resource_manager")


def make_roles(order: str = "priority > fcfs", discipline: str = "skip") -> dict[str, Role]:
    return {
        "planner": Planner(),
        "scheduler": Scheduler(Engine(order, discipline)),
        "resource_manager": ResourceManager(),
    }


class Office:
    """Roles, one fake executor per node, and the record of every step.

    Attributes:
        grants: What each node was told to run and has not reported on, by (task, attempt).
    """

    def __init__(self, **policy: str) -> None:
        self.now = 1_000_000
        self._policy = policy
        self.roles = make_roles(**policy)
        self.record: list[tuple[str, int, bytes, bytes]] = []
        self.grants: dict[str, dict[tuple[str, int], dict[str, Any]]] = defaultdict(dict)
        self.told: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._seqs: dict[tuple[str, str], int] = defaultdict(int)
        self._pending: dict[str, list[Input]] = {name: [] for name in ROLES}

    # ── from outside ──────────────────────────────────────────────────────────────────────────────────────────────────

    def call(self, role: str, kind: str, /, **body: Any) -> dict[str, Any]:
        step = self._step(role, [Input(CALL, "", 0, 0, kind, json.dumps(body).encode())])
        self.pump()
        reply = step.replies[0]
        if isinstance(reply, HeadwayError):
            raise reply
        return reply

    def submit(
        self, run: str, tasks: list[dict[str, Any]], *, key: str | None = None, **workflow: Any
    ) -> dict[str, Any]:
        graph = {"name": "test", "tasks": tasks, **workflow}
        return self.call(
            "planner", "submit", run=run, workflow=graph, values={}, bundle="", key=key, by="test"
        )

    def hello(
        self,
        node: str,
        *,
        incarnation: str = "1",
        holds: list[tuple[str, int]] | None = None,
        cpu: int = 2000,
        labels: dict[str, str] | None = None,
    ) -> None:
        shown = {"name": node, "cpu": cpu, "labels": labels or {}}
        body = {"node": shown, "incarnation": incarnation, "holds": holds or []}
        self._letter(f"executor-{node}", "hello", "resource_manager", "hello", body, epoch=int(incarnation))
        if holds is None:
            self.grants[node].clear()
        self.pump()

    def report(
        self,
        node: str,
        *rows: list[Any],
        incarnation: int = 1,
        to: tuple[str, ...] = ("scheduler", "planner"),
    ) -> None:
        """Executors report to both; with `to` only one gets it, as when all die before the other has it."""
        for role in to:
            self._letter(
                f"executor-{node}", "report", role, "report", {"rows": list(rows)}, epoch=incarnation
            )
        for task, attempt, what, *_ in rows:
            if what not in ("started", "progress", "checkpoint"):
                self.grants[node].pop((task, attempt), None)
        self.pump()

    def finish(
        self, node: str, task: str, attempt: int = 1, *, took: int = 1000, data: Any = None, **where: Any
    ) -> None:
        result = [took, {"kind": "json", "data": data}]
        self.report(node, [task, attempt, "finished", self.now, result], **where)

    def fail(self, node: str, task: str, attempt: int = 1, what: str = "failed") -> None:
        error = {"type": "ValueError", "message": "no", "traceback": ""}
        self.report(node, [task, attempt, what, self.now, [1000, error]])

    def work(self, steps: int = 10_000) -> None:
        """Executors finish what they were granted, in order, until nothing is left."""
        for _ in range(steps):
            granted = [(node, key) for node, keys in self.grants.items() for key in keys]
            if not granted:
                return
            node, (task, attempt) = granted[0]
            self.now += 1000
            self.finish(node, task, attempt)
        raise AssertionError("the office never comes to rest")

    def view(self, run: str) -> dict[str, Any]:
        return self.roles["planner"].runs.run_view(run)  # type: ignore[attr-defined]

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _letter(self, sender: str, stream: str, to: str, kind: str, body: Any, epoch: int = 1) -> None:
        self._seqs[sender, to] += 1
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._pending[to].append(Input(sender, stream, epoch, self._seqs[sender, to], kind, data))

    def pump(self) -> None:
        """Hand letters over until there are none."""
        while any(self._pending.values()):
            for name in ROLES:
                inputs, self._pending[name] = self._pending[name], []
                if inputs:
                    self._step(name, inputs)

    def tick(self, micros: int) -> None:
        """Time passes; the scheduler wakes."""
        self.now += micros
        self._step("scheduler", [])
        self.pump()

    def _step(self, name: str, inputs: list[Input]) -> Any:
        step = self.roles[name].step(self.now, inputs)
        assert not step.refused, step.refused
        self.record.append((name, self.now, pack_inputs(inputs), pack_outputs(enumerate(step.outputs))))
        for output in step.outputs:
            for member in output.audience:
                if member in ROLES:
                    self._letter(name, output.stream, member, output.kind, output.body)
                else:
                    self._lease(member.removeprefix("executor-"), json.loads(output.body))
        return step

    def _lease(self, node: str, body: dict[str, Any]) -> None:
        self.told[node].append(body)
        for row in body["grants"]:
            names = ("task", "attempt", "lease", "position", "call", "item", "inputs", "devices", "variant", "gang")
            self.grants[node][row[0], row[1]] = dict(zip(names, row, strict=True))

    def check(self) -> None:
        """Invariants of the engine and the graphs, and: the same steps again give the same bytes."""
        self.roles["scheduler"].engine.check()  # type: ignore[attr-defined]
        self.roles["planner"].runs.check()  # type: ignore[attr-defined]
        again = make_roles(**self._policy)
        for name, now, inputs, outputs in self.record:
            step = again[name].step(now, unpack_inputs(inputs))
            assert pack_outputs(enumerate(step.outputs)) == outputs, f"{name} at {now} does not replay"
