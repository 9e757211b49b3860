"""`backup`: a state folder in one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headway.cli.options import Output, OutputAs, StateDir, settings_of


def backup(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Of the backup; .gz or .tgz compresses it.", show_default=False),
    ],
    restore: Annotated[
        bool, typer.Option("--restore", help="The other way: make a state folder of FILE.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="With --restore: a new folder.", show_default=False),
    ] = None,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Back up the state folder while the service runs, or restore one.

    A backup holds everything that was acknowledged when it began: runs, queue, results, sources, checkpoints, schedules. It holds no
    owner's token and no logs. Start a restored folder with `headway up --state-dir DIR`; what was running goes on from its checkpoints.

    Examples:

        headway backup headway-2026-11-24.tar.gz

        headway backup headway-2026-11-24.tar.gz --restore --to ./restored
    """
    from dataclasses import asdict

    from headway.cli import output as out
    from headway.domain.units import show_bytes
    from headway.errors import Invalid
    from headway.store import backup as backups

    if restore != (to is not None):
        raise Invalid(
            "--restore and --to belong together", hint=f"headway backup {file} --restore --to ./restored"
        )
    if to is not None:
        found = backups.restore(file.expanduser().absolute(), to.expanduser().absolute())
        said = (
            f"{to} holds the state of {out.moment(found.made)}. Start it with `headway up --state-dir {to}`."
        )
    else:
        found = backups.write(settings_of(state_dir).state, file.expanduser().absolute())
        said = f"{file}: the journal and {found.files} files, {show_bytes(found.bytes)}"
    if output is Output.table:
        print(said, flush=True)
    else:
        out.print_json(asdict(found))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Service")(backup)
