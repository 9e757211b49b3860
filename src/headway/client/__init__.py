"""The Python client: one list of calls, and a blocking and an asynchronous face of it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.client.asynchronous import AsyncClient as AsyncClient
    from headway.client.asynchronous import AsyncRunHandle as AsyncRunHandle
    from headway.client.outcome import RunFailed as RunFailed
    from headway.client.outcome import WaitTimeout as WaitTimeout
    from headway.client.synchronous import Client as Client
    from headway.client.synchronous import RunHandle as RunHandle

_EXPORTS = {
    "AsyncClient": "headway.client.asynchronous",
    "AsyncRunHandle": "headway.client.asynchronous",
    "Client": "headway.client.synchronous",
    "RunFailed": "headway.client.outcome",
    "RunHandle": "headway.client.synchronous",
    "WaitTimeout": "headway.client.outcome",
}

__all__ = ["AsyncClient", "AsyncRunHandle", "Client", "RunFailed", "RunHandle", "WaitTimeout"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'headway.client' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)
