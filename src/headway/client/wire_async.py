"""HTTP/1.1 over kept-alive connections, for asyncio: as much of the protocol as our service speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from headway.client.address import Address
from headway.client.calls import Request
from headway.client.wire import ANSWER_TIMEOUT, CONNECT_TIMEOUT

_LINE_LIMIT = 256 * 1024


class BrokenAnswer(ConnectionError):
    """The connection ended, or what came is not HTTP."""


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: bool = False

    def close(self) -> None:
        self.writer.close()


@dataclass(frozen=True, slots=True)
class _Head:
    status: int
    length: int | None
    chunked: bool
    closes: bool


class AsyncWire:
    """Connections to one address, of one event loop."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._idle: list[_Connection] = []

    async def ask(self, request: Request) -> tuple[int, bytes]:
        """Send a request; returns status and body.

        Raises:
            OSError: No connection, or it broke (TimeoutError among them).
        """
        connection, head = await self._exchange(request)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT + request.hold):
                body = b"".join([piece async for piece in _body(connection.reader, head)])
        except BaseException:
            connection.close()
            raise
        if head.closes:
            connection.close()
        else:
            self._idle.append(connection)
        return head.status, body

    async def stream(self, request: Request, idle: float | None) -> tuple[int, AsyncIterator[bytes]]:
        """Send a request; returns the status and the body's pieces as they come. `idle` is the longest
        silence in seconds; None for any."""
        connection, head = await self._exchange(request)

        async def pieces() -> AsyncIterator[bytes]:
            try:
                body = _body(connection.reader, head)
                while True:
                    async with asyncio.timeout(idle):
                        piece = await anext(body, None)
                    if piece is None:
                        return
                    yield piece
            finally:
                connection.close()

        return head.status, pieces()

    async def _exchange(self, request: Request) -> tuple[_Connection, _Head]:
        while self._idle:
            connection = self._idle.pop()
            try:
                return connection, await self._send(connection, request)
            except (BrokenAnswer, BrokenPipeError, ConnectionResetError):
                connection.close()  # the service closed it while it was idle
            except BaseException:
                connection.close()
                raise
        async with asyncio.timeout(CONNECT_TIMEOUT):
            reader, writer = await asyncio.open_connection(
                self.address.host, self.address.port, limit=_LINE_LIMIT
            )
        connection = _Connection(reader, writer)
        try:
            return connection, await self._send(connection, request)
        except BaseException:
            connection.close()
            raise

    async def _send(self, connection: _Connection, request: Request) -> _Head:
        host = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
        lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {host}:{self.address.port}"]
        lines.append(f"Authorization: Bearer {self.address.token}")
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        if request.body is not None:
            lines.append(f"Content-Length: {len(request.body)}")
        async with asyncio.timeout(ANSWER_TIMEOUT + request.hold):
            connection.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
            if request.body:
                connection.writer.write(request.body)
            draining = asyncio.ensure_future(connection.writer.drain())
            try:
                return await _head(connection.reader)
            finally:
                # A refusal may come before the body is sent; then the rest of it is of no interest.
                draining.cancel()
                await asyncio.wait([draining])
                if not draining.cancelled():
                    draining.exception()

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()


async def _head(reader: asyncio.StreamReader) -> _Head:
    try:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(first.split(" ", 2)[1])
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, IndexError):
        raise BrokenAnswer("the connection ended before an answer") from None
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = headers.get("content-length")
    return _Head(
        status,
        int(length) if length is not None and length.isdigit() else None,
        headers.get("transfer-encoding", "").lower() == "chunked",
        headers.get("connection", "").lower() == "close",
    )


async def _body(reader: asyncio.StreamReader, head: _Head) -> AsyncIterator[bytes]:
    try:
        if head.chunked:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                yield await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readuntil(b"\r\n")
        elif head.length is not None:
            left = head.length
            while left:
                piece = await reader.read(min(left, 1 << 20))
                if not piece:
                    raise BrokenAnswer("the connection ended inside an answer")
                left -= len(piece)
                yield piece
        elif head.closes:
            while piece := await reader.read(1 << 20):
                yield piece
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        raise BrokenAnswer("the connection ended inside an answer") from None
