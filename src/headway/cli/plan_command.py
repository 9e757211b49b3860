"""`plan`: how many nodes of which kind."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headway.cli.simulate_command import PANEL, Format


class Form(StrEnum):
    """How an answer is printed."""

    table = "table"
    json = "json"


def plan(
    trace: Annotated[
        list[Path],
        typer.Argument(
            metavar="TRACE...", help="Files of tasks, or a state folder of Headway.", show_default=False
        ),
    ],
    nodes: Annotated[
        Path | None,
        typer.Option(
            "--nodes",
            "-n",
            metavar="FILE",
            help="The kinds of nodes that can be had, each with least and most.",
        ),
    ] = None,
    wait: Annotated[
        str | None,
        typer.Option("--wait", metavar="TIME", help="How long tasks may wait for their start: 5min."),
    ] = None,
    share: Annotated[
        float, typer.Option("--share", min=0.001, max=1, help="Of the tasks: so many must not wait longer.")
    ] = 0.95,
    policy: Annotated[
        str,
        typer.Option(
            "--policy", metavar="POLICY", help="Orders, then a discipline and settings behind commas."
        ),
    ] = "priority > fcfs",
    load: Annotated[float, typer.Option("--load", help="Tasks arrive so many times as fast.")] = 1.0,
    ahead: Annotated[
        str | None,
        typer.Option(
            "--ahead", metavar="TIME", help="For the load that is forecast for so long from now: 30d."
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Of a state folder, only what arrived since: 7d, 12h."),
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="Of the traces; by their names if not given.")
    ] = None,
    most: Annotated[int, typer.Option("--simulations", min=1, help="How many may be tried.")] = 120,
    output: Annotated[Form, typer.Option("--output", "-o", help="For people or for programs.")] = Form.table,
) -> None:
    """Find out how many nodes of which kind keep the wait within bounds.

    Each answer is tried in a simulation with the production engine; the plan found can lose no single node.

    Examples:

        headway plan jobs.swf --nodes kinds.toml --wait 5min

        headway plan ~/.local/state/headway --since 28d --ahead 30d -n kinds.toml --wait 10min --share 0.9
    """
    from headway.api.sizing import plan_traces
    from headway.domain.units import parse_time
    from headway.errors import Invalid
    from headway.sim.injected import Injected

    if nodes is None:
        raise Invalid(
            "of which nodes?",
            hint="name a file of kinds: --nodes kinds.toml (see docs/how-to/plan-capacity.md)",
        )
    if wait is None:
        raise Invalid("how long may tasks wait?", hint="--wait 5min")
    found = plan_traces(
        trace,
        nodes,
        parse_time(wait, "--wait"),
        milli=round(share * 1000),
        policy=policy,
        form=form.value if form else None,
        since=None if since is None else parse_time(since, "--since"),
        ahead=None if ahead is None else parse_time(ahead, "--ahead"),
        injected=Injected(load=load),
        budget=most,
    )
    print(json.dumps(found.tree(), indent=2) if output is Form.json else found.text(), flush=True)
    if found.best is None:
        sys.exit(1)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(rich_help_panel=PANEL)(plan)
