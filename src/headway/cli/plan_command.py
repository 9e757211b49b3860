"""`plan`: how many nodes of which kind."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headway.cli.trace_options import PANEL, FormatOf, Load, Since, Traces, micros


class Form(StrEnum):
    """How an answer is printed."""

    table = "table"
    json = "json"


Kinds = Annotated[
    Path | None,
    typer.Option(
        "--nodes",
        "-n",
        metavar="FILE",
        help="The kinds of nodes that can be had, each with least and most.",
    ),
]
Wait = Annotated[
    str | None,
    typer.Option("--wait", metavar="TIME", help="How long tasks may wait for their start: 5min."),
]
Share = Annotated[
    float, typer.Option("--share", min=0.001, max=1, help="Of the tasks: so many must not wait longer.")
]
Policy = Annotated[
    str,
    typer.Option("--policy", metavar="POLICY", help="Orders, then a discipline and settings behind commas."),
]
Ahead = Annotated[
    str | None,
    typer.Option("--ahead", metavar="TIME", help="For the load that is forecast for so long from now: 30d."),
]
Simulations = Annotated[int, typer.Option("--simulations", min=1, help="How many may be tried.")]
Output = Annotated[Form, typer.Option("--output", "-o", help="For people or for programs.")]


def plan(
    trace: Traces,
    nodes: Kinds = None,
    wait: Wait = None,
    share: Share = 0.95,
    policy: Policy = "priority > fcfs",
    load: Load = 1.0,
    ahead: Ahead = None,
    since: Since = None,
    form: FormatOf = None,
    most: Simulations = 120,
    output: Output = Form.table,
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
        since=micros(since, "--since"),
        ahead=micros(ahead, "--ahead"),
        injected=Injected(load=load),
        budget=most,
    )
    print(json.dumps(found.tree(), indent=2) if output is Form.json else found.text(), flush=True)
    if found.best is None:
        sys.exit(1)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(rich_help_panel=PANEL)(plan)
