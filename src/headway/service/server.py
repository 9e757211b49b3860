"""Listens: uvicorn on a socket that is handed in, inside the loop of the process that runs the roles."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from headway.errors import Unavailable
from headway.service.http import App
from headway.settings import Settings

BACKLOG = 1024


class _Server(uvicorn.Server):
    """Leaves the signals to the process: it has roles to stop in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(settings: Settings) -> socket.socket:
    """A listening socket on loopback; port 0 takes a free one.

    Raises:
        Unavailable: The port is taken.
    """
    host, port = settings.http.host, settings.http.port
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # Inherited by accepted connections. Without it every answer waits 40 ms for the reader's delayed acknowledgement.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise Unavailable(
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint="choose another port: `headway up --port 0` takes a free one",
        ) from None
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock


def url_of(sock: socket.socket) -> str:
    """`http://127.0.0.1:40123`."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


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
        app, http="httptools", ws="none", lifespan="off", access_log=False, log_config=None, server_header=False,
        timeout_graceful_shutdown=max(1, int(grace)), timeout_keep_alive=75,
    )  # fmt: skip
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
