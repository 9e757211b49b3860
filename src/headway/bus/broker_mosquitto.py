"""mosquitto, where an operator has it on the PATH: the fastest broker we measured, as a child process on
loopback.

Its users and rights are files that it rereads on SIGHUP. It closes the connection of a client that publishes
what it may not.
"""

from __future__ import annotations

import asyncio
import base64
import getpass
import hashlib
import os
import secrets
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path

from headway.bus import child, topics
from headway.bus.login import free_port, new_credential, wait_for_login, write_secret
from headway.bus.port import BROKER_PAYLOAD, Address, Credential
from headway.bus.topics import Client
from headway.errors import Unavailable

PROGRAM = "mosquitto"
START_TIMEOUT = 10.0  # seconds


class MosquittoBroker:
    """A `port.Broker`; arguments as of `NatsBroker`."""

    def __init__(self, folder: Path, *, site: str = "local", log: Path | None = None) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self._folder = folder.absolute()
        self._site = site
        self._config = self._folder / "mosquitto.conf"
        self._log = log or self._folder / "broker.log"
        self._clients: dict[str, Client] = {}
        self._credentials: dict[str, Credential] = {}
        self._port = 0

    async def start(self, clients: Iterable[Client] = ()) -> Address:
        """See `port.Broker.start`."""
        program = find_program()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for client in clients:
            self._add(client)
        child.end_survivors(PROGRAM, self._config)
        self._port = self._port or free_port()
        self._write()
        write_secret(self._config, self._text())
        self.process = await child.spawn([program, "-c", str(self._config)], self._log)
        probe = next(iter(self._credentials.values()), Credential())
        if not await wait_for_login(self._port, probe, START_TIMEOUT, self.process):
            await child.end(self.process)
            raise Unavailable(
                f"the broker ({program}) does not start:\n  {child.tail(self._log)}",
                hint=f"its log is {self._log}",
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
            raise Unavailable(
                f"the broker did not take the new client {client.name}:\n  {child.tail(self._log)}"
            )
        return credential

    async def stop(self) -> None:
        """See `port.Broker.stop`."""
        if self.process is not None:
            await child.end(self.process)

    def _add(self, client: Client) -> Credential:
        self._clients[client.name] = client
        return self._credentials.setdefault(client.name, new_credential(client.name))

    def _write(self) -> None:
        passwords, rights = [], []
        for name, client in self._clients.items():
            login = self._credentials[name]
            passwords.append(f"{login.user}:{hash_password(login.password)}\n")
            rights.append(f"user {login.user}\n")
            rights += [f"topic write {filter_}\n" for filter_ in topics.may_publish(self._site, client)]
            rights += [f"topic read {filter_}\n" for filter_ in topics.subscriptions(self._site, client)]
        write_secret(self._folder / "passwords", "".join(passwords))
        write_secret(self._folder / "rights", "".join(rights))

    def _text(self) -> str:
        return f"""\
# Written by Headway at each start of the broker; changes are lost.
user {getpass.getuser()}
listener {self._port} 127.0.0.1
allow_anonymous false
password_file {self._folder / "passwords"}
acl_file {self._folder / "rights"}
set_tcp_nodelay true
max_packet_size {BROKER_PAYLOAD}
max_inflight_messages 0
max_queued_messages 0
persistence false
log_dest stderr
log_type error
log_type warning
"""


def hash_password(password: str) -> str:
    """As `mosquitto_passwd` writes it: PBKDF2 with SHA-512. 101 rounds are its default; our passwords are
    random."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
    return f"$7$101${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def find_program() -> str:
    """mosquitto on the PATH, or where Debian puts it.

    Raises:
        Unavailable: There is none.
    """
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which(PROGRAM, path=path)
    if found is None:
        raise Unavailable(
            f"there is no {PROGRAM} on the PATH", hint="install it (Debian: apt install mosquitto)"
        )
    return found
