"""`pool=` and `slots=` of a task: what stands in the graph, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from headway import task, workflow
from headway.errors import Invalid


def load() -> int:
    return 1


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        ({"pool": "db"}, (("pool:db", 1000),)),
        ({"pool": "db", "slots": 2}, (("pool:db", 2000),)),
        ({"pool": ["db", "api"]}, (("pool:api", 1000), ("pool:db", 1000))),
        ({"pool": "db", "rates": {"tokens": 3}}, (("pool:db", 1000), ("tokens", 3000))),
        ({}, ()),
    ],
)
def test_a_pool_stands_among_the_rates_of_the_demand(options: dict[str, Any], rates: Any) -> None:
    made = task(**options)(load)

    @workflow
    def flow() -> int:
        return made()

    (spec,) = flow.trace().workflow.tasks
    assert spec.demand.rates == rates
    assert flow() == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pool": ""}, "is not the name of a pool"),
        ({"pool": 4}, "is not the name of a pool"),
        ({"pool": "db", "slots": 0}, "slots=0"),
        ({"pool": "db", "slots": True}, "slots=True"),
        ({"pool": "db", "slots": 1.5}, "slots=1.5"),
        ({"slots": 2}, "slots=2 of no pool"),
        ({"rates": {"pool:db": 1}}, "'pool:db' is no rate"),
    ],
)
def test_nonsense_is_refused_with_the_task(options: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match="load") as refused:
        task(**options)(load)
    assert said in refused.value.message
