"""Workflows in workflows, dynamic tasks and loops: a plain call, a traced graph and an inline run agree."""

from __future__ import annotations

from typing import Any

import pytest

from headway import loop, task, workflow
from headway.api import inline, simulate
from headway.authoring.decorators import TaskFunction
from headway.authoring.growing import grow
from headway.domain.growth import growth_from_json
from headway.errors import HeadwayError, Invalid


@task
def double(x: int) -> int:
    return 2 * x


@task
def add(x: int, y: int) -> int:
    return x + y


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task
def some(n: int) -> list[int]:
    return list(range(n))


@task
def picky(x: int) -> int:
    if x == 1:
        raise ValueError("one")
    return x


@workflow
def twice(x: int) -> int:
    return double(double(x))


@task(dynamic=True)
def spread(n: int) -> list[int]:
    return double.map(list(range(n)))


@task(dynamic=True)
def countdown(n: int) -> int:
    return n if n <= 0 else countdown(n - 1)


@task(dynamic=True)
def fibonacci(n: int) -> int:
    return n if n < 2 else add(fibonacci(n - 1), fibonacci(n - 2))


@task(dynamic=True)
def careless(n: int) -> list[int]:
    return picky.map(list(range(n)))


@workflow
def nested(n: int = 3) -> Any:
    inner = twice(n)
    return {"inner": inner, "mapped": total(twice.map(some(n))), "spread": total.map(spread.map(some(n)))}


@workflow
def growing(n: int = 4) -> list[int]:
    return [fibonacci(n), countdown(3), loop(double, 1, until=lambda x: x > 20, limit=10)]


@workflow
def bounded() -> int:
    return loop(twice, 1, until=lambda x: False, limit=3)


@workflow
def failing() -> Any:
    return careless(3)


def expanded(task: TaskFunction[..., Any], own: str, *args: Any) -> list[str]:
    """The names in a run of what the body of a dynamic task calls."""
    ref = grow(task.function, own, args, {}, lambda ref, blob: None).ref
    growth = growth_from_json(ref.data)
    return [f"{growth.under}.{spec.name}" for spec in growth.workflow.tasks]


def test_the_tasks_of_a_workflow_in_a_workflow_carry_its_name() -> None:
    names = [spec.name for spec in nested.trace(3).workflow.tasks]
    assert names[:2] == ["twice.double", "twice.double-2"]
    assert "twice-2" in names, "mapped it is one task for each item, which draws the rest"


def test_what_a_dynamic_task_calls_is_named_after_it() -> None:
    assert expanded(spread, "spread[1]", 3) == ["spread[1].double", "spread[1].result"]
    assert expanded(countdown, "countdown", 3) == ["countdown.2"]
    assert expanded(countdown, "a.countdown[4].7", 3) == ["a.countdown[4].8"]
    assert expanded(fibonacci, "fibonacci", 5) == ["fibonacci.2", "fibonacci.fibonacci", "fibonacci.add"]


def test_a_dynamic_task_that_calls_nothing_gives_its_value() -> None:
    assert grow(countdown.function, "countdown.9", (0,), {}, lambda ref, blob: None) == 0


def test_plain_calls() -> None:
    assert nested(3) == {"inner": 12, "mapped": 12, "spread": [0, 0, 2]}
    assert growing(4) == [3, 0, 32]
    assert bounded() == 64
    with pytest.raises(ValueError, match="one"):
        failing()


def test_an_inline_run_gives_the_same() -> None:
    assert nested.run(3) == nested(3)


def test_an_inline_run_of_recursion_and_loops_gives_the_same_under_names_that_count() -> None:
    seen: dict[str, str] = {}
    done = inline.run(
        growing, (4,), {}, watch=lambda change: seen.update({change.get("name", ""): change["state"]})
    )
    assert done.result == growing(4)
    assert {"countdown.2", "countdown.3", "countdown.4", "double.1", "double.2", "double.2.until"} <= set(
        seen
    )
    assert {state for name, state in seen.items() if name} == {"finished"}


def test_a_failure_among_them_fails_the_task_and_says_where() -> None:
    with pytest.raises(HeadwayError, match="one"):
        failing.run()


def test_what_cannot_be_known_before_is_said_by_a_simulation() -> None:
    made = simulate(growing, (4,))
    assert any("what fibonacci calls is not known before the run" in note for note in made.notes)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(Invalid, match="dynamic=1 is not True or False"):
        task(dynamic=1)(double.function)
    with pytest.raises(Invalid, match="cannot be dynamic and have a cache"):
        task(dynamic=True, cache="7d")(double.function)
    with pytest.raises(Invalid, match="cannot be a gang and dynamic"):
        task(dynamic=True, gang=True)(double.function)
    with pytest.raises(Invalid, match="neither a task nor a workflow"):
        loop(lambda x: x, 1, until=bool, limit=2)
    for limit in (0, True, 1001, "3"):
        with pytest.raises(Invalid, match="limit="):
            loop(double, 1, until=bool, limit=limit)
