"""`init`: a folder to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

#: Where each file of the template goes.
FILES = {
    "headway.toml": "headway.toml",
    "hello.py.in": "workflows/hello.py",
    "test_hello.py.in": "tests/test_hello.py",
    "pytest.ini.in": "pytest.ini",
    "README.md": "README.md",
    "gitignore": ".gitignore",
}


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder; it is made if it is missing.")],
) -> None:
    """Make a project: settings with comments, a workflow, its test, a README. Nothing is ever overwritten.

    Examples:

        headway init my-project
    """
    import json
    from importlib import resources

    from headway.cli.config_schema import schema

    template = resources.files("headway.cli").joinpath("template")
    content = {target: template.joinpath(name).read_text("utf-8") for name, target in FILES.items()}
    content["headway.schema.json"] = json.dumps(schema(), indent=2) + "\n"
    _refuse_to_overwrite(folder, list(content))
    _write(folder, content)
    for target in content:
        print(folder / target, flush=True)
    print(f"\nNext: cd {folder} && headway run workflows/hello.py", flush=True)


def _refuse_to_overwrite(folder: Path, targets: list[str]) -> None:
    from headway.errors import Conflict

    if folder.exists() and not folder.is_dir():
        raise Conflict(f"{folder} is not a folder", hint="name another")
    there = [target for target in targets if (folder / target).exists() or (folder / target).is_symlink()]
    if there:
        raise Conflict(
            f"{folder} has {', '.join(there)} already; nothing was written",
            hint="name another folder, or move them",
        )


def _write(folder: Path, content: dict[str, str]) -> None:
    from headway.errors import Unavailable

    try:
        for target, text in content.items():
            path = folder / target
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise Unavailable(
            f"{folder} cannot be written: {error.strerror or error}", hint="name another folder"
        ) from error


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Start")(init)
