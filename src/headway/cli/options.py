"""Options that several commands share, and what they stand for."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from headway.client import Client
    from headway.settings import Settings


class Output(StrEnum):
    """How a listing is printed."""

    table = "table"
    json = "json"
    jsonl = "jsonl"


StateDir = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        metavar="DIR",
        help="State folder of the service; HEADWAY_STATE or the settings say it otherwise.",
    ),
]
OutputAs = Annotated[
    Output,
    typer.Option("--output", "-o", help="table for people, json as one value, jsonl as one value a line."),
]


def settings_of(state: Path | None, **flags: Any) -> Settings:
    """The settings with the flags of a command laid over them; names with `__` for a dot."""
    from headway.settings import load

    return load({"state": state, **{name.replace("__", "."): value for name, value in flags.items()}})


def client_of(state: Path | None) -> Client:
    """A client of the service."""
    from headway.client import Client

    return Client(state)
