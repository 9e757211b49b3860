"""`mqtts://`: a letter through TLS, and a certificate that nobody vouches for."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from headway.bus import topics
from headway.bus.broker_nats import NatsBroker
from headway.bus.client import MqttBus
from headway.bus.endpoint import Endpoint
from headway.bus.port import Address
from headway.errors import Unavailable

CLIENTS = [topics.planner(), topics.scheduler()]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate, is not on the PATH")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    command += [
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        str(key),
        "-out",
        str(cert),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return key, cert


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.CancelledError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
async def broker(tmp_path: Path, certificate: tuple[Path, Path]) -> AsyncIterator[Address]:
    """A broker behind TLS, as an operator's proxy would put it."""
    plain = NatsBroker(tmp_path / "broker")
    inner = await plain.start(CLIENTS)
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    copies: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(inner.host, inner.port)
        copies.extend(
            [
                asyncio.create_task(_copy(reader, there_writer)),
                asyncio.create_task(_copy(there_reader, writer)),
            ]
        )

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield Address("localhost", server.sockets[0].getsockname()[1], True, str(cert), inner.credentials)
    server.close()
    for copy in copies:
        copy.cancel()
    await plain.stop()


async def test_letters_through_tls(broker: Address) -> None:
    """Large ones, so that records of TLS and reads of ours do not coincide."""
    planner = Endpoint(MqttBus(broker, "planner"), topics.planner(), incarnation="1")
    scheduler = Endpoint(MqttBus(broker, "scheduler"), topics.scheduler(), incarnation="1")
    await planner.start()
    await scheduler.start()
    bodies = [b'"%s"' % (b"x" * (seq * seq * 37)) for seq in range(1, 101)]
    for seq, body in enumerate(bodies, 1):
        planner.send("scheduler", ["scheduler"], 1, seq, "offer", body)
    got: list[bytes] = []
    while len(got) < len(bodies):
        letters = await scheduler.next(10)
        assert letters, f"stalled after {len(got)}"
        got += [letter.body for letter in letters]
        scheduler.commit(letters)
    assert got == bodies
    assert scheduler.counters["connects"] == planner.counters["connects"] == 1
    await planner.close()
    await scheduler.close()


async def test_an_unknown_certificate_is_refused(broker: Address) -> None:
    stranger = Address(broker.host, broker.port, True, None, broker.credentials)
    with pytest.raises(Unavailable, match=r"(?i)certificate"):
        await MqttBus(stranger, "planner").start([], lambda *_: None, lambda: None, wait=2)
