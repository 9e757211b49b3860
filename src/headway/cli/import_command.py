"""`headway import`: workflows of other systems, written as files of Headway's."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class From(StrEnum):
    """Of which system."""

    airflow = "airflow"


def import_(
    system: Annotated[
        From,
        typer.Argument(metavar="SYSTEM", help="Of which system the file is: airflow.", show_default=False),
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A DAG file.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where it is written; else it is printed."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Read an Airflow DAG file and write the workflow as Python. The file is not run, and Airflow is not needed.

    What is not understood is refused with its line and the reason; what has no meaning here is noted in the head of the file.

    Examples:

        headway import airflow etl_dag.py -o etl.py
    """
    from headway.authoring.airflow.reading import read
    from headway.authoring.airflow.writing import write
    from headway.cli import output as cli_output
    from headway.errors import Conflict, Invalid

    dag = read(file)
    text = write(dag, file.name)
    if out is None:
        sys.stdout.write(text)
        return
    if out.exists() and not force:
        raise Conflict(f"{out} is there already", hint="choose another name, or say --force")
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{out} cannot be written: {error.strerror or error}") from None
    cli_output.say(f"{out}: {len(dag.operators)} tasks of {dag.id}; run it with: headway run {out}")
    for note in dag.notes:
        cli_output.say(f"  {note}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="import", rich_help_panel="Workflows")(import_)
