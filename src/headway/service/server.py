"""Listens: uvicorn on a socket that is handed in, inside the loop of the process that runs the roles."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from headway.service import lifeline
from headway.service.http import App
from headway.service.listen import bind
from headway.settings import Settings


class _Server(uvicorn.Server):
    """Leaves the signals to the process: it has roles to stop in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listening(settings: Settings) -> socket.socket:
    """The socket that the supervisor passed, or a new one of our own."""
    fd = lifeline.inherited(lifeline.HTTP_VARIABLE)
    if fd is None:
        return bind(settings.http.host, settings.http.port)
    os.set_inheritable(fd, False)
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock


async def serve(
    app: App,
    sock: socket.socket,
    *,
    stop: asyncio.Event | None = None,
    ready: asyncio.Event | None = None,
    grace: float = 5,
) -> None:
    """Answer requests until `stop` is set (or the task is cancelled), then drain for at most `grace` seconds.

    Args:
        app: From `make_app`.
        sock: A listening socket; it is closed at the end.
        stop: Set it to end orderly.
        ready: Is set when requests are answered.
        grace: Seconds that open requests get.
    """
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=max(1, int(grace)),
        timeout_keep_alive=75,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[sock]), name="http")
    ended = asyncio.create_task((stop or asyncio.Event()).wait())
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        if ready is not None and not serving.done():
            ready.set()
        await asyncio.wait({serving, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended.cancel()
        await app.stop()
        server.should_exit = True
        await serving
