"""Connects an executor to the bus: leases in, reports and hellos out. Everything else is `executor`."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import to_json

from headway.authoring.secrets import NOWHERE, Sources
from headway.bus import topics
from headway.bus.client import MqttBus
from headway.bus.endpoint import Endpoint, Mark
from headway.bus.letter import Letter
from headway.bus.messages import HelloBody, LeaseBody, NodeModel, ReportRow
from headway.bus.names import PLANNER, RESOURCE_MANAGER, SCHEDULER
from headway.bus.port import Address, OnMessage, Will
from headway.domain.resources import Node
from headway.errors import Unavailable
from headway.execute.executor import Executor
from headway.execute.files import safe, write_durably

log = logging.getLogger("headway.execute")

_AUDIENCE = (SCHEDULER, PLANNER)
#: A hello is said again so often (seconds): whoever gave this node up by mistake learns that it is here.
_HELLO_EVERY = 30.0
#: Seconds for the last reports to arrive when the executor ends.
_LAST_REPORTS = 1.0


class Agent:
    """The executor of a node on a site's bus.

    Args:
        node: Whose.
        state: The state folder.
        address: Of the broker, with the credential of `executor-<node>`.
        site: As in the topics.
        stop_grace: Seconds that a task which is to end has for it before it is killed.
        secrets: Where tasks' secrets are found.
    """

    def __init__(
        self,
        node: Node,
        state: Path,
        address: Address,
        *,
        site: str = "local",
        stop_grace: float = 5.0,
        secrets: Sources = NOWHERE,
    ) -> None:
        self._node, self._state = node, state
        self._epoch = _new_epoch(state / "run" / safe(node.name) / "incarnation")
        self.executor = Executor(
            node,
            str(self._epoch),
            state,
            self._report,
            confirmed_later=True,
            stop_grace=stop_grace,
            secrets=secrets,
        )
        client = topics.executor(node.name)
        self._name = client.name
        self._endpoint = Endpoint(
            _Bus(address, client.name, site=site, on_connect=self._hello),
            client,
            incarnation=str(self._epoch),
            site=site,
            on_acked=self._on_acked,
            on_superseded=self._on_superseded,
        )
        self._reports = self._hellos = 0
        self._arrived = dict.fromkeys(_AUDIENCE, 0)
        self._tasks: list[asyncio.Task[None]] = []
        #: Letters that were not for this process, or not to be understood.
        self.refused = 0
        #: Set when it can work no more: whoever owns it ends it and starts another.
        self.failed = asyncio.Event()

    async def start(self) -> None:
        """Adopt what a predecessor left, connect, say hello, and work. Raises Unavailable."""
        await self.executor.start()  # first: a hello lists what is held
        await self._endpoint.start()
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._say_hello_again())]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A defect of ours must not leave an executor that does nothing: its supervisor starts another."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("the executor ends by a defect", exc_info=error)
            os._exit(70)

    async def stop(self, grace: float = 2.0) -> None:
        """End all tasks (they may keep a checkpoint), report that, disconnect.

        Args:
            grace: Seconds that running tasks have for their checkpoint.
        """
        await self.executor.stop(grace)
        loop = asyncio.get_running_loop()
        until = loop.time() + _LAST_REPORTS
        while self._endpoint.waiting("report") and self._endpoint.connected and loop.time() < until:
            await asyncio.sleep(0.01)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._endpoint.close()

    # ── out ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _report(self, rows: list[ReportRow]) -> None:
        """Reports are counted here as in the executor: a letter's number is its report's."""
        self._reports += 1
        self._endpoint.send(
            "report", _AUDIENCE, self._epoch, self._reports, "report", to_json({"rows": rows})
        )

    def _hello(self) -> None:
        node = NodeModel(
            name=self._node.name,
            cpu=self._node.cpu,
            memory=self._node.memory,
            gpus=self._node.gpus,
            other=dict(self._node.other),
            labels=dict(self._node.labels),
        )
        body = HelloBody(node=node, incarnation=str(self._epoch), holds=self.executor.holds())
        self._hellos += 1
        self._endpoint.send("hello", (RESOURCE_MANAGER,), self._epoch, self._hellos, "hello", to_json(body))

    async def _say_hello_again(self) -> None:
        while True:
            await asyncio.sleep(_HELLO_EVERY)
            if self._endpoint.connected and not self._endpoint.waiting("hello"):
                self._hello()

    def _on_acked(self, stream: str, member: str, mark: Mark) -> None:
        if stream == "report" and member in self._arrived and mark[0] == self._epoch:
            self._arrived[member] = mark[1]
            self.executor.confirm(min(self._arrived.values()))

    def _on_superseded(self, stream: str, epoch: int) -> None:
        log.error(
            "somebody knows a later executor of node %s (epoch %d, this one is %d): is another one running?",
            self._node.name, epoch, self._epoch,
        )  # fmt: skip

    # ── in ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _work(self) -> None:
        while True:
            letters = await self._endpoint.next(max_wait=3600)
            for letter in letters:
                self._take(letter)
            self._endpoint.commit(letters)

    def _take(self, letter: Letter) -> None:
        """What the scheduler wrote to this very process; what it wrote to a former one is void."""
        if letter.kind != "lease" or letter.sender != SCHEDULER or letter.epoch != self._epoch:
            self.refused += 1
            return
        try:
            body = LeaseBody.model_validate_json(letter.body)
        except ValidationError as error:
            self.refused += 1
            log.error("lease %s cannot be understood, its attempts stay away: %s", letter.id, error)
            return
        self.executor.handle_lease(body)


class _Bus(MqttBus):
    """A connection that also tells us each time it stands."""

    def __init__(self, address: Address, name: str, *, site: str, on_connect: Callable[[], None]) -> None:
        super().__init__(address, name, site=site)
        self._tell = on_connect

    async def start(
        self,
        filters: Iterable[str],
        on_message: OnMessage,
        on_connect: Callable[[], None],
        *,
        will: Will | None = None,
        wait: float = 10.0,
    ) -> None:
        def both() -> None:
            on_connect()
            self._tell()

        await super().start(filters, on_message, both, will=will, wait=wait)


def _new_epoch(path: Path) -> int:
    """Above that of every former executor of this node, even if the clock (microseconds) went back."""
    last = 0
    with suppress(OSError, ValueError):
        last = int(path.read_text())
    epoch = max(time.time_ns() // 1000, last + 1)
    try:
        write_durably(path, f"{epoch}\n".encode())
    except Unavailable as error:
        raise Unavailable(
            f"the executor cannot begin: {error.message}",
            hint="make the state folder writable, or choose another",
        ) from error
    return epoch
