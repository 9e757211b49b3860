"""Streams a blob to disk: hashed on the way, flushed, and in its place only when its content is what its name
says.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from headway.errors import Invalid
from headway.service.gate import too_large
from headway.service.ports import BlobsPort
from headway.service.problems import Malformed

SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_CHUNK = 2**20


def check_name(sha: str) -> str:
    """Refuses what is not a SHA-256; nothing else ever becomes part of a path."""
    if not SHA256.match(sha):
        raise Invalid(f"{sha[:80]!r} is not a SHA-256", hint="64 hexadecimal digits in lower case")
    return sha


async def receive(blobs: BlobsPort, sha: str, chunks: AsyncIterator[bytes], limit: int) -> int:
    """Take a blob in.

    Args:
        blobs: Where it will lie.
        sha: The SHA-256 it must have.
        chunks: Its content.
        limit: Largest size in bytes.

    Returns:
        Its size. The file and its folder entry are on disk.

    Raises:
        Invalid: The content has another hash.
        TooLarge: It is longer than the limit.
        OSError: The disk is full or broken; nothing is left behind.
    """
    place = blobs.path(check_name(sha))
    fresh = place.with_name(f".{sha[:12]}.{secrets.token_hex(6)}.part")
    await asyncio.to_thread(place.parent.mkdir, parents=True, exist_ok=True)
    try:
        size = await _write(fresh, sha, chunks, limit)
        await asyncio.to_thread(_settle, fresh, place)
    finally:
        fresh.unlink(missing_ok=True)
    return size


async def _write(fresh: Path, sha: str, chunks: AsyncIterator[bytes], limit: int) -> int:
    digest, size, held = hashlib.sha256(), 0, bytearray()
    with fresh.open("xb", buffering=0) as file:

        def flush(final: bool) -> None:
            digest.update(held)
            view = memoryview(held)
            while view:
                view = view[file.write(view) :]
            if final:
                os.fsync(file.fileno())

        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise too_large(None, limit)
            held += chunk
            if len(held) >= _CHUNK:
                await asyncio.to_thread(flush, False)
                held = bytearray()
        if digest_of(digest, held) != sha:
            raise Malformed(
                f"the content has the SHA-256 {digest_of(digest, held)}, not {sha}",
                hint="it was cut short or changed on the way: send it again", size=size,
            )  # fmt: skip
        await asyncio.to_thread(flush, True)
    return size


def digest_of(digest: hashlib._Hash, held: bytearray) -> str:
    """The hash with what is still held added."""
    last = digest.copy()
    last.update(held)
    return last.hexdigest()


def _settle(fresh: Path, place: Path) -> None:
    fresh.replace(place)
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
