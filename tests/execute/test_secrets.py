"""Secrets in real workers: the task gets the value; logs, errors, results and checkpoints do not."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from headway.authoring import secrets
from headway.authoring.secrets import PREFIX, Secret, Sources
from headway.authoring.values import encode
from headway.bus.messages import Call, EnvironmentModel, RefModel
from headway.domain import attributes
from headway.service.children import SECRETS

from .conftest import Bench, Tree, call

VALUE = "hunter-2 & söns/%"
PIN = "12345678"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "secrets"
    made.mkdir(mode=0o700)
    put(made, "db", VALUE)
    return made


def holding(state: Path) -> list[Path]:
    """Files of the state folder with a value in them."""
    files = [path for path in state.rglob("*") if path.is_file()]
    return [path for path in files if any(text.encode() in path.read_bytes() for text in (VALUE, PIN))]


def put(folder: Path, name: str, value: str) -> None:
    path = folder / name
    path.touch(0o600)
    path.write_text(value + "\n")


@pytest.fixture
async def bench(state: Path, folder: Path) -> AsyncIterator[Bench]:
    sources = Sources({f"{PREFIX}PIN": PIN, "HOME": "not passed on this way"}, folder)
    made = Bench(state, secrets=sources)
    await made.executor.start()
    yield made
    await made.executor.stop(0.0)
    assert not made.executor.holds(), "a slot leaked"
    assert not holding(state)


def ref(value: Any) -> RefModel:
    made, _ = encode(value)
    return RefModel(kind=made.kind, data=made.data, size=made.size, items=made.items, text=made.text)


def with_secret(function: str, *more: Any, secret: Any = None, **options: Any) -> Call:
    """A call whose first argument is a secret."""
    made = call(function, Tree({"value": "secret"}), *more, **options)
    return made.model_copy(update={"values": {**made.values, "secret": ref(secret or Secret("db"))}})


def said(bench: Bench) -> str:
    """All that went to the scheduler."""
    return repr(bench.rows)


async def test_nothing_that_a_task_prints_shows_it(bench: Bench) -> None:
    bench.grant("tell", with_secret("tell_secret"))
    assert await bench.result("tell") == len(VALUE)
    log = bench.log("tell")
    for line in (
        "python says ***",
        "repr says '***'",
        "url says ***",
        "descriptor says ***",
        "halves say ***",
        "child says ***",
        "child complains ***",
    ):
        assert f"{line}\n" in log, log
    assert "base64 says " in log
    assert VALUE not in log + said(bench)
    assert PIN not in log, "the environment of the executor is not that of a task"


async def test_no_error_tells_it(bench: Bench) -> None:
    bench.grant("raise", with_secret("raise_secret"))
    row = await bench.end("raise")
    assert row.what == "failed"
    assert row.value[1]["message"] == "cannot log in with {'password': '***'}"
    assert "***" in row.value[1]["traceback"]
    assert "***" in bench.log("raise")
    assert VALUE not in said(bench) + bench.log("raise")


@pytest.mark.parametrize("how", ["plain", "deep", "large"])
async def test_a_result_that_holds_it_is_refused(bench: Bench, how: str) -> None:
    bench.grant("give", with_secret("give_secret", how))
    row = await bench.end("give")
    assert row.what == "failed"
    assert "holds the secret 'db'" in row.value[1]["message"]
    assert VALUE not in said(bench)


async def test_a_checkpoint_that_holds_it_is_refused(bench: Bench) -> None:
    bench.grant("keep", with_secret("keep_secret"))
    row = await bench.end("keep")
    assert (row.what, row.value[1]["type"]) == ("failed", "BadCheckpoint")
    assert "holds the secret 'db'" in row.value[1]["message"]


async def test_at_any_depth_and_for_each_item_of_a_map(bench: Bench) -> None:
    bench.grant("deep", with_secret("tell_secret", secret=Secret("pin")))
    assert await bench.result("deep") == len(PIN)
    inside = {"a": [Secret("db"), ("x", Secret("pin"))]}
    made = call("describe", kwargs={"named": Tree({"value": "secret"})})
    bench.grant("describe", made.model_copy(update={"values": {"secret": ref(inside)}}))
    assert "holds the secret" in (await bench.end("describe")).value[1]["message"], "the values were in it"
    items = with_secret("tell_secret", secret=[Secret("db"), Secret("pin")], mapped=1)
    lease = bench.lease()
    for item in (0, 1):
        bench.grant(f"m[{item}]", items, item=item, lease=lease)
    assert [await bench.result("m[0]"), await bench.result("m[1]")] == [len(VALUE), len(PIN)]
    assert "python says ***\n" in bench.log("m[0]")
    assert "python says ***\n" in bench.log("m[1]")


async def test_another_task_in_the_same_worker_does_not_show_it_either(bench: Bench) -> None:
    lease = bench.lease()
    bench.grant("first", with_secret("remember_secret"), lease=lease)
    bench.grant("second", call("tell_remembered"), lease=lease)
    await bench.result("second")
    assert "another task says ['***']\n" in bench.log("second")


async def test_later_attempts_are_masked_and_appended(bench: Bench) -> None:
    for attempt in (1, 2):
        bench.grant("raise", with_secret("raise_secret"), attempt=attempt)
        await bench.end("raise", attempt)
    log = bench.log("raise")
    assert log.count("=== raise attempt ") == 2
    assert log.count("ValueError: cannot log in with {'password': '***'}") == 2


async def test_a_process_that_is_left_behind_is_masked_too(bench: Bench, tmp_path: Path) -> None:
    bench.grant("leave", with_secret("leave_child_with_secret", str(tmp_path)))
    await bench.result("leave")
    assert bench.log("leave").endswith("task ends\n")
    (tmp_path / "go").touch()
    await bench.until(lambda: "late" in bench.log("leave"), 10)
    assert bench.log("leave").endswith("late ***\n")


async def test_a_task_that_closes_its_descriptors_or_dies(bench: Bench) -> None:
    bench.grant("close", with_secret("close_all"))
    await bench.end("close")
    assert "before ***\n" in bench.log("close")
    bench.grant("crash", with_secret("crash_with_secret"))
    assert (await bench.end("crash")).what == "worker_died"
    assert "soon ***\n" in bench.log("crash")
    bench.grant("after", with_secret("tell_secret"))
    assert await bench.result("after") == len(VALUE)


async def test_a_silent_task_with_a_secret_makes_no_log(bench: Bench) -> None:
    bench.grant("silent", with_secret("remember_secret"))
    await bench.result("silent")
    assert bench.log("silent") == ""


async def test_a_command_has_it_in_a_variable_not_on_its_command_line(bench: Bench) -> None:
    made = call(
        shell="cat /proc/$$/cmdline | tr '\\0' ' '; echo; echo is {pw}; echo sad {pw} >&2; exit {code}"
    )
    values = {"pw": ref(Secret("db")), "good": ref(0), "bad": ref(3)}
    for name, code in (("good", "good"), ("bad", "bad")):
        trees = {"pw": {"value": "pw"}, "code": {"value": code}}
        bench.grant(name, made.model_copy(update={"values": values, "kwargs": trees, "name": name}))
    result = await bench.result("good")
    assert result.stdout.splitlines()[1:] == ["is ***"]
    assert f"${PREFIX}" in result.stdout.splitlines()[0]
    row = await bench.end("bad")
    assert "sad ***" in row.value[1]["message"]
    assert VALUE not in said(bench) + bench.log("good") + bench.log("bad")


async def test_a_variable_of_the_task_alone(bench: Bench) -> None:
    around = EnvironmentModel(variables={"MODE": "fast"}, secrets={"PW": "db"})
    lease = bench.lease()
    bench.grant("env", call("print_environment", environment=around), lease=lease)
    bench.grant("sh", call(shell='echo "it is $PW in $MODE"', environment=around), lease=lease)
    bench.grant("after", call("print_environment", name="after"), lease=lease)
    assert await bench.result("env") == len(VALUE)
    assert "child says PW=***\n" in bench.log("env")
    assert (await bench.result("sh")).stdout == "it is *** in fast\n"
    assert await bench.result("after") == 0
    missing = call(
        "print_environment", name="missing", environment=EnvironmentModel(secrets={"PW": "nowhere"})
    )
    bench.grant("missing", missing)
    assert "no secret 'nowhere'" in (await bench.end("missing")).value[1]["message"]
    assert VALUE not in said(bench)


def test_a_graph_knows_the_same_names() -> None:
    assert attributes.SECRET.pattern == secrets._NAME.pattern


async def test_what_cannot_be_had_fails_in_words_before_the_function_is_called(
    bench: Bench, folder: Path
) -> None:
    put(folder, "short", "12345")
    put(folder, "open", VALUE)
    (folder / "open").chmod(0o644)
    (folder / "binary").touch(0o600)
    (folder / "binary").write_bytes(b"\xff\xfe\xfd\xfc\xfb\xfa")
    for name, says in {
        "missing": "there is no secret 'missing' on this node",
        "short": "has 5 characters, and at least 6 are needed",
        "open": "is open to others",
        "binary": "is not text",
    }.items():
        bench.grant(name, with_secret("tell_secret", secret=Secret(name)))
        row = await bench.end(name)
        assert (row.what, row.value[1]["type"]) == ("failed", "NoSecret")
        assert says in row.value[1]["message"]
        assert "python says" not in bench.log(name)
    assert "12345'" not in said(bench)


async def test_a_changed_secret_is_seen(bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.grant("one", with_secret("tell_secret"))
    await bench.result("one")
    put(folder, "db", VALUE + "-2")
    until = time.monotonic() + 20
    for attempt in range(1, 100):  # a value is kept for some seconds
        bench.grant("two", with_secret("tell_secret"), attempt=attempt)
        if await bench.result("two", attempt) == len(VALUE) + 2:
            break
        assert time.monotonic() < until
    assert VALUE not in bench.log("two")


def test_the_supervisor_knows_those_variables_by_the_same_name() -> None:
    assert SECRETS == PREFIX
