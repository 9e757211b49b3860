"""What is told of an error in a task: type, message and the traceback from the user's frame on, bounded,
whatever the error is."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

_HERE = os.path.dirname(__file__)
#: Characters.
_MESSAGE, _TRACEBACK = 4_000, 16_000
_FRAMES = 100
#: Classes of an error that are told, and those that say nothing.
_BASES = 12
_EVERY = (object, BaseException)


def describe(error: BaseException, clean: Callable[[str], str] = str) -> dict[str, Any]:
    """The error as data; never raises. `names`: the whole names of its class and its bases, by which retries choose.

    Args:
        clean: Takes out what must not be told, before anything is cut off.
    """
    return {
        "type": clean(type(error).__qualname__)[:200],
        "message": _message(error, clean),
        "traceback": _trace(error, clean),
        "names": [clean(_whole_name(base)) for base in type(error).__mro__[:_BASES] if base not in _EVERY],
    }


def _whole_name(kind: type) -> str:
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return name[:200]


def said(kind: str, message: str) -> dict[str, Any]:
    """An error that has no exception: a dead worker, a cancelled task."""
    return {"type": kind, "message": message[:_MESSAGE], "traceback": ""}


def has_frames(detail: dict[str, Any]) -> bool:
    """Whether its traceback tells more than its message: a command that failed has no line of Python to show."""
    return '\n  File "' in detail["traceback"]


def _message(error: BaseException, clean: Callable[[str], str]) -> str:
    if isinstance(error, SystemExit):
        return clean(f"the task called sys.exit({error.code!r}); a task ends by returning")[:_MESSAGE]
    try:
        text = clean(str(error))
    except Exception as worse:
        text = f"(its message cannot be shown: {type(worse).__name__})"
    return text if len(text) <= _MESSAGE else f"{text[: _MESSAGE - 1]}…"


def _trace(error: BaseException, clean: Callable[[str], str]) -> str:
    try:
        chain = traceback.TracebackException(
            type(error), error, _users(error.__traceback__), limit=-_FRAMES, compact=True
        )
        text = "".join(chain.format())
    except Exception:  # a message or a repr that raises
        text = "".join(traceback.format_tb(_users(error.__traceback__), -_FRAMES)) + type(error).__qualname__
    text = clean(text)
    if len(text) <= _TRACEBACK:
        return text
    return f"{text[:2000]}\n  …\n{text[-(_TRACEBACK - 2010) :]}"


def _users(trace: TracebackType | None) -> TracebackType | None:
    """Without our own frames at its beginning."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    return trace
