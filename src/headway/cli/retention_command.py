"""`retention`: how long what is over is kept, and what would go now."""

from __future__ import annotations

import typer

from headway.cli.options import Output, OutputAs, StateDir, settings_of


def retention(output: OutputAs = Output.table, state_dir: StateDir = None) -> None:
    """Say how long runs and logs are kept and what the next sweep would remove. Nothing is changed.

    The service removes it, an hour apart, as `[retention]` in headway.toml says; by default all is kept for ever.

    Examples:

        headway retention

        headway retention -o json
    """
    from dataclasses import asdict

    from headway.cli import output as out
    from headway.domain.units import show_bytes, show_time
    from headway.store.retention import now_micros, sweep

    settings = settings_of(state_dir)
    kept = settings.retention
    found = sweep(settings.state, now=now_micros(), runs=kept.runs, logs=kept.logs, dry=True)
    if output is not Output.table:
        out.print_json({"kept": asdict(kept), "would_go": asdict(found)})
        return

    def age(micros: int | None) -> str:
        return "for ever" if micros is None else show_time(micros)

    lines = {"runs are kept": age(kept.runs), "logs are kept": age(kept.logs)}
    if kept.runs is not None:
        lines["would go"] = f"{found.runs} runs"
        lines["with them"] = f"{found.blobs} values and bundles, {show_bytes(found.bytes)}"
    if kept.logs is not None:
        lines["logs would go"] = f"of {found.logs} runs, {show_bytes(found.log_bytes)}"
    if kept.runs is None and kept.logs is None:
        lines["to change that"] = "headway config set retention.runs 30d"
    print(out.pairs(lines), flush=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Service")(retention)
