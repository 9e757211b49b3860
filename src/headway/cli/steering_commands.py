"""`pause`, `resume`, `edit`, `approve`, `signal`: what a person changes about a run under way, or answers it."""

from __future__ import annotations

from typing import Annotated

import typer

from headway.cli.options import Output, OutputAs, StateDir, client_of

Target = Annotated[
    str,
    typer.Argument(
        metavar="RUN|TASK",
        help="A run, a task <run>/<name>, or by the name of a map all its items.",
        show_default=False,
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="In words; `headway why` repeats it.")]


def pause(
    target: Target,
    reason: Reason = "",
    now: Annotated[
        bool, typer.Option("--now", help="Ask what runs to checkpoint and end, too; else it runs to its end.")
    ] = False,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Let nothing of a run or a task start until it is resumed. What may not run twice is never ended.

    Examples:

        headway pause train-k7q2m9x4ab --reason "the data are being fixed"

        headway pause train-k7q2m9x4ab/fit --now
    """
    with client_of(state_dir) as client:
        _say(target, client.pause(target, reason, stop=now), "paused", output)


def resume(target: Target, output: OutputAs = Output.table, state_dir: StateDir = None) -> None:
    """Let a paused run or task start again.

    Examples:

        headway resume train-k7q2m9x4ab
    """
    with client_of(state_dir) as client:
        _say(target, client.resume(target), "resumed", output)


def edit(
    target: Target,
    priority: Annotated[
        int | None, typer.Option("--priority", help="Higher goes first.", show_default=False)
    ] = None,
    weight: Annotated[
        float | None, typer.Option("--weight", help="What its completion is worth.", show_default=False)
    ] = None,
    deadline: Annotated[
        str, typer.Option("--deadline", help="2026-11-25T02:00 (local, or with Z), or 2h for in two hours.")
    ] = "",
    reason: Reason = "",
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Change priority, weight or deadline of a run or a task that has not ended; the queue is ordered anew.

    Examples:

        headway edit train-k7q2m9x4ab --priority 5 --reason "the demo is at three"

        headway edit train-k7q2m9x4ab/fit --weight 2.5 --deadline 2h
    """
    import time

    from headway.cli.window_commands import moment
    from headway.domain.units import parse_milli

    with client_of(state_dir) as client:
        view = client.edit(
            target,
            priority=priority,
            weight=None if weight is None else parse_milli(weight, "--weight"),
            deadline=moment(deadline, time.time_ns() // 1000, "--deadline") if deadline else None,
            reason=reason,
        )
        _say(target, view, "changed", output)


def approve(
    task: Annotated[str, typer.Argument(metavar="TASK", help="As in: <run>/<task>.", show_default=False)],
    yes: Annotated[bool | None, typer.Option("--yes/--no", help="The answer.", show_default=False)] = None,
    reason: Reason = "",
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Answer an approval that a run waits for.

    Examples:

        headway approve train-k7q2m9x4ab/approval --yes --reason "the numbers look right"

        headway approve train-k7q2m9x4ab/approval --no
    """
    from headway.errors import Invalid

    if yes is None:
        raise Invalid("yes or no?", hint=f"write headway approve {task} --yes, or --no")
    with client_of(state_dir) as client:
        _say(task, client.approve(task, yes, reason), "approved" if yes else "refused", output)


def signal(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.", show_default=False)],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the signal.", show_default=False)],
    value: Annotated[str, typer.Option("--value", metavar="JSON", help="What the task gets.")] = "null",
    reason: Reason = "",
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Give a signal to a run: the task that waits for it goes on with the value.

    Examples:

        headway signal train-k7q2m9x4ab data-ready --value '{"version": 3}'
    """
    import json

    from headway.errors import Invalid

    try:
        said = json.loads(value)
    except ValueError as error:
        raise Invalid(
            f"--value {value!r} is not JSON: {error}", hint="write text as --value '\"text\"'"
        ) from None
    with client_of(state_dir) as client:
        _say(run, client.signal(run, name, said, reason), f"got signal {name}", output)


def _say(target: str, view: dict[str, object], done: str, output: Output) -> None:
    from headway.cli import output as out

    if output is Output.table:
        print(f"{target} {done}", flush=True)
    else:
        out.print_json(view)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (pause, resume, edit, approve, signal):
        app.command(rich_help_panel="Steer")(command)
