"""`up`, `down`, `status`, `doctor`: the service itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from headway.cli.options import Output, OutputAs, StateDir, settings_of


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Come back when it is ready; it goes on in the background.")
    ] = False,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="HTTP port; 0 takes a free one.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Loopback address to listen on.")] = None,
    cpus: Annotated[
        str | None, typer.Option("--cpus", metavar="N", help="Cores this node offers; all by default.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help='Memory it offers, e.g. "8GiB".')
    ] = None,
    gpus: Annotated[int | None, typer.Option("--gpus", min=0, help="GPUs it offers.")] = None,
    node: Annotated[str | None, typer.Option("--node", metavar="NAME", help="Name of this node.")] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="ORDER", help='Who goes first, e.g. "priority > srpt".')
    ] = None,
    discipline: Annotated[
        str | None,
        typer.Option(
            "--discipline",
            help="strict: nobody overtakes; skip: what fits may go; backfill: what ends before the head can start; "
            "easy: also what the head fits beside.",
        ),
    ] = None,
    broker: Annotated[
        str | None, typer.Option("--broker", metavar="URL", help="An MQTT broker of your own.")
    ] = None,
    state_dir: StateDir = None,
) -> None:
    """Start the service: broker, roles, executor. Stays in the foreground; Ctrl-C stops it.

    What was running when it was killed goes on from its checkpoints.

    Examples:

        headway up

        headway up -d --cpus 2 --memory 4GiB
    """
    from headway.cli import starting

    settings = settings_of(
        state_dir,
        http__port=port,
        http__host=host,
        node__cpus=cpus,
        node__memory=memory,
        node__gpus=gpus,
        node__name=node,
        policy__order=policy,
        policy__discipline=discipline,
        broker=broker,
    )
    if detach:
        found = starting.start_detached(settings)
        print(
            f"Headway is up: {found['url']}\nState: {settings.state}\nStop it with `headway down`.",
            flush=True,
        )
    else:
        starting.become_supervisor(settings)


def down(
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0, help="How long to wait for its end.")
    ] = 30,
    force: Annotated[bool, typer.Option("--force", help="Kill it if it has not ended by then.")] = False,
    state_dir: StateDir = None,
) -> None:
    """Stop the service. What is acknowledged is kept; the next `headway up` goes on with it.

    Examples:

        headway down

        headway down --timeout 5 --force
    """
    from headway.cli import starting

    settings = settings_of(state_dir)
    ended = starting.stop(settings.state, timeout, force=force)
    print("Headway is down." if ended else f"No service runs on {settings.state}.", flush=True)


def status(output: OutputAs = Output.table, state_dir: StateDir = None) -> None:
    """Say whether the service is up, where, and what it does. Exit code 6 if it is not.

    Examples:

        headway status

        headway status -o json
    """
    from headway.cli import inspecting
    from headway.cli import output as out

    found = inspecting.status(settings_of(state_dir))
    if output is Output.table:
        print(out.pairs(inspecting.status_lines(found)), flush=True)
    else:
        out.print_json(found)
    if not found["up"]:
        raise typer.Exit(6)


def doctor(
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="FILE",
            help="Also make a .tar.gz for whoever helps you: versions, settings, logs, no secrets.",
            show_default=False,
        ),
    ] = None,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Look for what could keep Headway from working here, and say what to do. Exit code 1 if something is
    bad.

    Examples:

        headway doctor

        headway doctor --bundle headway-support.tar.gz
    """
    from headway.cli import inspecting
    from headway.cli import output as out

    settings = settings_of(state_dir)
    checks: list[dict[str, Any]] = inspecting.checks(settings)
    if bundle is not None:
        from headway.cli import support

        inside = support.write(settings, bundle.expanduser().absolute(), checks)
        out.say(f"{bundle} holds:\n" + "\n".join(f"  {name} ({size} bytes)" for name, size in inside))
    for check in checks:
        check["cells"] = {key: str(check[key]) for key in ("check", "status", "found", "advice")}
    columns = {"check": "CHECK", "status": "STATUS", "found": "FOUND", "advice": "WHAT TO DO"}
    out.listing(checks, columns, output, empty="nothing to check")
    if any(check["status"] == "bad" for check in checks):
        raise typer.Exit(1)


def replay(output: OutputAs = Output.table, state_dir: StateDir = None) -> None:
    """Decide the kept journal again and prove that the decisions are equal to the byte.

    Exit code 3 if they are not. The service may be up or down; nothing is changed.

    Examples:

        headway replay

        headway replay --state-dir ./incident -o json
    """
    from dataclasses import asdict

    from headway.api.replaying import replay_all
    from headway.cli import output as out
    from headway.roles.replay import summary

    found = replay_all(settings_of(state_dir).state)
    if output is Output.table:
        for one in found:
            print(summary(one), flush=True)
    else:
        out.print_json([asdict(one) for one in found])
    if not all(one.equal for one in found):
        raise typer.Exit(3)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (up, down, status, doctor, replay):
        app.command(rich_help_panel="Service")(command)
