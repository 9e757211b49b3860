"""A document in YAML, JSON or TOML as plain values, read strictly: a key twice is an error, not the last one.

YAML is read by its version 1.2 (the core schema): `on`, `yes` and `2026-01-01` are texts, only `true` and `false` are truth values,
and `1:30` is no number of seconds.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headway.errors import Invalid

SUFFIXES = (".yaml", ".yml", ".json", ".toml")
#: Bytes; a longer document is data in the wrong place.
_LONGEST = 2**20
_INT = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z"
)


def read_document(path: Path) -> Any:
    """The values in a file. Raises Invalid with the place of what cannot be read."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8")
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise Invalid(f"{path} is not UTF-8", hint="save it as UTF-8") from None
    if len(data) > _LONGEST:
        raise Invalid(
            f"{path} has {len(data)} bytes, more than {_LONGEST}", hint="keep data in files of its own"
        )
    try:
        if path.suffix == ".toml":
            return tomllib.loads(text)
        if path.suffix == ".json":
            return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        return _read_yaml(text)
    except _Twice as error:
        raise Invalid(f"{path.name} has the key {error.args[0]!r} twice in one object") from None
    except RecursionError:
        raise Invalid(f"{path.name} is nested too deeply") from None
    except ValueError as error:  # of json and tomllib, with line and column
        raise Invalid(f"{path.name} cannot be read: {error}") from None


class _Twice(Exception):
    """A key that stands twice in one object."""


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _whole(text: str) -> int:
    """`010` is ten: octal numbers begin with `0o`."""
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _read_yaml(text: str) -> Any:
    import yaml  # type: ignore[import-untyped]

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # untyped
        """YAML 1.2, and no key twice."""

        yaml_implicit_resolvers: Any = {}  # noqa: RUF012  # the class attribute is yaml's own interface

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            pairs = [(self.construct_object(key, deep=True), value) for key, value in node.value]
            for key, _ in pairs:
                if not isinstance(key, str):
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key!r} is no text", node.start_mark
                    )
            return _once([(key, self.construct_object(value, deep=True)) for key, value in pairs])

    Loader.add_constructor("tag:yaml.org,2002:map", Loader.construct_mapping)
    Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: _whole(node.value))
    for tag, pattern, first in (
        ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), "tTfF"),
        ("null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
        ("int", _INT, "-+0123456789"),
        ("float", _FLOAT, "-+.0123456789"),
    ):
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", pattern, list(first))
    try:
        return yaml.load(text, Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise ValueError(f"{error.problem}{where}") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error).replace("\n", " ")) from None
