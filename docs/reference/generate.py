"""Writes the pages of the reference and the schema of `headway.toml` beside this file, from the program itself.

`--check` only says whether they are stale.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

import typer.main

from headway.authoring import document_schema as workflow_schema
from headway.cli import config_schema
from headway.cli.main import app
from headway.service.audit import Audit
from headway.service.http import make_app
from headway.service.tokens import Tokens
from headway.settings import KEYS, TABLES, Settings, to_json, variable

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/reference/generate.py; change the program and run it again. -->"


def cli() -> str:
    """Every command: what it does, its examples, its options."""
    group: Any = typer.main.get_command(app)
    parts = [NOTE, "# `headway`, command by command", "Exit codes: [exit-codes.md](exit-codes.md)."]
    for name, command in sorted(group.commands.items()):
        text, _, examples = (command.help or "").partition("Examples:")
        parts += [f"## `headway {name}`", " ".join(text.split())]
        lines = [line.strip() for line in examples.splitlines() if line.strip()]
        parts.append("```console\n" + "\n".join(f"$ {line}" for line in lines) + "\n```")
        rows = [
            _parameter(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)
        ]
        parts.append("| | |\n|---|---|\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _parameter(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if parameter.param_type_name == "argument":
        names = f"`{parameter.metavar or parameter.name.upper()}`"
    choices = getattr(getattr(parameter, "type_descriptor", None), "choices", None)
    values = f" One of: {', '.join(str(getattr(c, 'value', c)) for c in choices)}." if choices else ""
    return f"| {names} | {parameter.help}{values} |".replace("TASK|", "TASK\\|").replace("RUN|", "RUN\\|")


def http() -> str:
    """Every route with its parameters and answers, out of the OpenAPI document."""
    with tempfile.TemporaryDirectory() as folder:
        nothing = cast(Any, None)  # a document is made of the routes alone: no port is called
        state = Path(folder)
        made = make_app(
            nothing, nothing, nothing, Settings(state=state), Tokens(None, "x"), Audit(state / "audit")
        )
        document = made.api.openapi()
    parts = [NOTE, "# The HTTP API", document["info"]["description"].replace("\n", " ")]
    parts.append("The whole document: `GET /v1/openapi.json`.")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts += [f"## `{method.upper()} {path}`", f"{operation['summary']}. {_words(operation)}".strip()]
            parts += [table for table in (_parameters(operation), _answers(operation)) if table]
    return "\n\n".join(parts) + "\n"


def _words(operation: dict[str, Any]) -> str:
    return " ".join(operation.get("description", "").split())


def _parameters(operation: dict[str, Any]) -> str:
    rows = [
        f"| `{p['name']}` | {p['in']} | {p.get('description', '')} |" for p in operation.get("parameters", ())
    ]
    return "| parameter | in | |\n|---|---|---|\n" + "\n".join(rows) if rows else ""


def _answers(operation: dict[str, Any]) -> str:
    rows = [
        f"| {code} | {answer['description']} |" for code, answer in sorted(operation["responses"].items())
    ]
    return "| answer | |\n|---|---|\n" + "\n".join(rows)


def settings() -> str:
    """Every setting with its default and its environment variable."""
    defaults = to_json(Settings(state=Path("~/.local/state/headway")))
    rows = [f"| `{key}` | `{variable(key)}` | {_shown(defaults[key])} |" for key in KEYS]
    head = (
        "Later ones win: defaults, `~/.config/headway/headway.toml`, the nearest `headway.toml` in this "
        "folder or above, "
        "the environment, options of the command."
    )
    table = "| key | variable | default |\n|---|---|---|\n" + "\n".join(rows)
    tables = "Tables of named rows, each also in a cluster file of `headway simulate`: " + ", ".join(
        f"`[{name}.NAME]`" if name != "topology" else "`[topology]`" for name in TABLES
    )
    return "\n\n".join([NOTE, "# Settings", head, table, tables + "."]) + "\n"


def _shown(value: Any) -> str:
    return "what the machine has" if value is None else f"`{value}`" if value != "" else "none"


def schema() -> str:
    """The JSON Schema of `headway.toml`, for editors."""
    return json.dumps(config_schema.schema(), indent=2) + "\n"


def document_schema() -> str:
    """The JSON Schema of a workflow document, for editors."""
    return json.dumps(workflow_schema.schema(), indent=2) + "\n"


PAGES = {
    "headway.schema.json": schema,
    "workflow.schema.json": document_schema,
    "cli.md": cli,
    "http.md": http,
    "settings.md": settings,
}


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` name those that are stale."""
    stale = []
    for name, make in PAGES.items():
        text, path = make(), HERE / name
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if "--check" not in arguments:
                path.write_text(text)
    if stale:
        print(("stale: " if "--check" in arguments else "written: ") + ", ".join(stale))
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
