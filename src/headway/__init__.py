"""Headway: an orchestrator for AI workflows. What users need is here, and is loaded when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.authoring.attributes import Retry as Retry
    from headway.authoring.branches import when as when
    from headway.authoring.context import checkpoint as checkpoint
    from headway.authoring.context import progress as progress
    from headway.authoring.context import variant as variant
    from headway.authoring.decorators import task as task
    from headway.authoring.decorators import workflow as workflow
    from headway.authoring.loops import loop as loop
    from headway.authoring.secrets import secret as secret
    from headway.authoring.shell import shell as shell
    from headway.authoring.waits import approval as approval
    from headway.authoring.waits import signal as signal
    from headway.client import AsyncClient as AsyncClient
    from headway.client import Client as Client
    from headway.errors import HeadwayError as HeadwayError

__version__ = "0.1.0"

#: Name -> the module that holds it. Loading them here would cost every user what only some need.
_EXPORTS = {
    "AsyncClient": "headway.client",
    "Client": "headway.client",
    "HeadwayError": "headway.errors",
    "Retry": "headway.authoring.attributes",
    "approval": "headway.authoring.waits",
    "checkpoint": "headway.authoring.context",
    "loop": "headway.authoring.loops",
    "progress": "headway.authoring.context",
    "secret": "headway.authoring.secrets",
    "shell": "headway.authoring.shell",
    "signal": "headway.authoring.waits",
    "task": "headway.authoring.decorators",
    "variant": "headway.authoring.context",
    "when": "headway.authoring.branches",
    "workflow": "headway.authoring.decorators",
}

__all__ = [
    "AsyncClient",
    "Client",
    "HeadwayError",
    "Retry",
    "approval",
    "checkpoint",
    "loop",
    "progress",
    "secret",
    "shell",
    "signal",
    "task",
    "variant",
    "when",
    "workflow",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'headway' has no attribute {name!r}")
    value = getattr(import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
