"""What tasks print is kept, live, and no file is made for those that print nothing."""

from __future__ import annotations

from pathlib import Path

from headway.execute import logs

from .conftest import Bench, Tree, call


async def test_everything_a_task_prints_is_in_its_log(bench: Bench) -> None:
    bench.grant("speak", call("speak"))
    await bench.result("speak")
    text = bench.log("speak")
    for line in (
        "python says",
        "descriptor says",
        "C says",
        "child says",
        "child complains",
        "python complains",
    ):
        assert f"{line}\n" in text
    assert text.startswith("=== speak attempt 1, ")
    assert text.index("\n") == 119


async def test_a_silent_task_makes_no_file_quick_or_slow(bench: Bench) -> None:
    bench.grant("noop", call("noop"))
    await bench.end("noop")
    bench.grant("slow", call("sleep", 0.1))
    await bench.end("slow")
    assert not (bench.state / "logs" / "r").exists()


async def test_a_log_can_be_followed_while_the_task_runs(bench: Bench, tmp_path: Path) -> None:
    for name in ("speak_slowly", "speak_through_child"):
        go_on = tmp_path / name
        bench.grant(name, call(name, str(go_on)))
        first = "first line\n" if name == "speak_slowly" else "from child\n"
        await bench.until(lambda name=name, first=first: first in bench.log(name), 5)
        assert not any(row.what == "finished" for row in bench.of(name))
        data, offset = logs.read(bench.state, f"r/{name}")
        assert data.decode().endswith(first)
        go_on.touch()
        await bench.end(name)
        more, _ = logs.read(bench.state, f"r/{name}", offset)
        assert more.decode() == ("last line\n" if name == "speak_slowly" else "")


async def test_later_attempts_are_appended_with_a_header_each(bench: Bench, tmp_path: Path) -> None:
    go_on = tmp_path / "go"
    for attempt in (1, 2, 3):
        bench.grant("speak_slowly", call("speak_slowly", str(go_on)), attempt=attempt)
        await bench.until(lambda n=attempt: bench.log("speak_slowly").count("first line") == n, 5)
        go_on.touch()
        await bench.end("speak_slowly", attempt)
        go_on.unlink()
    text = bench.log("speak_slowly")
    assert [line[:30] for line in text.splitlines() if line.startswith("===")] == [
        f"=== speak_slowly attempt {n}, 20"[:30] for n in (1, 2, 3)
    ]
    assert text.count("last line") == 3


async def test_a_silent_later_attempt_leaves_the_log_as_it_was(bench: Bench) -> None:
    what = call("speak_if", Tree({"output": "p"}))
    bench.grant("t", what, inputs={"p": {"data": True}})
    await bench.result("t")
    before = bench.log("t")
    assert "spoken" in before
    bench.grant("t", what, attempt=2, inputs={"p": {"data": False}})
    await bench.result("t", 2)
    assert bench.log("t") == before
    bench.grant("t", what, attempt=3, inputs={"p": {"data": True}})
    await bench.result("t", 3)
    assert bench.log("t").startswith(before)
    assert bench.log("t").count("spoken") == 2


async def test_the_traceback_of_a_failure_ends_its_log(bench: Bench) -> None:
    bench.grant("bad", call("fail_deeper"))
    await bench.end("bad")
    lines = bench.log("bad").splitlines()
    assert (lines[1], lines[-1]) == (
        "Traceback (most recent call last):", "ZeroDivisionError: division by zero"
    )  # fmt: skip
    bench.grant("bad", call("fail_deeper"), attempt=2)
    await bench.end("bad", 2)
    assert bench.log("bad").count("ZeroDivisionError") == 2


async def test_outputs_of_tasks_in_one_worker_do_not_mix(bench: Bench) -> None:
    lease = bench.lease()
    for number in range(10):
        bench.grant(f"p[{number}]", call("speak", name=f"p{number}"), lease=lease)
    for number in range(10):
        await bench.result(f"p[{number}]")
        assert bench.log(f"p[{number}]").count("python says\n") == 1


def test_the_end_of_a_log_can_be_read(tmp_path: Path) -> None:
    path = logs.path_of(tmp_path, "r/t")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"0123456789")
    assert logs.read(tmp_path, "r/t", -4) == (b"6789", 10)
    assert logs.read(tmp_path, "r/t", 2, 3) == (b"234", 5)
    assert logs.read(tmp_path, "r/t", 99) == (b"", 10)
    assert logs.read(tmp_path, "r/none") == (b"", 0)
    assert b"".join(logs.pieces(tmp_path, "r/t")) == b"0123456789"


def test_names_stay_inside_the_logs_folder(tmp_path: Path) -> None:
    for task in ("../x", "r/../../x", "r/.hidden", "r/a/b", "./."):
        path = logs.path_of(tmp_path, task)
        assert path.parent.parent == tmp_path / "logs"
        assert not path.name.startswith(".")


def test_a_header_has_room_for_any_name() -> None:
    for task in ("r/t", "r/" + "x" * 300, "r/ü" * 10):
        line = logs.header(task, 12, 4_194_304)
        assert len(line) == 120
        assert line.endswith(b"=\n")
        assert b"attempt 12, 20" in line
