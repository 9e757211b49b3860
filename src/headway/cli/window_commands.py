"""`maintain`, `reserve`, `windows`: times at which nodes are not for everybody."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from headway.cli.options import Output, OutputAs, StateDir, client_of

From = Annotated[
    str,
    typer.Option(
        "--from", help="When it begins: 2026-11-25T02:00 (local, or with Z), or 2h for in two hours."
    ),
]
To = Annotated[str, typer.Option("--to", help="When it ends, written likewise; +90m is after its beginning.")]
Preempt = Annotated[
    bool, typer.Option("--preempt", help="At its beginning, ask what still runs there to checkpoint and end.")
]
Assume = Annotated[
    str, typer.Option("--assume", help="How long a task is taken to run of which nothing is known.")
]
Reason = Annotated[str, typer.Option("--reason", help="In words; `headway why` repeats it.")]


def maintain(
    nodes: Annotated[list[str], typer.Argument(metavar="NODE...", help="The nodes.", show_default=False)],
    begin: From = "0s",
    end: To = "+2h",
    preempt: Preempt = False,
    assume: Assume = "24h",
    reason: Reason = "",
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Keep nodes free for maintenance from a time to a time: nothing is placed there that would overrun its beginning.

    Examples:

        headway maintain gpu-1 gpu-2 --from 2026-11-25T02:00 --to +2h --reason "new drivers"
    """
    _set(
        "maintenance",
        begin,
        end,
        output,
        state_dir,
        nodes=nodes,
        preempt=preempt,
        assume=assume,
        reason=reason,
    )


def reserve(
    nodes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NODE...]", help="The nodes; or say --count.", show_default=False),
    ] = None,
    begin: From = "0s",
    end: To = "+2h",
    tenant: Annotated[str, typer.Option("--tenant", help="Whose it is.")] = "",
    run: Annotated[str, typer.Option("--run", help="Or the run whose it is.")] = "",
    count: Annotated[int, typer.Option("--count", min=0, help="Any so many nodes.")] = 0,
    cpu: Annotated[
        float, typer.Option("--cpu", min=0, help="With --count: cores that each has at least.")
    ] = 0,
    memory: Annotated[
        str, typer.Option("--memory", help="With --count: memory that each has at least.")
    ] = "0",
    gpu: Annotated[int, typer.Option("--gpu", min=0, help="With --count: GPUs that each has at least.")] = 0,
    preempt: Preempt = False,
    assume: Assume = "24h",
    reason: Reason = "",
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Reserve nodes for a tenant or a run from a time to a time: nobody else is placed there who would still run then.

    Examples:

        headway reserve gpu-1 --tenant vision --from 9h --to +4h

        headway reserve --count 2 --gpu 8 --run train-k7q2m9x4ab --from 2026-11-25T09:00 --to 2026-11-25T18:00
    """
    from headway.domain.units import parse_bytes, parse_milli
    from headway.errors import Invalid

    if bool(nodes) == bool(count):
        raise Invalid(
            "a reservation names nodes, or says how many", hint="headway reserve --count 2 --gpu 8 ..."
        )
    want = {"cpu": parse_milli(cpu, "cpu"), "memory": parse_bytes(memory), "gpu": gpu * 1000}
    _set(
        "reservation", begin, end, output, state_dir, nodes=nodes or [], tenant=tenant, run=run, count=count,
        want=want if count else None, preempt=preempt, assume=assume, reason=reason,
    )  # fmt: skip


def windows(
    end: Annotated[
        str, typer.Option("--end", metavar="ID", help="End this one now.", show_default=False)
    ] = "",
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """List maintenance windows and reservations that are not over, or end one.

    Examples:

        headway windows

        headway windows --end w-3fa9c1d2
    """
    with client_of(state_dir) as client:
        views = [client.clear_window(end)] if end else client.windows()
    _show(views, output)


def _set(
    kind: str, begin: str, end: str, output: Output, state_dir: Any, *, assume: str, **fields: Any
) -> None:
    import time

    from headway.domain.units import parse_time

    now = time.time_ns() // 1000
    start = moment(begin, now, "--from")
    stop = moment(end.removeprefix("+"), start, "--to") if end.startswith("+") else moment(end, now, "--to")
    body = {**fields, "assume": parse_time(assume, "--assume")}
    with client_of(state_dir) as client:
        view = client.set_window(kind, start=start, end=stop, **body)
    _show([view], output)


def moment(text: str, now: int, what: str) -> int:
    """A point in time in microseconds since 1970: a date and time, or a length of time from now on."""
    from datetime import datetime

    from headway.domain.units import parse_time
    from headway.errors import Invalid

    try:
        return int(datetime.fromisoformat(text).timestamp() * 1_000_000)
    except ValueError:
        pass
    try:
        return now + parse_time(text, what)
    except Invalid:
        raise Invalid(
            f"{what}={text!r} is no time",
            hint=f"write {what} 2026-11-25T02:00, or {what} 2h for in two hours",
        ) from None


def _show(views: list[dict[str, Any]], output: Output) -> None:
    from datetime import datetime

    from headway.cli import output as out

    for view in views:
        owner = f"tenant {view['tenant']}" if view["tenant"] else f"run {view['run']}" if view["run"] else ""
        named = ", ".join(view["nodes"][:4]) + (
            f" and {len(view['nodes']) - 4} more" if len(view["nodes"]) > 4 else ""
        )
        times = {
            name: datetime.fromtimestamp(view[name] / 1_000_000).astimezone().isoformat(" ", "minutes")
            for name in ("start", "end")
        }
        view["cells"] = {
            "id": view["id"], "kind": view["kind"], "nodes": named, **times, "owner": owner, "reason": view["reason"],
        }  # fmt: skip
    columns = {
        "id": "ID", "kind": "KIND", "nodes": "NODES", "start": "FROM", "end": "TO", "owner": "FOR", "reason": "REASON",
    }  # fmt: skip
    out.listing(views, columns, output, empty="no maintenance and no reservation")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Look")(windows)
    for command in (maintain, reserve):
        app.command(rich_help_panel="Steer")(command)
