"""The JSON Schema of `headway.toml`, made from the readers in `headway.settings`: what they take, it describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headway import settings as s
from headway.domain.units import parse_bits, parse_milli, show_bytes, show_milli, show_time

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_AMOUNT = {"anyOf": [{"type": "number", "minimum": 0}, _TEXT]}
_SIZE = {"anyOf": [_COUNT, {"type": "string", "pattern": r"^\s*[0-9]*\.?[0-9]+\s*[A-Za-z]*\s*$"}]}

#: By reader: the values a file may have. A reader that is not here makes the reference fail.
_SHAPES: dict[Any, dict[str, Any]] = {
    s._text: _TEXT,
    s._name: {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
    s._path: {"type": "string", "minLength": 1},
    s._size: _SIZE,
    s._disk: {"anyOf": [{"const": "auto"}, *_SIZE["anyOf"]]},
    s._labels: {
        "anyOf": [
            _TEXT,
            {"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}},
        ]
    },
    s._host: {"enum": ["127.0.0.1", "::1", "localhost"]},
    s._broker: {"type": "string", "pattern": "^(mqtts?://.*)?$"},
    s._command: _TEXT,
    s._discipline: {"enum": list(s.DISCIPLINES)},
    s._share: _AMOUNT,
    s._length: _AMOUNT,
    s._age: _AMOUNT,
    parse_milli: _AMOUNT,
    parse_bits: _SIZE,
}


#: By reader: how people write what it has read.
_SHOWN: dict[Any, Any] = {
    s._length: show_time,
    s._age: show_time,
    s._share: show_milli,
    parse_milli: show_milli,
    s._size: show_bytes,
}


def shown(key: str, value: Any) -> Any:
    """A value that a reader made (a default), as people write it."""
    show = _SHOWN.get(s.KEYS.get(key))
    return show(value) if show is not None and isinstance(value, int) else value


def shape(reader: Any) -> dict[str, Any]:
    """The schema of what a reader takes."""
    if isinstance(reader, s._Whole):
        return {
            "anyOf": [
                {"type": "integer", "minimum": reader.low, "maximum": reader.high},
                {"type": "string", "pattern": "^[0-9]+$"},
            ]
        }
    if isinstance(reader, s._OneOf):
        return {"enum": list(reader.known)}
    return _SHAPES[reader]


def schema() -> dict[str, Any]:
    """The whole schema; unknown keys are refused by it as they are by the program."""
    defaults = s.to_json(s.Settings(state=Path("~/.local/state/headway")))
    top: dict[str, Any] = {}
    for key, reader in s.KEYS.items():
        section, _, name = key.rpartition(".")
        about = f"Environment: {s.variable(key)}." + (
            f" Default: {shown(key, defaults[key])}." if defaults[key] not in (None, "") else ""
        )
        place = top
        if section:
            place = top.setdefault(
                section, {"type": "object", "additionalProperties": False, "properties": {}}
            )["properties"]
        place[name] = {"description": about, **shape(reader)}
    for name in s.TABLES:
        top[name] = {
            "description": f"Rows by name: [{name}.NAME].",
            "type": "object",
            "additionalProperties": {"type": ["object", "integer", "number", "string"]},
        }
    top["topology"] = {
        "description": 'Which labels of nodes are levels, the widest first: levels = ["zone", "rack"].',
        "type": "object",
        "additionalProperties": {"type": "array", "items": _TEXT},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "headway.toml",
        "type": "object",
        "additionalProperties": False,
        "properties": top,
    }
