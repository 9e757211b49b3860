"""The program `headway`: all commands, and the one place where an error becomes words and an exit code.

Commands import what they need when they run: `headway --help` loads no pydantic, NumPy, FastAPI or HTTP
client.
"""

from __future__ import annotations

import inspect
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import typer

from headway.cli import (
    backup_command,
    config_command,
    demo,
    import_command,
    init_command,
    listing_commands,
    override_commands,
    plan_command,
    policy_command,
    retention_command,
    run_commands,
    schedule_commands,
    service_commands,
    simulate_command,
    steering_commands,
    tenant_commands,
    token_commands,
    window_commands,
)
from headway.errors import HeadwayError

USAGE, INTERNAL, INTERRUPTED, BROKEN_PIPE = 2, 70, 130, 141

app = typer.Typer(
    name="headway",
    help="Runs workflows of AI work on scarce CPUs, GPUs and other accelerators.",
    epilog="Exit codes: docs/reference/exit-codes.md. NO_COLOR is honoured.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version_option(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def root(
    _version: bool = typer.Option(
        False, "--version", callback=_version_option, is_eager=True, help="Print the version and end."
    ),
) -> None:
    """Runs workflows of AI work on scarce CPUs, GPUs and other accelerators.

    Start with `headway run FILE`; `headway up` starts a service that keeps what it was given through
    anything.
    """


demo.register(app)
run_commands.register(app)
schedule_commands.register(app)
service_commands.register(app)
listing_commands.register(app)
override_commands.register(app)
policy_command.register(app)
simulate_command.register(app)
plan_command.register(app)
steering_commands.register(app)
tenant_commands.register(app)
token_commands.register(app)
backup_command.register(app)
retention_command.register(app)
config_command.register(app)
import_command.register(app)
init_command.register(app)
window_commands.register(app)


@app.command(rich_help_panel="Service")
def version() -> None:
    """Print the version.

    Examples:

        headway version
    """
    from headway import __version__

    print(f"headway {__version__}", flush=True)


def _flowing(text: str) -> str:
    """A docstring for a terminal of any width: lines of one paragraph are one line, examples stay as they are."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(part if part.startswith(" ") else " ".join(part.split("\n")) for part in paragraphs)


for _command in app.registered_commands:
    assert _command.callback is not None
    _command.help = _flowing(_command.callback.__doc__ or "")


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: runs a command and exits with its code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run a command; returns its exit code. Nothing is ever shown as a bare traceback."""
    try:
        code = app(list(arguments), prog_name="headway", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except HeadwayError as error:
        _say_error(error.message, error.hint)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`head`, `less`) has gone. Python flushes once more at its exit: into nothing, then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except BaseException as error:
        return _other(error)


def _other(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else (0 if error.code is None else 1)
    if hasattr(error, "format_message") and hasattr(
        error, "show"
    ):  # the option parser's own, wherever it lives
        error.show()
        return USAGE
    if type(error).__name__ == "CancelledError":  # a second Ctrl-C inside an event loop
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    where = _write_details(error)
    _say_error(
        f"something unexpected happened: {type(error).__name__}: {error}",
        f"the details are in {where}; please report them" if where else "set HEADWAY_DEBUG=1 to see where",
    )
    if os.environ.get("HEADWAY_DEBUG"):
        traceback.print_exception(error)
    return INTERNAL


def _say_error(message: str, hint: str | None) -> None:
    from headway.cli.output import coloured

    label = "\x1b[31mError:\x1b[0m" if coloured(sys.stderr) else "Error:"
    print(
        f"{label} {message}",
        *([f"  {line}" for line in hint.splitlines()] if hint else []),
        sep="\n",
        file=sys.stderr,
        flush=True,
    )


def _write_details(error: BaseException) -> Path | None:
    try:
        fd, name = tempfile.mkstemp(prefix="headway-error-", suffix=".txt")
        with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
            file.write(f"headway {' '.join(sys.argv[1:])}\nPython {sys.version}\n\n")
            traceback.print_exception(error, file=file)
        return Path(name)
    except OSError:
        return None


if __name__ == "__main__":
    main()
