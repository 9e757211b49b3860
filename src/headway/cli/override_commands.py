"""`override`, `overrides`, `agents`: what people and agents lay over the algorithm's decisions."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from headway.cli.options import Output, OutputAs, StateDir, client_of


class Kind(StrEnum):
    """What an override does."""

    boost = "boost"
    hold = "hold"
    pin = "pin"


def override(
    kind: Annotated[
        Kind,
        typer.Argument(
            help="boost: before all others; hold: not at all; pin: only on --node.", show_default=False
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(metavar="TASK|RUN", help="A task, or a run for all its tasks.", show_default=False),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why, in words; it is kept.", show_default=False)],
    length: Annotated[str, typer.Option("--for", help="It ends by itself after so long.")] = "1h",
    amount: Annotated[int, typer.Option("--amount", min=1, help="Of a boost: how far.")] = 1,
    node: Annotated[str, typer.Option("--node", help="Of a pin: where.")] = "",
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Overrule the algorithm for a task or a run: on the record, with an end and an undo.

    Examples:

        headway override boost train-k7q2m9x4ab --reason "the demo is at three" --for 30min

        headway override pin train-k7q2m9x4ab/fit --node gpu-2 --reason "its cache is there"
    """
    from headway.domain.units import parse_time

    with client_of(state_dir) as client:
        view = client.override(
            kind.value, target, reason=reason, ttl=parse_time(length, "--for"), amount=amount, node=node
        )
    _show([view], output)


def overrides(
    revert: Annotated[
        str, typer.Option("--revert", metavar="ID", help="End this one now.", show_default=False)
    ] = "",
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """List overrides in force, with who laid them on, why and until when; or end one.

    Examples:

        headway overrides

        headway overrides --revert o-3fa9c1d2
    """
    from headway.cli import output as out

    with client_of(state_dir) as client:
        if revert:
            client.revert(revert)
            out.say(f"{revert} has ended")
            return
        _show(client.overrides(), output)


def agents(output: OutputAs = Output.table, state_dir: StateDir = None) -> None:
    """List agents: what each may do, when it was last heard, and what became of its latest proposals.

    `headway config set agents.scheduler observe` lets the scheduler's agent propose from the next start on, `act` lets it do what the
    guard lets through.

    Examples:

        headway agents

        headway agents -o json
    """
    from headway.cli import output as out

    with client_of(state_dir) as client:
        found = client.agents()
    for view in found:
        counts = view["counts"]
        view["cells"] = {
            "name": view["name"], "autonomy": view["autonomy"],
            "heard": out.moment(view["heard"]) if view["heard"] else "never",
            **{name: str(counts.get(name, 0)) for name in ("applied", "observed", "refused")},
        }  # fmt: skip
    columns = {
        "name": "AGENT", "autonomy": "AUTONOMY", "heard": "HEARD", "applied": "APPLIED", "observed": "OBSERVED",
        "refused": "REFUSED",
    }  # fmt: skip
    out.listing(found, columns, output, empty="no agents")
    latest = [verdict for view in found for verdict in view["latest"]][:10]
    if output is Output.table and latest:
        print("\n" + out.table([_verdict(one) for one in latest], _VERDICT), flush=True)


_VERDICT = {
    "at": "AT",
    "outcome": "OUTCOME",
    "kind": "KIND",
    "target": "TARGET",
    "reason": "REASON",
    "why": "WHY NOT",
}


def _verdict(one: dict[str, Any]) -> dict[str, str]:
    from headway.cli import output as out

    asked = one["proposal"]
    return {
        "at": out.moment(one["at"]), "outcome": one["outcome"], "kind": asked["kind"], "target": asked["target"],
        "reason": asked["reason"][:80], "why": one["why"],
    }  # fmt: skip


def _show(views: list[dict[str, Any]], output: Output) -> None:
    from headway.cli import output as out

    for view in views:
        what = {"boost": f"boost {view['amount']}", "pin": f"pin to {view['node']}"}
        view["cells"] = {
            "id": view["id"], "what": what.get(view["kind"], view["kind"]), "target": view["target"],
            "by": view["by"], "until": out.moment(view["expires"]), "reason": view["reason"],
        }  # fmt: skip
    columns = {
        "id": "ID", "what": "WHAT", "target": "TARGET", "by": "BY", "until": "UNTIL", "reason": "REASON",
    }  # fmt: skip
    out.listing(views, columns, output, empty="no override is in force")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Steer")(override)
    for command in (overrides, agents):
        app.command(rich_help_panel="Look")(command)
