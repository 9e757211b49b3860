"""What brokers of our own have in common: credentials, secret files, free ports, and a look whether a login
works."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from pathlib import Path

from headway.bus.port import Credential


def new_credential(name: str) -> Credential:
    """A login with 256 random bits of password."""
    return Credential(name, secrets.token_urlsafe(32))


def write_secret(path: Path, text: str) -> None:
    """Writes a file that only we can read, never half: it is renamed into place."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    os.replace(draft, path)


def free_port() -> int:
    """A port on loopback that nobody had a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def can_log_in(host: str, port: int, credential: Credential, *, timeout: float = 2.0) -> bool:
    """Whether an MQTT CONNECT is accepted: the port may be open before the server is ready."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(_connect_packet(credential))
            answer = await reader.readexactly(4)
            writer.write(b"\xe0\x00")  # DISCONNECT
            return answer[0] == 0x20 and answer[3] == 0
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
    finally:
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1)


def _connect_packet(credential: Credential) -> bytes:
    """CONNECT of MQTT 3.1.1, clean session, 3.1 of the OASIS standard."""

    def text(value: str) -> bytes:
        data = value.encode()
        return len(data).to_bytes(2, "big") + data

    flags = 0x02 | (0xC0 if credential.user else 0)
    payload = text(f"headway-look-{secrets.token_hex(6)}")
    if credential.user:
        payload += text(credential.user) + text(credential.password)
    body = text("MQTT") + bytes([4, flags]) + (10).to_bytes(2, "big") + payload
    length = len(body)
    size = bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])
    return b"\x10" + size + body


async def wait_for_login(
    port: int, credential: Credential, timeout: float, process: asyncio.subprocess.Process | None = None
) -> bool:
    """Waits until a broker on loopback takes the login; False after `timeout` seconds or when `process` has
    ended."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while process is None or process.returncode is None:
        if await can_log_in("127.0.0.1", port, credential):
            return True
        if loop.time() > deadline:
            return False
        await asyncio.sleep(0.01)
    return False
