"""`approval` and `signal` in a workflow, in a plain call and in a simulation."""

from __future__ import annotations

from typing import Any

import pytest

from headway import approval, signal, task, when, workflow
from headway.domain.codec import workflow_from_json, workflow_to_json
from headway.domain.waits import Wait
from headway.errors import Invalid


@task(estimate="1min")
def train() -> int:
    return 1


@task(estimate="1min")
def deploy(model: int) -> int:
    return model


@workflow
def guarded() -> int:
    model = train()
    with_yes = approval("Deploy?", after=model, timeout="1h", default=True, estimate="10min")
    return when(with_yes, lambda: deploy(model))


@workflow
def signalled() -> Any:
    return signal("data ready", estimate="10min")


def test_they_are_tasks_that_ask_for_nothing_and_travel_as_json() -> None:
    graph = guarded.trace().workflow
    spec = graph["approval"]
    assert spec.after == ("train",)
    assert spec.wait == Wait("approval", "Deploy?", 3_600_000_000, "true")
    assert (spec.function, spec.demand.cpu, spec.kind) == ("", 0, "approval")
    assert workflow_from_json(workflow_to_json(graph)) == graph
    (only,) = signalled.trace().workflow.tasks
    assert (only.name, only.wait) == ("data-ready", Wait("signal", "data ready"))


def test_in_a_plain_call_the_default_counts_and_without_one_it_is_refused() -> None:
    assert guarded() == 1
    with pytest.raises(Invalid, match="nobody can answer a plain call"):
        signalled()


def test_a_simulation_takes_them_as_their_estimate() -> None:
    (metrics,) = guarded.simulate().metrics
    assert 12 * 60 <= metrics.tree()["makespan"] < 13 * 60


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: approval(""),
        lambda: approval("x", default=3, timeout="1h"),
        lambda: approval("x", default=True),
        lambda: approval("x", timeout=0),
        lambda: approval("x", timeout="soon"),
        lambda: signal(7),
        lambda: signal("x", default=object(), timeout="1h"),
        lambda: signal("x", default=float("nan"), timeout="1h"),
    ],
)
def test_nonsense_is_refused(wrong: Any) -> None:
    with pytest.raises(Invalid):
        wrong()
