"""`run`, `submit`, `graph`: what takes a file with a workflow."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from headway.cli.options import Output, OutputAs, StateDir

PARAMETERS = {"allow_extra_args": True, "ignore_unknown_options": True}

Target = Annotated[
    str,
    typer.Argument(
        metavar="FILE[:WORKFLOW]",
        help="A Python file with a @workflow, or a YAML, JSON or TOML document.",
        show_default=False,
    ),
]
Given = Annotated[
    list[str] | None,
    typer.Option(
        "--param", "-p", metavar="NAME=VALUE", help="A parameter of the workflow; also as --name value."
    ),
]


NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Take nothing from earlier runs; results are kept all the same.")
]


class GraphFormat(StrEnum):
    """How `headway graph` draws."""

    tree = "tree"
    mermaid = "mermaid"
    json = "json"


def run(
    ctx: typer.Context,
    target: Target,
    param: Given = None,
    output: OutputAs = Output.table,
    inline: Annotated[
        bool, typer.Option("--inline", help="In this process, even if a service is up.")
    ] = False,
    no_cache: NoCache = False,
    state_dir: StateDir = None,
) -> None:
    """Run a workflow and print its result: on the service when one is up, else here.

    Ctrl-C cancels the run; a second one leaves at once. With -o json the last line is the run with state,
    counts and result.

    Examples:

        headway run train.py

        headway run train.py:sweep --folds 5 --out report.html

        headway run train.py -p folds=5 -o json
    """
    from headway.cli import target as targets

    workflow = targets.load(target)
    params = targets.parameters(
        workflow, param or (), ctx.args, ("--output", "--inline", "--no-cache", "--state-dir", "--param")
    )
    traced = targets.trace(workflow, params, fresh=no_cache)
    client = None if inline else _service(state_dir)
    if client is None:
        _run_here(traced, output)
        return
    from headway.cli import following
    from headway.cli import output as out

    with client:
        handle = client.submit(traced)
        out.say(f"{handle.id} on {client.url}")
        following.show(following.follow(handle), output, client.read_blob)


def _service(state: Path | None) -> Any:
    """A client of the service if one is up."""
    from headway.client import Client
    from headway.errors import Unavailable

    try:
        client = Client(state, patience=0)
        client.version()
    except Unavailable:
        return None
    return Client(state)


def _run_here(traced: Any, output: Output) -> None:
    from headway.api.inline import run as run_inline
    from headway.cli import following
    from headway.client import RunFailed

    try:
        done = run_inline(traced, (), {})
    except RunFailed as failed:
        view = failed.fields["run"]
        following.print_end(view, output, None)
        if view["state"] == "cancelled":
            raise following.Interrupted(f"{view['id']} is cancelled", run=view) from None
        raise
    following.print_end(done.view, output, done.result)


def submit(
    ctx: typer.Context,
    target: Target,
    param: Given = None,
    key: Annotated[
        str | None, typer.Option("--key", help="Idempotency key: the same again gives the first run.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end and print its result.")] = False,
    no_cache: NoCache = False,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Hand a workflow to the service and print the run's id.

    Examples:

        headway submit train.py --folds 5

        headway submit train.py --key nightly-2026-11-24 --wait
    """
    from headway.cli import following
    from headway.cli import output as out
    from headway.cli import target as targets
    from headway.cli.options import client_of

    workflow = targets.load(target)
    params = targets.parameters(
        workflow,
        param or (),
        ctx.args,
        ("--output", "--key", "--wait", "--no-cache", "--state-dir", "--param"),
    )
    traced = targets.trace(workflow, params, fresh=no_cache)
    with client_of(state_dir) as client:
        handle = client.submit(traced, idempotency_key=key)
        if wait:
            out.say(handle.id)
            following.show(following.follow(handle), output, client.read_blob)
        elif output is Output.table:
            print(handle.id, flush=True)
        else:
            out.print_json(handle.view)


def graph(
    ctx: typer.Context,
    target: Target,
    param: Given = None,
    form: Annotated[
        GraphFormat, typer.Option("--format", "-f", help="tree for people, mermaid for documents, json.")
    ] = GraphFormat.tree,
    params: Annotated[
        bool, typer.Option("--params", help="List its parameters instead: name, type and default.")
    ] = False,
) -> None:
    """Draw a workflow's graph; nothing of it runs.

    Examples:

        headway graph train.py

        headway graph train.py --folds 5 --format mermaid

        headway graph train.py --params
    """
    from headway.cli import graphs
    from headway.cli import output as out
    from headway.cli import target as targets

    workflow = targets.load(target)
    given = targets.parameters(workflow, param or (), ctx.args, ("--format", "--param", "--params"))
    if params:
        rows = [
            {"name": f"--{name.replace('_', '-')}", "type": kind, "default": usual or "(needed)"}
            for name, kind, usual in workflow.listed()
        ]
        columns = {"name": "PARAMETER", "type": "TYPE", "default": "DEFAULT"}
        print(out.table(rows, columns) if rows else f"{workflow.name} takes no parameters", flush=True)
        return
    print(graphs.draw(targets.trace(workflow, given).workflow, form.value), flush=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(context_settings=PARAMETERS, rich_help_panel="Workflows")(run)
    app.command(context_settings=PARAMETERS, rich_help_panel="Workflows")(submit)
    app.command(context_settings=PARAMETERS, rich_help_panel="Workflows")(graph)
