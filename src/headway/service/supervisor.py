"""The parent of a service: holds the lock, makes credentials, starts broker, service, executor and follower, restarts
what dies.

It stays small and does nothing else, because with it everything ends. Of a child that dies, that child alone
is started again, with the same credentials and the same listening socket: connections wait in the socket's
queue meanwhile.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from headway.bus import topics
from headway.bus.port import Address, Broker, BrokerByUrl
from headway.errors import HeadwayError, Unavailable
from headway.execute.processes import birth
from headway.service import lifeline
from headway.service.children import Child, Keeper, Restarts
from headway.service.identity import ensure_token, write_private
from headway.service.listen import bind, url_of
from headway.service.lock import StateLock
from headway.service.mqtt_events import TRIGGERS
from headway.service.survivors import Register
from headway.settings import CHILD_VARIABLE, Settings, from_json
from headway.settings import Child as ChildConfig

log = logging.getLogger("headway.supervisor")

SERVICE, EXECUTOR, BROKER, FOLLOWER, AGENTS = "service", "executor", "broker", "follower", "agents"
WATCHER, WATCH_FILE = "watcher", "watch"
"""The broker's user that reads everything and publishes nothing, and the file with its URL."""
EVENTS, EVENTS_FILE = "events", "events"
"""The one that tells of events, likewise."""
_RESTARTS = Restarts()
_WITHOUT = Restarts(longest=60.0, limit=1 << 30)
"""For what all else does without: it is never given up, and nothing ends with it."""
_WRITE_AGAIN = 2.0
"""Seconds until the next try where the disk is full."""
_LOOK_EVERY, _MISSED_MOST = 5.0, 3
"""Seconds between two looks at the broker, and how many in a row it may miss."""
STOP_GRACE = 10.0
"""Seconds that service and executor get to end by themselves."""


class Supervisor:
    """See the module.

    Args:
        settings: All of them.
        commands: What to start, by child name; other programs in tests.
        broker: By default our own, or the operator's if the settings name its URL.
        restarts: When to start a dead child again.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        commands: dict[str, list[str]] | None = None,
        broker: Broker | None = None,
        restarts: Restarts = _RESTARTS,
    ) -> None:
        self.settings = settings
        self.url = ""
        self.keepers: dict[str, Keeper] = {}
        self._commands = commands or {
            SERVICE: [sys.executable, "-m", "headway.service"],
            EXECUTOR: [sys.executable, "-m", "headway.execute"],
            FOLLOWER: [sys.executable, "-m", "headway.service.follower"],
            AGENTS: [sys.executable, "-m", "headway.host"],
        }
        self._broker = broker or _broker_of(settings)
        self._restarts = restarts
        self._lock = StateLock(settings.state)
        self._register = Register(settings.state)
        self._stop = asyncio.Event()
        self._lifeline = (-1, -1)
        self._sock: socket.socket | None = None

    def stop(self) -> None:
        """Begin an orderly stop."""
        self._stop.set()

    async def run(self, on_ready: Callable[[dict[str, Any]], None]) -> None:
        """Start everything, call `on_ready` with the content of `service.json`, and stay until `stop`.

        Raises:
            Conflict: A service runs on the state folder already.
            Unavailable: Something does not start, or died too often.
        """
        state = self.settings.state
        self._lock.acquire()
        try:
            self._lock.write({"pid": os.getpid(), "born": birth(os.getpid()), "url": ""})
            ended = await asyncio.to_thread(self._register.end_survivors)
            if ended:
                log.warning("ended %d processes that a killed supervisor had left: %s", len(ended), ended)
            for folder in ("logs", "broker", "run"):
                (state / folder).mkdir(mode=0o700, exist_ok=True)
            ensure_token(state / "token")
            await self._start()
            on_ready(self._publish())
            await self._until_stop()
        except OSError as error:
            raise Unavailable(
                f"the state folder {state} cannot be used: {error.strerror} ({error.filename})"
            ) from error
        finally:
            await self._end()

    async def _start(self) -> None:
        self._lifeline = os.pipe()
        self._sock = self._listen()
        self.url = url_of(self._sock)
        node = self.settings.node.name
        roles = (topics.planner(), topics.scheduler(), topics.resource_manager())
        executor, agent = topics.executor(node), topics.agent("scheduler")
        desks = (topics.event_listener(TRIGGERS), topics.desk())
        others = (topics.watcher(WATCHER), topics.event_sender(EVENTS), agent)
        address = await self._broker.start((*roles, executor, *desks, *others))
        self._note_broker()
        self._let_others_in(address)
        if self._stop.is_set():
            return
        names = [client.name for client in (*roles, *desks)]
        self.keepers[SERVICE] = self._keeper(SERVICE, address, names, http=self._sock.fileno())
        await self.keepers[SERVICE].start()
        self.keepers[EXECUTOR] = self._keeper(EXECUTOR, address, [executor.name])
        await self.keepers[EXECUTOR].start()
        if FOLLOWER in self._commands:
            self.keepers[FOLLOWER] = self._keeper(FOLLOWER, address, [], restarts=_WITHOUT)
            await self.keepers[FOLLOWER].start()
        if AGENTS in self._commands and self._wants_agents():
            self.keepers[AGENTS] = self._keeper(AGENTS, address, [agent.name], restarts=_WITHOUT)
            await self.keepers[AGENTS].start()

    def _wants_agents(self) -> bool:
        """Whether an agent is not off, and can be carried here; nothing depends on it."""
        if self.settings.agents.scheduler == "off":
            return False
        if importlib.util.find_spec("langgraph") is None:
            log.warning("no agents: langgraph is not installed (pip install 'headway[agents]')")
            return False
        return True

    def _listen(self) -> socket.socket:
        """On the port of the last start if it was taken by chance: clients that wait for us find us again."""
        last = _last_port(self.settings)
        if self.settings.http.port == 0 and last:
            with suppress(Unavailable):
                return bind(self.settings.http.host, last)
        return bind(self.settings.http.host, self.settings.http.port)

    def _keeper(
        self,
        name: str,
        address: Address,
        clients: list[str],
        http: int | None = None,
        restarts: Restarts | None = None,
    ) -> Keeper:
        config = ChildConfig(
            self.settings, {client: address.url(client) for client in clients}, address.ca_file
        )
        path = self.settings.state / "run" / f"{name}.json"
        write_private(path, json.dumps(config.to_json()))
        env = {CHILD_VARIABLE: str(path), lifeline.VARIABLE: str(self._lifeline[0])}
        fds: tuple[int, ...] = (self._lifeline[0],)
        if http is not None:
            env[lifeline.HTTP_VARIABLE] = str(http)
            fds = (*fds, http)
        child = Child(
            name, self._commands[name], env, fds, says_ready=name == SERVICE, secrets=name == EXECUTOR
        )
        return Keeper(child, self.settings.state / "logs", restarts or self._restarts, self._started)

    def _let_others_in(self, address: Address) -> None:
        """Write down with what a person may read along, and a program tell of events; on a broker of their own that is theirs
        to give."""
        if not self.settings.broker:
            write_private(self.settings.state / WATCH_FILE, f"{address.url(WATCHER)}\n")
            write_private(self.settings.state / EVENTS_FILE, f"{address.url(EVENTS)}\n")

    def _started(self, name: str, pid: int) -> None:
        """Write down who was started. On a full disk later: with this process all others would end."""
        try:
            self._register.add(name, pid)
            if (self.settings.state / "service.json").exists():
                self._publish()
        except OSError as error:
            if not (self.settings.state / "service.json").exists():
                raise
            log.warning(
                "cannot write down that %s is process %d: %s; trying again", name, pid, error.strerror
            )
            asyncio.get_running_loop().call_later(_WRITE_AGAIN, self._written_late, name, pid)

    def _written_late(self, name: str, pid: int) -> None:
        if not self._stop.is_set() and self._pid_of(name) == pid:
            self._started(name, pid)

    def _pid_of(self, name: str) -> int | None:
        if name == BROKER:
            process = getattr(self._broker, "process", None)
            return process.pid if process is not None else None
        return self.keepers[name].pid

    def _note_broker(self) -> None:
        process = getattr(self._broker, "process", None)
        if process is not None:
            self._started(BROKER, process.pid)

    def _publish(self) -> dict[str, Any]:
        """Write `service.json`: how clients find us."""
        pids = {"supervisor": os.getpid(), **self._register.pids()}
        found = {
            "url": self.url,
            "pid": os.getpid(),
            "pids": pids,
            "site": self.settings.site,
            "since": time.time_ns() // 1000,
        }
        write_private(self.settings.state / "service.json", json.dumps(found))
        self._lock.write({"pid": os.getpid(), "born": birth(os.getpid()), "url": self.url})
        return found

    async def _until_stop(self) -> None:
        """Keep all alive until somebody says stop, or one is given up."""
        keeping = [asyncio.create_task(keeper.keep()) for keeper in self.keepers.values()]
        keeping.append(asyncio.create_task(self._keep_broker()))
        keeping.append(asyncio.create_task(self._watch_broker()))
        stopping: asyncio.Task[Any] = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({*keeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in keeping:
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error
        finally:
            for task in (*keeping, stopping):
                task.cancel()
            await asyncio.gather(*keeping, stopping, return_exceptions=True)

    async def _keep_broker(self) -> None:
        """A broker of ours that dies is started again on the same port with the same credentials."""
        loop, quick = asyncio.get_running_loop(), 0
        while (process := getattr(self._broker, "process", None)) is not None:
            began = loop.time()
            code = await process.wait()
            quick = quick + 1 if loop.time() - began < self._restarts.healthy_after else 1
            if quick >= self._restarts.limit:
                raise Unavailable(
                    f"the broker died {quick} times in quick succession; given up", hint="see logs/broker.log"
                )
            log.warning("the broker ended (%s); starting it again", code)
            await asyncio.sleep(
                0 if quick <= 1 else min(self._restarts.longest, self._restarts.first * 2**quick)
            )
            await self._start_broker_again()
        await self._stop.wait()

    async def _watch_broker(self) -> None:
        """A broker of ours that runs and takes no login is ended, so that another is started: after a full disk
        nats-server never recovers by itself."""
        answers, missed = getattr(self._broker, "answers", None), 0
        while answers is not None:
            await asyncio.sleep(_LOOK_EVERY)
            process = getattr(self._broker, "process", None)
            if process is None or process.returncode is not None:
                missed = 0
                continue
            missed = 0 if await answers() else missed + 1
            if missed >= _MISSED_MOST and process.returncode is None:
                log.warning("the broker has taken no login %d times in a row: it is ended", missed)
                process.kill()
                missed = 0
        await self._stop.wait()

    async def _start_broker_again(self) -> None:
        while True:
            try:
                await self._broker.start(())
                break
            except OSError as error:  # a full disk: wait for room rather than end all that runs
                log.warning("the broker cannot be started: %s; trying again", error.strerror)
                await asyncio.sleep(_WRITE_AGAIN)
        self._note_broker()

    async def _end(self) -> None:
        """Executor and service first: they say goodbye through the broker."""
        await asyncio.gather(*(keeper.stop(STOP_GRACE) for keeper in self.keepers.values()))
        with suppress(HeadwayError):
            await self._broker.stop()
        if self._sock is not None:
            self._sock.close()
        for fd in self._lifeline:
            if fd >= 0:
                os.close(fd)
        with suppress(OSError):
            for name in ("service.json", WATCH_FILE):
                (self.settings.state / name).unlink(missing_ok=True)
            self._register.clear()
        self._lock.release()


def _broker_of(settings: Settings) -> Broker:
    if settings.broker:
        return BrokerByUrl(settings.broker)
    from headway.bus.broker_nats import NatsBroker

    state = settings.state
    return NatsBroker(state / "broker", site=settings.site, log=state / "logs" / "broker.log")


def _last_port(settings: Settings) -> int:
    try:
        url = json.loads((settings.state / "service.json").read_text())["url"]
        return int(str(url).rpartition(":")[2])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


# ── the program ───────────────────────────────────────────────────────────────────────────────────


def main(arguments: list[str] | None = None) -> None:
    """`python -m headway.service.supervisor SETTINGS_FD [READY_FD]`, called by `headway up`.

    Reads the settings as JSON from the first descriptor. With a second one it reports there (`{"url": …}` or
    `{"error": …}`) and says nothing else on success; without, it prints for a person.
    """
    given = sys.argv[1:] if arguments is None else arguments
    with os.fdopen(int(given[0])) as file:
        settings = from_json(json.load(file))
    report_fd = int(given[1]) if len(given) > 1 else None
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(message)s")
    sys.exit(asyncio.run(_main(settings, report_fd)))


async def _main(settings: Settings, report_fd: int | None) -> int:
    supervisor = Supervisor(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, supervisor.stop)

    def ready(found: dict[str, Any]) -> None:
        if report_fd is not None:
            _report(report_fd, found)
        else:
            print(
                f"Headway is up: {found['url']}\nState: {settings.state}\n"
                "Stop it with Ctrl-C or `headway down`.",
                flush=True,
            )

    try:
        await supervisor.run(ready)
    except HeadwayError as error:
        if report_fd is not None:
            _report(
                report_fd,
                {
                    "error": error.message,
                    "hint": error.hint,
                    "code": error.code,
                    "exit_code": error.exit_code,
                },
            )
        print(f"Error: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


def _report(fd: int, content: dict[str, Any]) -> None:
    with suppress(OSError):
        os.write(fd, json.dumps(content).encode() + b"\n")
        os.close(fd)


def state_of(folder: Path) -> dict[str, Any] | None:
    """The content of `service.json`, or None."""
    try:
        found = json.loads((folder / "service.json").read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


if __name__ == "__main__":
    main()
