"""Whom a token stands for, and the owner's token, which lies in a file of mode 0600.

A submission is code, so a token is needed on loopback too. The owner's is made at the first `headway up`; the others are made with
it (`tokens`).
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from headway.errors import Denied, Unavailable
from headway.service.rights import Role

OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token stands for.

    Attributes:
        name: Under which everything it does is kept.
        role: What it may do.
        tenants: Whose runs it may see and steer; empty for all.
    """

    name: str
    role: Role = Role.admin
    tenants: frozenset[str] = frozenset()

    def sees(self, tenant: str) -> bool:
        """Whether what is this tenant's is within its reach."""
        return not self.tenants or tenant in self.tenants


def ensure_token(path: Path) -> str:
    """The token in the file; makes one (256 bits of chance, mode 0600) if there is none.

    Raises:
        Denied: Others may read the file: the token in it is no secret.
    """
    try:
        return read_token(path)
    except FileNotFoundError:
        token = secrets.token_urlsafe(32)
        write_private(path, token + "\n")
        return token


def read_token(path: Path) -> str:
    """The token in the file. Raises FileNotFoundError, or Denied if others may read it."""
    try:
        with path.open(encoding="ascii") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise Denied(
                    f"{path} can be read by others",
                    hint=f"delete it and run `headway up` to make a new one: rm {path}",
                )
            token = file.read().strip()
    except PermissionError:
        raise Denied(
            f"{path} cannot be read by this user", hint="use the account that ran `headway up`"
        ) from None
    except UnicodeDecodeError:
        token = ""
    if not token:
        raise Denied(
            f"{path} holds no token", hint=f"delete it and run `headway up` to make a new one: rm {path}"
        )
    return token


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 whole or not at all (a new file renamed over the old one)."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise Unavailable(
            f"{path} cannot be written: {error.strerror}",
            hint="the state folder must be writable and have space",
        ) from error
