"""A child process that is started again when it dies, alone, with growing pauses, and given up after a run of
quick deaths.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from headway.bus.child import leashed, tail
from headway.errors import Unavailable
from headway.service import lifeline

log = logging.getLogger("headway.supervisor")

#: What the variables begin with that hold secrets of tasks (`headway.authoring.secrets.PREFIX`, which is not for this room).
SECRETS = "HEADWAY_SECRET_"

LOG_LIMIT = 20 * 2**20
"""Bytes after which a child's log is put aside (one older is kept) at its next start."""


@dataclass(frozen=True, slots=True)
class Restarts:
    """When to try again.

    Attributes:
        healthy_after: Seconds a child must live for its death not to count as quick.
        first: Pause before the second try after a quick death; doubles each time.
        longest: Longest pause, seconds.
        limit: So many quick deaths in a row are given up on.
        ready_within: Seconds a child has to say that it is ready.
    """

    healthy_after: float = 5.0
    first: float = 0.1
    longest: float = 5.0
    limit: int = 6
    ready_within: float = 60.0


@dataclass(slots=True)
class Child:
    """What to start.

    Attributes:
        name: Of the child; its log is `<name>.log`.
        command: Its first word is a path.
        env: Added to the supervisor's environment.
        fds: Descriptors it inherits.
        says_ready: It writes to the ready pipe; else it is ready once started.
        secrets: It is given the variables that hold secrets of tasks.
    """

    name: str
    command: Sequence[str]
    env: dict[str, str] = field(default_factory=dict)
    fds: tuple[int, ...] = ()
    says_ready: bool = False
    secrets: bool = False


class Keeper:
    """Keeps one child alive.

    Args:
        child: What to start.
        logs: Folder of the logs.
        restarts: When to try again.
        on_start: Called with name and pid after each start.
    """

    def __init__(
        self, child: Child, logs: Path, restarts: Restarts, on_start: Callable[[str, int], None]
    ) -> None:
        self.child = child
        self.restarts = 0
        self._log_file = logs / f"{child.name}.log"
        self._policy = restarts
        self._on_start = on_start
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """Of the present process."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            Unavailable: It ended, or did not become ready in time; with the end of its log.
        """
        ready_read, ready_write = os.pipe() if self.child.says_ready else (-1, -1)
        try:
            self._process = await self._spawn(ready_write)
        finally:
            if ready_write >= 0:
                os.close(ready_write)
        self._on_start(self.child.name, self._process.pid)
        if self.child.says_ready:
            await self._until_ready(ready_read)

    async def _spawn(self, ready_fd: int) -> asyncio.subprocess.Process:
        own = {name: text for name, text in os.environ.items() if not name.startswith(SECRETS)}
        env = {**(os.environ if self.child.secrets else own), **self.child.env}
        fds = self.child.fds
        if ready_fd >= 0:
            env[lifeline.READY_VARIABLE] = str(ready_fd)
            fds = (*fds, ready_fd)
        with suppress(OSError):
            if self._log_file.stat().st_size > LOG_LIMIT:
                self._log_file.replace(self._log_file.with_suffix(".log.1"))
        with self._log_file.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *leashed(list(self.child.command)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=fds,
                env=env,
            )

    async def _until_ready(self, fd: int) -> None:
        """A byte means ready; the end of the pipe without one means that the child ended."""
        assert self._process is not None
        loop = asyncio.get_running_loop()
        said: asyncio.Future[bytes] = loop.create_future()

        def readable() -> None:
            loop.remove_reader(fd)
            if not said.done():
                said.set_result(os.read(fd, 1))

        loop.add_reader(fd, readable)
        try:
            async with asyncio.timeout(self._policy.ready_within):
                if await said:
                    return
                code = await self._process.wait()
        except TimeoutError:
            await self.stop(0)
            self._stopping = False
            raise self._failed(f"was not ready after {self._policy.ready_within:.0f} s") from None
        finally:
            loop.remove_reader(fd)
            os.close(fd)
        raise self._failed(f"ended at its start ({how(code)})")

    def _failed(self, what: str) -> Unavailable:
        return Unavailable(
            f"{self.child.name} {what}:\n  {tail(self._log_file)}",
            hint=f"its log is {self._log_file}",
            child=self.child.name,
        )

    async def keep(self) -> None:
        """Start it again whenever it dies. Returns after `stop`.

        Raises:
            Unavailable: It died quickly too often.
        """
        loop = asyncio.get_running_loop()
        quick = 0
        while not self._stopping and self._process is not None:
            began = loop.time()
            code = await self._process.wait()
            if self._stopping:
                return
            quick = quick + 1 if loop.time() - began < self._policy.healthy_after else 1
            while not self._stopping:
                if quick >= self._policy.limit:
                    raise self._failed(
                        f"died {quick} times in quick succession, the last time by {how(code)}; given up"
                    )
                pause = (
                    0.0 if quick <= 1 else min(self._policy.longest, self._policy.first * 2 ** (quick - 2))
                )
                log.warning("%s ended by %s; starting it again in %.1f s", self.child.name, how(code), pause)
                await asyncio.sleep(pause)
                if self._stopping:
                    return
                self.restarts += 1
                began = loop.time()
                try:
                    await self.start()
                    break
                except Unavailable as error:
                    log.warning("%s", error.message)
                    code = self._process.returncode if self._process.returncode is not None else -9
                    quick += 1

    async def stop(self, grace: float) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate() if grace > 0 else process.kill()
        try:
            await asyncio.wait_for(process.wait(), max(grace, 0.01))
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def how(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
