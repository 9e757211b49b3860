"""Every engine a test drives is checked against all invariants at the end, so that nobody can forget it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from headway.core.engine import Engine
from tests.builders import Harness


@pytest.fixture
def drive() -> Iterator[Callable[..., Harness]]:
    """Makes harnesses; settings as of `Engine`."""
    made: list[Harness] = []

    def make(**settings: Any) -> Harness:
        made.append(Harness(**settings))
        return made[-1]

    yield make
    for harness in made:
        harness.engine.check()
        Engine.restore(harness.engine.snapshot()).check()
