"""The workers of an executor: started, greeted, adopted from a dead executor, found dead, ended.

What they run is not known here; see `executor`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from headway.authoring.secrets import PREFIX, Sources
from headway.errors import Unavailable
from headway.execute import keyring, processes
from headway.execute.death import Death, Witness
from headway.execute.environments import guest_program
from headway.execute.frames import Damaged, SocketAddress, Splitter, pack
from headway.execute.logs import capture_path
from headway.execute.spool import Spool

if TYPE_CHECKING:
    from headway.execute.member import Lane, Member

#: A worker of a dead executor has so long to come to the new one, then it is killed (seconds).
ADOPT_WITHIN = 3.0
#: The last bytes of a dead worker may still be in its socket: wait so long for the socket's end (seconds).
_LAST_WORDS = 0.2
#: A worker that has not come up by then is killed (seconds).
_COME_UP_WITHIN = 60.0

#: The bundle whose modules it has imported, the devices it may have opened, the Python it runs in (empty for ours).
Binding = tuple[str, tuple[int, ...], str]


class Worker:
    """One worker as the executor sees it."""

    __slots__ = (
        "adopted", "binding", "calls", "exiting", "greeted", "lane", "last", "name", "pid", "pidfd",
        "process", "python", "received", "sent", "spool", "transport", "witness",
    )  # fmt: skip

    def __init__(self, name: str, spool: Spool) -> None:
        self.name, self.spool = name, spool
        self.pid, self.pidfd = 0, -1
        self.process: subprocess.Popen[bytes] | None = None
        #: The interpreter it was started with; empty for ours.
        self.python = ""
        self.adopted = False
        self.transport: asyncio.Transport | None = None
        self.binding: Binding | None = None
        self.lane: Lane | None = None
        #: Items sent and not ended, by number, in order.
        self.sent: dict[int, Member] = {}
        #: Calls it knows: key -> index.
        self.calls: dict[str, int] = {}
        #: The highest item number given.
        self.last = 0
        #: The sequence number of the last row that came.
        self.received = 0
        self.exiting = self.greeted = False
        self.witness = Witness()

    def tell(self, *message: Any) -> None:
        """Send a message; lost without a connection, and made good when it comes back."""
        if self.transport is not None:
            self.transport.write(pack(message))


class Owner(Protocol):
    """Who hears of workers."""

    def on_hello(self, worker: Worker, last: int, held: list[tuple[Any, ...]]) -> None:
        """It is here, for the first time or again, and has these items."""

    def on_row(self, worker: Worker, row: tuple[Any, ...]) -> None:
        """It says something about an item."""

    def on_death(self, worker: Worker, death: Death) -> None:
        """It is gone; its last rows have been handed on."""


class Crew:
    """All workers of one executor.

    Args:
        state: The state folder.
        folder: For the socket and the spools: this node's own.
        gpus: Devices of the node.
        owner: Who hears of them.
        secrets: Where they find secrets.
    """

    def __init__(self, state: Path, folder: Path, gpus: int, owner: Owner, secrets: Sources) -> None:
        self._state, self._folder, self._gpus, self._owner = state, folder, gpus, owner
        self._secrets = secrets
        self.workers: dict[str, Worker] = {}
        self._server: asyncio.AbstractServer | None = None
        self._expected: dict[str, Worker] = {}
        self._all_here = asyncio.Event()
        self._cleaners: set[asyncio.Future[None]] = set()

    # ── beginning and end ───────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Listen, and adopt those a former executor left: those that do not come within some seconds are
        killed.

        Raises:
            Unavailable: The folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            os.chmod(self._folder, 0o700)
            for path in self._folder.glob("*.spool"):
                self._expect(path)
            await self._listen()
        except OSError as error:
            raise Unavailable(
                f"the executor cannot use {self._folder}: {error}",
                hint="make the state folder writable, or choose another",
            ) from error
        if self._expected:
            with suppress(TimeoutError):
                async with asyncio.timeout(ADOPT_WITHIN):
                    await self._all_here.wait()
            for worker in list(self._expected.values()):
                self.kill(worker, gently=0)
            self._expected.clear()

    async def _listen(self) -> None:
        path = self._folder / "executor.sock"
        path.unlink(missing_ok=True)
        address = SocketAddress(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(address.text)
            os.chmod(path, 0o600)
        finally:
            address.close()
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Connection(self), sock=listener)

    def _expect(self, path: Path) -> None:
        """A spool that is here at the start: of a living worker, or to be cleared away."""
        try:
            spool = Spool.open(path)
        except (OSError, Damaged):
            path.unlink(missing_ok=True)
            return
        pid, born = spool.owner
        worker = Worker(path.stem, spool)
        worker.pid, worker.adopted = pid, True
        if pid and processes.alive(pid, born):
            with suppress(OSError):
                worker.pidfd = os.pidfd_open(pid)
                self._watch(worker)
                self._expected[worker.name] = self.workers[worker.name] = worker
                return
        spool.close(remove=True)
        capture_path(self._state, worker.name).unlink(missing_ok=True)

    async def close(self, grace: float) -> None:
        """Tell all to exit; kill those that have not after `grace` seconds."""
        for worker in list(self.workers.values()):
            self.retire(worker)
        until = asyncio.get_running_loop().time() + grace
        while self.workers and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.01)
        for worker in list(self.workers.values()):
            self.kill(worker, gently=0)
        until = asyncio.get_running_loop().time() + 5
        while (self.workers or self._cleaners) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.01)
        if self._server is not None:
            self._server.close()
        (self._folder / "executor.sock").unlink(missing_ok=True)

    # ── one worker ──────────────────────────────────────────────────────────────────────────────────────────

    def spawn(self, python: str = "") -> Worker:
        """Start one; it says hello when it is up. Raises Unavailable.

        Args:
            python: The interpreter of a virtual environment; empty for ours.
        """
        name = secrets.token_hex(6)
        try:
            worker = Worker(name, Spool.create(self._folder / f"{name}.spool"))
            worker.python = python
            self._start(worker)
        except OSError as error:
            (self._folder / f"{name}.spool").unlink(missing_ok=True)
            raise Unavailable(
                f"cannot start a worker: {error}", hint="see the limits on processes and files"
            ) from error
        self.workers[name] = worker
        self._watch(worker)
        asyncio.get_running_loop().call_later(_COME_UP_WITHIN, self._give_up, worker)
        return worker

    def _start(self, worker: Worker) -> None:
        program = [sys.executable, "-m", "headway.execute.worker"]
        if worker.python:
            program = [worker.python, "-c", guest_program()]
        command = [
            *program, str(self._state), str(self._folder), worker.name, str(self._gpus),
        ]  # fmt: skip
        environment = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
        lifeline = environment.get("HEADWAY_LIFELINE", "")
        secrets = keyring.sealed(self._secrets)
        environment |= {"HEADWAY_WORKER": worker.name, keyring.VARIABLE: str(secrets)}
        # A session of its own: a Ctrl-C meant for us does not reach it, and its group is its tree.
        try:
            worker.process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(secrets, int(lifeline)) if lifeline.isdigit() else (secrets,),
            )
        finally:
            os.close(secrets)
        worker.pid = worker.process.pid
        worker.pidfd = os.pidfd_open(worker.pid)

    def retire(self, worker: Worker) -> None:
        """No more work for it: it exits when it has none left, and is killed if it does not."""
        if worker.exiting:
            return
        worker.exiting = True
        if worker.transport is None:
            self.kill(worker, gently=0)
            return
        worker.tell("exit")
        asyncio.get_running_loop().call_later(5, self._insist, worker)

    def _insist(self, worker: Worker) -> None:
        if worker.name in self.workers and not worker.sent:
            self.kill(worker, gently=0)

    def _give_up(self, worker: Worker) -> None:
        if worker.name in self.workers and not worker.greeted:
            self.kill(worker, gently=0)

    def kill(self, worker: Worker, *, gently: float) -> None:
        """End the worker and all that it has started: SIGTERM, after `gently` seconds SIGKILL."""
        pid, born, mark = worker.pid, processes.birth(worker.pid), f"HEADWAY_WORKER={worker.name}"

        def tree() -> set[int]:
            own = {pid, *processes.descendants(pid)} if born and processes.alive(pid, born) else set()
            return own | set(processes.marked(mark))

        self._in_thread(lambda: processes.end(tree, gently=gently))

    def _in_thread(self, work: Callable[[], None]) -> None:
        """Looking through /proc takes milliseconds: not on the loop."""
        future = asyncio.get_running_loop().run_in_executor(None, work)
        self._cleaners.add(future)
        future.add_done_callback(self._cleaners.discard)

    # ── what happens to it ──────────────────────────────────────────────────────────────────────────────────

    def _watch(self, worker: Worker) -> None:
        asyncio.get_running_loop().add_reader(worker.pidfd, self._on_exit, worker)

    def _on_exit(self, worker: Worker) -> None:
        """Its process is gone. What it wrote last may still come through the socket."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(worker.pidfd)
        os.close(worker.pidfd)
        worker.pidfd = -1
        if worker.transport is None:
            self._bury(worker)
        else:
            loop.call_later(_LAST_WORDS, self._bury, worker)

    def _bury(self, worker: Worker) -> None:
        if self.workers.pop(worker.name, None) is None:
            return
        self._met(worker)
        for message in worker.spool.unsent():
            self._take(worker, message)
        death = worker.witness.testify(worker.process)
        try:
            self._owner.on_death(worker, death)
        finally:
            if worker.transport is not None:
                worker.transport.abort()
                worker.transport = None
            worker.spool.close(remove=True)
            capture_path(self._state, worker.name).unlink(missing_ok=True)
        mark = f"HEADWAY_WORKER={worker.name}"
        self._in_thread(lambda: processes.end(lambda: processes.marked(mark), gently=0))

    def greet(self, connection: _Connection, message: tuple[Any, ...]) -> Worker | None:
        """The first message of a connection: whose it is. None if it is nobody's."""
        match message:
            case (
                "hello",
                str() as name,
                int() as pid,
                int() as last,
                list() as held,
                str() as bundle,
                tuple() as devices,
                str() as python,
            ):
                worker = self.workers.get(name)
            case _:
                return None
        if worker is None or worker.pid != pid or worker.pidfd < 0:
            return None
        if worker.transport is not None:
            worker.transport.abort()
        worker.transport, worker.greeted = connection.transport, True
        if worker.adopted and worker.binding is None and (bundle or devices or python or held):
            worker.binding, worker.python = (bundle, devices, python), python
        self._owner.on_hello(worker, last, held)
        worker.adopted = False
        return worker

    def _met(self, worker: Worker) -> None:
        """All that an expected worker has to say has been heard, or will never be."""
        if self._expected.pop(worker.name, None) is not None and not self._expected:
            self._all_here.set()

    def hear(self, worker: Worker, messages: list[tuple[Any, ...]]) -> None:
        for message in messages:
            if message == ("here",):
                self._met(worker)
            else:
                self._take(worker, message)

    def _take(self, worker: Worker, message: tuple[Any, ...]) -> None:
        """A row, once: it comes again after a reconnection, and from a dead worker's spool."""
        if len(message) != 8 or message[0] != "row" or message[1] <= worker.received:
            return
        worker.received = message[1]
        self._owner.on_row(worker, message)

    def lost(self, worker: Worker, connection: _Connection) -> None:
        """The connection ended: its process has, or it comes again."""
        if worker.transport is not connection.transport:
            return
        worker.transport = None
        if worker.pidfd < 0:
            self._bury(worker)


class _Connection(asyncio.Protocol):
    """One connection of a worker."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._splitter = Splitter()
        self._worker: Worker | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._splitter.feed(data)
        except Damaged:
            self.transport.abort()
            return
        if self._worker is None and messages:
            self._worker = self._crew.greet(self, messages.pop(0))
            if self._worker is None:
                self.transport.abort()
                return
        if self._worker is not None:
            self._crew.hear(self._worker, messages)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._worker is not None:
            self._crew.lost(self._worker, self)
