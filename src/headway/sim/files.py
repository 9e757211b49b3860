"""Reading the files of a simulation, gzipped or not."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from headway.errors import Invalid


def read_bytes(path: Path) -> bytes:
    """The whole file, unpacked if it is gzipped. Raises Invalid if it cannot be."""
    data = path.read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise Invalid(f"{path} is no whole gzip file: {error}", hint="fetch it again") from None


def read_text(path: Path) -> str:
    """The whole file as text. Raises Invalid if it is none."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(f"{path} is no text in UTF-8: {error}", hint="is it the right file?") from None


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV by the names in its header."""
    lines = (line for line in read_text(path).splitlines() if line.strip() and not line.startswith("#"))
    reader = csv.DictReader(lines, skipinitialspace=True)
    if reader.fieldnames is None or len(set(reader.fieldnames)) < len(reader.fieldnames):
        raise Invalid(f"{path} has no header of its own names", hint="the first line names the columns")
    for number, row in enumerate(reader, 1):
        if None in row or None in row.values():
            raise Invalid(
                f"{path}, row {number}: not as many fields as the header has", hint="quote commas in a field"
            )
        yield {name.strip(): value.strip() for name, value in row.items()}
