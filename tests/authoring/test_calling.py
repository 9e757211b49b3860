"""A plain call runs in place, like any function: no engine, no service, no stand-ins."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from headway import checkpoint, progress, shell, task, variant, workflow
from headway.authoring import context
from headway.authoring.shell import CommandFailed, ShellResult, command_line
from headway.errors import Invalid


@task
def double(x: float) -> float:
    return 2 * x


@task
async def add(x: float, y: float) -> float:
    await asyncio.sleep(0)
    return x + y


@task
async def add_twice(x: float, y: float) -> float:
    return await add(await add(x, y), y)


@task
def quadruple(x: float) -> float:
    return double(double(x))


@workflow
def flow(n: int = 3) -> Any:
    """Doubles and adds."""
    doubled = double.map(range(n))
    return {
        "sum": add(doubled[0], doubled[1]),
        "all": doubled,
        "twice": add_twice(1, 2),
        "four": quadruple(1),
    }


EXPECTED = {"sum": 2, "all": [0, 2, 4], "twice": 5, "four": 4}


def test_a_workflow_called_plainly_gives_values() -> None:
    assert flow() == EXPECTED
    assert flow(n=2)["all"] == [0, 2]
    with pytest.raises(Invalid, match="parameter 'n' is 'x'"):
        flow("x")  # type: ignore[arg-type]


async def test_it_also_runs_where_an_event_loop_runs() -> None:
    assert flow() == EXPECTED


async def test_outside_a_workflow_a_task_is_the_function_it_was() -> None:
    assert double(2) == 4
    assert await add(1, 2) == 3
    assert double.map([1, 2]) == [2, 4]
    assert (double.__name__, flow.__doc__) == ("double", "Doubles and adds.")


def test_maps_in_place_refuse_lists_of_different_length() -> None:
    with pytest.raises(Invalid, match=r"task 'add': .map.* over lists of different length"):
        add.map([1], [1, 2])
    with pytest.raises(Invalid, match="nothing to iterate over"):
        add.map()


def test_text_from_a_command_line_becomes_what_the_parameters_want() -> None:
    @workflow
    def typed(n: int, rate: float, name: str, flags: list[str], on: bool = False, free=None) -> None:  # type: ignore[no-untyped-def]
        """Takes all kinds."""

    texts = {"n": "3", "rate": "1e-3", "name": "7", "flags": '["a"]', "on": "true", "free": "[1]"}
    assert typed.parse(texts) == {"n": 3, "rate": 0.001, "name": "7", "flags": ["a"], "on": True, "free": [1]}
    assert typed.parse({"free": "plain", "on": "yes"}) == {"free": "plain", "on": True}
    with pytest.raises(Invalid, match="workflow 'typed': parameter 'n' is 'three', expected int"):
        typed.parse({"n": "three"})
    with pytest.raises(Invalid, match="has no parameter 'nn'"):
        typed.parse({"nn": "3"})
    assert list(typed.parameters) == ["n", "rate", "name", "flags", "on", "free"]


# ── shell ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_command_runs_in_place_with_its_arguments_quoted() -> None:
    echo = shell("printf '%s|' {word} {rest}", name="echo")
    assert echo(word="a b; $(exit 1)", rest=["c", "d e"]) == ShellResult(0, "a b; $(exit 1)|c|d e|")
    assert workflow(lambda: shell("echo hi"))() == ShellResult(0, "hi\n")
    with pytest.raises(CommandFailed, match="`exit 3` ended with exit code 3"):
        shell("exit 3")()


def test_braces_of_other_languages_stay() -> None:
    assert (
        command_line("awk '{print $1}' ${HOME} {x}", {"x": "a'b"}) == "awk '{print $1}' ${HOME} 'a'\"'\"'b'"
    )
    with pytest.raises(Invalid, match="is not a command"):
        shell("  ")


# ── progress and checkpoint ─────────────────────────────────────────────────────────────────────────────────


class Kept:
    """A holder that remembers."""

    def __init__(self) -> None:
        self.variant = 1
        self.value: Any = None
        self.done: list[float] = []

    def progress(self, fraction: float) -> None:
        self.done.append(fraction)

    def checkpoint(self, value: Any) -> None:
        self.value = value

    def resume(self, default: Any = None) -> Any:
        return default if self.value is None else self.value


def test_outside_a_worker_progress_and_checkpoint_do_nothing() -> None:
    progress(0.5)
    checkpoint({"epoch": 1})
    assert checkpoint() is None
    assert checkpoint.load(7) == 7


def test_in_a_worker_they_reach_the_holder_also_from_the_task_s_own_threads() -> None:
    import threading

    assert variant() == 0
    with context.use(holder := Kept()):
        assert variant() == 1
        assert checkpoint.load("first") == "first"
        thread = threading.Thread(target=lambda: (progress(0.25), checkpoint([1])))
        thread.start()
        thread.join(5)
        assert checkpoint() == [1]
        assert checkpoint.load("first") == [1]
    assert holder.done == [0.25]
    assert checkpoint() is None


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), "half", None])
def test_progress_refuses_what_is_no_fraction_in_a_worker_and_outside(fraction: Any) -> None:
    with pytest.raises(Invalid, match="is not a fraction from 0 to 1"):
        progress(fraction)


# ── import ──────────────────────────────────────────────────────────────────────────────────────────────────

HEAVY = ("pydantic", "numpy", "asyncio", "rich", "typer", "fastapi", "langgraph", "httpx", "cloudpickle")


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("import headway", ()),
        ("from headway import task, workflow, shell, progress, checkpoint", ("cloudpickle",)),
        (
            "import headway; import sys; sys.path[:0] = []; from headway import task; task(lambda: 1)()",
            ("cloudpickle",),
        ),
    ],
)
def test_importing_loads_nothing_heavy(line: str, allowed: tuple[str, ...]) -> None:
    watched = [name for name in HEAVY if name not in allowed]
    code = f"{line}\nimport sys\nprint([name for name in {watched!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_package_says_what_it_exports_and_what_not() -> None:
    import headway

    assert set(headway.__all__) <= set(dir(headway))
    with pytest.raises(AttributeError, match="no attribute 'tsk'"):
        headway.tsk  # noqa: B018
