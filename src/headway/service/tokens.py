"""Who holds a token, and for how long: kept as hashes in one file, asked at every request.

What is kept is the SHA-256 of a token, and that is enough. A slow hash (argon2, scrypt) makes guessing dear where people choose a
password; a token is 256 bits of chance, which nobody guesses at any speed, and a slow hash would cost each request 50 ms.

A name is given once. Runs, overrides and the audit keep it for ever, so a second holder must not be taken for the first.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from headway.errors import Conflict, Denied, Invalid, NotFound
from headway.execute.files import write_durably
from headway.service.identity import OWNER, Identity, write_private
from headway.service.rights import Role

#: What a token begins with, so that scanners for secrets, and people, know one when they see it.
MARK = "hw_"
FILE = "tokens.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}\Z")
#: Under which the service itself, its roles and its settings act.
RESERVED = frozenset((OWNER, "planner", "scheduler", "resource_manager", "settings", "headway", "service"))
HOLDERS_MOST = 10_000
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Key:
    """A token as it is kept.

    Attributes:
        digest: Its SHA-256, hexadecimal.
        until: When it ends before its holder's right does, microseconds since 1970; 0 if it does not.
    """

    digest: str
    until: int = 0


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody, and what the tokens that were given to them are good for.

    Attributes:
        who: Name, role, tenants.
        made, by: When it was given, and by whom.
        expires: When it ends by itself; 0 if never. All times are microseconds since 1970.
        revoked, revoked_by: When it was taken back, and by whom; 0 and empty if it was not.
        keys: Their tokens: one, or two while a rotated one is still good.
    """

    who: Identity
    made: int
    by: str
    expires: int = 0
    revoked: int = 0
    revoked_by: str = ""
    keys: tuple[Key, ...] = ()

    def refusal(self, key: Key, now: int) -> str:
        """Why this token of theirs is not good now; empty if it is."""
        if self.revoked:
            return "revoked"
        if self.expires and now >= self.expires:
            return "expired"
        return "replaced" if key.until and now >= key.until else ""


@dataclass(slots=True)
class _Table:
    """The holders by name, and where each token leads."""

    holders: dict[str, Holder] = field(default_factory=dict)
    by_digest: dict[bytes, tuple[Holder, Key]] = field(default_factory=dict)

    def put(self, holder: Holder) -> None:
        for key in self.holders[holder.who.name].keys if holder.who.name in self.holders else ():
            self.by_digest.pop(bytes.fromhex(key.digest), None)
        self.holders[holder.who.name] = holder
        for key in holder.keys:
            self.by_digest[bytes.fromhex(key.digest)] = holder, key


class Tokens:
    """The tokens of a service. All methods are called from one event loop.

    Args:
        path: Where the hashes lie; None keeps them in memory only.
        owner: The owner's token, which is an administrator's.

    Raises:
        Denied: Others may read or write the file.
        Invalid: The file is not what this program wrote.
    """

    def __init__(self, path: Path | None, owner: str) -> None:
        self._path, self._table = path, _Table()
        self._used: dict[str, int] = {}
        self._unsaved = False
        self._lock = asyncio.Lock()
        if path is not None and path.exists():
            for holder, used in _read(path):
                self._table.put(holder)
                self._used[holder.who.name] = used
        self._table.put(Holder(Identity(OWNER), 0, OWNER, keys=(Key(_digest(owner).hex()),)))

    # ── at every request ────────────────────────────────────────────────────────────────────────────────────

    def identify(self, presented: str) -> Identity | None:
        """Whom this token stands for, or None if it is not good now.

        What is looked up is a hash of what was sent. Who wanted to learn from the time it takes would have to choose the hash, and
        so to invert SHA-256; the last comparison takes the same time for all.
        """
        digest, now = _digest(presented), time.time_ns() // 1000
        found = self._table.by_digest.get(digest)
        if found is None:
            return None
        holder, key = found
        if not hmac.compare_digest(bytes.fromhex(key.digest), digest) or holder.refusal(key, now):
            return None
        self._used[holder.who.name] = now
        self._unsaved = self._unsaved or holder.who.name != OWNER  # whose row is not kept
        return holder.who

    def refused(self, presented: str) -> tuple[str, str]:
        """Of a token that is not good: whose it was, and why it is not; both empty for one that never was."""
        found = self._table.by_digest.get(_digest(presented))
        if found is None:
            return "", ""
        holder, key = found
        return holder.who.name, holder.refusal(key, time.time_ns() // 1000)

    # ── giving and taking ───────────────────────────────────────────────────────────────────────────────────

    def views(self) -> list[dict[str, Any]]:
        """All holders by name, those whose right has ended too; never a token, nor its hash."""
        return [self._view(holder) for _, holder in sorted(self._table.holders.items())]

    async def create(self, who: Identity, by: str, expires: int = 0) -> tuple[dict[str, Any], str]:
        """Give somebody a token: (the view, the token), which is told this once.

        Raises:
            Invalid: The name, the role with these tenants, or the time cannot be.
            Conflict: There is or was one of that name, or there are too many.
            Unavailable: It cannot be kept.
        """
        token = MARK + secrets.token_urlsafe(32)
        return await self.admit(token, who, by, expires), token

    async def admit(self, token: str, who: Identity, by: str, expires: int = 0) -> dict[str, Any]:
        """As `create`, with a token that is there already."""
        _check(who, expires)
        async with self._lock:
            if who.name in self._table.holders:
                raise Conflict(
                    f"there is or was a token for {who.name!r}, and a name is given once",
                    hint="choose another, or `headway tokens rotate` for a new token of the same name",
                )
            if len(self._table.holders) >= HOLDERS_MOST:
                raise Conflict(f"there are {HOLDERS_MOST} tokens already")
            holder = Holder(who, _now(), by, expires, keys=(Key(_digest(token).hex()),))
            await self._save(holder)
            self._table.put(holder)
        return self._view(holder)

    async def revoke(self, name: str, by: str) -> dict[str, Any]:
        """Take all tokens of this name back, from the next request on.

        Raises:
            NotFound: There is none of that name.
            Conflict: It is the owner's, or it was revoked before.
            Unavailable: It is refused from now on, but that cannot be kept: it would be good again after a restart.
        """
        async with self._lock:
            holder = self._held(name)
            if name == OWNER:
                raise Conflict(
                    "the owner's token is what `headway up` and this machine's commands use: it stays",
                    hint="`headway tokens rotate owner` makes the present one worthless",
                )
            holder = replace(holder, revoked=_now(), revoked_by=by)
            self._table.put(holder)  # first: no full disk keeps a thief inside
            await self._save(holder)
        return self._view(holder)

    async def rotate(self, name: str, keep: int = 0) -> tuple[dict[str, Any], str]:
        """A new token for the same holder; the present one is good for `keep` more microseconds, older ones end now.

        The owner's new token is also written to its file, where the commands of this machine find it.

        Raises:
            NotFound: There is none of that name.
            Conflict: It was revoked, or has expired.
            Unavailable: It cannot be kept; the present one stays good.
        """
        token = MARK + secrets.token_urlsafe(32)
        async with self._lock:
            holder, now = self._held(name), _now()
            if holder.expires and now >= holder.expires:
                raise Conflict(f"the token of {name!r} has expired", hint="create one of another name")
            present = (replace(holder.keys[-1], until=now + keep),) if keep else ()
            holder = replace(holder, keys=(*present, Key(_digest(token).hex())))
            if name != OWNER:
                await self._save(holder)
            elif self._path is not None:
                await asyncio.to_thread(write_private, self._path.with_name("token"), token + "\n")
            self._table.put(holder)
        return self._view(holder), token

    async def save_used(self) -> None:
        """Keep when each was last used, if any was since. Raises Unavailable."""
        if self._unsaved:
            async with self._lock:
                self._unsaved = False
                await self._save(None)

    def _held(self, name: str) -> Holder:
        holder = self._table.holders.get(name)
        if holder is None:
            raise NotFound(f"there is no token for {name!r}", hint="`headway tokens` lists them")
        if holder.revoked:
            raise Conflict(f"the token of {name!r} was revoked by {holder.revoked_by}")
        return holder

    async def _save(self, changed: Holder | None) -> None:
        if self._path is None:
            return
        holders = self._table.holders | ({changed.who.name: changed} if changed is not None else {})
        rows = [_row(one, self._used.get(name, 0)) for name, one in sorted(holders.items()) if name != OWNER]
        data = json.dumps({"format": _FORMAT, "tokens": rows}, indent=1).encode()
        await asyncio.to_thread(write_durably, self._path, data)

    def _view(self, holder: Holder) -> dict[str, Any]:
        now, state = _now(), ""
        for key in holder.keys:
            state = holder.refusal(key, now)
        return {
            "name": holder.who.name,
            "role": holder.who.role.name,
            "tenants": sorted(holder.who.tenants),
            "state": state or "good",
            "made": holder.made or None,
            "by": holder.by,
            "expires": holder.expires or None,
            "used": self._used.get(holder.who.name) or None,
            "revoked": holder.revoked or None,
            "revoked_by": holder.revoked_by,
        }


def _check(who: Identity, expires: int) -> None:
    if not NAME.match(who.name) or who.name in RESERVED:
        raise Invalid(
            f"{who.name[:80]!r} is not a name for a token",
            hint="letters, digits and '_.@-', at most 64; " + ", ".join(sorted(RESERVED)) + " are taken",
        )
    if who.tenants and who.role > Role.submitter:
        raise Invalid(
            f"an {who.role.name} acts on what is everybody's, and cannot be confined to tenants",
            hint="leave the tenants out, or give the role submitter or viewer",
        )
    if expires and expires <= _now():
        raise Invalid("the token would have expired already", hint="say a time from now on: --expires 30d")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _now() -> int:
    return time.time_ns() // 1000


def _row(holder: Holder, used: int) -> dict[str, Any]:
    row = asdict(holder)
    who = row.pop("who")
    return {
        **row,
        "name": who["name"],
        "role": holder.who.role.name,
        "tenants": sorted(who["tenants"]),
        "used": used,
    }


def _read(path: Path) -> Iterator[tuple[Holder, int]]:
    """The holders in the file, each with when it was last used."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read()
    except PermissionError:
        raise Denied(f"{path} cannot be read by this user", hint="use the account that made it") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Denied(
            f"{path} is open to others, who could have given themselves a token",
            hint=f"look through it, then: chmod 600 {path}",
        )
    try:
        tree = json.loads(raw)
        if tree["format"] != _FORMAT:
            raise ValueError(f"format {tree['format']!r}")
        for row in tree["tokens"]:
            who = Identity(row.pop("name"), Role[row.pop("role")], frozenset(row.pop("tenants")))
            used, keys = row.pop("used"), tuple(Key(**key) for key in row.pop("keys"))
            for key in keys:
                bytes.fromhex(key.digest)
            yield Holder(who, **row, keys=keys), used
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Invalid(
            f"{path} does not hold tokens as this version writes them: {type(error).__name__}: {error}",
            hint="restore it from a backup, or move it away: then only the owner's token is good",
        ) from None
