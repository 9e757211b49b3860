"""Retries on chosen errors, deadlines and prices: as written, as the core has them, and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway import Retry, task, workflow
from headway.domain import workflow as domain
from headway.domain.codec import workflow_from_json, workflow_to_json
from headway.domain.units import SECOND
from headway.domain.workflow import Deadline, Environment, TaskSpec, Workflow
from headway.errors import Invalid


class Throttled(Exception):
    """One of a user's own."""


def spec_of(**options: Any) -> TaskSpec:
    @task(**options)
    def work() -> None: ...

    @workflow
    def flow() -> None:
        work()

    return flow.trace().workflow["work"]


def test_what_is_written_arrives_in_the_core_s_units() -> None:
    spec = spec_of(
        retry=Retry(5, on=(ConnectionError, Throttled, "x.Busy"), delay="10s", ceiling=300),
        deadline="2h",
        cost="2.5",
    )
    on = ("ConnectionError", "tests.authoring.test_attributes.Throttled", "x.Busy")
    assert spec.retry == domain.Retry(5, 10 * SECOND, 300 * SECOND, on)
    assert (spec.deadline, spec.cost) == (Deadline(7200 * SECOND), 2500)
    assert spec_of(retries=2).retry == domain.Retry(2)
    assert spec_of(retry=Retry()).retry.limit == 3


def test_an_environment_is_made_canonical_and_its_folders_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    spec = spec_of(env={"B": 1, "A": True}, cwd="data", requirements=["b", "a ", "b"])
    assert spec.environment == Environment((("A", "1"), ("B", "1")), "/data", "", ("a", "b"))
    assert spec_of(venv="/v").environment == Environment(venv="/v")
    assert spec_of(env={}).environment is None


def test_a_deadline_may_be_a_moment() -> None:
    moment = datetime(2999, 12, 1, 8, tzinfo=UTC)
    wanted = Deadline(round(moment.timestamp()) * SECOND, absolute=True)
    assert spec_of(deadline=moment).deadline == spec_of(deadline="2999-12-01T08:00+00:00").deadline == wanted


def test_the_earlier_of_the_task_s_and_the_workflow_s_deadline_counts() -> None:
    tasks = (TaskSpec("own", "m:f", deadline=Deadline(10)), TaskSpec("none", "m:f"))
    flow = Workflow("w", tasks, deadline=Deadline(1020, absolute=True))
    assert (flow.due(tasks[0], 1000), flow.due(tasks[1], 1000)) == (1010, 1020)
    assert flow.due(tasks[0], 2000) == 1020
    assert Workflow("w", tasks).due(tasks[1], 5) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retry": 3}, "retry=3 is no Retry"),
        ({"retry": Retry(3), "retries": 3}, "both retries and retry"),
        ({"retry": Retry(-1)}, "retry: limit=-1 must be zero or more"),
        ({"retry": Retry(1.5)}, "retry: limit=1.5 is not a whole number"),  # type: ignore[arg-type]
        ({"retry": Retry(1, on=int)}, "is no class of errors"),
        ({"retry": Retry(1, on="two words")}, "expected the name of an error"),
        ({"retry": Retry(1, delay="soon")}, "retry: delay='soon' is not a length of time"),
        ({"retry": Retry(1, ceiling=-1)}, "retry: ceiling=-1 is not a length of time"),
        ({"retries": -1}, "retries=-1 must be zero or more"),
        ({"retry": Retry(1), "at_most_once": True}, "at_most_once and have retries"),
        ({"deadline": "soon"}, "deadline='soon' is not a length of time"),
        ({"deadline": 0}, "would be missed by every run"),
        ({"deadline": "2001-01-01"}, "is over"),
        ({"deadline": "2999-13-01"}, "is no point in time"),
        ({"cost": -1}, "cost=-1 must be zero or more"),
        ({"cost": "much"}, "cost='much' is not a number"),
        ({"env": ["A"]}, "env=['A'] is not a dict of texts"),
        ({"env": {"A": None}}, "is not a dict of texts"),
        ({"env": {"A=B": "1"}}, "is 'A=B', expected the name of a variable"),
        ({"env": {"HEADWAY_RUN": "x"}}, "not one of Headway's own"),
        ({"env": {"A": "\0"}}, "text without a zero byte"),
        ({"cwd": 5}, "cwd=5 is not a folder"),
        ({"venv": ""}, "venv='' is not a folder"),
        ({"requirements": "numpy"}, "requirements='numpy' is not a list"),
        ({"requirements": ["-r x.txt"]}, "expected a requirement"),
        ({"requirements": ["numpy"], "venv": "/v"}, "both venv and requirements"),
    ],
)
def test_what_makes_no_sense_is_refused_naming_the_task(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid) as refused:
        spec_of(**options)
    assert "task 'work'" in refused.value.message
    assert message in refused.value.message


def test_the_workflow_s_deadline_is_read_and_refused_alike() -> None:
    @workflow(deadline="1min")
    def flow() -> None: ...

    assert flow.trace().workflow.deadline == Deadline(60 * SECOND)
    with pytest.raises(Invalid, match="workflow 'late': deadline='x'"):

        @workflow(deadline="x")
        def late() -> None: ...


_TIMES = st.integers(1, 2**62)
_DEADLINES = st.none() | st.builds(Deadline, _TIMES, st.booleans())
_NAMES = st.sampled_from(["ValueError", "a.b.Error", "made.<locals>.Busy"])
_RETRIES = st.builds(domain.Retry, st.integers(0, 9), _TIMES, _TIMES, st.lists(_NAMES, max_size=3).map(tuple))


_WORDS = st.sampled_from(["A", "B", "C_1"])
_ENVIRONMENTS = st.builds(
    lambda env, cwd, needs: Environment(tuple(sorted(env.items())), cwd, "", tuple(sorted(needs))),
    st.dictionaries(_WORDS, st.text(st.characters(exclude_characters="\0", codec="utf-8"))),
    st.sampled_from(["", "/data"]),
    st.sets(st.sampled_from(["a==1", "b"])),
)


@given(_DEADLINES, _DEADLINES, _RETRIES, st.integers(0, 2**40), st.none() | _ENVIRONMENTS)
def test_json_brings_all_of_it_back(
    deadline: Deadline | None,
    whole: Deadline | None,
    retry: domain.Retry,
    cost: int,
    around: Environment | None,
) -> None:
    spec = TaskSpec("t", "m:f", retry=retry, deadline=deadline, cost=cost, environment=around)
    flow = Workflow("w", (spec,), deadline=whole)
    assert workflow_from_json(json.loads(json.dumps(workflow_to_json(flow)))) == flow


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"deadline": 5}, "tasks[0].deadline is 5, expected an object"),
        ({"deadline": {"time": 0}}, "tasks[0].deadline.time is 0"),
        ({"deadline": {"time": 1, "absolut": True}}, "unknown field 'absolut'"),
        ({"cost": -1}, "tasks[0].cost is -1"),
        ({"cost": 0.5}, "tasks[0].cost is 0.5"),
        ({"environment": {"cwd": "data"}}, "tasks[0].environment.cwd is 'data', expected an absolute path"),
        ({"environment": {"requirements": "x"}}, "tasks[0].environment.requirements is 'x', expected a list"),
        ({"retry": {"on": "ValueError"}}, "tasks[0].retry.on is 'ValueError', expected a list"),
        ({"retry": {"on": ["no name"]}}, "tasks[0].retry.on[0] is 'no name'"),
        ({"retry": {"on": ["E"] * 51}}, "at most 50 names"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused_with_its_place(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(Invalid) as refused:
        workflow_from_json({"name": "w", "tasks": [{"name": "t", "function": "m:f", **fields}]})
    assert message in refused.value.message


def test_a_class_is_covered_by_its_own_name_and_by_those_of_its_bases() -> None:
    names = ["pkg.net.Timeout", "OSError", "Exception"]
    assert domain.Retry(1).covers(names)
    assert domain.Retry(1, on=("pkg.net.Timeout",)).covers(names)
    assert domain.Retry(1, on=("Timeout",)).covers(names)
    assert domain.Retry(1, on=("OSError",)).covers(names)
    assert not domain.Retry(1, on=("net.Timeout", "ValueError")).covers(names)
