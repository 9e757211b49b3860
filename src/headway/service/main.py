"""The service process: the three roles, one journal writer, and HTTP in front of them."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import uvloop

from headway.bus import topics
from headway.bus.client import MqttBus
from headway.bus.port import Address, parse_url
from headway.errors import HeadwayError, Unavailable
from headway.execute.files import drop_checkpoints
from headway.roles.following.asking import Asker, socket_of
from headway.roles.planning import aim_of
from headway.roles.recurring_front import SchedulesFront
from headway.roles.team import Team
from headway.service import lifeline
from headway.service.audit import FOLDER as AUDIT
from headway.service.audit import Audit
from headway.service.desk import Desk
from headway.service.file_events import FileEvents
from headway.service.http import make_app
from headway.service.identity import ensure_token, write_private
from headway.service.mqtt_events import TRIGGERS, MqttEvents
from headway.service.retention import Retention
from headway.service.server import serve
from headway.service.ticker import Clockwork, Ticker
from headway.service.tokens import FILE as TOKENS
from headway.service.tokens import Tokens
from headway.settings import Child, Settings, read_child
from headway.store.blobs import Blobs
from headway.store.sqlite import SqliteJournal

log = logging.getLogger("headway.service")

#: Seconds between two looks at which tokens were used.
_USED_EVERY = 60.0


def address_of(brokers: Mapping[str, str], ca_file: str | None) -> Address:
    """One address with every client's credential, from the URLs that the supervisor wrote down."""
    credentials, address = {}, Address("127.0.0.1", 0)
    for name, url in brokers.items():
        address, credentials[name] = parse_url(url)
    return Address(address.host, address.port, address.tls, ca_file, credentials)


def epoch_of(state: Path) -> int:
    """The epoch of a state folder's streams: the time of its first start, for ever."""
    path = state / "epoch"
    if not path.exists():
        write_private(path, f"{time.time_ns() // 1000}\n")
    return int(path.read_text())


def build_team(settings: Settings, journal: SqliteJournal, blobs: Blobs, address: Address) -> Team:
    """The roles of this state folder, not yet started."""
    return Team(
        journal,
        blobs,
        address,
        epoch=epoch_of(settings.state),
        site=settings.site,
        order=settings.policy.order,
        discipline=settings.policy.discipline,
        placement=settings.policy.placement,
        tables=settings.tables,
        aim=aim_of(settings.joint),
    )


async def run(child: Child, sock: socket.socket) -> None:
    """Until SIGTERM, or the supervisor's death, or a defect in a role."""
    settings, stop = child.settings, asyncio.Event()
    loop = asyncio.get_running_loop()
    lifeline.watch(loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tokens = Tokens(settings.state / TOKENS, ensure_token(settings.state / "token"))
    audit = Audit(settings.state / AUDIT)
    journal = SqliteJournal(settings.state / "journal.db")
    blobs = Blobs(settings.state / "blobs")
    address = address_of(child.brokers, child.ca_file)
    team = build_team(settings, journal, blobs, address)
    team.on_finished = lambda run: drop_checkpoints(settings.state, run)
    team.scheduling.asker = asker = Asker(socket_of(settings.state))
    try:
        await team.start()
        # What stands now stands for ever: a full collection later must not walk over it.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        # The journal's writer waits for this thread at every commit: 5 ms at worst by default, a hop's whole time.
        sys.setswitchinterval(0.0002)
        watching = _watch(team.front.schedules, address, settings.site)
        retention = Retention(settings, team.front.retire, team.front.alive)
        if retention.wanted:
            watching.append(asyncio.create_task(retention.run(), name="retention"))
        desk = Desk(
            settings.agents,
            MqttBus(address, topics.DESK, site=settings.site),
            settings.site,
            asker.ask,
            team.scheduling.propose,
        )
        team.scheduling.agents_there = desk.views
        watching.append(asyncio.create_task(desk.run(), name="desk"))
        app = make_app(team.front, team.scheduling, blobs, settings, tokens, audit)
        ready = asyncio.Event()
        serving = asyncio.create_task(serve(app, sock, stop=stop, ready=ready))
        await ready.wait()
        lifeline.announce_ready()
        keeping = asyncio.create_task(_keep_used(tokens))
        failing = asyncio.create_task(team.failed.wait())
        await asyncio.wait({serving, failing}, return_when=asyncio.FIRST_COMPLETED)
        if team.failed.is_set():
            log.error("a role ended; the service ends too, and its supervisor starts it again")
            os._exit(70)
        failing.cancel()
        for task in watching:
            task.cancel()
        keeping.cancel()
        await serving
    finally:
        await team.stop()
        await journal.close()
        with suppress(Unavailable):
            await tokens.save_used()
        audit.close()


async def _keep_used(tokens: Tokens) -> None:
    """When each token was last used is kept once a minute: not a flush of the disk for a request."""
    while True:
        await asyncio.sleep(_USED_EVERY)
        try:
            await tokens.save_used()
        except Unavailable as error:
            log.warning("%s", error.message)


def _watch(schedules: SchedulesFront, address: Address, site: str) -> list[asyncio.Task[None]]:
    """Begin to look at the clock, at files and at messages for the schedules."""
    ticker = Ticker(Clockwork(lambda: schedules.all), schedules.fire)
    schedules.on_change = ticker.changed
    files = FileEvents(lambda: schedules.all, schedules.event)
    bus = MqttBus(address, TRIGGERS, site=site, retained=False)
    messages = MqttEvents(lambda: schedules.all, schedules.event, bus, site)
    return [
        asyncio.create_task(ticker.run(), name="ticker"),
        asyncio.create_task(files.run(), name="file events"),
        asyncio.create_task(messages.run(), name="mqtt events"),
    ]


def main() -> None:
    """`python -m headway.service`."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        child = read_child()
        fd = lifeline.inherited(lifeline.HTTP_VARIABLE)
        assert fd is not None, "the supervisor passes the listening socket"
        sock = socket.socket(fileno=fd)
        sock.setblocking(False)
        uvloop.run(run(child, sock))
    except HeadwayError as error:
        log.error("%s", error)
        sys.exit(error.exit_code)
