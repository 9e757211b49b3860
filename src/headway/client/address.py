"""Where the service is and with what token: from arguments, the environment, or the state folder."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from headway.errors import Denied, Invalid, Unavailable
from headway.settings import load

URL_VARIABLE = "HEADWAY_URL"
TOKEN_VARIABLE = "HEADWAY_TOKEN"
START = "start one: `headway up`"


@dataclass(frozen=True, slots=True)
class Address:
    """A service.

    Attributes:
        host: Of its URL.
        port: Of its URL.
        token: To show it.
        state: The state folder it was found by: after a restart the address may be another.
    """

    host: str
    port: int
    token: str = field(repr=False)
    state: Path | None = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:40123`."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def find(*, state: str | Path | None = None, url: str | None = None, token: str | None = None) -> Address:
    """The service to talk to.

    Args:
        state: Its state folder.
        url: Its URL, with `token`; instead of a state folder.
        token: To show it; by default the one in the state folder.

    Raises:
        Unavailable: No service runs there.
        Denied: Its token cannot be read.
        Invalid: The URL is none.
    """
    if url is None and state is None:
        url = os.environ.get(URL_VARIABLE) or None
    token = token or os.environ.get(TOKEN_VARIABLE) or None
    folder = Path(state).expanduser() if state is not None else load().state
    if url is not None:
        host, port = _split(url)
        return Address(host, port, token or _token(folder))
    try:
        found = json.loads((folder / "service.json").read_text())
        host, port = _split(str(found["url"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise Unavailable(f"no service runs on {folder}", hint=START, state=str(folder)) from None
    return Address(host, port, token or _token(folder), folder)


def _split(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme != "http" or not host or parts.path.strip("/"):
        raise Invalid(f"{url!r} is not the URL of a service", hint="it looks like http://127.0.0.1:8765")
    return host, port or 80


def _token(folder: Path) -> str:
    path = folder / "token"
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Denied(
                f"{path} can be read by others", hint=f"make it yours alone: chmod 600 {path}, and change it"
            )
        token = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise Denied(
            f"there is no token in {folder}", hint=f"set {TOKEN_VARIABLE}, or start a service: `headway up`"
        ) from None
    except PermissionError:
        raise Denied(
            f"{path} cannot be read by this user", hint="use the account that ran `headway up`"
        ) from None
    except UnicodeDecodeError:
        token = ""
    if not token:
        raise Denied(f"{path} holds no token", hint=f"delete it and restart the service: rm {path}")
    return token
