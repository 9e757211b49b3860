"""Options of the commands that read traces: which, of what form, and how fast their tasks arrive."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

PANEL = "Planning"


class Format(StrEnum):
    """Formats of a trace."""

    swf = "swf"
    csv = "csv"
    gpu_pods = "gpu_pods"
    wfcommons = "wfcommons"


Traces = Annotated[
    list[Path],
    typer.Argument(
        metavar="TRACE...", help="Files of tasks, or a state folder of Headway.", show_default=False
    ),
]
FormatOf = Annotated[
    Format | None, typer.Option("--format", help="Of the traces; by their names if not given.")
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Of a state folder, only what arrived since: 7d, 12h."),
]
Load = Annotated[float, typer.Option("--load", help="Tasks arrive so many times as fast.")]


def micros(text: str | None, option: str) -> int | None:
    """A time as it was written, or None if it was not."""
    from headway.domain.units import parse_time

    return None if text is None else parse_time(text, option)
