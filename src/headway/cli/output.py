"""Printing: aligned tables for people, JSON for programs. Colour only on a terminal that wants it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from headway.cli.options import Output

_COLOURS = {
    "finished": "32",
    "up": "32",
    "ok": "32",
    "running": "36",
    "queued": "33",
    "waiting": "2",
    "warn": "33",
    "failed": "31",
    "cancelled": "35",
    "skipped": "2",
    "unknown": "31",
    "lost": "31",
    "down": "31",
    "bad": "31",
}


def coloured(stream: TextIO) -> bool:
    """Whether to use colour there (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def say(text: str) -> None:
    """A word to the person beside the output: on stderr, so that pipes stay clean."""
    print(text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One line of JSON; what is not JSON is shown as text."""
    print(json.dumps(value, default=repr, ensure_ascii=False), flush=True)


def listing(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], output: Output, *, empty: str
) -> None:
    """Print a listing.

    Args:
        rows: Views; JSON prints them whole.
        columns: Heading by field, for the table; a field is looked up in the prepared `cells` of a row.
        output: How.
        empty: What to say, on stderr, when there is nothing.
    """
    if output is Output.json:
        print(json.dumps(list(map(_whole, rows)), indent=2, default=repr, ensure_ascii=False), flush=True)
    elif output is Output.jsonl:
        for row in rows:
            print_json(_whole(row))
    elif not rows:
        say(empty)
    else:
        print(table([row["cells"] for row in rows], columns, colour=coloured(sys.stdout)), flush=True)


def _whole(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "cells"}


def table(rows: Sequence[Mapping[str, str]], columns: Mapping[str, str], *, colour: bool = False) -> str:
    """Aligned columns with two blanks between; numbers to the right."""
    cells = [[one_line(row.get(field, "")) for field in columns] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns.values()), *cells]) for i in range(len(columns))]
    right = [
        all(_is_number(line[i]) for line in cells) and any(line[i] for line in cells)
        for i in range(len(columns))
    ]

    def fit(text: str, i: int) -> str:
        return text.rjust(widths[i]) if right[i] else text.ljust(widths[i])

    head = "  ".join(fit(title, i) for i, title in enumerate(columns.values())).rstrip()
    lines = [
        "  ".join(_paint(fit(text, i), text, colour) for i, text in enumerate(line)).rstrip()
        for line in cells
    ]
    return "\n".join([f"\x1b[1m{head}\x1b[0m" if colour else head, *lines])


def one_line(text: str) -> str:
    """Text of a task may hold anything: no control character of it reaches the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def _is_number(text: str) -> bool:
    return text == "" or text.replace(".", "", 1).isdigit()


def _paint(fitted: str, text: str, colour: bool) -> str:
    code = _COLOURS.get(text)
    return f"\x1b[{code}m{fitted}\x1b[0m" if colour and code else fitted


def pairs(rows: Mapping[str, str]) -> str:
    """`name: value` lines, aligned."""
    width = max(map(len, rows), default=0) + 1
    return "\n".join(f"{(name + ':').ljust(width)} {value}" for name, value in rows.items())


# ── times ─────────────────────────────────────────────────────────────────────────────────────────


def moment(micros: int | None) -> str:
    """A point in time, in local time: today's without the date."""
    if micros is None:
        return ""
    from datetime import datetime

    then = datetime.fromtimestamp(micros / 1_000_000)
    return then.strftime("%H:%M:%S" if then.date() == datetime.now().date() else "%Y-%m-%d %H:%M")


def length(micros: int | None) -> str:
    """A length of time."""
    from headway.domain.units import show_time

    return "" if micros is None else show_time(micros)


def due(view: Mapping[str, Any]) -> str:
    """`met`, `missed by 3 min`, `in 2 h`, `3 min late`: how a run stands with its deadline, if it has one."""
    from headway.domain.units import show_time

    if view.get("deadline") is None:
        return ""
    if view["late"] is not None:
        return f"missed by {show_time(view['late'])}" if view["late"] else "met"
    left = int(view["deadline"]) - time.time_ns() // 1000
    return f"in {show_time(left)}" if left >= 0 else f"{show_time(-left)} late"


def counts(by_state: Mapping[str, int]) -> str:
    """`3 finished, 2 running`."""
    return ", ".join(f"{count} {state}" for state, count in by_state.items() if count)
