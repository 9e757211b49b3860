"""A call made ready in a worker: its function loaded, its arguments prepared, once for all its items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from headway.domain.results import Ref
from headway.errors import Invalid
from headway.execute.arguments import Arguments, Inputs, Values
from headway.execute.interrupts import Interrupts
from headway.execute.keyring import Keyring

if TYPE_CHECKING:
    from headway.store.blobs import Blobs

#: A command that was told to end is killed after this share of the grace, before the executor kills the
#: worker with it.
_PATIENCE = 0.6
_NOTHING = {"size": 4, "text": "None"}


class Toolbox:
    """What turns calls into results: user code, values, blobs. Imports heavy things when needed.

    Args:
        state: The state folder.
        interrupts: Of this worker.
        keyring: Of this worker.
    """

    def __init__(self, state: Path, interrupts: Interrupts, keyring: Keyring) -> None:
        from headway.authoring.values import decode, encode

        self.state, self.interrupts, self.keyring = state, interrupts, keyring
        self._encode = encode
        self.values = Values(decode, self.read_blob, lambda: keyring.asked)
        #: Seconds that a command has between SIGTERM and SIGKILL; set with each request to end.
        self.patience = 3.0

    @cached_property
    def _blobs(self) -> Blobs:
        from headway.store.blobs import Blobs  # brings SQLite's module along: only when a value is large

        return Blobs(self.state / "blobs")

    def read_blob(self, name: str) -> bytes:
        """The content of a blob. Raises NotFound."""
        return self._blobs.get(name)

    def function(self, bundle: str, key: str) -> Callable[..., Any]:
        """The user's function, from the unpacked bundle. Raises what its import raises."""
        from headway.authoring.bundle import load_function

        loaded: Callable[..., Any] = load_function(self.state / "bundles" / bundle, key)
        return loaded

    def encoded(self, value: Any) -> dict[str, Any]:
        """The result as a reference, as JSON; a large one is on disk when this returns."""
        if value is None:
            return _NOTHING
        ref, blob = self._encode(value)
        if self.keyring.masker:
            self._refuse_leak(ref, blob)
        if blob is not None:
            self._blobs.put(blob, expect=ref.data)
        return _plain(ref)

    def _refuse_leak(self, ref: Ref, blob: bytes | None) -> None:
        """A result is stored, sent and shown: no secret may be in it."""
        import base64
        import json

        if ref.kind in ("json", "graph"):
            data = json.dumps(ref.data, ensure_ascii=False).encode("utf-8", "surrogatepass")
        else:
            data = base64.b64decode(ref.data) if blob is None else blob
        if leak := self.keyring.leak(data):
            raise Invalid(
                leak, hint="return what was made with it, or secret(...) itself, which is only its name"
            )

    def keep(self, ref: Ref, blob: bytes | None) -> None:
        """A value that tasks called by a dynamic one will be given: on disk when this returns, if it is large."""
        if self.keyring.masker:
            self._refuse_leak(ref, blob)
        if blob is not None:
            self._blobs.put(blob, expect=ref.data)

    def expect_end(self, grace: float) -> None:
        """The task is being told to end and will be killed after `grace` seconds."""
        self.patience = grace * _PATIENCE


def _plain(ref: Ref) -> dict[str, Any]:
    """As `headway.domain.codec.ref_to_json`, without importing all that stands beside it."""
    tree: dict[str, Any] = {} if ref.kind == "json" else {"kind": ref.kind}
    tree["data"], tree["size"] = ref.data, ref.size
    if ref.items is not None:
        tree["items"] = ref.items
    if ref.text:
        tree["text"] = ref.text
    return tree


class PreparedCall:
    """One call in this worker.

    Args:
        call: As in `bus.messages.Call`, plain.
        tools: Of this worker.
    """

    def __init__(self, call: Mapping[str, Any], tools: Toolbox) -> None:
        self._tools = tools
        self._arguments = Arguments(call, tools.values)
        self._shell: str | None = call["shell"]
        self._key: tuple[str, str] = (call["bundle"], call["function"])
        self._function: Callable[..., Any] | None = None
        around = call.get("environment") or {}
        self.variables: Mapping[str, str] = around.get("variables", {})
        self.cwd: str = around.get("cwd", "")
        self.secrets: Mapping[str, str] = around.get("secrets", {})
        self._dynamic: bool = call["dynamic"]
        self.timed = call["timeout"] is not None
        #: Threads that numeric libraries may use, by variant.
        self.threads = [max(1, -(-way["demand"]["cpu"] // 1000)) for way in call["variants"] or (call,)]

    def bind(self, item: int | None, inputs: Inputs) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of one item; see `Arguments.bind`."""
        if self._function is None and self._shell is None:
            self._function = self._tools.function(*self._key)
        return self._arguments.bind(item, inputs)

    def run(self, task: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The user's code; what it raises comes through. `task` is the id of the task that calls."""
        if self._shell is not None:
            return self._run_shell(self._shell, args, kwargs)
        assert self._function is not None, "bind comes before run"
        if self._dynamic:
            from headway.authoring.growing import grow

            return grow(self._function, task.partition("/")[2], args, kwargs, self._tools.keep)
        value = self._function(*args, **kwargs)
        if type(value) is CoroutineType:
            import asyncio

            return asyncio.run(value)
        return value

    def _run_shell(self, template: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        from headway.authoring.shell import Variables, command_line
        from headway.domain.workflow import iterated_places
        from headway.execute import shell

        if args:
            kwargs = {**dict(zip(iterated_places(template, kwargs), args, strict=False)), **kwargs}
        masker = self._tools.keyring.masker
        variables = Variables(masker.name_of)
        line = command_line(template, kwargs, variables.hide) if masker else command_line(template, kwargs)
        return shell.run(
            line,
            patience=lambda: self._tools.patience,
            environment=variables.environment,
            masker=masker,
        )
