"""What a task waits for that nobody runs: a person's yes or no, or a signal from outside."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from headway.domain.reading import a_text, a_whole, an_object, wrong
from headway.domain.results import Ref

APPROVAL, SIGNAL = "approval", "signal"
KINDS = (APPROVAL, SIGNAL)
#: Largest value of a signal, as JSON; larger ones are to be put somewhere, and named.
LARGEST = 32_768
_FIELDS = ("kind", "text", "timeout", "default")


@dataclass(frozen=True, slots=True)
class Wait:
    """What is waited for.

    Attributes:
        kind: `approval` or `signal`.
        text: The question; the name of the signal.
        timeout: Microseconds from when it is asked, or None for no limit.
        default: The value when the time is over, as JSON; None: the task fails then.
    """

    kind: str
    text: str
    timeout: int | None = None
    default: str | None = None


def to_json(wait: Wait) -> dict[str, Any]:
    """Plain JSON, without what is not said."""
    tree: dict[str, Any] = {"kind": wait.kind, "text": wait.text}
    if wait.timeout is not None:
        tree["timeout"] = wait.timeout
    if wait.default is not None:
        tree["default"] = json.loads(wait.default)
    return tree


def from_json(tree: Any, where: str) -> Wait | None:
    """The reverse. Raises Invalid."""
    if tree is None:
        return None
    fields = an_object(tree, _FIELDS, where)
    kind, text = a_text(fields.get("kind"), f"{where}.kind"), a_text(fields.get("text"), f"{where}.text")
    if kind not in KINDS:
        raise wrong(f"{where}.kind", kind, " or ".join(KINDS))
    timeout = fields.get("timeout")
    default = json_of(fields["default"], f"{where}.default") if "default" in fields else None
    if kind == APPROVAL and default not in (None, "true", "false"):
        raise wrong(f"{where}.default", fields["default"], "true or false")
    if default is not None and timeout is None:
        raise wrong(f"{where}.default", fields["default"], "a timeout beside it")
    return Wait(
        kind, text, None if timeout is None else a_whole(timeout, f"{where}.timeout", least=1), default
    )


def json_of(value: Any, where: str) -> str:
    """A value as compact JSON text. Raises Invalid for what is none, or is too large."""
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise wrong(where, type(value).__name__, "plain JSON: text, numbers, lists, objects") from None
    if len(text) > LARGEST:
        raise wrong(
            where, f"{len(text)} characters", f"at most {LARGEST}; put it somewhere and send its name"
        )
    return text


def ref_of(text: str) -> Ref:
    """A JSON text as the result of a task."""
    value = json.loads(text)
    return Ref("json", value, len(text), len(value) if isinstance(value, list) else None, text[:80])
