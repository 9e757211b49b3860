"""`tenants`, `rates`, `pools`: who holds how much of what they may, and what is taken of what all share."""

from __future__ import annotations

from collections.abc import Mapping

import typer

from headway.cli.options import Output, OutputAs, StateDir, client_of


def tenants(output: OutputAs = Output.table, state_dir: StateDir = None) -> None:
    """List tenants: what they use, their quotas, what they borrow and lend, and how many of their tasks wait.

    Examples:

        headway tenants

        headway tenants -o json
    """
    from headway.cli import output as out

    with client_of(state_dir) as client:
        views = client.tenants()
    for view in views:
        view["cells"] = {
            "tenant": view["tenant"],
            "running": str(view["running"]),
            "waiting": str(view["waiting"]),
            "used": _amounts(view["used"]),
            "quota": _amounts(view.get("quota", {})),
            "borrowed": _amounts(view.get("borrowed", {})),
            "lent": _amounts(view.get("lent", {})),
            "cohort": view.get("cohort", ""),
        }
    columns = {
        "tenant": "TENANT",
        "running": "RUNNING",
        "waiting": "WAITING",
        "used": "USED",
        "quota": "QUOTA",
        "borrowed": "BORROWED",
        "lent": "LENT",
        "cohort": "COHORT",
    }
    out.listing(views, columns, output, empty="no tenant has a quota or a task here")


def rates(output: OutputAs = Output.table, state_dir: StateDir = None) -> None:
    """List rate-limited resources: how much there is in a time, and how much of it is taken now.

    Examples:

        headway rates

        headway rates -o jsonl
    """
    from headway.cli import output as out
    from headway.domain.units import show_milli, show_time

    with client_of(state_dir) as client:
        views = client.rates()
    for view in views:
        view["cells"] = {
            "rate": view["rate"],
            "tenant": view["tenant"] or "all",
            "amount": show_milli(view["amount"]),
            "per": show_time(view["per"]),
            "used": show_milli(view["used"]),
            "waiting": str(view["waiting"]),
        }
    columns = {
        "rate": "RATE",
        "tenant": "TENANT",
        "amount": "AMOUNT",
        "per": "PER",
        "used": "TAKEN",
        "waiting": "WAITING",
    }
    out.listing(views, columns, output, empty="no rates; write [rates.NAME] in headway.toml")


def pools(output: OutputAs = Output.table, state_dir: StateDir = None) -> None:
    """List pools: how many slots of something the whole cluster shares, how many are taken, and how many tasks wait.

    Examples:

        headway pools

        headway pools -o jsonl
    """
    from headway.cli import output as out
    from headway.domain.units import show_milli

    with client_of(state_dir) as client:
        views = client.pools()
    for view in views:
        view["cells"] = {
            "pool": view["pool"],
            "slots": show_milli(view["slots"]),
            "used": show_milli(view["used"]),
            "waiting": str(view["waiting"]),
        }
    columns = {"pool": "POOL", "slots": "SLOTS", "used": "TAKEN", "waiting": "WAITING"}
    out.listing(views, columns, output, empty="no pools; write [pools.NAME] in headway.toml")


def _amounts(named: Mapping[str, int]) -> str:
    from headway.domain.units import show_amount

    return ", ".join(f"{name} {show_amount(name, amount)}" for name, amount in named.items())


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (tenants, rates, pools):
        app.command(rich_help_panel="Look")(command)
