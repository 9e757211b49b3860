"""Values by reference: encoded once, small ones inside the reference, large ones as blobs beside it.

Only workers and clients decode: a pickle is code, and no role of Headway runs a user's code.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import pickle
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cloudpickle

from headway.authoring import names
from headway.authoring.secrets import NoSecret
from headway.domain.results import INLINE_LIMIT, Ref
from headway.errors import HeadwayError, Invalid

ReadBlob = Callable[[str], bytes]

#: Integers beyond this change their value in readers that know only doubles (JavaScript, jq).
_EXACT_INT = 2**53
_TEXT_LIMIT = 80
_DEPTH = 8


class Unpicklable(Invalid):
    """A value that cannot travel to another process."""

    code = "unpicklable"


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value that was encoded when it was given: later changes do not matter. `encode` takes it as it is."""

    ref: Ref
    blob: bytes | None = None


def encode(value: Any) -> tuple[Ref, bytes | None]:
    """Make a reference of a value.

    Args:
        value: Anything that can be pickled. Plain JSON (exactly None, bool, int, float, str, list, dict)
            stays readable.

    Returns:
        The reference, and the bytes of the blob it names if it is larger than `INLINE_LIMIT`.

    Raises:
        Unpicklable: Names the type and the cause.
    """
    if type(value) is Encoded:
        return value.ref, value.blob
    items = len(value) if isinstance(value, list | tuple) else None
    text = short(value)
    plain, size = _plain(value)
    if size is not None:
        return Ref("json", plain, size, items, text), None
    data = dumps(value)
    if len(data) > INLINE_LIMIT:
        return Ref("blob", hashlib.sha256(data).hexdigest(), len(data), items, text), data
    return Ref("pickle", base64.b64encode(data).decode("ascii"), len(data), items, text), None


def decode(ref: Ref, read_blob: ReadBlob) -> Any:
    """The value of a reference.

    Args:
        ref: As `encode` made it.
        read_blob: Content by SHA-256; may raise for a blob that is gone.

    Raises:
        HeadwayError: It cannot be unpickled here, with the cause (a missing module is named).
    """
    if ref.kind == "json":
        return ref.data
    data = base64.b64decode(ref.data) if ref.kind == "pickle" else read_blob(ref.data)
    try:
        return pickle.loads(data)
    except NoSecret:
        raise
    except ModuleNotFoundError as error:
        raise HeadwayError(
            f"the value {ref.text or 'of a task'} needs the module {error.name!r}, "
            "which is not installed here",
            hint=f"install it, or return plain data: pip install {(error.name or '').partition('.')[0]}",
        ) from error
    except Exception as error:
        raise HeadwayError(
            f"the value {ref.text or 'of a task'} cannot be read here: {type(error).__name__}: {error}",
            hint="return plain data, or use the same versions of libraries on both sides",
        ) from error


def decode_tree(tree: Mapping[str, Any] | None, read_blob: ReadBlob) -> Any:
    """What a workflow returned, from its run's `result`: `{"ref", "path"?} | {"list"} | {"tuple"} | {"dict"}`

    Raises:
        HeadwayError: A value cannot be read, or has no such part as the workflow selects (`result["loss"]`).
    """
    if tree is None:
        return None
    if "ref" in tree:
        ref = tree["ref"] or {}
        value = decode(
            Ref(
                ref.get("kind", "json"),
                ref.get("data"),
                ref.get("size", 0),
                ref.get("items"),
                ref.get("text", ""),
            ),
            read_blob,
        )
    elif "dict" in tree:
        value = {key: decode_tree(part, read_blob) for key, part in tree["dict"].items()}
    else:
        parts = [decode_tree(part, read_blob) for part in tree.get("list", tree.get("tuple", ()))]
        value = tuple(parts) if "tuple" in tree else parts
    for step in tree.get("path", ()):
        try:
            value = value[step]
        except (LookupError, TypeError) as error:
            raise HeadwayError(
                f"the workflow returns [{step!r}] of {short(value)}: {type(error).__name__}: {error}",
                hint="check what the task returns",
            ) from error
    return value


def short(value: Any) -> str:
    """A `repr` of at most about 80 characters, made without walking large values, and never failing."""
    try:
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple) and shape:
            return (
                f"{type(value).__name__} {'x'.join(map(str, shape))} {getattr(value, 'dtype', '')}".rstrip()[
                    :_TEXT_LIMIT
                ]
            )
        if isinstance(value, bytes | bytearray | memoryview) and len(value) > 30:
            return f"{type(value).__name__} of {len(value)} bytes"
        text = _REPR.repr(value)
    except Exception:  # a user's __repr__ may do anything
        text = f"<{type(value).__name__}>"
    # An address differs from process to process; the same submission must look the same when it is sent
    # again.
    text = _ADDRESS.sub("", text.encode("utf-8", "replace").decode())
    return text if len(text) <= _TEXT_LIMIT else f"{text[: _TEXT_LIMIT - 1]}…"


_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = _TEXT_LIMIT
_REPR.maxlevel = 4


class _NotPlain(Exception):
    """The value is not JSON, or too large to stay inside a reference."""


def _plain(value: Any) -> tuple[Any, int | None]:
    """A copy of a plain value and its size as JSON in bytes; size None if it has to be pickled."""
    if value is None or type(value) is bool:
        return value, 4 if value or value is None else 5
    try:
        copied = _copy(value, _DEPTH, [INLINE_LIMIT])
        size = len(json.dumps(copied, ensure_ascii=False).encode("utf-8"))
    except (_NotPlain, UnicodeEncodeError):
        return None, None
    return (copied, size) if size <= INLINE_LIMIT else (None, None)


def _copy(value: Any, depth: int, budget: list[int]) -> Any:
    """A copy made of exact plain types; `budget` is what is left of the size, at least one byte a value."""
    kind = type(value)
    budget[0] -= len(value) if kind is str else 1
    if budget[0] < 0:
        raise _NotPlain
    if value is None or kind is bool or kind is str:
        return value
    if kind is int and -_EXACT_INT < value < _EXACT_INT:
        return value
    if kind is float and value - value == 0:  # neither infinite nor NaN, which JSON does not know
        return value
    if depth and kind is list:
        return [_copy(item, depth - 1, budget) for item in value]
    if depth and kind is dict and all(type(key) is str for key in value):
        return {key: _copy(item, depth - 1, budget) for key, item in value.items()}
    raise _NotPlain


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle, but what a script defines is named by its module: in a worker it is then the same class.

    Else an instance made in `__main__` would arrive as one of a copied class, and `isinstance` would say no.
    """

    def reducer_override(self, thing: Any) -> Any:
        if getattr(thing, "__module__", None) == "__main__" and isinstance(thing, type | _FUNCTION):
            key = names.key_of(thing)
            if key is not None:
                return names.by_name, tuple(key.split(":", 1))
        return super().reducer_override(thing)


_FUNCTION = type(short)


def dumps(value: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, protocol=5).dump(value)
    except HeadwayError:
        raise
    except Exception as error:
        raise Unpicklable(
            f"{short(value)}, a {type(value).__name__}, cannot be sent to another process: {error}",
            hint="pass plain data, and open files, locks and connections inside the task",
        ) from error
    return buffer.getvalue()
