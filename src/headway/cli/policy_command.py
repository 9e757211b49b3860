"""`policy`: what is in force, and another one from now on."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from headway.cli.options import Output, OutputAs, StateDir, client_of

PANEL = "Steer"


class Action(StrEnum):
    """What to do."""

    show = "show"
    set = "set"


class Discipline(StrEnum):
    """What may overtake whom."""

    skip = "skip"
    strict = "strict"
    backfill = "backfill"
    easy = "easy"


def policy(
    action: Annotated[Action, typer.Argument(help="Look at it, or change it.")] = Action.show,
    order: Annotated[
        str | None,
        typer.Argument(metavar="ORDER", help='With set: e.g. "priority > srpt".', show_default=False),
    ] = None,
    discipline: Annotated[
        Discipline | None, typer.Option("--discipline", help="With set; else it stays as it is.")
    ] = None,
    placement: Annotated[
        str | None,
        typer.Option(
            "--placement", metavar="NAME", help="With set: which of the nodes with room; else it stays."
        ),
    ] = None,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Show the policy in force, with the plan under `joint`, or set another from now on. It is kept with your name.

    Examples:

        headway policy

        headway policy set "priority > srpt" --discipline backfill --placement spread

        headway policy set joint
    """
    from headway.cli import output as out
    from headway.errors import Invalid

    if (order is None) != (action is Action.show) or (action is Action.show and (discipline or placement)):
        raise Invalid(
            "headway policy shows, headway policy set ORDER sets",
            hint='e.g. headway policy set "priority > srpt"',
        )
    with client_of(state_dir) as client:
        if order is not None:
            stays = client.policy()["discipline"]
            client.set_policy(order, discipline.value if discipline else stays, placement or "")
        view = client.policy()
    if output is not Output.table:
        out.print_json(view)
        return
    plan = view["plan"]
    lines = {"order": view["order"], "discipline": view["discipline"], "placement": view["placement"]}
    if plan is not None:
        lines["plan"] = plan["text"]
    print(out.pairs(lines), flush=True)
    if plan is not None and plan["rows"]:
        print("\n" + out.table([_cells(row) for row in plan["rows"]], _COLUMNS), flush=True)


_COLUMNS = {"rank": "RANK", "task": "TASK", "state": "STATE", "node": "NODE", "starts": "PLANNED"}


def _cells(row: dict[str, Any]) -> dict[str, str]:
    from headway.cli import output as out

    return {
        "rank": str(row["rank"]),
        "task": row["task"],
        "state": row["state"],
        "node": row["node"],
        "starts": out.moment(row["start"]),
    }


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(rich_help_panel=PANEL)(policy)
