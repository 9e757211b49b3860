"""`shell("sort {file} | uniq -c", file=path)`: a command line as a task."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headway.authoring import secrets
from headway.authoring.inplace import attempt
from headway.authoring.options import TASK_OPTIONS, TaskOptions, task_options
from headway.authoring.tracing import IN_PLACE, Trace, mode
from headway.domain.codec import nearest
from headway.errors import HeadwayError, Invalid

_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z_0-9]*)\}")


@dataclass(frozen=True, slots=True)
class ShellResult:
    """What a command left behind.

    Attributes:
        returncode: 0; anything else fails the task.
        stdout: What it wrote to its standard output: all of it if that is short, else its end.
        truncated: Whether the beginning of `stdout` was dropped; the log has it.
    """

    returncode: int
    stdout: str = ""
    truncated: bool = False

    def __str__(self) -> str:
        return self.stdout


class CommandFailed(HeadwayError):
    """A command ended with an exit code other than 0, or by a signal."""

    code = "command_failed"


def command_line(
    template: str, arguments: Mapping[str, Any], hide: Callable[[str], str] = lambda _: ""
) -> str:
    """The template with each `{name}` of a known argument replaced, quoted; a list becomes several words.

    Other braces (`${HOME}`, awk programs) stay as they are.

    Args:
        hide: The variable that holds this text in the command's environment, if it is a secret: every user of the machine can read
            a command line.
    """

    def word(value: Any) -> str:
        variable = hide(value) if type(value) is str else ""
        return f'"${variable}"' if variable else shlex.quote(str(value))

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        if name not in arguments:
            return match[0]
        value = arguments[name]
        if isinstance(value, list | tuple):
            return " ".join(map(word, value))
        return word(value)

    return _PLACE.sub(fill, template)


class ShellTask:
    """A command that a workflow runs as a task: call it with its arguments.

    Attributes:
        command: The template.
        name: What its tasks are called.
    """

    def __init__(self, command: str, name: str, options: TaskOptions) -> None:
        self.command, self.name, self.options = command, name, options

    def __call__(self, **arguments: Any) -> Any:
        """In a workflow: a stand-in for the `ShellResult`; elsewhere the command runs at once."""
        places = list(dict.fromkeys(_PLACE.findall(self.command)))
        for name in arguments:
            if name not in places:
                hint = (
                    nearest(name, [*places, *TASK_OPTIONS]) if places else "the command has no {name} to fill"
                )
                raise Invalid(f"task {self.name!r}: its command has no place {{{name}}}", hint=hint)
        here = mode.get()
        if isinstance(here, Trace):
            return here.shell(self.name, self.command, arguments, self.options, ShellResult)
        if here == IN_PLACE:
            return attempt(self._run, (), arguments, self.options.rule, ())
        return self._run(**arguments)

    def _run(self, **arguments: Any) -> ShellResult:
        variables = Variables()
        arguments = secrets.revealed(arguments, variables.know)
        return run_command(command_line(self.command, arguments, variables.hide), variables.environment)

    def __repr__(self) -> str:
        return f"<shell task {self.name}: {self.command}>"


def shell(command: str, /, **given: Any) -> Any:
    """A command line as a task.

    In a workflow, `shell("sort {file}", file=path, cpu=2)` is a task and gives a stand-in for its result.
    Outside, `count = shell("sort {file}", name="count")` makes a task that a workflow calls as
    `count(file=path)`.

    Args:
        command: For the shell, with `{name}` for each argument; arguments are quoted, a list becomes several
            words.
        given: Arguments of the command and options as of `@task`.

    Returns:
        (A stand-in for) a `ShellResult`, or a `ShellTask`.

    Raises:
        Invalid: An argument or an option that does not exist.
    """
    if not isinstance(command, str) or not command.strip():
        raise Invalid(f"shell({command!r}) is not a command", hint='write shell("sort {file}", file=path)')
    places = _PLACE.findall(command)
    # A place in the command takes precedence: {name} and {memory} are arguments if the command has them.
    options = {key: value for key, value in given.items() if key in TASK_OPTIONS and key not in places}
    arguments = {key: value for key, value in given.items() if key not in options}
    name = options.pop("name", None) or _name_of(command)
    made = ShellTask(command, name, task_options(f"task {name!r}", options))
    here = mode.get()
    return made(**arguments) if arguments or isinstance(here, Trace) or here == IN_PLACE else made


def _name_of(command: str) -> str:
    """The program's name: `sort` of `LC_ALL=C /usr/bin/sort {file}`."""
    for word in command.split():
        if "=" not in word:
            return re.sub(r"\W", "", word.rpartition("/")[2]) or "shell"
    return "shell"


class Variables:
    """Secrets as variables of a command's environment.

    Attributes:
        environment: What the command has besides ours.
    """

    def __init__(self, is_secret: Callable[[str], Any] | None = None) -> None:
        self.environment: dict[str, str] = {}
        self._known: set[str] = set()
        self._is_secret = is_secret or self._known.__contains__

    def know(self, value: str) -> None:
        """This text is a secret."""
        self._known.add(value)

    def hide(self, text: str) -> str:
        """The variable of a text that is a secret; empty for any other."""
        if not self._is_secret(text):
            return ""
        known = {value: name for name, value in self.environment.items()}
        name = known.get(text, f"{secrets.PREFIX}{len(known) + 1}")
        self.environment[name] = text
        return name


def run_command(command: str, environment: Mapping[str, str]) -> ShellResult:
    """Run a command here, as a plain call of a workflow does; its standard error goes where ours goes.

    Args:
        command: For the shell.
        environment: What it has besides ours.

    Raises:
        CommandFailed: It did not end with 0.
    """
    done = subprocess.run(
        ["/bin/sh", "-c", command], stdout=subprocess.PIPE, check=False, env={**os.environ, **environment}
    )
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        raise CommandFailed(
            f"the command `{command[:200]}` ended with exit code {done.returncode}",
            returncode=done.returncode,
            stdout=text,
        )
    return ShellResult(0, text)
