"""Every topic of the protocol, and who may publish and read what: no topic string is written anywhere else.

| topic                                       | what                                         | retained |
|---------------------------------------------|----------------------------------------------|----------|
| `headway/<site>/from/<sender>/to/<stream>`    | a letter of one of the sender's streams      | no       |
| `headway/<site>/from/<receiver>/ack/<sender>` | how far the receiver has the sender's streams | no       |
| `headway/<site>/from/<sender>/presence`       | a lease on being alive                       | yes      |
| `headway/<site>/from/<sender>/probe`          | a client asks itself whether its rights work | no       |
| `headway/<site>/events/…`                     | words of other programs, for schedules       | as sent  |

A client publishes under its own `from/<name>/` and nowhere else, and the broker enforces it; so whoever reads
a topic knows who wrote it. Events are the exception: one user, `events`, may say any, and nobody's word is
taken for a sender's. Names are percent-encoded into one level: a node called `gpu.box/1` cannot reach
into another's topics, and NATS, which turns dots into levels of its own, sees none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import quote, unquote

from headway.bus.names import PLANNER, RESOURCE_MANAGER, SCHEDULER
from headway.errors import Invalid

ROOT = "headway"
ANYONE = "+"

TO, ACK, PRESENCE, PROBE = "to", "ack", "presence", "probe"

REPORT, HELLO, NODES = "report", "hello", "nodes"
#: Between the service and the agents' process.
DESK, DIGEST, PROPOSAL = "desk", "digest", "proposal"


class Topic(NamedTuple):
    """A topic taken apart. `about` is the stream of a letter, the sender an ack is for, else empty."""

    sender: str
    what: str
    about: str


@dataclass(frozen=True, slots=True)
class Client:
    """One user of the broker and what it may do.

    Attributes:
        name: Its login and the sender in all its topics.
        sends: Streams it may send; `+` for any.
        listens: (sender, stream) pairs it may read; sender `+` for any.
        watches: Reads everything of the site, publishes nothing but its presence: for people and consoles.
        events: `says` or `hears` events, and has no streams.
    """

    name: str
    sends: tuple[str, ...] = ()
    listens: tuple[tuple[str, str], ...] = ()
    watches: bool = False
    events: Literal["", "says", "hears"] = ""


def executor_name(node: str) -> str:
    """The client name of a node's executor; also the stream the scheduler writes to it."""
    return f"executor-{node}"


def planner() -> Client:
    """The planner's rights."""
    listens = ((SCHEDULER, PLANNER), (ANYONE, REPORT), (RESOURCE_MANAGER, NODES))
    return Client(PLANNER, (SCHEDULER,), listens)


def scheduler() -> Client:
    """The scheduler's rights: it alone may write to executors."""
    listens = ((PLANNER, SCHEDULER), (ANYONE, REPORT), (RESOURCE_MANAGER, NODES))
    return Client(SCHEDULER, (ANYONE,), listens)


def resource_manager() -> Client:
    """The resource manager's rights."""
    return Client(RESOURCE_MANAGER, (NODES,), ((ANYONE, HELLO),))


def executor(node: str) -> Client:
    """An executor's rights: it reads only its own leases, and only from the scheduler."""
    name = executor_name(node)
    return Client(name, (REPORT, HELLO), ((SCHEDULER, name),))


def watcher(name: str) -> Client:
    """Reads along: `mosquitto_sub`, a console, a test."""
    return Client(name, watches=True)


def agent_name(name: str) -> str:
    """The client name of an agent: `agent-scheduler`."""
    return f"agent-{name}"


def agent(name: str) -> Client:
    """An agent's rights: it hears digests and proposes, and can write to no role."""
    return Client(agent_name(name), (PROPOSAL,), ((DESK, DIGEST),))


def desk() -> Client:
    """The service's side of the agents."""
    return Client(DESK, (DIGEST,), ((ANYONE, PROPOSAL),))


def event_sender(name: str) -> Client:
    """Tells of events that schedules wait for: a program that is not ours."""
    return Client(name, events="says")


def event_listener(name: str) -> Client:
    """Hears them."""
    return Client(name, events="hears")


def event(site: str, topic: str) -> str:
    """The topic, or filter, of an event that schedules know as `topic`."""
    return f"{ROOT}/{level(site)}/events/{topic}"


def level(name: str) -> str:
    """A name as one topic level: letters, digits, `-` and `_` stay, all else becomes `%XX`."""
    if name == ANYONE:
        return name
    if not name:
        raise Invalid(
            "an empty name cannot be part of a topic", hint="give the client, stream and site a name"
        )
    return quote(name, safe="").replace(".", "%2E").replace("~", "%7E")


@lru_cache(4096)
def letter(site: str, sender: str, stream: str) -> str:
    """Where `sender` publishes the letters of `stream`."""
    return f"{ROOT}/{level(site)}/from/{level(sender)}/{TO}/{level(stream)}"


@lru_cache(4096)
def ack(site: str, receiver: str, sender: str) -> str:
    """Where `receiver` says how far it has the streams of `sender`."""
    return f"{ROOT}/{level(site)}/from/{level(receiver)}/{ACK}/{level(sender)}"


def presence(site: str, sender: str) -> str:
    """Where `sender` says that it is alive; retained."""
    return f"{ROOT}/{level(site)}/from/{level(sender)}/{PRESENCE}"


def probe(site: str, sender: str) -> str:
    """Where `sender` writes to itself."""
    return f"{ROOT}/{level(site)}/from/{level(sender)}/{PROBE}"


@lru_cache(4096)
def parse(topic: str) -> Topic | None:
    """A topic of ours taken apart; None for a stranger's."""
    parts = topic.split("/")
    if len(parts) < 5 or parts[0] != ROOT or parts[2] != "from":
        return None
    sender, what = unquote(parts[3]), parts[4]
    if what in (TO, ACK):
        return Topic(sender, what, unquote(parts[5])) if len(parts) == 6 else None
    if what in (PRESENCE, PROBE):
        return Topic(sender, what, "") if len(parts) == 5 else None
    return None


def may_publish(site: str, client: Client) -> list[str]:
    """MQTT filters of all topics the client may publish to."""
    filters = [presence(site, client.name), probe(site, client.name)]
    if client.events:
        return [*filters, event(site, "#")] if client.events == "says" else filters
    if not client.watches:
        filters.append(ack(site, client.name, ANYONE))
        filters += [letter(site, client.name, stream) for stream in client.sends]
    return filters


def subscriptions(site: str, client: Client) -> list[str]:
    """MQTT filters the client subscribes to; they are also all it may read."""
    if client.watches:
        return [f"{ROOT}/{level(site)}/#"]
    if client.events:
        return [probe(site, client.name), *([event(site, "#")] if client.events == "hears" else [])]
    filters = [probe(site, client.name), presence(site, ANYONE), ack(site, ANYONE, client.name)]
    return filters + [letter(site, sender, stream) for sender, stream in client.listens]


def as_nats(mqtt_filter: str) -> list[str]:
    """An MQTT filter as the NATS subjects that grant it: `x/#` also matches `x`, so it needs two."""
    subject = mqtt_filter.replace("/", ".").replace("+", "*")
    if not subject.endswith("#"):
        return [subject]
    return [subject[:-1] + ">", subject[:-2]]


def covers(allowed: str, asked: str) -> bool:
    """Whether the MQTT filter `allowed` takes in all that the topic or filter `asked` does."""
    mine, theirs = allowed.split("/"), asked.split("/")
    for index, part in enumerate(mine):
        if part == "#":
            return True
        if index >= len(theirs) or (part != "+" and part != theirs[index]) or theirs[index] == "#":
            return False
    return len(mine) == len(theirs)
