"""`plan`: how many nodes of which kind a trace needs, and which to add or to close for what waits in a service."""

from __future__ import annotations

import json
import sys
import time
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
Pools = Annotated[
    Path | None,
    typer.Option(
        "--pools",
        metavar="FILE",
        help="Instead: which nodes of these kinds to add or close for what waits in a state folder now.",
    ),
]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="With --pools, as of then: 2026-03-01T10:30, '10min ago'."),
]
DelayCost = Annotated[
    float,
    typer.Option(
        "--delay-cost",
        min=0.000001,
        help="With --pools: what an hour's delay of a task of weight 1 costs, in the currency of `cost`.",
    ),
]
Ready = Annotated[
    str, typer.Option("--ready", metavar="TIME", help="With --pools: until a new node takes tasks.")
]
Horizon = Annotated[
    str, typer.Option("--horizon", metavar="TIME", help="With --pools: for how long a node is paid.")
]
PerNode = Annotated[
    int,
    typer.Option("--per-node", min=1, help="With --pools: tasks a node that the autoscaler's rule aims at."),
]
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
    pools: Pools = None,
    at: At = None,
    delay_cost: DelayCost = 1.0,
    ready: Ready = "0s",
    horizon: Horizon = "1h",
    per_node: PerNode = 4,
    output: Output = Form.table,
) -> None:
    """Find out how many nodes of which kind keep the wait within bounds, or with --pools what to add or close now.

    Each answer is tried in a simulation with the production engine; the plan found can lose no single node.

    With --pools tasks and nodes are weighed in one plan for what waits in a service, up or down: a node is added
    where the delay it saves is worth its price. Nothing is changed.

    Examples:

        headway plan jobs.swf --nodes kinds.toml --wait 5min

        headway plan ~/.local/state/headway --since 28d --ahead 30d -n kinds.toml --wait 10min --share 0.9

        headway plan ~/.local/state/headway --pools kinds.toml --delay-cost 2 --ready 3min
    """
    from headway.api.sizing import plan_traces
    from headway.domain.units import parse_time
    from headway.errors import Invalid
    from headway.sim.injected import Injected

    if pools is not None:
        if nodes is not None or wait is not None or len(trace) != 1:
            raise Invalid(
                "--pools asks about one state folder, and not for a wait",
                hint="headway plan DIR --pools kinds.toml",
            )
        _weigh(
            trace[0], pools, output, at=at, delay_cost=delay_cost, ready=ready, horizon=horizon, each=per_node
        )
        return
    if at is not None:
        raise Invalid("--at goes with --pools", hint="of a trace, --since says from when on")
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


def _weigh(
    state: Path,
    kinds: Path,
    output: Form,
    *,
    at: str | None,
    delay_cost: float,
    ready: str,
    horizon: str,
    each: int,
) -> None:
    """Print which nodes to add or close for what waits in a state folder."""
    from headway.api.sizing import plan_state
    from headway.cli.moments import moment_of
    from headway.domain.units import parse_time

    found = plan_state(
        state,
        kinds,
        time.time_ns() // 1000 if at is None else moment_of(at, "--at"),
        delay=round(delay_cost * 1_000_000),
        ready=parse_time(ready, "--ready"),
        horizon=parse_time(horizon, "--horizon"),
        each=each,
    )
    print(json.dumps(found.tree(), indent=2) if output is Form.json else found.text(), flush=True)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(rich_help_panel=PANEL)(plan)
