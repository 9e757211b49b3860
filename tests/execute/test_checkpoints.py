"""Progress and checkpoints: what a task says, keeps, and finds again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from headway.errors import Invalid, Unavailable
from headway.execute.context import BadCheckpoint, TaskContext
from headway.execute.files import checkpoints, write_durably
from headway.execute.interrupts import Interrupts, Preempted

from .conftest import Bench, call


def context(state: Path, attempt: int = 1, told: list[tuple[str, int]] | None = None) -> TaskContext:
    def tell(what: str, done: int) -> None:
        if told is not None:
            told.append((what, done))

    return TaskContext(state, "r/t", attempt, tell, Interrupts())


async def test_a_failed_attempt_is_continued_from_its_checkpoint(bench: Bench) -> None:
    bench.grant("train", call("train", 10, 0.0, 4))
    assert (await bench.end("train")).what == "failed"
    kept = list((bench.state / "checkpoints" / "r" / "train").iterdir())
    assert [path.name for path in kept] == ["1-4.ckpt"], "older ones are pruned"
    rows = [row for row in bench.of("train") if row.what == "checkpoint"]
    assert [row.value for row in rows] == [-1, 100, 200, 300]
    bench.grant("train", call("train", 10, 0.0, 4), attempt=2)
    assert await bench.result("train", 2) == 4
    assert [path.name for path in (bench.state / "checkpoints" / "r" / "train").iterdir()] == ["2-6.ckpt"]


async def test_progress_is_reported_but_not_more_than_a_reader_can_use(bench: Bench) -> None:
    bench.grant("p", call("report_progress", [number / 1000 for number in range(1001)]))
    await bench.end("p")
    values = [row.value for row in bench.of("p") if row.what == "progress"]
    assert values[0] == 0
    assert values[-1] == 1000
    assert len(values) < 50


def test_the_newest_checkpoint_of_this_or_an_earlier_attempt_counts(tmp_path: Path) -> None:
    context(tmp_path, 1).checkpoint("one")
    assert context(tmp_path, 1).resume() == "one"
    context(tmp_path, 3).checkpoint("three")
    assert context(tmp_path, 2).resume("nothing") == "nothing", (
        "attempt 2 cannot go on from what came after it"
    )
    assert context(tmp_path, 4).resume() == "three"
    context(tmp_path, 4).checkpoint("four")
    context(tmp_path, 4).checkpoint("four again")  # a new context of the same attempt goes on counting
    assert [path.name for _, _, path in checkpoints(tmp_path, "r/t")] == ["4-2.ckpt"]


def test_a_checkpoint_that_was_cut_off_is_not_taken(tmp_path: Path) -> None:
    first = context(tmp_path)
    first.checkpoint([1, 2])
    folder = tmp_path / "checkpoints" / "r" / "t"
    (folder / ".1-2.ckpt.99.part").write_bytes(b"half")
    assert context(tmp_path).resume() == [1, 2]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    context(tmp_path).checkpoint([1])
    path = tmp_path / "checkpoints" / "r" / "t" / "1-1.ckpt"
    path.write_bytes(b"garbage")
    with pytest.raises(BadCheckpoint, match=r"1-1\.ckpt"):
        context(tmp_path, 2).resume()


def test_preemption_waits_for_a_checkpoint_where_there_are_any(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    keeps = context(tmp_path, told=told)
    keeps.checkpoint(1)
    keeps.preempt_asked = True
    keeps.progress(0.5)
    with pytest.raises(Preempted):
        keeps.checkpoint(2)
    assert told == [("checkpoint", -1), ("progress", 500), ("checkpoint", 500)]
    assert context(tmp_path, 2).resume() == 2, "what it was preempted with is safe"
    keeps_none = TaskContext(tmp_path, "r/u", 1, lambda what, done: None, Interrupts())
    keeps_none.preempt_asked = True
    with pytest.raises(Preempted):
        keeps_none.progress(0.5)
    assert keeps_none.gave_way


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan"), float("inf"), "half", None])
def test_nonsense_is_refused(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(Invalid, match="fraction"):
        context(tmp_path).progress(wrong)  # type: ignore[arg-type]


def test_a_value_that_cannot_be_pickled_keeps_the_older_one(tmp_path: Path) -> None:
    made = context(tmp_path)
    made.checkpoint(1)
    with pytest.raises(BadCheckpoint, match="cannot be pickled"):
        made.checkpoint(threading.Lock())
    assert context(tmp_path).resume() == 1


def test_a_thread_of_the_task_can_keep_a_checkpoint(tmp_path: Path) -> None:
    made = context(tmp_path)
    helper = threading.Thread(target=made.checkpoint, args=("from a thread",))
    helper.start()
    helper.join()
    assert made.resume() == "from a thread"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot write"):
        write_durably(tmp_path / "file" / "x", b"data")
