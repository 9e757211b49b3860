"""Which shapes fit: the tables say what looking at every shape says, however many amounts and new shapes there are."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.core import fitting
from headway.core.ask import Ask
from headway.core.fitting import Fitting, members
from headway.core.queue import Shape
from headway.domain.resources import Demand

AMOUNTS = st.tuples(st.integers(0, 30), st.integers(0, 30), st.sampled_from([0, 100, 500, 1000, 2000, 8000]))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.sampled_from([1, 3, 1_024]),
    asked=st.lists(AMOUNTS, max_size=60),
    looks=st.lists(st.tuples(AMOUNTS, st.integers(0, (1 << 60) - 1)), min_size=1, max_size=8),
)
def test_the_shapes_that_fit(monkeypatch: pytest.MonkeyPatch, steps, asked, looks) -> None:
    monkeypatch.setattr(fitting, "STEPS", steps)
    shapes: list[Shape] = []
    tables = Fitting(shapes)
    for number, (cpu, memory, gpu) in enumerate(asked):
        shapes.append(Shape(number, Ask(Demand(cpu, memory, gpu))))
        tables.add(shapes[-1])
        for (cores, size, gpus), among in looks if number % 7 == 0 or number + 1 == len(asked) else ():
            among &= (1 << len(shapes)) - 1
            found = tables.within(cores, size, gpus, among)
            assert list(members(found)) == [
                shape.id
                for shape in shapes
                if among >> shape.id & 1 and shape.cpu <= cores and shape.memory <= size and shape.gpu <= gpus
            ]
