"""Whatever state the engine's own fuzz brings it into, its future can be followed, and that changes nothing."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from headway.sim.changes import candidates
from headway.sim.experience import Experience
from headway.sim.future import Future
from headway.sim.what_if import waiting
from tests.core.test_engine_fuzz import EngineMachine


class Foreseen(EngineMachine):
    """The engine's machine, and a rule that looks ahead from where it stands."""

    @rule(number=st.integers(0, 3), pick=st.integers(0, 99))
    def look_ahead(self, number: int, pick: int) -> None:
        tree = self.engine.snapshot()
        future = Future(tree, self.now, Experience(), number, moments=60).run_on()
        future.engine.check()
        tasks = [task for task in waiting(self.engine) if self.engine.world.tasks[task].item is not None]
        if tasks:
            for change in candidates(self.engine, tasks[pick % len(tasks)], self.now):
                changed = Future(
                    tree, self.now, Experience(), number, change=change.apply, moments=10
                ).run_on()
                changed.engine.check()
        assert self.engine.snapshot() == tree


def test_futures_of_any_state() -> None:
    run_state_machine_as_test(
        seed(int(os.environ["HEADWAY_FUZZ_SEED"]))(Foreseen),
        settings=settings(
            max_examples=40,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
