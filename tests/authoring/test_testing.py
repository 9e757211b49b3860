"""The attempt that a test puts round a task."""

from __future__ import annotations

from headway import checkpoint, progress, task, variant
from headway.authoring.testing import attempt


@task(variants=[{"cpu": 1}, {"cpu": 2}])
def count(to: int) -> list[int]:
    seen = checkpoint.load(default=[])
    while len(seen) < to:
        seen.append(variant())
        progress(len(seen) / to)
        checkpoint(seen)
    return seen


def test_a_task_goes_on_from_what_was_saved_and_what_it_says_is_noted() -> None:
    with attempt(saved=[9], variant=1) as said:
        assert count(3) == [9, 1, 1]
    assert said.fractions == [2 / 3, 1.0]
    assert said.checkpoints == [[9, 1], [9, 1, 1]]
    assert said.resume() == [9, 1, 1]


def test_without_one_nothing_is_kept_and_nothing_of_it_stays() -> None:
    with attempt() as said:
        count(1)
    assert count(2) == [0, 0]
    assert said.checkpoints == [[0]]
