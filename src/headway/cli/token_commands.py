"""`tokens`, `audit`: who may call the service, and what they did."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from headway.cli.options import Output, OutputAs, StateDir, client_of


class RoleName(StrEnum):
    """What a token is for; each may do what the one before it may."""

    viewer = "viewer"
    submitter = "submitter"
    operator = "operator"
    admin = "admin"


class Outcome(StrEnum):
    """What came of an act."""

    done = "done"
    denied = "denied"
    refused = "refused"
    failed = "failed"


def tokens(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[create NAME | revoke NAME | rotate NAME | whoami]",
            help="What to do; lists who holds one by default.",
        ),
    ] = None,
    role: Annotated[
        RoleName | None, typer.Option("--role", help="With create: what it is for.", show_default=False)
    ] = None,
    tenant: Annotated[
        list[str] | None,
        typer.Option(
            "--tenant", help="With create: the tenant it is confined to; may be repeated.", show_default=False
        ),
    ] = None,
    expires: Annotated[
        str,
        typer.Option("--expires", help="With create: how long it is good, such as 30d.", show_default=False),
    ] = "",
    keep: Annotated[
        str, typer.Option("--keep", help="With rotate: how long the present one stays good.")
    ] = "0s",
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Give, list, replace and take back tokens; a token is printed once, and only its hash is kept.

    A viewer reads; a submitter submits and steers runs; an operator steers the system; an admin gives tokens and reads the audit.

    Examples:

        headway tokens

        headway tokens create vision-ci --role submitter --tenant vision --expires 30d

        headway tokens rotate vision-ci --keep 1h

        headway tokens revoke vision-ci
    """
    from headway.errors import Invalid

    given = list(words or ())
    _refuse_stray(given, {"--role": role, "--tenant": tenant, "--expires": expires}, "create")
    _refuse_stray(given, {"--keep": keep if keep != "0s" else ""}, "rotate")
    match given:
        case []:
            with client_of(state_dir) as client:
                _show(client.tokens(), output)
        case ["create", name]:
            _create(name, role, tenant or [], expires, output, state_dir)
        case ["rotate", name]:
            with client_of(state_dir) as client:
                _tell(client.rotate_token(name, keep=_span(keep, "--keep")), output)
        case ["revoke", name]:
            with client_of(state_dir) as client:
                _show([client.revoke_token(name)], output)
        case ["whoami"]:
            with client_of(state_dir) as client:
                _say_who(client.whoami(), output)
        case other:
            raise Invalid(
                f"`headway tokens {' '.join(other)}` is no question and no change",
                hint="headway tokens, or headway tokens create|revoke|rotate NAME, or headway tokens whoami",
            )


def _refuse_stray(words: list[str], options: dict[str, Any], command: str) -> None:
    """An option that would do nothing is refused: somebody meant something by it."""
    from headway.errors import Invalid

    for option, value in options.items():
        if value and words[:1] != [command]:
            raise Invalid(f"{option} goes with `headway tokens {command} NAME`")


def _create(
    name: str, role: RoleName | None, tenants: list[str], expires: str, output: Output, state_dir: Any
) -> None:
    from headway.errors import Invalid

    if role is None:
        raise Invalid(
            "a token needs a role", hint=f"headway tokens create {name} --role {'|'.join(RoleName)}"
        )
    lasts = _span(expires, "--expires") if expires else None
    with client_of(state_dir) as client:
        _tell(client.create_token(name, role.value, tenants=tenants, lasts=lasts), output)


def _span(text: str, what: str) -> int:
    """A length of time in microseconds."""
    from headway.domain.units import parse_time

    return parse_time(text, what)


def _tell(view: dict[str, Any], output: Output) -> None:
    """The token alone on the output, so that it can go into a file; all about it beside."""
    from headway.cli import output as out

    if output is not Output.table:
        out.print_json(view)
        return
    ends = f", until {_date(view['expires'])}" if view["expires"] else ""
    out.say(f"{view['name']} is {_what(view)}{ends}. This is shown once; `HEADWAY_TOKEN` takes it:")
    print(view["token"], flush=True)


def _say_who(view: dict[str, Any], output: Output) -> None:
    from headway.cli import output as out

    if output is Output.table:
        print(f"{view['name']}: {_what(view)}", flush=True)
    else:
        out.print_json(view)


def _what(view: dict[str, Any]) -> str:
    article = "an" if view["role"][0] in "aeiou" else "a"
    of = f" of {', '.join(view['tenants'])}" if view["tenants"] else ""
    return f"{article} {view['role']}{of}"


def _show(views: list[dict[str, Any]], output: Output) -> None:
    from headway.cli import output as out

    for view in views:
        by = f" by {view['revoked_by']}" if view["revoked_by"] else ""
        view["cells"] = {
            "name": view["name"],
            "role": view["role"],
            "tenants": ", ".join(view["tenants"]) or "all",
            "state": view["state"] + by,
            "made": _date(view["made"]),
            "by": view["by"],
            "expires": _date(view["expires"]) or "never",
            "used": _date(view["used"]),
        }
    columns = {
        "name": "NAME", "role": "ROLE", "tenants": "TENANTS", "state": "STATE", "made": "GIVEN", "by": "BY",
        "expires": "EXPIRES", "used": "LAST USED",
    }  # fmt: skip
    out.listing(views, columns, output, empty="no tokens")


def _date(micros: int | None) -> str:
    from datetime import datetime

    if not micros:
        return ""
    return datetime.fromtimestamp(micros / 1_000_000).strftime("%Y-%m-%d %H:%M")


def audit(
    principal: Annotated[str, typer.Option("--by", metavar="NAME", help="Only what this one did.")] = "",
    act: Annotated[str, typer.Option("--act", help="Only acts with this in them, such as cancel.")] = "",
    object: Annotated[str, typer.Option("--object", help="Only on this: a run, a task, a node.")] = "",
    outcome: Annotated[
        Outcome | None, typer.Option("--outcome", help="Only those with it.", show_default=False)
    ] = None,
    since: Annotated[
        str, typer.Option("--since", help="Not before: 2026-11-25T02:00 or '2h ago'.", show_default=False)
    ] = "",
    until: Annotated[
        str, typer.Option("--until", help="Only before, written likewise.", show_default=False)
    ] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")] = 100,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """List who changed what, newest first, with what came of it; an administrator's to read.

    Examples:

        headway audit --since '1h ago'

        headway audit --by vision-ci --act cancel

        headway audit --outcome denied -o jsonl
    """
    from headway.cli import output as out
    from headway.cli.moments import moment_of

    with client_of(state_dir) as client:
        views = client.audit(
            principal=principal,
            act=act,
            object=object,
            outcome=outcome.value if outcome else "",
            since=moment_of(since, "--since") if since else 0,
            until=moment_of(until, "--until") if until else 0,
            limit=limit,
        )
    for view in views:
        view["cells"] = {
            **{name: str(view[name]) for name in ("n", "principal", "act", "object", "request")},
            "at": out.moment(view["at"]),
            "outcome": " ".join(
                str(part) for part in (view["outcome"], view["status"], view.get("why")) if part
            ),
        }
    columns = {
        "n": "N", "at": "AT", "principal": "BY", "act": "ACT", "object": "ON", "outcome": "OUTCOME", "request": "REQUEST",
    }  # fmt: skip
    out.listing(views, columns, output, empty="nobody has changed anything")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Service")(tokens)
    app.command(rich_help_panel="Service")(audit)
