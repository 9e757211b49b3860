"""A scheduler that does as the test says, round a real executor with real workers."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from headway.bus import topics
from headway.bus.broker_nats import NatsBroker
from headway.bus.messages import Call, DemandModel, GrantRow, LeaseBody, RefModel, ReportRow
from headway.bus.port import Address
from headway.domain.resources import Node
from headway.execute import logs
from headway.execute.executor import Executor

from .bus_side import Roles

BUNDLE = "ab" * 32
ENDS = {"finished", "failed", "timed_out", "cancelled", "worker_died", "preempted", "returned"}


def literal(value: Any) -> tuple[dict[str, Any], dict[str, RefModel]]:
    """A plain value as an argument tree and the values it refers to."""
    key = f"v{abs(hash(repr(value)))}"
    return {"value": key}, {key: RefModel(data=value, items=len(value) if isinstance(value, list) else None)}


def call(function: str = "", *args: Any, **options: Any) -> Call:
    """A call of a function of `user_code` with plain arguments, or with trees where `Tree` says so."""
    trees: list[dict[str, Any]] = []
    named: dict[str, dict[str, Any]] = {}
    values: dict[str, RefModel] = {}
    for where, value in [*enumerate(args), *options.pop("kwargs", {}).items()]:
        if isinstance(value, Tree):
            tree = value.tree
        else:
            tree, more = literal(value)
            values |= more
        if isinstance(where, int):
            trees.append(tree)
        else:
            named[where] = tree
    if "cpu" in options:
        options["demand"] = DemandModel(cpu=options.pop("cpu"))
    key = f"user_code:{function}" if function else ""
    bundle = BUNDLE if function else ""
    base = {"run": "r", "name": function or "shell", "bundle": bundle, "function": key}
    return Call(**{**base, "args": trees, "kwargs": named, "values": values, **options})


class Tree:
    """An argument tree as the protocol writes it."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self.tree = tree


class Bench:
    """The scheduler's side: grants, and what came back."""

    def __init__(self, state: Path, **options: Any) -> None:
        self.state = state
        self.rows: list[ReportRow] = []
        self.reports: list[list[ReportRow]] = []
        self._more = asyncio.Event()
        self._lease = 0
        node = options.pop("node", Node("n1", 2000))
        incarnation = options.pop("incarnation", "1")
        self.executor = Executor(node, incarnation, state, self._report, **{"stop_grace": 1.0, **options})

    def _report(self, rows: list[ReportRow]) -> None:
        self.rows += rows
        self.reports.append(rows)
        self._more.set()

    def lease(self) -> int:
        self._lease += 1
        return self._lease

    def grant(
        self,
        task: str,
        what: Call,
        *,
        attempt: int = 1,
        lease: int | None = None,
        item: int | None = None,
        inputs: dict[str, Any] | None = None,
        devices: tuple[int, ...] = (),
        variant: int = 0,
    ) -> tuple[str, int]:
        """Grant `r/<task>`; in a lease of its own if none is given."""
        number = self.lease() if lease is None else lease
        row = GrantRow(
            f"r/{task}",
            attempt,
            number,
            0,
            f"r/{task.partition('[')[0]}",
            item,
            inputs or {},
            list(devices),
            variant,
        )
        self.executor.handle_lease(LeaseBody(calls={row.call: what}, grants=[row]))
        return row.task, attempt

    async def warm(self) -> None:
        """A free worker has loaded the module, so that a task granted next is in its own code when it is
        started."""
        self.grant("warm", call("noop"))
        await self.end("warm")
        self.rows.clear()

    def say(self, **body: Any) -> None:
        self.executor.handle_lease(LeaseBody(**body))

    def of(self, task: str, attempt: int = 1) -> list[ReportRow]:
        return [row for row in self.rows if row.task == f"r/{task}" and row.attempt == attempt]

    async def until(self, true: Callable[[], Any], limit: float = 15.0) -> None:
        """Wait for it, as reports come (or files change); fails with the rows that came."""
        end = time.monotonic() + limit
        while not true():
            assert time.monotonic() < end, f"did not happen in {limit} s; rows: {self.rows[-20:]}"
            self._more.clear()
            try:
                async with asyncio.timeout(0.02):
                    await self._more.wait()
            except TimeoutError:
                continue

    async def end(self, task: str, attempt: int = 1, limit: float = 15.0) -> ReportRow:
        """The last row of an attempt, which must be its only end."""
        await self.until(lambda: any(row.what in ENDS for row in self.of(task, attempt)), limit)
        ends = [row for row in self.of(task, attempt) if row.what in ENDS]
        assert len(ends) == 1, ends
        return ends[0]

    async def result(self, task: str, attempt: int = 1) -> Any:
        """The value of a finished task."""
        row = await self.end(task, attempt)
        assert row.what == "finished", row
        return self.value(row.value[1])

    def value(self, ref: dict[str, Any]) -> Any:
        from headway.authoring.values import decode
        from headway.domain.results import Ref
        from headway.store.blobs import Blobs

        return decode(Ref(ref.get("kind", "json"), ref.get("data")), Blobs(self.state / "blobs").get)

    def log(self, task: str) -> str:
        path = logs.path_of(self.state, f"r/{task}")
        return path.read_text() if path.exists() else ""


def prepare(state: Path) -> Path:
    """A state folder with the tests' bundle unpacked."""
    folder = state / "bundles" / BUNDLE
    folder.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("user_code.py"), folder / "user_code.py")
    return state


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return prepare(tmp_path / "state")


@pytest.fixture
async def bench(state: Path) -> AsyncIterator[Bench]:
    made = Bench(state)
    await made.executor.start()
    yield made
    await made.executor.stop(0.0)
    assert not made.executor.holds(), "a slot leaked"
    assert not list((state / "run").glob("*/*.spool")), "a worker was forgotten"


def gone(pid: int) -> bool:
    """Whether a process is dead (a zombie is)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0] == b"Z"


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[Address]:
    broker = NatsBroker(tmp_path / "broker")
    clients = (topics.planner(), topics.scheduler(), topics.resource_manager(), topics.executor("n1"))
    yield await broker.start(clients)
    await broker.stop()


@pytest.fixture
async def roles(address: Address) -> AsyncIterator[Roles]:
    made = Roles(address)
    await made.start()
    yield made
    await made.stop()
