"""`simulate`: a trace under other policies, on other nodes."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headway.cli.trace_options import PANEL, FormatOf, Load, Since, Traces, micros

if TYPE_CHECKING:
    from headway.sim.report import Comparison


class Report(StrEnum):
    """How a comparison is printed."""

    table = "table"
    json = "json"
    html = "html"


ClusterFile = Annotated[
    Path | None,
    typer.Option("--cluster", "-c", metavar="FILE", help="The nodes; of a state folder, those it had."),
]
Policies = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="POLICY",
        help="Orders, then a discipline and settings behind commas. Once for each policy to compare.",
    ),
]
Output = Annotated[
    Report, typer.Option("--output", "-o", help="A table, JSON, or one HTML page with pictures.")
]
To = Annotated[
    Path | None, typer.Option("--to", metavar="FILE", help="Write it there and not to the terminal.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of everything that is left to chance.")]
EstimateError = Annotated[
    float, typer.Option("--estimate-error", min=0, help="Sigma of a lognormal factor on each estimate.")
]
NoEstimates = Annotated[
    bool, typer.Option("--no-estimates", help="Nobody says how long tasks take: it is learned.")
]
Arrivals = Annotated[
    float,
    typer.Option("--arrivals", min=0, metavar="PER_HOUR", help="They arrive at random, so many an hour."),
]
Mtbf = Annotated[
    str | None, typer.Option("--mtbf", metavar="TIME", help="Mean time between failures of a node.")
]
Mttr = Annotated[str, typer.Option("--mttr", metavar="TIME", help="Mean time to its repair.")]
CheckpointCost = Annotated[
    str | None,
    typer.Option("--checkpoint-cost", metavar="TIME", help="Tasks write checkpoints; one takes so long."),
]
CheckpointEvery = Annotated[
    str | None,
    typer.Option("--checkpoint-every", metavar="TIME", help="Also unasked, after so much processing."),
]
RestartCost = Annotated[
    str, typer.Option("--restart-cost", metavar="TIME", help="To go on from a checkpoint.")
]


def simulate(
    trace: Traces,
    cluster: ClusterFile = None,
    policy: Policies = None,
    output: Output = Report.table,
    to: To = None,
    form: FormatOf = None,
    since: Since = None,
    seed: Seed = 0,
    estimate_error: EstimateError = 0.0,
    no_estimates: NoEstimates = False,
    load: Load = 1.0,
    arrivals: Arrivals = 0.0,
    mtbf: Mtbf = None,
    mttr: Mttr = "10min",
    checkpoint_cost: CheckpointCost = None,
    checkpoint_every: CheckpointEvery = None,
    restart_cost: RestartCost = "0",
) -> None:
    """Simulate a trace under one or several policies with the production engine, and compare.

    Formats: SWF, CSV, lists of GPU pods, WfCommons, each also gzipped, and the journal of a state folder.

    Examples:

        headway simulate jobs.swf --cluster nodes.toml --policy fcfs --policy "fcfs, backfill" --policy srpt

        headway simulate tasks.csv -c nodes.toml --policy "priority > srpt, preempt=longer" -o html --to report.html

        headway simulate ~/.local/state/headway --since 7d --policy "fair > srpt"
    """
    from headway.api.simulating import simulate_traces
    from headway.domain.units import parse_time
    from headway.errors import Invalid
    from headway.sim.injected import Injected
    from headway.sim.records import Rules

    if not policy:
        raise Invalid(
            "under which policy?", hint='name one or several: --policy fcfs --policy "priority > srpt"'
        )
    if output is Report.html and to is None and sys.stdout.isatty():
        raise Invalid("a page of HTML is nothing for a terminal", hint="write it to a file: --to report.html")
    rules = Rules(
        checkpoint=micros(checkpoint_cost, "--checkpoint-cost"),
        every=micros(checkpoint_every, "--checkpoint-every") or 0,
        restart=parse_time(restart_cost, "--restart-cost"),
    )
    injected = Injected(
        seed=seed,
        estimate_error=estimate_error,
        no_estimates=no_estimates,
        load=load,
        arrivals_per_hour=arrivals,
        mtbf=micros(mtbf, "--mtbf") or 0,
        mttr=parse_time(mttr, "--mttr"),
    )
    found = simulate_traces(
        trace,
        cluster,
        policy,
        form=form.value if form else None,
        since=micros(since, "--since"),
        rules=rules,
        injected=injected,
    )
    _show(found, output, to)


def _show(found: Comparison, output: Report, to: Path | None) -> None:
    if output is Report.html:
        text = found.html()
    else:
        text = (json.dumps(found.tree(), indent=2) if output is Report.json else found.table()) + "\n"
    if to is None:
        print(text, end="", flush=True)
        return
    from headway.errors import Invalid

    try:
        to.write_text(text)
    except OSError as error:
        raise Invalid(f"cannot write {to}: {error.strerror}", hint="name another file") from None
    print(f"written: {to}", file=sys.stderr, flush=True)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(rich_help_panel=PANEL)(simulate)
