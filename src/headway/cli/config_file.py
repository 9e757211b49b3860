"""Changes one key of a `headway.toml` and leaves every other byte of it, comments too, as it was.

A line is changed, and the result is parsed: if it does not say exactly what the old file said with that one key changed, nothing
is written. So a file that is laid out in a way this cannot follow is refused and never damaged.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from headway.errors import Invalid, NotFound, Unavailable
from headway.settings import FILE_NAME, KEYS, TABLES, line_of

_LINE = re.compile(r"(\s*[^=]+?\s*=\s*)(.*)\Z")
_HEADER = re.compile(r"\s*\[")


def literal(key: str, text: str) -> str:
    """The TOML of a value as it was typed: a number, a truth or a table where the key takes one, else a text.

    Raises:
        Invalid: There is no such key, or it takes no such value.
    """
    from headway.settings import read_one

    if key.partition(".")[0] in TABLES:
        raise Invalid(
            f"{key} is part of a table of named rows",
            hint=f"edit [{key}] in {FILE_NAME}; `headway config` checks it",
        )
    quoted = json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    try:
        tomllib.loads(f"x = {text}")
        candidates = [text, quoted] if "\n" not in text and "#" not in text else [quoted]
    except tomllib.TOMLDecodeError:
        candidates = [quoted]
    for candidate in candidates[:-1]:
        try:
            read_one(key, tomllib.loads(f"x = {candidate}")["x"])
            return candidate
        except Invalid:
            continue
    read_one(key, text)
    return candidates[-1]


def put(text: str, key: str, value: str) -> str:
    """The file's text with `key` set to the TOML `value`.

    Raises:
        Invalid: The file is laid out in a way that this cannot follow.
    """
    lines, section, name = text.splitlines(keepends=True), *_split(key)
    number = line_of(text, key) if _find(tomllib.loads(text), key) is not _ABSENT else 0
    if number:
        lines[number - 1] = _with_value(lines[number - 1], value)
    else:
        _insert(lines, section, f"{name} = {value}\n")
    return _checked(text, "".join(lines), key, tomllib.loads(f"x = {value}")["x"])


def drop(text: str, key: str) -> str:
    """The file's text without `key`.

    Raises:
        NotFound: It does not set the key.
        Invalid: As `put`.
    """
    if _find(tomllib.loads(text), key) is _ABSENT:
        raise NotFound(
            f"{key} is not set there", hint=f"`headway config {key} --origin` says where it is set"
        )
    lines = text.splitlines(keepends=True)
    del lines[line_of(text, key) - 1]
    return _checked(text, "".join(lines), key, _ABSENT)


def read(path: Path) -> str:
    """The file's text; empty if there is none."""
    try:
        text = path.read_text(encoding="utf-8")
        tomllib.loads(text)
        return text
    except FileNotFoundError:
        return ""
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} is not TOML: {error}", hint="correct it first") from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error


def write(path: Path, text: str) -> None:
    """Whole or not at all, with the mode that it had."""
    path = path.resolve()
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise Unavailable(
            f"{path} cannot be written: {error.strerror}", hint="nothing of it was changed"
        ) from error


# ── inside ────────────────────────────────────────────────────────────────────────────────────────

_ABSENT = object()


def _split(key: str) -> tuple[str, str]:
    section, _, name = key.rpartition(".")
    return section, name


def _find(tree: dict[str, Any], key: str) -> Any:
    section, name = _split(key)
    table = tree.get(section, {}) if section else tree
    return table.get(name, _ABSENT) if isinstance(table, dict) else _ABSENT


def _with_value(line: str, value: str) -> str:
    """The line with another value; its comment stays."""
    body, end = (line[:-1], "\n") if line.endswith("\n") else (line, "")
    match = _LINE.match(body)
    if match is None:
        return line
    for position in [i for i, c in enumerate(match.group(2)) if c == "#"]:
        try:
            tomllib.loads(f"x = {match.group(2)[:position]}")
        except tomllib.TOMLDecodeError:
            continue
        old = match.group(2)[:position].rstrip()
        return match.group(1) + value + match.group(2)[len(old) :] + end
    return match.group(1) + value + end


def _insert(lines: list[str], section: str, line: str) -> None:
    """After the last line of the section that says something; a new section goes to the end."""
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    headers = [i for i, text in enumerate(lines) if _HEADER.match(text)]
    start = -1
    if section:
        wanted = re.compile(rf"\s*\[\s*{re.escape(section)}\s*\]")
        start = next((i for i in headers if wanted.match(lines[i])), -1)
        if start < 0:
            lines += ([] if not lines else ["\n"]) + [f"[{section}]\n", line]
            return
    end = next((i for i in headers if i > start), len(lines))
    while end > start + 1 and (
        not lines[end - 1].strip() or (end in headers and lines[end - 1].startswith("#"))
    ):
        end -= 1
    lines.insert(end, line)


def _checked(old: str, new: str, key: str, value: Any) -> str:
    """`new`, if it says what `old` says but for `key`."""
    expected = tomllib.loads(old)
    section, name = _split(key)
    table = expected.setdefault(section, {}) if section else expected
    if isinstance(table, dict):
        if value is _ABSENT:
            table.pop(name, None)
        else:
            table[name] = value
    try:
        said: Any = tomllib.loads(new)
    except tomllib.TOMLDecodeError:
        said = None
    if said != expected:
        raise Invalid(
            f"{key} cannot be changed here without touching other lines", hint="edit the file by hand"
        )
    return new


assert all(key.count(".") <= 1 for key in KEYS), "a key is NAME or SECTION.NAME"
