"""Secrets by reference: `secret("db-password")` is a name, and only the process that runs the task turns it into the value.

What travels, is journalled and is shown is the name. Unpickling it gives the value where a task is about to run, and the name again
everywhere else, at any depth of an argument.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from headway.errors import HeadwayError, Invalid

if TYPE_CHECKING:
    from headway.settings import Settings

#: Of the environment variable that holds a value: `db-password` -> `HEADWAY_SECRET_DB_PASSWORD`.
PREFIX = "HEADWAY_SECRET_"
#: Characters. A shorter value is hidden by masking it no more than by leaving it out: it stands in every second word.
SHORTEST = 6
LONGEST = 64 * 1024
#: Seconds that the command has.
_COMMAND_WITHIN = 20.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")


class NoSecret(HeadwayError):
    """A secret that cannot be had here, or cannot be one."""

    code = "no_secret"


class Secret:
    """A name for which the task gets a text.

    Attributes:
        name: Under which it is looked for.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not _NAME.match(name):
            raise Invalid(
                f"secret({name!r}) is not a name",
                hint="letters, digits, '-', '_' and '.', at most 100 of them",
            )
        self.name = name

    def __repr__(self) -> str:
        return f"secret({self.name!r})"

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.name == self.name

    def __hash__(self) -> int:
        return hash((Secret, self.name))

    def __reduce__(self) -> Any:
        return revive, (self.name,)

    def _use(self, *_: object) -> NoReturn:
        raise Invalid(
            f"{self!r} is used as text, but its value is known only to the task it is given to",
            hint="pass it to a task as an argument of its own, and make the text there",
        )

    __format__ = __add__ = __radd__ = __mod__ = __getitem__ = __iter__ = __len__ = _use


def secret(name: str) -> Any:
    """A secret as an argument of a task: the task gets its value, a text; nothing else ever does.

    Args:
        name: As in the environment variable `HEADWAY_SECRET_<NAME>`, or as a file in the folder of secrets.

    Raises:
        Invalid: That is not a name.
    """
    return Secret(name)


#: What turns a name into a value in this process; a worker sets it while it runs tasks.
resolver: Callable[[str], str] | None = None


def revive(name: str) -> Any:
    """Called by unpickling."""
    return Secret(name) if resolver is None else resolver(name)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where values are looked for, in this order: the environment, the folder, the command.

    Attributes:
        environment: Holds `HEADWAY_SECRET_<NAME>`.
        folder: Holds a file for each, of mode 0600 in a folder of mode 0700.
        command: Prints the value; `{name}` stands for the name. Empty for none.
    """

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path | None = None
    command: str = ""

    def find(self, name: str) -> str:
        """The value.

        Raises:
            NoSecret: It is nowhere, or its file is open to others, or it is too short, too long or no text.
        """
        variable = PREFIX + re.sub(r"[^A-Za-z0-9]", "_", name).upper()
        if variable in self.environment:
            return _checked(name, self.environment[variable], f"the variable {variable}")
        if self.folder is not None and (text := _from_file(name, self.folder)) is not None:
            return _checked(name, text, f"the file {self.folder / name}")
        if self.command:
            return _checked(name, _from_command(name, self.command), f"the command `{self.command}`")
        places = [f"set {variable} where the executor is started"]
        if self.folder is not None:
            places.append(f"or write it to {self.folder / name} (the folder 0700, the file 0600)")
        raise NoSecret(f"there is no secret {name!r} on this node", hint=", ".join(places), secret=name)


#: Of an executor that was told of none.
NOWHERE = Sources()


def _from_file(name: str, folder: Path) -> str | None:
    path = folder / name
    try:
        inside = os.stat(folder)
        with path.open("rb") as file:
            own = os.fstat(file.fileno())
            for mode, what, right in ((inside.st_mode, folder, "700"), (own.st_mode, path, "600")):
                if mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise NoSecret(
                        f"the secret {name!r} is not taken: {what} is open to others",
                        hint=f"chmod {right} {what}, and change the secret if somebody may have read it",
                    )
            data = file.read(LONGEST + 2)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise NoSecret(f"the secret {name!r} cannot be read from {path}: {error.strerror}") from None
    return _text(name, data)


def _from_command(name: str, command: str) -> str:
    import shlex
    import subprocess

    words = [word.replace("{name}", name) for word in shlex.split(command)]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMMAND_WITHIN, check=False
        )
    except subprocess.TimeoutExpired:
        raise NoSecret(
            f"`{command}` has not said the secret {name!r} after {_COMMAND_WITHIN:.0f} s"
        ) from None
    except OSError as error:
        raise NoSecret(f"`{command}` cannot be run for the secret {name!r}: {error.strerror}") from None
    if done.returncode:  # what it printed may hold parts of secrets: its exit code must do
        raise NoSecret(
            f"`{command}` ended with exit code {done.returncode} for the secret {name!r}",
            hint="run it by hand on the executor's account",
        )
    return _text(name, done.stdout)


def _text(name: str, data: bytes) -> str:
    """One line end at the end is the editor's or the command's, not the secret's."""
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise NoSecret(f"the secret {name!r} is not text in UTF-8", hint="store it as base64") from None


def _checked(name: str, value: str, source: str) -> str:
    if len(value) < SHORTEST:
        raise NoSecret(
            f"the secret {name!r} in {source} has {len(value)} characters, and at least {SHORTEST} are needed",
            hint="so short a text stands by chance in much of what is printed: it could not be masked, and can be guessed",
        )
    if len(value) > LONGEST or "\0" in value:
        raise NoSecret(f"the secret {name!r} in {source} is longer than {LONGEST} characters, or holds a NUL")
    return value


def holds_secret(value: Any, depth: int = 50) -> bool:
    """Whether a secret is inside, looking into lists, tuples and dicts only."""
    if isinstance(value, Secret):
        return True
    kind = type(value)
    if not depth or kind not in (list, tuple, dict):
        return False
    return any(holds_secret(item, depth - 1) for item in (value.values() if kind is dict else value))


def revealed(value: Any, tell: Callable[[str], None] = lambda _: None) -> Any:
    """The same with values in place of secrets, as a plain call needs it; the same object if there is none inside.

    Args:
        tell: Is told each value.

    Raises:
        NoSecret: One is not to be had by this account's settings.
    """
    if not holds_secret(value):
        return value
    from headway.settings import load

    return _revealed(value, sources_of(load()), tell)


def _revealed(value: Any, sources: Sources, tell: Callable[[str], None]) -> Any:
    if isinstance(value, Secret):
        text = sources.find(value.name)
        tell(text)
        return text
    if type(value) is dict:
        return {key: _revealed(item, sources, tell) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_revealed(item, sources, tell) for item in value)
    return value


def sources_of(settings: Settings) -> Sources:
    """Where this account keeps secrets; by default `secrets` beside its `headway.toml`."""
    from headway.settings import user_file

    folder = settings.secrets.folder or user_file(os.environ).parent / "secrets"
    return Sources(os.environ, folder, settings.secrets.command)
