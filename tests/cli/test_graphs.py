"""What `headway graph` says of a task."""

from __future__ import annotations

from headway.cli.graphs import tree
from headway.domain.resources import Demand
from headway.domain.task import Variant
from headway.domain.units import SECOND
from headway.domain.workflow import TaskSpec, Workflow


def test_a_task_with_variants_shows_each_way_with_its_own_conditions() -> None:
    ways = (Variant(Demand(gpu=1000), 600 * SECOND, ("zone == a",)), Variant(Demand(16_000), 7200 * SECOND))
    spec = TaskSpec(
        "fit", "m:fit", demand=ways[0].demand, estimate=600 * SECOND, where=ways[0].where, variants=ways
    )
    text = tree(Workflow("w", (spec,)))
    assert "cpu 1, gpu 1; about 10 min; where zone == a | cpu 16; about 2 h" in text
