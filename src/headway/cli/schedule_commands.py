"""`schedule`, `schedules`, `backfill`, `event`: workflows that run by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from headway.cli.options import Output, OutputAs, StateDir, client_of
from headway.cli.run_commands import PARAMETERS, Given, Target

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the schedule.", show_default=False)]


def schedule(
    ctx: typer.Context,
    name: Name,
    target: Target,
    param: Given = None,
    cron: Annotated[
        str, typer.Option("--cron", help='Five fields, or @daily and the like: "30 5 * * mon-fri".')
    ] = "",
    zone: Annotated[
        str, typer.Option("--zone", help="Time zone of --cron, UTC if not said: Europe/Berlin.")
    ] = "",
    every: Annotated[str, typer.Option("--every", help="Or an interval from now on: 15min.")] = "",
    file: Annotated[
        str, typer.Option("--file", help='Or each file that appears or changes: "/data/in/*.csv".')
    ] = "",
    http: Annotated[
        bool, typer.Option("--http", help="Or each event sent: POST /v1/schedules/NAME/events.")
    ] = False,
    mqtt: Annotated[
        str,
        typer.Option("--mqtt", help='Or each message of a topic below headway/SITE/events/: "lab/+/done".'),
    ] = "",
    catchup: Annotated[
        str,
        typer.Option("--catchup", help="Of times missed while nothing was up: latest, all, or skip them."),
    ] = "latest",
    overlap: Annotated[
        str,
        typer.Option("--overlap", help="While a run of it goes on: allow the next, skip it, or queue it."),
    ] = "allow",
    limit: Annotated[int, typer.Option("--limit", help="Most times to catch up, and to queue.")] = 100,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Register a workflow to run by itself: at times, or on events. The same name again is a new version.

    What the workflow has of the parameters interval_start, interval_end and event each run is given; they can be passed on to tasks.

    Examples:

        headway schedule nightly train.py --cron "30 5 * * mon-fri" --zone Europe/Berlin

        headway schedule ingest load.py:ingest --file "/data/in/*.csv" --overlap queue
    """
    from headway.cli import target as targets

    workflow = targets.load(target)
    options = (
        "--cron",
        "--zone",
        "--every",
        "--file",
        "--http",
        "--mqtt",
        "--catchup",
        "--overlap",
        "--limit",
    )
    params = targets.parameters(
        workflow, param or (), ctx.args, (*options, "--output", "--state-dir", "--param")
    )
    said: dict[str, Any] = {
        "cron": cron, "zone": zone, "every": every, "file": _absolute(file), "http": http, "mqtt": mqtt,
        "catchup": catchup, "overlap": overlap, "limit": limit,
    }  # fmt: skip
    with client_of(state_dir) as client:
        view = client.schedule(name, workflow, {k: v for k, v in said.items() if v}, **params)
    _show([view], output)


def schedules(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[[show | pause | resume | remove] NAME]", help="One of them, and what to do with it."
        ),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Of a pause, in words.")] = "",
    count: Annotated[
        int, typer.Option("--next", min=1, max=1000, help="Show so many of its next times.")
    ] = 5,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """List workflows that run by themselves, look at one, or pause, resume or remove it. A run that goes on is not touched.

    Examples:

        headway schedules

        headway schedules nightly --next 10

        headway schedules pause nightly --reason "the source moves"
    """
    from headway.errors import Invalid

    match list(words or ()):
        case []:
            with client_of(state_dir) as client:
                _show(client.schedules(), output)
        case [("pause" | "resume" | "remove") as act, name]:
            with client_of(state_dir) as client:
                view = (
                    client.pause_schedule(name, reason)
                    if act == "pause"
                    else client.resume_schedule(name)
                    if act == "resume"
                    else client.remove_schedule(name)
                )
            _show([view], output)
        case ["show", name] | [name]:
            with client_of(state_dir) as client:
                _show_one(client.get_schedule(name, count=count), output)
        case other:
            raise Invalid(
                f"`headway schedules {' '.join(other)}` is no question and no change",
                hint="headway schedules NAME, or headway schedules pause | resume | remove NAME",
            )


def backfill(
    name: Name,
    begin: Annotated[
        str, typer.Option("--from", help="From this time on: 2026-11-01, or '3d ago'.", show_default=False)
    ] = "",
    end: Annotated[
        str, typer.Option("--to", help="To before this time; up to now if not said.", show_default=False)
    ] = "",
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=1000, help="Runs at a time.")] = 1,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="Refuse if there are more intervals than this.")
    ] = 1000,
    cancel: Annotated[bool, typer.Option("--cancel", help="Start no more of the one under way.")] = False,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Run the past intervals of a schedule: one run for each that has none yet, oldest first.

    Examples:

        headway backfill nightly --from 2026-11-01 --to 2026-11-15 --parallel 4

        headway backfill nightly --cancel
    """
    from headway.cli import output as out
    from headway.cli.moments import moment_of
    from headway.errors import Invalid

    if not cancel and not begin:
        raise Invalid("from when on?", hint=f"headway backfill {name} --from 2026-11-01")
    with client_of(state_dir) as client:
        if cancel:
            _show([client.cancel_backfill(name)], output)
            return
        start = moment_of(begin, "--from")
        stop = moment_of(end, "--to") if end else 2**53 - 1
        view = client.backfill(name, start=start, end=stop, parallel=parallel, limit=limit)
    if output is Output.table:
        new = view["backfill"]["total"] if view["backfill"] else 0
        out.say(f"{new} intervals to run, {view['known']} have run before")
    else:
        out.print_json(view)


def event(
    name: Name,
    payload: Annotated[
        str, typer.Argument(metavar="[JSON]", help="What the workflow gets as its parameter `event`.")
    ] = "null",
    key: Annotated[
        str | None, typer.Option("--key", help="The same key again is the same event.", show_default=False)
    ] = None,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Say that what a schedule waits for has happened, and print the id of the run.

    Examples:

        headway event ingest '{"path": "s3://bucket/new.csv"}' --key new.csv
    """
    import json

    from headway.cli import output as out
    from headway.errors import Invalid

    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise Invalid(
            f"{payload[:80]!r} is not JSON: {error}", hint='quote it: \'{"path": "a.csv"}\''
        ) from None
    with client_of(state_dir) as client:
        found = client.send_event(name, value, key=key)
    if output is Output.table:
        print(found["run"], flush=True)
    else:
        out.print_json(found)


def _absolute(pattern: str) -> str:
    """The service does not know the folder we stand in."""
    return str(Path.cwd() / Path(pattern).expanduser()) if pattern else ""


def _show(views: list[dict[str, Any]], output: Output) -> None:
    from headway.cli import output as out

    for view in views:
        paused = view["paused"]
        state = "paused" if paused else "backfill" if view["backfill"] else "on"
        view["cells"] = {
            "name": view["name"], "workflow": view["workflow"], "when": view["text"], "state": state,
            "next": (view.get("next_text") or [""])[0], "last": view["last_run"],
            "runs": str(view["fired"]), "note": _note(view),
        }  # fmt: skip
    columns = {
        "name": "NAME", "workflow": "WORKFLOW", "when": "WHEN", "state": "STATE", "next": "NEXT",
        "last": "LAST RUN", "runs": "RUNS", "note": "NOTE",
    }  # fmt: skip
    out.listing(views, columns, output, empty="nothing runs by itself: headway schedule NAME FILE --cron ...")


def _note(view: dict[str, Any]) -> str:
    if view["paused"]:
        return f"by {view['paused']['by']}: {view['paused']['reason'] or 'no reason given'}"
    if view["error"]:
        return str(view["error"])
    parts = [f"{view[what]} {what}" for what in ("queued", "skipped", "missed") if view[what]]
    if view["backfill"]:
        parts.insert(0, "{started} of {total} past intervals".format(**view["backfill"]))
    return ", ".join(parts)


def _show_one(view: dict[str, Any], output: Output) -> None:
    from headway.cli import output as out

    if output is not Output.table:
        out.print_json(view)
        return
    rows = {
        "schedule": f"{view['name']}, version {view['version']}, by {view['by']}",
        "workflow": f"{view['workflow']} for tenant {view['tenant']}",
        "when": view["text"],
        "next": "\n".join(view["next_text"]).replace("\n", "\n" + " " * 10) or "on its event",
        "last run": view["last_run"] or "none yet",
        "runs": str(view["fired"]),
    }
    if note := _note(view):
        rows["note"] = note
    print(out.pairs(rows), flush=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(context_settings=PARAMETERS, rich_help_panel="Workflows")(schedule)
    app.command(rich_help_panel="Workflows")(backfill)
    app.command(rich_help_panel="Workflows")(event)
    app.command(rich_help_panel="Look")(schedules)
