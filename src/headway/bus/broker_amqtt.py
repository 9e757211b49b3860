"""amqtt, a broker in Python: for platforms without nats-server, and for tests. In a process of its own, as
all brokers.

About 4,000 messages a second; sessions are lost on every restart, which streams do not mind. `python -m
headway.bus.broker_amqtt FILE` is the child: it reads its users and rights from the file and again on SIGHUP.
"""

from __future__ import annotations

import asyncio
import hmac
import importlib.util
import json
import logging
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from headway.bus import child, topics
from headway.bus.login import free_port, new_credential, wait_for_login, write_secret
from headway.bus.port import Address, Credential
from headway.bus.topics import Client
from headway.errors import Unavailable

START_TIMEOUT = 15.0  # seconds


class AmqttBroker:
    """A `port.Broker`; arguments as of `NatsBroker`."""

    def __init__(self, folder: Path, *, site: str = "local", log: Path | None = None) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self._folder = folder.absolute()
        self._site = site
        self._config = self._folder / "amqtt.json"
        self._log = log or self._folder / "broker.log"
        self._clients: dict[str, Client] = {}
        self._credentials: dict[str, Credential] = {}
        self._port = 0

    async def start(self, clients: Iterable[Client] = ()) -> Address:
        """See `port.Broker.start`."""
        if importlib.util.find_spec("amqtt") is None:
            raise Unavailable("amqtt is not installed", hint="pip install amqtt")
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for client in clients:
            self._add(client)
        child.end_survivors(Path(sys.executable).name, self._config)
        self._port = self._port or free_port()
        self._write()
        command = [sys.executable, "-m", "headway.bus.broker_amqtt", str(self._config)]
        self.process = await child.spawn(command, self._log)
        probe = next(iter(self._credentials.values()), Credential())
        if not await wait_for_login(self._port, probe, START_TIMEOUT, self.process):
            await child.end(self.process)
            raise Unavailable(
                f"amqtt does not start:\n  {child.tail(self._log)}", hint=f"its log is {self._log}"
            )
        return Address("127.0.0.1", self._port, credentials=dict(self._credentials))

    async def add_client(self, client: Client) -> Credential:
        """See `port.Broker.add_client`."""
        credential = self._add(client)
        self._write()
        if self.process is None or self.process.returncode is not None:
            raise Unavailable("the broker does not run", hint="start it first")
        self.process.send_signal(signal.SIGHUP)
        if not await wait_for_login(self._port, credential, START_TIMEOUT, self.process):
            raise Unavailable(f"amqtt did not take the new client {client.name}:\n  {child.tail(self._log)}")
        return credential

    async def stop(self) -> None:
        """See `port.Broker.stop`."""
        if self.process is not None:
            await child.end(self.process)

    def _add(self, client: Client) -> Credential:
        self._clients[client.name] = client
        return self._credentials.setdefault(client.name, new_credential(client.name))

    def _write(self) -> None:
        users = {
            self._credentials[name].user: {
                "password": self._credentials[name].password,
                "publish": topics.may_publish(self._site, client),
                "subscribe": topics.subscriptions(self._site, client),
            }
            for name, client in self._clients.items()
        }
        write_secret(self._config, json.dumps({"port": self._port, "users": users}))


def main(config: str) -> None:
    """Runs the broker until SIGTERM."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    asyncio.run(_serve(Path(config)))


async def _serve(config: Path) -> None:
    from amqtt.broker import Broker

    from headway.bus import amqtt_rights

    amqtt_rights.read(config)
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_signal_handler(signal.SIGHUP, amqtt_rights.read, config)
    settings: dict[str, Any] = {
        "listeners": {
            "default": {"type": "tcp", "bind": f"127.0.0.1:{amqtt_rights.port()}", "max_connections": 0}
        },
        "plugins": {"headway.bus.amqtt_rights.Login": {}, "headway.bus.amqtt_rights.Rights": {}},
    }
    broker = Broker(settings)
    await broker.start()
    await over.wait()
    await broker.shutdown()


def same(one: str, other: str) -> bool:
    """Compares secrets in a time that tells nothing."""
    return hmac.compare_digest(one.encode(), other.encode())


if __name__ == "__main__":
    main(sys.argv[1])
