"""`runs`, `tasks`, `nodes`, `why`, `logs`, `wait`, `cancel`, `retry`: looking at what a service does, and
steering it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer

from headway.cli.options import Output, OutputAs, StateDir, client_of, settings_of

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run.", show_default=False)]
TaskId = Annotated[
    str, typer.Argument(metavar="TASK", help="<run>/<name>, as `headway tasks` shows it.", show_default=False)
]


class RunState(StrEnum):
    """States of a run."""

    running = "running"
    finished = "finished"
    failed = "failed"
    cancelled = "cancelled"


class TaskState(StrEnum):
    """States of a task."""

    waiting = "waiting"
    queued = "queued"
    running = "running"
    finished = "finished"
    failed = "failed"
    cancelled = "cancelled"
    skipped = "skipped"
    unknown = "unknown"
    cached = "cached"


def runs(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Only this one.", show_default=False)
    ] = None,
    state: Annotated[RunState | None, typer.Option("--state", help="Only those in this state.")] = None,
    workflow: Annotated[
        str | None, typer.Option("--workflow", metavar="NAME", help="Only those of this workflow.")
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(
            "--version", metavar="HASH", help="Only of this version: its hash or the beginning of it."
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10000, help="At most so many, newest first.")
    ] = 30,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """List runs, newest first.

    Examples:

        headway runs

        headway runs --state failed -o json

        headway runs --workflow train --version 9f86d081

        headway runs train-k7q2m9x4ab
    """
    from headway.cli import output as out
    from headway.domain.units import show_money

    with client_of(state_dir) as client:
        if run:
            views = [client.run(run)]
        else:
            chosen = state.value if state else None
            views = client.runs(state=chosen, limit=limit, workflow=workflow, version=version)
    for view in views:
        view["cells"] = {
            "id": view["id"],
            "state": "paused" if view.get("paused") else view["state"],
            "version": view.get("bundle", "")[:8],
            "tasks": out.counts(view["counts"]),
            "submitted": out.moment(view["submitted"]),
            "took": out.length(view["ended"] - view["submitted"]) if view["ended"] else "",
            "due": out.due(view),
            "cost": "" if view.get("cost") is None else show_money(view["cost"]),
            "error": (view["error"] or {}).get("message", ""),
        }
    columns = {
        "id": "RUN",
        "state": "STATE",
        "version": "VERSION",
        "tasks": "TASKS",
        "submitted": "SUBMITTED",
        "took": "TOOK",
        "due": "DUE",
        "cost": "COST",
        "error": "ERROR",
    }
    for name in ("due", "cost"):
        if not any(view["cells"][name] for view in views):
            del columns[name]
    out.listing(views, columns, output, empty="no runs; submit one: headway submit FILE")


def tasks(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Only tasks of this run.", show_default=False)
    ] = None,
    state: Annotated[TaskState | None, typer.Option("--state", help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10000, help="At most so many.")] = 1000,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Skip so many.")] = 0,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """List tasks.

    Examples:

        headway tasks train-k7q2m9x4ab

        headway tasks --state queued -o jsonl
    """
    from headway.cli import output as out

    with client_of(state_dir) as client:
        views = client.tasks(run, state=state.value if state else None, limit=limit, offset=offset)
    for view in views:
        progress = view.get("progress")
        view["cells"] = {
            "id": view["id"],
            "state": view["state"],
            "attempt": str(view.get("attempt") or ""),
            "node": view.get("node") or "",
            "progress": f"{progress / 10:.0f} %" if isinstance(progress, int) and progress >= 0 else "",
            "took": out.length(view.get("took")),
            "result": (view.get("result") or {}).get("text", "")
            or (view.get("error") or {}).get("message", ""),
        }
    columns = {
        "id": "TASK",
        "state": "STATE",
        "attempt": "ATTEMPT",
        "node": "NODE",
        "progress": "DONE",
        "took": "TOOK",
        "result": "RESULT",
    }
    out.listing(views, columns, output, empty="no tasks")


def nodes(output: OutputAs = Output.table, state_dir: StateDir = None) -> None:
    """List nodes: what there is to run on, and what is free.

    Examples:

        headway nodes

        headway nodes -o json
    """
    from headway.cli import output as out

    with client_of(state_dir) as client:
        views = client.nodes()
    from headway.domain.units import show_amount, show_bytes, show_milli

    for view in views:
        view["cells"] = {
            "node": view["node"],
            "state": "cordoned" if view["cordoned"] else "closing" if view.get("closing") else "ready",
            "tasks": str(view["tasks"]),
            "cpu": show_milli(view["cpu"]),
            "cpu_free": show_milli(view["cpu_free"]),
            "memory": show_bytes(view["memory"]),
            "memory_free": show_bytes(view["memory_free"]),
            "gpus": str(view["gpus"]),
            "gpus_free": ", ".join(map(show_milli, view["gpus_free"])),
            "other_free": ", ".join(
                f"{show_amount(name, free)} {name}" for name, free in view["other_free"].items()
            ),
        }
    columns = {
        "node": "NODE",
        "state": "STATE",
        "tasks": "TASKS",
        "cpu": "CPU",
        "cpu_free": "CPU FREE",
        "memory": "MEMORY",
        "memory_free": "MEMORY FREE",
        "gpus": "GPUS",
        "gpus_free": "FREE OF EACH GPU",
        "other_free": "OTHER FREE",
    }
    if not any(view["gpus"] for view in views):
        del columns["gpus_free"]
    if not any(view["other_free"] for view in views):
        del columns["other_free"]
    out.listing(views, columns, output, empty="no nodes yet; the executor joins a moment after `headway up`")


def why(
    task: TaskId,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="As of then, from the journal: 2026-03-01T10:30, '10min ago' or -10min. The service may be down.",
        ),
    ] = None,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Say why a task runs where it runs, or what it waits for, when it should start and what would start it sooner.

    Examples:

        headway why train-k7q2m9x4ab/fit[3]

        headway why train-k7q2m9x4ab/fit[3] --at '10min ago'
    """
    from headway.cli import output as out

    if at is not None:
        from headway.api.replaying import why_in
        from headway.cli.moments import moment_of

        answer = why_in(settings_of(state_dir).state, task, moment_of(at, "--at"))
    else:
        with client_of(state_dir) as client:
            answer = client.why(task)
    if output is Output.table:
        print(answer["text"], flush=True)
    else:
        out.print_json(answer)


def logs(
    task: TaskId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the task is over.")] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", metavar="BYTES", min=0, help="Begin so many bytes before the end.")
    ] = None,
    state_dir: StateDir = None,
) -> None:
    """Print what a task printed, in all its attempts.

    Examples:

        headway logs train-k7q2m9x4ab/fit[3]

        headway logs train-k7q2m9x4ab/fit[3] -f
    """
    import sys

    from headway.cli import output as out

    printed = False
    with client_of(state_dir) as client:
        for piece in client.logs(task, follow=follow, tail=tail):
            printed = True
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    if not printed and tail != 0:
        out.say(f"{task} has printed nothing")


def wait(
    run: RunId,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", min=0, help="Give up after so long (exit 8)."),
    ] = None,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Wait for the end of a run and print its result. Ctrl-C only stops waiting.

    Examples:

        headway wait train-k7q2m9x4ab --timeout 600
    """
    from headway.cli import following

    with client_of(state_dir) as client:
        handle = client.get(run)
        following.show(handle.wait(timeout), output, client.read_blob)


def cancel(
    target: Annotated[
        str, typer.Argument(metavar="RUN|TASK", help="A run, or one task <run>/<name>.", show_default=False)
    ],
    reason: Annotated[str, typer.Option("--reason", help="Is kept with it.")] = "",
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Cancel a run or one task. What runs is asked to end, then made to.

    Examples:

        headway cancel train-k7q2m9x4ab --reason "wrong data"

        headway cancel train-k7q2m9x4ab/fit[3]
    """
    with client_of(state_dir) as client:
        _say_state(client.cancel(target, reason), output)


def retry(
    run: RunId,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end and print its result.")] = False,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Run again what failed, was cancelled or skipped; finished results are kept.

    Examples:

        headway retry train-k7q2m9x4ab --wait
    """
    from headway.cli import following

    with client_of(state_dir) as client:
        view = client.retry(run)
        if wait:
            following.show(following.follow(client.get(run)), output, client.read_blob)
        else:
            _say_state(view, output)


def _say_state(view: dict[str, Any], output: Output) -> None:
    from headway.cli import output as out

    if output is Output.table:
        print(f"{view['id']} {view['state']}", flush=True)
    else:
        out.print_json(view)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    commands: dict[str, tuple[Callable[..., None], ...]] = {
        "Look": (runs, tasks, nodes, why, logs),
        "Steer": (wait, cancel, retry),
    }
    for panel, group in commands.items():
        for command in group:
            app.command(rich_help_panel=panel)(command)
