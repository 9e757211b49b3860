"""A run in this process: broker, roles and executor for one workflow, on a state folder that goes when it ends.

It is the service without HTTP and without a future: the same roles over the same broker, the same journal, the same workers.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from headway.api.echo import Echo
from headway.authoring.secrets import sources_of
from headway.bus import topics
from headway.bus.broker_nats import NatsBroker
from headway.client.outcome import RunFailed, check_finished, decode
from headway.client.packing import pack
from headway.client.submission import Submission
from headway.domain.resources import Node
from headway.errors import HeadwayError, Unavailable
from headway.execute.agent import Agent
from headway.execute.machine import this_machine
from headway.roles.planning import aim_of
from headway.roles.team import Team
from headway.service.identity import OWNER
from headway.settings import Settings, load
from headway.store.blobs import Blobs
from headway.store.sqlite import SqliteJournal

T = TypeVar("T")
#: Called with every change of the run: task and run views.
Watch = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class InlineRun:
    """What became of it.

    Attributes:
        view: The run view: state, counts, error.
        result: The Python value.
    """

    view: dict[str, Any]
    result: Any


def run(
    workflow: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    settings: Settings | None = None,
    watch: Watch | None = None,
    show_output: bool = True,
) -> InlineRun:
    """Trace, run to the end, clean up.

    Args:
        settings: The policy and the node are taken from them; the state folder is our own.
        watch: Sees every change.
        show_output: Whether what tasks print appears here, each line with the task's name.

    Raises:
        RunFailed: Its `fields["run"]` holds the view.
    """
    submission = pack(workflow, args, dict(kwargs))
    folder = Path(tempfile.mkdtemp(prefix="headway-"))
    settings = settings or load()
    try:
        with _quiet():
            return asyncio.run(_Session(folder, settings, watch, show_output).run(submission))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Session:
    """Everything a run needs, started and ended together."""

    def __init__(self, folder: Path, settings: Settings, watch: Watch | None, show_output: bool) -> None:
        self._folder, self._settings, self._watch, self._show = folder, settings, watch, show_output
        self._blobs = Blobs(folder / "blobs", sync=False)
        self._echo = Echo(folder, sys.stderr)
        self._trace = ""
        self._broker = NatsBroker(folder / "broker", site=settings.site)

    async def run(self, submission: Submission) -> InlineRun:
        node = this_machine(self._settings.node, self._folder)
        executor = topics.executor(node.name)
        clients = (topics.planner(), topics.scheduler(), topics.resource_manager(), executor)
        address = await self._broker.start(clients)
        journal = SqliteJournal(self._folder / "journal.db", sync="normal")
        policy = self._settings.policy
        team = Team(
            journal,
            self._blobs,
            address,
            epoch=1,
            site=self._settings.site,
            order=policy.order,
            discipline=policy.discipline,
            placement=policy.placement,
            tables=self._settings.tables,
            aim=aim_of(self._settings.joint),
        )
        agent = Agent(
            node, self._folder, address, site=self._settings.site, secrets=sources_of(self._settings)
        )
        try:
            await team.start()
            changes: asyncio.Queue[list[dict[str, Any]]] = asyncio.Queue()
            team.feed.listen(changes.put_nowait)
            await agent.start()
            await self._node_known(team, node)
            view = await self._unless(
                (team.failed, agent.failed), self._to_the_end(team, submission, changes)
            )
        finally:
            await agent.stop()
            await team.stop()
            await journal.close()
            await self._broker.stop()
        return self._outcome(view)

    async def _unless(self, failures: tuple[asyncio.Event, ...], work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, unless a part of ours fails first."""
        working = asyncio.create_task(work)
        failing = [asyncio.create_task(event.wait()) for event in failures]
        try:
            await asyncio.wait((working, *failing), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise Unavailable(
                    "a part of Headway failed by a defect; the run cannot go on",
                    hint="run it again with HEADWAY_DEBUG=1 and report what it prints",
                )
            return working.result()
        finally:
            for task in (working, *failing):
                task.cancel()

    async def _node_known(self, team: Team, node: Node) -> None:
        """Wait until the planner knows the node: so a demand it could never hold is refused, not left waiting."""
        async with asyncio.timeout(10):
            while node.name not in team.planner.nodes:
                await team.planner_stepped()

    async def _to_the_end(
        self, team: Team, submission: Submission, changes: asyncio.Queue[list[dict[str, Any]]]
    ) -> dict[str, Any]:
        for data in submission.blobs.values():
            self._blobs.put(data)
        body = {"values": {}, "bundle": "", **submission.body, "key": None, "by": OWNER}
        await team.front.submit(body)
        with _cancelling(lambda: team.front.cancel(submission.run, "interrupted", OWNER)), self._echo:
            ended = False
            while not ended:
                for change in await changes.get():
                    ended = self._tell(change) or ended
        view = await team.front.run(submission.run)
        if view["state"] == "failed" and view["error"]["task"]:
            self._trace = (await team.front.task(view["error"]["task"]))["error"]["traceback"].rstrip()
        return view

    def _tell(self, change: dict[str, Any]) -> bool:
        """Show a change; returns whether it is the end of the run."""
        if self._watch is not None:
            self._watch(change)
        if self._show and change.get("type") == "task":
            if change["ended"]:
                self._echo.end(change["id"], change["name"])
            elif change["state"] == "running":
                self._echo.begin(change["id"], change["name"])
        return bool(change["type"] == "run" and change["state"] != "running")

    def _outcome(self, view: dict[str, Any]) -> InlineRun:
        try:
            check_finished(view)
        except RunFailed as failed:
            # What the tasks printed has been shown, tracebacks too; and there is no service to ask for more.
            raise RunFailed(
                failed.message, hint=None if self._show else self._trace or None, run=view
            ) from None
        return InlineRun(view, decode(view["result"], self._blobs.get))


@contextmanager
def _cancelling(cancel: Callable[[], Any]) -> Iterator[None]:
    """The first Ctrl-C cancels the run and lets its tasks end; the second ends this process's part of it at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    pending: list[asyncio.Future[Any]] = []

    def interrupted() -> None:
        if pending:
            assert task is not None
            task.cancel()
            return
        print("Cancelling; Ctrl-C again to stop at once.", file=sys.stderr, flush=True)
        pending.append(asyncio.ensure_future(cancel()))

    try:
        loop.add_signal_handler(signal.SIGINT, interrupted)
    except (
        ValueError,
        NotImplementedError,
        RuntimeError,
    ):  # not the main thread: whoever runs us handles signals
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        for future in pending:
            if future.done() and not future.cancelled() and isinstance(future.exception(), HeadwayError):
                logging.getLogger("headway").debug("cancel: %s", future.exception())


@contextmanager
def _quiet() -> Iterator[None]:
    """Our own log lines are for operators of a service, not for somebody who called a function."""
    logger = logging.getLogger("headway")
    before = logger.level
    if not os.environ.get("HEADWAY_DEBUG"):
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
