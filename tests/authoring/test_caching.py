"""What the code of a cached task is."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from headway import shell, task, workflow
from headway.authoring.caching import code_of, fresh
from headway.domain.units import SECOND
from headway.domain.workflow import Cache, TaskSpec
from headway.errors import Invalid


def spec_of(**options: Any) -> TaskSpec:
    @task(**options)
    def work() -> None: ...

    @workflow
    def flow() -> None:
        work()

    return flow.trace().workflow["work"]


def adds(number: int) -> Callable[[int], int]:
    def add(x: int) -> int:
        return x + number

    return add


def code(function: Callable[..., Any]) -> str:
    return code_of(function, "task 'f'")


def test_layout_and_remarks_and_decorators_are_no_code(tmp_path: Path) -> None:
    made = []
    for number, text in enumerate(("return x+1", "# a remark\n    return (x\n        + 1)", "return x + 2")):
        path = tmp_path / f"m{number}.py"
        path.write_text(f"def f(x):\n    {text}\n")
        spec = spec_from_file_location(f"m{number}", path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        made.append(code(module.f))
    assert made[0] == made[1] != made[2]
    assert spec_of(cache=True, cpu=1).cache == spec_of(cache=True, cpu=2).cache


def test_what_a_function_has_closed_over_and_its_defaults_are_part_of_it() -> None:
    assert code(adds(1)) == code(adds(1)) != code(adds(2))

    def make(usual: int) -> Callable[..., int]:
        def f(x: int = usual) -> int:
            return x

        return f

    assert code(make(1)) != code(make(2))


def test_functions_without_a_source_are_told_apart_by_what_they_were_compiled_to() -> None:
    spaces: list[dict[str, Any]] = [{}, {}, {}]
    for space, text in zip(spaces, ("x + 1", "x + 2", "x + 1"), strict=True):
        exec(f"def f(x): return {text}", space)
    one, two, again = (code(space["f"]) for space in spaces)
    assert one == again != two


def test_what_cannot_be_compared_cannot_be_cached() -> None:
    lock = Lock()

    @task(cache=True)
    def locks() -> bool:
        return lock.acquire()

    @workflow
    def flow() -> bool:
        return locks()

    with pytest.raises(Invalid, match="task 'locks' cannot be cached"):
        flow.trace()


def test_options_arrive_and_a_command_has_its_own_text() -> None:
    cache = spec_of(cache="7d", version=2).cache
    assert cache is not None
    assert (cache.version, cache.life, len(cache.code)) == ("2", 7 * 86400 * SECOND, 64)
    assert spec_of().cache is None
    assert spec_of(cache=False).cache is None

    @workflow
    def flow() -> Any:
        return shell("sort {file}", file="x", cache=True)

    assert flow.trace().workflow["sort"].cache == Cache()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache": "long"}, "cache='long' is not a length of time"),
        ({"cache": 0}, "cache=0 would keep nothing"),
        ({"version": "2"}, "it has none"),
        ({"cache": True, "version": 1.5}, "version=1.5 is not a text"),
        ({"cache": True, "rule": "all_done"}, "cannot have a cache and have the rule all_done"),
    ],
)
def test_what_makes_no_sense_is_refused_naming_the_task(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid) as refused:
        spec_of(**options)
    assert "task 'work'" in refused.value.message
    assert message in refused.value.message


def test_a_fresh_workflow_takes_nothing_and_is_else_the_same() -> None:
    @task(cache=True)
    def one() -> int:
        return 1

    @task
    def two() -> int:
        return 2

    @workflow
    def flow() -> list[int]:
        return [one(), two()]

    graph = flow.trace().workflow
    made = fresh(graph)
    assert made["two"] == graph["two"]
    assert made["one"].cache is not None
    assert made["one"].cache.fresh
