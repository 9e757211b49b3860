"""What a bus and a broker are to the rest of Headway. `client` and `broker_*` implement them; tests wrap
them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from urllib.parse import quote, unquote, urlsplit

from headway.bus.topics import Client
from headway.errors import Invalid

BROKER_PAYLOAD = 8 * 2**20  # bytes; what our brokers are set to take: nats-server warns above
MAX_PAYLOAD = BROKER_PAYLOAD - 64 * 1024  # bytes of one message; the rest is for topic and headers


class Oversize(Invalid):
    """A message is bigger than the broker takes. It is refused here: a broker would close the connection, and
    a stream would then send it again for ever."""

    code = "oversize"


class Will(NamedTuple):
    """What the broker publishes for us, retained, when the connection breaks."""

    topic: str
    payload: bytes


OnMessage = Callable[[str, bytes], None]


class Bus(Protocol):
    """A connection that may come and go. Nothing published through it is certain to arrive."""

    @property
    def connected(self) -> bool: ...

    @property
    def counters(self) -> dict[str, int]: ...

    async def start(
        self,
        filters: Iterable[str],
        on_message: OnMessage,
        on_connect: Callable[[], None],
        *,
        will: Will | None = None,
        wait: float = 10.0,
    ) -> None:
        """Connects, and connects again for ever until `close`. Callbacks run in the event loop.

        Raises:
            Unavailable: Not connected after `wait` seconds.
            Denied: The broker knows neither user nor password, or the rights do not suffice.
        """

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """Hands a message to the socket and returns at once: False when there is no connection.

        Raises:
            Oversize: The broker would not take it.
        """

    async def close(self) -> None:
        """Ends the connection properly: the will is not published."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What one client logs in with; empty for a broker that asks nothing."""

    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker listens, and the credentials of its clients by name."""

    host: str
    port: int
    tls: bool = False
    ca_file: str | None = None
    credentials: dict[str, Credential] = field(default_factory=dict)

    def url(self, name: str) -> str:
        """`mqtt://user:password@host:port` of one client: a secret."""
        credential = self.credentials.get(name, Credential())
        login = (
            f"{quote(credential.user, safe='')}:{quote(credential.password, safe='')}@"
            if credential.user
            else ""
        )
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{login}{host}:{self.port}"


class Broker(Protocol):
    """A broker that can be started here, with a user for each client and rights as `topics` says."""

    async def start(self, clients: Iterable[Client]) -> Address:
        """Starts it and waits until it listens. Once more after an end: same port, same credentials.

        Raises:
            Unavailable: It does not start; says why, with the end of its log.
        """

    async def add_client(self, client: Client) -> Credential:
        """A new user on the running broker; those connected stay connected."""

    async def stop(self) -> None:
        """Ends it and waits until it has ended."""


def parse_url(url: str) -> tuple[Address, Credential]:
    """`mqtt://` or `mqtts://`, with user and password if the broker wants them.

    Raises:
        Invalid: It is no such URL. The password is not repeated in the message.
    """
    hint = "write mqtt://host:1883 or mqtts://user:password@host:8883"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Invalid(f"the broker's URL is not valid: {error}", hint=hint) from None
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise Invalid(
            f"the broker's URL begins with {parts.scheme + '://' if parts.scheme else 'no scheme'}", hint=hint
        )
    if parts.path not in ("", "/") or parts.query:
        raise Invalid(f"the broker's URL has a path or a query: {parts.path}", hint=hint)
    tls = parts.scheme == "mqtts"
    credential = Credential(unquote(parts.username or ""), unquote(parts.password or ""))
    return Address(parts.hostname, port or (8883 if tls else 1883), tls), credential


class BrokerByUrl:
    """An operator's own broker: it runs already, its users and rights are theirs to give.

    `user:password` in the URL is used by every client, so such a broker cannot tell our clients apart; the
    operator who wants that gives each its own user, named as the client, and its own URL.
    """

    def __init__(self, url: str, *, ca_file: str | None = None) -> None:
        address, self._credential = parse_url(url)
        self._address = Address(address.host, address.port, address.tls, ca_file)

    async def start(self, clients: Iterable[Client]) -> Address:
        """Nothing to start: the address, with the URL's credential for each client."""
        credentials = {client.name: self._credential for client in clients}
        at = self._address
        return Address(at.host, at.port, at.tls, at.ca_file, credentials)

    async def add_client(self, client: Client) -> Credential:
        """The same credential as everybody's."""
        return self._credential

    async def stop(self) -> None:
        """Not ours to stop."""
