"""`shell("sort {file} | uniq -c", file=path)`: a command line as a task."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headway.authoring import secrets
from headway.authoring.inplace import Missing, attempt
from headway.authoring.options import TASK_OPTIONS, TaskOptions, task_options
from headway.authoring.tracing import IN_PLACE, Trace, mode
from headway.domain.codec import nearest
from headway.domain.workflow import iterated_places, places_of
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
        self._check(arguments)
        here = mode.get()
        if isinstance(here, Trace):
            return here.shell(self.name, self.command, arguments, self.options, ShellResult)
        return self._here(arguments, ())

    def after(self, *results: Any) -> AfterShell:
        """The command, to be run once these results are there too, though it does not take them."""
        return AfterShell(self, results)

    def map(self, *iterables: Any, **constants: Any) -> Any:
        """One command for each item: `shell("gzip {file}", name="gzip").map(files)`.

        Args:
            iterables: Iterated together, like `zip`. They fill the places of the command that no keyword fills, in order.
            constants: The same for all.
        """
        return self._map(iterables, constants, ())

    def _map(self, iterables: Sequence[Any], constants: Mapping[str, Any], after: Sequence[Any]) -> Any:
        self._check(constants)
        free = iterated_places(self.command, constants)
        if not iterables or len(iterables) > len(free):
            there = ", ".join(f"{{{name}}}" for name in free) or "no place"
            raise Invalid(
                f"task {self.name!r}: .map() over {len(iterables)} lists, and its command has {there} for them",
                hint="write {file} in the command, and .map(files)",
            )
        here = mode.get()
        if isinstance(here, Trace):
            return here.map_shell(self.name, self.command, iterables, constants, self.options, ShellResult)
        gone = next((source for source in iterables if isinstance(source, Missing)), None)
        if gone is not None:
            return gone
        try:
            together = list(zip(*iterables, strict=True))
        except ValueError as error:
            raise Invalid(f"task {self.name!r}: .map() over lists of different length: {error}") from None
        rows = [dict(zip(free, items, strict=False)) for items in together]
        return [self._here({**row, **constants}, after) for row in rows]

    def _here(self, arguments: Mapping[str, Any], after: Sequence[Any]) -> Any:
        """One command, in this process."""
        if mode.get() == IN_PLACE:
            return attempt(self._run, (), arguments, self.options.rule, after)
        return self._run(**arguments)

    def _check(self, arguments: Mapping[str, Any]) -> None:
        places = places_of(self.command)
        for name in arguments:
            if name not in places:
                hint = (
                    nearest(name, [*places, *TASK_OPTIONS]) if places else "the command has no {name} to fill"
                )
                raise Invalid(f"task {self.name!r}: its command has no place {{{name}}}", hint=hint)

    def _run(self, **arguments: Any) -> ShellResult:
        variables = Variables()
        arguments = secrets.revealed(arguments, variables.know)
        return run_command(command_line(self.command, arguments, variables.hide), variables.environment)

    def __repr__(self) -> str:
        return f"<shell task {self.name}: {self.command}>"


class AfterShell:
    """A command that also waits for results which it does not take."""

    def __init__(self, task: ShellTask, results: Sequence[Any]) -> None:
        self._task, self._results = task, results

    def __call__(self, **arguments: Any) -> Any:
        here = mode.get()
        if isinstance(here, Trace):
            with here.behind(self._results, f"task {self._task.name!r}"):
                return self._task(**arguments)
        self._task._check(arguments)
        return self._task._here(arguments, self._results)

    def map(self, *iterables: Any, **constants: Any) -> Any:
        """As `ShellTask.map`; each item waits for these results."""
        here = mode.get()
        if isinstance(here, Trace):
            with here.behind(self._results, f"task {self._task.name!r}"):
                return self._task.map(*iterables, **constants)
        return self._task._map(iterables, constants, self._results)


def shell(command: str, /, **given: Any) -> Any:
    """A command line as a task.

    In a workflow, `shell("sort {file}", file=path, cpu=2)` is a task and gives a stand-in for its result.
    Outside, `count = shell("sort {file}", name="count")` makes a task that a workflow calls as
    `count(file=path)`, or `count.map(paths)`.

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
    made = ShellTask(command, name, task_options(f"task {name!r}", options, name))
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
