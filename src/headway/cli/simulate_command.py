"""`simulate`: a trace under other policies, on other nodes."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

PANEL = "Planning"


class Report(StrEnum):
    """How a comparison is printed."""

    table = "table"
    json = "json"
    html = "html"


class Format(StrEnum):
    """Formats of a trace."""

    swf = "swf"
    csv = "csv"
    gpu_pods = "gpu_pods"
    wfcommons = "wfcommons"


def simulate(
    trace: Annotated[
        list[Path],
        typer.Argument(
            metavar="TRACE...", help="Files of tasks, or a state folder of Headway.", show_default=False
        ),
    ],
    cluster: Annotated[
        Path | None,
        typer.Option("--cluster", "-c", metavar="FILE", help="The nodes; of a state folder, those it had."),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            metavar="POLICY",
            help="Orders, then a discipline and settings behind commas. Once for each policy to compare.",
        ),
    ] = None,
    output: Annotated[
        Report, typer.Option("--output", "-o", help="A table, JSON, or one HTML page with pictures.")
    ] = Report.table,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Write it there and not to the terminal.")
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="Of the traces; by their names if not given.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Of a state folder, only what arrived since: 7d, 12h."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything that is left to chance.")] = 0,
    estimate_error: Annotated[
        float, typer.Option("--estimate-error", min=0, help="Sigma of a lognormal factor on each estimate.")
    ] = 0.0,
    no_estimates: Annotated[
        bool, typer.Option("--no-estimates", help="Nobody says how long tasks take: it is learned.")
    ] = False,
    load: Annotated[float, typer.Option("--load", help="Tasks arrive so many times as fast.")] = 1.0,
    arrivals: Annotated[
        float,
        typer.Option("--arrivals", min=0, metavar="PER_HOUR", help="They arrive at random, so many an hour."),
    ] = 0.0,
    mtbf: Annotated[
        str | None, typer.Option("--mtbf", metavar="TIME", help="Mean time between failures of a node.")
    ] = None,
    mttr: Annotated[str, typer.Option("--mttr", metavar="TIME", help="Mean time to its repair.")] = "10min",
    checkpoint_cost: Annotated[
        str | None,
        typer.Option("--checkpoint-cost", metavar="TIME", help="Tasks write checkpoints; one takes so long."),
    ] = None,
    checkpoint_every: Annotated[
        str | None,
        typer.Option("--checkpoint-every", metavar="TIME", help="Also unasked, after so much processing."),
    ] = None,
    restart_cost: Annotated[
        str, typer.Option("--restart-cost", metavar="TIME", help="To go on from a checkpoint.")
    ] = "0",
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

    def time(text: str | None, name: str) -> int | None:
        return None if text is None else parse_time(text, name)

    if not policy:
        raise Invalid(
            "under which policy?", hint='name one or several: --policy fcfs --policy "priority > srpt"'
        )
    if output is Report.html and to is None and sys.stdout.isatty():
        raise Invalid("a page of HTML is nothing for a terminal", hint="write it to a file: --to report.html")
    rules = Rules(
        checkpoint=time(checkpoint_cost, "--checkpoint-cost"),
        every=time(checkpoint_every, "--checkpoint-every") or 0,
        restart=parse_time(restart_cost, "--restart-cost"),
    )
    injected = Injected(
        seed=seed,
        estimate_error=estimate_error,
        no_estimates=no_estimates,
        load=load,
        arrivals_per_hour=arrivals,
        mtbf=time(mtbf, "--mtbf") or 0,
        mttr=parse_time(mttr, "--mttr"),
    )
    found = simulate_traces(
        trace,
        cluster,
        policy,
        form=form.value if form else None,
        since=time(since, "--since"),
        rules=rules,
        injected=injected,
    )
    if output is Report.html:
        text = found.html()
    else:
        text = (json.dumps(found.tree(), indent=2) if output is Report.json else found.table()) + "\n"
    if to is None:
        print(text, end="", flush=True)
        return
    try:
        to.write_text(text)
    except OSError as error:
        raise Invalid(f"cannot write {to}: {error.strerror}", hint="name another file") from None
    print(f"written: {to}", file=sys.stderr, flush=True)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(rich_help_panel=PANEL)(simulate)
