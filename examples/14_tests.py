"""14 Tests: a workflow and its tasks are functions; testing them needs nothing set up. Next: ../workflows/data_processing.py.

pytest 14_tests.py
"""

from headway import progress, task, workflow


@task(cpu=1, memory="200MiB", retries=3)
def train(rows: list) -> float:
    progress(0.5)  # says it to the service; on a laptop without one it does nothing
    return sum(rows) / len(rows)


@workflow
def training(rows: list = [1.0, 2.0, 6.0]) -> float:
    return train(rows)


def test_training() -> None:
    assert training([2.0, 4.0]) == 3.0
    assert [spec.name for spec in training.trace().workflow.tasks] == ["train"]


if __name__ == "__main__":
    print(training())
