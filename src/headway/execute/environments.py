"""Virtual environments of tasks: made once per content in the state folder, by the executor, never by the service.

    <state>/venvs/<sha>/            python -m venv, then pip install of the requirements
    <state>/venvs/<sha>/.made       written last: without it the folder is begun anew
    <state>/venvs/<sha>.lock        held while it is made, as several executors may share a state folder

The name is the SHA-256 of the requirements and of this interpreter's version. Packages come from where pip is told to look
(`PIP_INDEX_URL`, `PIP_NO_INDEX`, `PIP_FIND_LINKS`, `pip.conf`); nothing else here needs a network.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
import sysconfig
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import headway
from headway.authoring.secrets import PREFIX
from headway.errors import HeadwayError

#: Seconds that making one may take.
MAKE_WITHIN = 900
#: Of what pip says when it fails, in characters.
_SAID = 1_500
_VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


class EnvironmentFailed(HeadwayError):
    """The environment that a task asks for is not there and cannot be made."""

    code = "environment_failed"


def interpreter_of(state: Path, environment: Mapping[str, Any] | None) -> str:
    """The Python that a task of this environment runs in; empty for the executor's own."""
    if not environment:
        return ""
    if environment.get("venv"):
        return str(Path(environment["venv"]) / "bin" / "python")
    if environment.get("requirements"):
        return str(_folder(state, environment["requirements"]) / "bin" / "python")
    return ""


def _folder(state: Path, requirements: list[str]) -> Path:
    said = json.dumps([_VERSION, sys.implementation.name, sorted(requirements)])
    return state / "venvs" / hashlib.sha256(said.encode()).hexdigest()[:32]


def guest_program() -> str:
    """What a foreign Python runs to be a worker of ours.

    Headway and what it needs are found behind the packages of the virtual environment: those are what the task asked for.
    """
    ours = [
        str(Path(headway.__file__).parent.parent),
        *(sysconfig.get_path(name) for name in ("purelib", "platlib")),
    ]
    return (
        f"import sys; sys.path.extend({list(dict.fromkeys(ours))!r}); "
        "from headway.execute.worker import main; sys.exit(main(sys.argv[1:]))"
    )


class Environments:
    """Makes what is not there yet, each one once at a time.

    Args:
        state: The state folder.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._ready: set[str] = {""}
        self._making: dict[str, list[Callable[[HeadwayError | None], None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def ready(self, python: str) -> bool:
        """Whether tasks may run in it at once."""
        return python in self._ready

    def make(
        self, python: str, environment: Mapping[str, Any], then: Callable[[HeadwayError | None], None]
    ) -> None:
        """See that it is there; `then` is called from the loop with what is wrong, or None.

        What failed is tried again by the next call: an index may answer then.
        """
        if python in self._making:
            self._making[python].append(then)
            return
        self._making[python] = [then]
        task = asyncio.get_running_loop().create_task(self._make(python, environment))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop what is being made; it is begun anew the next time."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _make(self, python: str, environment: Mapping[str, Any]) -> None:
        problem: HeadwayError | None = None
        try:
            if environment.get("venv"):
                _check(Path(environment["venv"]))
            else:
                await self._install(Path(python).parent.parent, environment["requirements"])
            self._ready.add(python)
        except HeadwayError as error:
            problem = error
        except OSError as error:
            problem = EnvironmentFailed(
                f"the virtual environment cannot be made: {error}", hint="make room in the state folder"
            )
        finally:
            waiting = self._making.pop(python)
        for then in waiting:
            then(problem)

    async def _install(self, folder: Path, requirements: list[str]) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await _locked(lock)
            if (folder / ".made").exists():
                return
            shutil.rmtree(folder, ignore_errors=True)
            await _run([sys.executable, "-m", "venv", str(folder)], "python -m venv")
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install"]
            pip += ["--no-input", "--disable-pip-version-check", "--quiet", "--", *requirements]
            await _run(pip, f"pip install {' '.join(requirements)}")
            (folder / ".made").touch()
        finally:
            os.close(lock)


def _check(venv: Path) -> None:
    """A folder of the user's: is it a virtual environment of this Python?"""
    python = venv / "bin" / "python"
    if not python.exists():
        raise EnvironmentFailed(
            f"{venv} is no virtual environment: there is no {python} on this node",
            hint=f"make it there: python{_VERSION} -m venv {venv}",
        )
    said = ""
    with suppress(OSError):
        for line in (venv / "pyvenv.cfg").read_text(errors="replace").splitlines():
            name, _, value = line.partition("=")
            if name.strip() in ("version", "version_info"):
                said = value.strip()
    if not said.startswith(f"{_VERSION}.") and said != _VERSION:
        raise EnvironmentFailed(
            f"{venv} is of Python {said or 'nobody knows which'}, and this node runs {_VERSION}",
            hint=f"make it with python{_VERSION} -m venv {venv}",
        )


async def _locked(file: int) -> None:
    async with asyncio.timeout(MAKE_WITHIN):
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            await asyncio.sleep(0.2)


async def _run(command: list[str], what: str) -> None:
    """A command to its end, with all it starts.

    Raises:
        EnvironmentFailed: It failed; with the end of what it said.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={name: text for name, text in os.environ.items() if not name.startswith(PREFIX)},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(MAKE_WITHIN):
            said, _ = await process.communicate()
    except TimeoutError:
        raise EnvironmentFailed(f"`{what}` took longer than {MAKE_WITHIN} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        text = said.decode(errors="replace").strip()[-_SAID:]
        raise EnvironmentFailed(
            f"`{what}` failed on this node: {text}",
            hint="without a network, set PIP_NO_INDEX=1 and PIP_FIND_LINKS to a folder of wheels before "
            "`headway up`, or give a virtual environment that is there: venv=",
        )
