"""`when` and trigger rules: a plain call does what the traced graph says."""

from __future__ import annotations

import pytest

from headway import task, when, workflow
from headway.api import simulate
from headway.errors import HeadwayError, Invalid

seen: list[str] = []


@task
def measure(x: int) -> dict[str, bool]:
    return {"good": x > 2}


@task
def deploy(x: int) -> str:
    return f"deployed {x}"


@task
def discard(x: int) -> str:
    return f"discarded {x}"


@task
def breaks(x: int) -> int:
    raise ValueError("no")


@task(rule="all_done")
def clean(x: object = None) -> None:
    seen.append(f"clean {x}")


@task(rule="one_failed")
def alarm() -> None:
    seen.append("alarm")


@workflow
def branches(x: int) -> str:
    good = measure(x)["good"]
    return when(good, lambda: deploy(x), otherwise=lambda: discard(x))


@workflow
def troubled() -> object:
    made = breaks(1)
    deploy(made)
    alarm.after(made)()
    return clean(made)


def test_a_plain_call_takes_one_branch() -> None:
    assert (branches(3), branches(1)) == ("deployed 3", "discarded 1")


def test_the_graph_has_both_branches_and_says_on_what() -> None:
    tasks = {spec.name: spec for spec in branches.trace(3).workflow.tasks}
    assert list(tasks) == ["measure", "when", "deploy", "discard", "when-result"]
    assert [(s.when.task, s.when.be) for s in tasks.values() if s.when] == [("when", True), ("when", False)]


def test_a_plain_call_goes_on_after_a_failure_and_raises_it_at_the_end() -> None:
    seen.clear()
    with pytest.raises(ValueError, match="no"):
        troubled()
    assert seen == ["alarm", "clean None"]


def test_a_simulation_reckons_the_first_branch_and_no_failure() -> None:
    found = str(simulate(branches, (3,)))
    assert "whether when is true is not known before the run" in found
    assert "not run if so, and if nothing fails: discard" in found
    assert "not run if so, and if nothing fails: alarm" in str(simulate(troubled))


@workflow
def parts(x: int) -> object:
    good = measure(x)["good"]
    return when(good, lambda: measure(x)["good"], otherwise=lambda: discard(x))


def test_a_run_agrees_with_a_plain_call() -> None:
    for x, flow in ((1, branches), (3, branches), (1, parts), (3, parts)):
        assert flow.run(x) == flow(x), (x, flow)
    with pytest.raises(HeadwayError, match="ValueError: no"):
        troubled.run()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(Invalid, match="is not a function that calls tasks"):
        when(True, 3)  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="is no trigger rule") as caught:
        task(rule="all_dun")(lambda: None)
    assert "all_done" in str(caught.value.hint)
    with pytest.raises(Invalid, match="is given no result"):
        workflow(lambda: alarm.after(1)()).trace()
