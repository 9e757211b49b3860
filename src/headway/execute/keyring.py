"""The secrets of a worker: found when a task's arguments are made, and remembered so that they can be masked.

The executor's environment holds some of them. A worker does not inherit those variables, or every task could print them all; it gets
them through a file in memory that has no name.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from headway.authoring import secrets
from headway.authoring.secrets import PREFIX, Sources
from headway.execute.masking import Masker

#: Tells a worker the descriptor of that file.
VARIABLE = "HEADWAY_SECRETS_FD"
#: Seconds for which a value is not looked for again: a map of thousands does not start a command for each.
_KEPT = 10.0


class Keyring:
    """Attributes:
    masker: Knows all that was revealed.
    asked: How often a secret was asked for.
    on_reveal: Called before a value is handed to the task's arguments.
    """

    def __init__(self, fd: int = -1) -> None:
        self.masker = Masker()
        self.asked = 0
        self.on_reveal: Callable[[], None] = lambda: None
        self._fd = fd
        self._sources: Sources | None = None
        self._values: dict[str, tuple[float, str]] = {}
        secrets.resolver = self.reveal

    def reveal(self, name: str) -> str:
        """The value. Raises NoSecret."""
        self.asked += 1
        now = time.monotonic()
        at, value = self._values.get(name, (-_KEPT, ""))
        if now - at >= _KEPT:
            if self._sources is None:
                self._sources = _read(self._fd)
            value = self._sources.find(name)
            self._values[name] = now, value
        self.masker.add(name, value)
        self.on_reveal()
        return value

    def reveal_all(self, names: Mapping[str, str]) -> dict[str, str]:
        """By variable, the values of secrets that are named by variable. Raises NoSecret."""
        return {variable: self.reveal(name) for variable, name in names.items()}

    def leak(self, data: bytes) -> str:
        """What is wrong with keeping this; empty if nothing is."""
        name = self.masker.held(data) if self.masker else ""
        return f"it holds the secret {name!r}, and would be stored and shown" if name else ""


def own() -> Keyring:
    """Of this worker."""
    text = os.environ.pop(VARIABLE, "")
    if not text.isdigit():
        return Keyring()
    os.set_inheritable(int(text), False)
    return Keyring(int(text))


def _read(fd: int) -> Sources:
    if fd < 0:
        return Sources()
    import json

    with os.fdopen(os.dup(fd), encoding="utf-8") as file:
        file.seek(0)
        tree = json.load(file)
    folder = tree["folder"]
    return Sources(tree["environment"], Path(folder) if folder else None, tree["command"])


def sealed(sources: Sources) -> int:
    """A descriptor of a file in memory that tells a worker where secrets are; its environment is without them."""
    import json

    fd = os.memfd_create("secrets", os.MFD_CLOEXEC)
    tree = {
        "environment": {name: text for name, text in sources.environment.items() if name.startswith(PREFIX)},
        "folder": str(sources.folder or ""),
        "command": sources.command,
    }
    os.write(fd, json.dumps(tree).encode())
    return fd
