"""`config`: what is set, where it comes from, and changing it."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headway.cli.options import Output, OutputAs, StateDir

if TYPE_CHECKING:
    from headway.settings import Origin

_LOGIN = re.compile(r"://[^/@]*@")


class Which(StrEnum):
    """Which file is changed."""

    project = "project"
    user = "user"


def config(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY | set KEY VALUE | unset KEY]", help="A key to show, or a change; all by default."
        ),
    ] = None,
    origin: Annotated[
        bool, typer.Option("--origin", help="Also say where each value comes from and what it overrides.")
    ] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of headway.toml.")] = False,
    file: Annotated[
        Which, typer.Option("--file", help="The file to change: the project's or the user's.")
    ] = Which.project,
    output: OutputAs = Output.table,
    state_dir: StateDir = None,
) -> None:
    """Show the settings, where they come from, or change one in headway.toml.

    A flag beats the environment, that the project's file, that the user's, that the default. A change keeps the comments of the file; a
    service takes it at its next start.

    Examples:

        headway config --origin

        headway config set node.cpus 8

        headway config unset node.cpus --file user
    """
    if schema:
        import json

        from headway.cli.config_schema import schema as made

        print(json.dumps(made(), indent=2), flush=True)
        return
    match list(words or ()):
        case []:
            _show(None, origin, output, state_dir)
        case ["set", key, value]:
            _change(file, key, value)
        case ["unset", key]:
            _change(file, key, None)
        case [key] if key not in ("set", "unset"):
            _show(key, origin, output, state_dir)
        case other:
            from headway.errors import Invalid

            raise Invalid(
                f"`headway config {' '.join(other)}` is no question and no change",
                hint="headway config [KEY], headway config set KEY VALUE, or headway config unset KEY",
            )


def _show(key: str | None, origin: bool, output: Output, state_dir: Path | None) -> None:
    from headway.cli import output as out
    from headway.cli.config_schema import shown
    from headway.settings import origins, unknown

    def value_of(name: str, one: Origin) -> Any:
        return _plain(shown(name, one.value) if one.source == "default" else one.value)

    found = origins({"state": state_dir})
    names = [name for name in found if key is None or name == key or name.startswith(f"{key}.")]
    if key is not None and not names:
        raise unknown(key)
    rows: list[dict[str, Any]] = []
    for name in names:
        first, *others = found[name]
        row = {"key": name, "value": value_of(name, first), "origin": _place(first)}
        row["overrides"] = [{"origin": _place(one), "value": value_of(name, one)} for one in others]
        row["cells"] = {
            "key": name,
            "value": _text(row["value"]),
            "origin": row["origin"],
            "overrides": "; ".join(f"{_text(one['value'])} ({one['origin']})" for one in row["overrides"]),
        }
        rows.append(row)
    columns = {"key": "KEY", "value": "VALUE"} | (
        {"origin": "FROM", "overrides": "OVERRIDES"} if origin else {}
    )
    out.listing(rows, columns, output, empty="nothing is set")


def _place(origin: Origin) -> str:
    return f"{origin.source}:{origin.line}" if origin.line else origin.source


def _plain(value: Any) -> Any:
    """As JSON, with no password in it."""
    if isinstance(value, Path):
        return str(value)
    return _LOGIN.sub("://***@", value) if isinstance(value, str) else value


def _text(value: Any) -> str:
    from json import dumps

    if value is None:
        return "what there is"
    return value if isinstance(value, str) else dumps(value, ensure_ascii=False)


def _change(file: Which, key: str, value: str | None) -> None:
    import os

    from headway.cli import config_file
    from headway.settings import FILE_NAME, project_file, user_file

    path = user_file(os.environ) if file is Which.user else project_file(Path.cwd()) or Path.cwd() / FILE_NAME
    typed = config_file.literal(key, value) if value is not None else ""
    text = config_file.read(path)
    config_file.write(
        path, config_file.put(text, key, typed) if value is not None else config_file.drop(text, key)
    )
    print(
        f"{path}: {key} = {typed}" if value is not None else f"{path}: {key} is not set any more", flush=True
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Service")(config)
